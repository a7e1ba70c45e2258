/**
 * The client against a real S3 server, which checks signatures; and against networks and servers
 * that fail.
 */
import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertMatch,
  assertNotMatch,
  assertRejects,
} from "@std/assert";
import { createHash } from "node:crypto";
import { S3Client, S3Error, type S3Patience } from "../../../lib/storage/s3/mod.ts";
import { within } from "../../helpers/deadline.ts";
import { assertSameBytes, concat, noise } from "../../helpers/wav_check.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { BUCKET, CREDENTIALS, ObjectServer } from "./object_server.ts";

const PART_BYTES = 5 * 1024 * 1024;
const HASTY: S3Patience = { attempts: 3, firstPauseMs: 1, timeoutMs: 60_000 };
const bytes = (text: string) => new TextEncoder().encode(text);
const md5Of = (data: Uint8Array) => createHash("md5").update(data).digest("hex");

function clientOf(
  { url }: { readonly url: string },
  patience: S3Patience = HASTY,
  credentials = CREDENTIALS as { accessKeyId: string; secretAccessKey: string },
): S3Client {
  return new S3Client({ endpoint: url, bucket: BUCKET }, credentials, patience);
}

async function readAll(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array> {
  return concat(...await Array.fromAsync(stream));
}

async function failureOf(promise: Promise<unknown>): Promise<S3Error> {
  const error = await promise.then(() => undefined, (error: unknown) => error);
  assertInstanceOf(error, S3Error);
  return error;
}

Deno.test("S3Client: objects are stored, described, read, listed and removed", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  const data = noise(300_000);
  const sha256 = createHash("sha256").update(data).digest("hex");
  assertEquals(await client.head("a/b.wav"), undefined);
  assertEquals(await client.get("a/b.wav", 10), undefined);

  const etag = await client.put("a/b.wav", data, { sha256, md5: md5Of(data) });
  assertEquals(etag, md5Of(data));
  const info = await client.head("a/b.wav");
  assertEquals([info?.sizeBytes, info?.etag, info?.statedSha256], [300_000, etag, sha256]);
  assertSameBytes(await client.get("a/b.wav", 300_000) ?? noise(0), data);
  assertSameBytes(await readAll(client.read("a/b.wav", 0, 300_000, etag)), data);
  assertSameBytes(await readAll(client.read("a/b.wav", 1000, 1001)), data.subarray(1000, 1001));
  assertSameBytes(await readAll(client.read("a/b.wav", 7, 299_999)), data.subarray(7, 299_999));
  assertEquals(await readAll(client.read("a/b.wav", 5, 5)), noise(0));

  await client.put("empty", noise(0));
  assertEquals(await client.get("empty", 10), noise(0));
  await client.put("a/c.json", bytes("{}"));
  assertEquals(
    (await Array.fromAsync(client.list("a/"))).map(({ key, sizeBytes }) => [key, sizeBytes]),
    [
      ["a/b.wav", 300_000],
      ["a/c.json", 2],
    ],
  );
  await client.delete("a/b.wav");
  await client.delete("a/b.wav");
  assertEquals((await Array.fromAsync(client.list("a/"))).map(({ key }) => key), ["a/c.json"]);
});

Deno.test("S3Client: an object that is larger than expected is not read", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  await client.put("large", noise(1000));
  assertEquals((await failureOf(client.get("large", 999))).failure, "mismatch");
});

Deno.test("S3Client: lists of more than one page", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  const keys = Array.from({ length: 1_050 }, (_, n) => `p/${String(n).padStart(5, "0")}`);
  for (let n = 0; n < keys.length; n += 50) {
    await Promise.all(keys.slice(n, n + 50).map((key) => client.put(key, bytes("x"))));
  }
  assertEquals((await Array.fromAsync(client.list("p/"))).map(({ key }) => key), keys);
});

Deno.test("S3Client: an object of several parts", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  const data = noise(2 * PART_BYTES + 12_345);
  const uploadId = await client.createUpload("large.wav", { contentType: "audio/wav" });
  const parts = [];
  for (let n = 0; n * PART_BYTES < data.length; n++) {
    const body = data.slice(n * PART_BYTES, (n + 1) * PART_BYTES);
    const part = await client.uploadPart("large.wav", uploadId, n + 1, body, { md5: md5Of(body) });
    assertEquals(part.etag, md5Of(body));
    parts.push(part);
  }
  assertEquals(await client.head("large.wav"), undefined, "not there before it is complete");
  await client.completeUpload("large.wav", uploadId, parts);
  assertEquals((await client.head("large.wav"))?.sizeBytes, data.length);
  assertSameBytes(await readAll(client.read("large.wav", 0, data.length)), data);
  const again = await failureOf(client.completeUpload("large.wav", uploadId, parts));
  assertEquals(again.code, "NoSuchUpload");
});

Deno.test("S3Client: the server checks signatures, and no error tells a key", async () => {
  await using server = await ObjectServer.start();
  const secret = "a-wrong-secret-that-nobody-must-see";
  const wrongSecret = clientOf(server, HASTY, { accessKeyId: "S3RVER", secretAccessKey: secret });
  const wrongKey = clientOf(server, HASTY, { accessKeyId: "NOBODYKNOWS", secretAccessKey: secret });
  for (
    const [client, code] of [
      [wrongSecret, "SignatureDoesNotMatch"],
      [wrongKey, "InvalidAccessKeyId"],
    ] as const
  ) {
    const error = await failureOf(client.put("a", bytes("x")));
    assertEquals([error.status, error.code, error.failure], [403, code, "refused"]);
    const told = Deno.inspect(error);
    assertNotMatch(told, /a-wrong-secret|NOBODYKNOWS|S3RVER/);
    assertMatch(error.message, /^PutObject of a failed: refused with 403 \w+.*: .*key/);
    assertEquals((await failureOf(client.head("a"))).status, 403);
    assertEquals((await failureOf(Array.fromAsync(client.list("")))).code, code);
  }
  assertEquals(await clientOf(server).head("a"), undefined, "nothing was stored");
});

Deno.test("S3Client: a bucket that is not there is an error, not an object that is not there", async () => {
  await using server = await ObjectServer.start();
  const client = new S3Client({ endpoint: server.url, bucket: "other" }, CREDENTIALS, HASTY);
  const error = await failureOf(client.put("a", bytes("x")));
  assertEquals([error.status, error.code], [404, "NoSuchBucket"]);
  assertMatch(error.message, /make the bucket, or correct its name/);
  assertEquals((await failureOf(client.get("a", 10))).code, "NoSuchBucket");
});

Deno.test("S3Client: a clock that is wrong is told", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const date = new Date(Date.now() + 3_600_000).toUTCString();
  proxy.become({ kind: "answers", status: 403, code: "RequestTimeTooSkewed", headers: { date } });
  const error = await failureOf(clientOf(proxy).put("a", bytes("x")));
  assertMatch(
    error.message,
    /clock of this machine .* set it\. The server's clock is 3\d{3} s ahead/,
  );
  assertEquals(proxy.faults, 1, "and not tried again");
});

for (
  const [status, code, failure] of [
    [500, "InternalError", "unavailable"],
    [503, "SlowDown", "unavailable"],
    [503, undefined, "unavailable"],
    [429, "TooManyRequests", "unavailable"],
    [400, "RequestTimeout", "unavailable"],
    [400, "InvalidRequest", "refused"],
    [403, "AccessDenied", "refused"],
    [501, "NotImplemented", "refused"],
    [301, "PermanentRedirect", "refused"],
  ] as const
) {
  Deno.test(`S3Client: ${status} ${code ?? "without a code"} is ${failure}`, async () => {
    await using server = await ObjectServer.start();
    await using proxy = FaultProxy.to(server.port);
    const client = clientOf(proxy);
    const answer = { kind: "answers", status, ...(code === undefined ? {} : { code }) } as const;
    proxy.become(answer);
    const error = await failureOf(client.put("a", bytes("x")));
    assertEquals([error.status, error.code, error.failure], [status, code, failure]);
    assertEquals(error.isTransient, failure === "unavailable");
    if (code !== undefined) assertEquals(error.requestId, "4442587FB7D0A2F9");
    assertEquals(proxy.faults, failure === "unavailable" ? 3 : 1, "how often it was sent");

    // Once or twice is no matter, if it may pass.
    if (failure !== "unavailable") return;
    proxy.become(answer, 2);
    await client.put("a", bytes("x"));
    assertEquals((await client.head("a"))?.sizeBytes, 1);
  });
}

Deno.test("S3Client: a server that says how long to wait is left alone so long", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  proxy.become(
    { kind: "answers", status: 503, code: "SlowDown", headers: { "retry-after": "1" } },
    1,
  );
  const startedMs = performance.now();
  await clientOf(proxy).put("a", bytes("x"));
  assertGreater(performance.now() - startedMs, 900);
});

Deno.test("S3Client: a server that says nothing is given up", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  proxy.become({ kind: "hangs" });
  const client = clientOf(proxy, { attempts: 2, firstPauseMs: 1, timeoutMs: 100 });
  const error = await failureOf(client.put("a", bytes("x")));
  assertEquals([error.failure, proxy.faults], ["timeout", 2]);
});

Deno.test("S3Client: a server that is not there, and then is", async () => {
  await using server = await ObjectServer.start();
  await server.kill();
  const client = clientOf(server);
  const error = await failureOf(client.put("a", bytes("x")));
  assertEquals([error.failure, error.isTransient], ["network", true]);
  await server.restart();
  await client.put("a", bytes("x"));
});

Deno.test("S3Client: a request that is cut is sent again", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const client = clientOf(proxy);
  const data = noise(2_000_000);
  proxy.become({ kind: "cuts requests", afterBytes: 500_000 }, 1);
  await client.put("a", data, { md5: md5Of(data) });
  assertEquals(proxy.faults, 1);
  assertSameBytes(await client.get("a", data.length) ?? noise(0), data);
});

Deno.test("S3Client: an answer that is cut again and again is read to its end", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const client = clientOf(proxy);
  const data = noise(3_000_000);
  const etag = await client.put("a", data);
  proxy.become({ kind: "cuts answers", afterBytes: 700_000 });
  assertSameBytes(await readAll(client.read("a", 0, data.length, etag)), data);
  assertGreater(proxy.faults, 3);
  proxy.become({ kind: "cuts answers", afterBytes: 0 });
  await assertRejects(() => readAll(client.read("a", 0, data.length, etag)), S3Error);
  await assertRejects(() => client.get("a", data.length), S3Error);
});

Deno.test("S3Client: an object that was replaced is not read on", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const client = clientOf(proxy);
  const etag = await client.put("a", noise(3_000_000, 1));
  const reader = client.read("a", 0, 3_000_000, etag).getReader();
  proxy.become({ kind: "cuts answers", afterBytes: 500_000 }, 1);
  await reader.read();
  proxy.become({ kind: "none" });
  await clientOf(server).put("a", noise(3_000_000, 2));
  const other = await failureOf(readAll(client.read("a", 0, 3_000_000, etag)));
  assertEquals(other.status, 412);
  await reader.cancel();
});

Deno.test("S3Client: any region, and credentials with a session token", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const place = { endpoint: proxy.url, bucket: BUCKET, region: "auto" };
  const client = new S3Client(place, { ...CREDENTIALS, sessionToken: "token-of-a-session" }, HASTY);
  await client.put("a", bytes("x"));
  assertEquals((await client.head("a"))?.sizeBytes, 1);
  for (const head of proxy.heads) {
    assertMatch(head, /x-amz-security-token: token-of-a-session/i);
    assertMatch(head, /\/auto\/s3\/aws4_request, SignedHeaders=[^,]*x-amz-security-token/);
  }
});

Deno.test("S3Client: an object of a key that is taken is not replaced, if that is wanted", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  await client.put("a", bytes("one"), { isNew: true });
  assertEquals((await failureOf(client.put("a", bytes("two"), { isNew: true }))).status, 412);
  assertEquals(await client.get("a", 10), bytes("one"));
  const uploadId = await client.createUpload("a");
  const parts = [await client.uploadPart("a", uploadId, 1, bytes("three"))];
  const completed = client.completeUpload("a", uploadId, parts, { isNew: true });
  assertEquals((await failureOf(completed)).status, 412);
  assertEquals(await client.get("a", 10), bytes("one"));
  await client.abortUpload("a", uploadId);
});

Deno.test("S3Client: a body that is not that of its MD5 is refused", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  const error = await failureOf(client.put("a", bytes("x"), { md5: md5Of(bytes("y")) }));
  assertEquals([error.code, error.failure], ["BadDigest", "refused"]);
  assertEquals(await client.head("a"), undefined);
});

Deno.test("S3Client: uploads can be listed, looked into, and aborted", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server);
  const uploadId = await client.createUpload("p/a");
  await client.createUpload("q/b");
  for (let number = 1; number <= 5; number++) {
    await client.uploadPart("p/a", uploadId, number, noise(1000, number));
  }
  const parts = await Array.fromAsync(client.listParts("p/a", uploadId));
  assertEquals(
    parts.map(({ number, sizeBytes, etag }) => [number, sizeBytes, etag]),
    [1, 2, 3, 4, 5]
      .map((number) => [number, 1000, md5Of(noise(1000, number))]),
  );
  const [upload, ...others] = await Array.fromAsync(client.listUploads("p/"));
  assertEquals([upload?.key, upload?.uploadId, others.length], ["p/a", uploadId, 0]);
  await client.abortUpload("p/a", uploadId);
  await client.abortUpload("p/a", uploadId);
  assertEquals(await Array.fromAsync(client.listUploads("p/")), []);
  const missing = await failureOf(Array.fromAsync(client.listParts("p/a", uploadId)));
  assertEquals(missing.code, "NoSuchUpload");
});

Deno.test("S3Client: who stops waiting gets no answer, at once", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  proxy.become({ kind: "hangs" });
  const controller = new AbortController();
  const put = failureOf(
    clientOf(proxy, { timeoutMs: 60_000 }).put("a", bytes("x"), { signal: controller.signal }),
  );
  setTimeout(() => controller.abort(), 50);
  assertEquals((await within(put, "the end")).failure, "stopped");
});

Deno.test("S3Client: who stops in the midst of an object gets no more of it", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const data = noise(3_000_000);
  const etag = await clientOf(server).put("a", data);
  const controller = new AbortController();
  const { signal } = controller;
  const client = clientOf(proxy, { timeoutMs: 60_000 });
  const reader = client.read("a", 0, data.length, etag, { signal }).getReader();
  proxy.become({ kind: "slow", pauseMs: 20 });
  await reader.read();
  const rest = failureOf((async () => {
    while (!(await reader.read()).done);
  })());
  controller.abort();
  assertEquals((await rest).failure, "stopped");
  assertEquals(proxy.heads.length, 1, "nothing is asked for again");
  const late = client.read("a", 0, data.length, etag, { signal });
  assertEquals((await failureOf(readAll(late))).failure, "stopped");
});

Deno.test("S3Client: requests have the body's hashes, and no compression is asked for", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const data = bytes("some text");
  await clientOf(proxy).put("a", data, { md5: md5Of(data) });
  const head = proxy.heads.find((text) => text.startsWith("PUT ")) ?? "";
  assertMatch(
    head,
    new RegExp(`x-amz-content-sha256: ${createHash("sha256").update(data).digest("hex")}`, "i"),
  );
  assertMatch(head, /content-md5: /i);
  assertMatch(head, /accept-encoding: identity/i);
  assertMatch(
    head,
    /authorization: AWS4-HMAC-SHA256 .*SignedHeaders=[^,]*content-md5[^,]*x-amz-content-sha256/i,
  );
  assertNotMatch(head, /SignedHeaders=[^,]*accept-encoding/i);
  assert(!head.includes("aws-chunked"));
});
