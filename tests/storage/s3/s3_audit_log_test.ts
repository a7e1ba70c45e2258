/**
 * The audit log in a real S3 server: the same as in a file, and what servers do that share nothing
 * but a bucket.
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type AuditLine,
  auditLineSchema,
  RecordingRemoval,
  RefusedChangeError,
} from "../../../lib/storage/mod.ts";
import {
  S3AuditLog,
  S3Client,
  S3Error,
  S3PlaceError,
  S3RecordingArchive,
} from "../../../lib/storage/s3/mod.ts";
import { auditedRemoval } from "../../../lib/storage/recording_removal.ts";
import { RecordingKeys } from "../../../lib/storage/s3/recording_keys.ts";
import { LogRecords } from "../../helpers/log_records.ts";
import { noise } from "../../helpers/wav_check.ts";
import { testAuditLog } from "../audit_log_suite.ts";
import { ID, metadataTextOf } from "../recording_archive_suite.ts";
import {
  CONVERSATION,
  HOLD,
  type RemovalPlace,
  type RemovalScene,
  said,
  testRecordingRemoval,
  Under,
} from "../recording_removal_suite.ts";
import { atEachRequest } from "./each_request.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { BUCKET, CREDENTIALS, ObjectServer, type ServerKind } from "./object_server.ts";

const MAX_BYTES = 64 * 1024;
/** When {@link LINE} was begun. */
const now = () => Date.parse(LINE.time);
const LINE: AuditLine = { time: "2026-01-31T10:00:00.000Z", action: "removed", id: ID, by: "api" };

function clientOf(url: string, attempts = 2): S3Client {
  const patience = { attempts, firstPauseMs: 1, timeoutMs: 60_000 };
  return new S3Client({ endpoint: url, bucket: BUCKET }, CREDENTIALS, patience);
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** Recordings below a prefix. */
class BucketPlace implements RemovalPlace {
  readonly archive: S3RecordingArchive;

  constructor(
    readonly client: S3Client,
    readonly prefix: string,
  ) {
    this.archive = new S3RecordingArchive(client, prefix);
  }

  /** By any client: another one may fail. */
  newLog(nowMs?: () => number, client: S3Client = this.client): S3AuditLog {
    return new S3AuditLog(client, this.prefix, nowMs && { nowMs });
  }

  async put(id: string): Promise<void> {
    const base = `${this.prefix}/${id.slice(0, 10)}/${id.slice(11)}`;
    await this.client.put(`${base}.wav`, noise(10));
    await this.client.put(`${base}.jsonl`, bytes("{}\n"));
    await this.client.put(`${base}.json`, bytes(metadataTextOf(id)));
  }

  async names(): Promise<string[]> {
    return (await this.keys("")).filter((key) => !key.startsWith("audit/"));
  }

  async lines(): Promise<AuditLine[]> {
    const lines: AuditLine[] = [];
    for (const key of await this.keys("audit/")) {
      if (key.startsWith("audit/pending/")) continue;
      const text = new TextDecoder().decode(
        await this.client.get(`${this.prefix}/${key}`, MAX_BYTES),
      );
      assert(text.endsWith("}\n"), text);
      const line = auditLineSchema.strict().parse(JSON.parse(text));
      const day = line.time.slice(0, 10);
      assert(key.startsWith(`audit/${day}/${day.replaceAll("-", "")}T`), key);
      assert(key.includes(`-${line.id}-${line.action}-`), key);
      lines.push(line);
    }
    return lines;
  }

  async pending(): Promise<string[]> {
    return await this.keys("audit/pending/");
  }

  /** Without the prefix. */
  async keys(from: string): Promise<string[]> {
    const listed = await Array.fromAsync(this.client.list(`${this.prefix}/${from}`));
    return listed.map(({ key }) => key.slice(this.prefix.length + 1));
  }
}

/** A server, and a prefix for each place. */
class BucketScene implements RemovalScene {
  #places = 0;

  private constructor(readonly server: ObjectServer) {}

  static async set(kind: ServerKind = ""): Promise<BucketScene> {
    return new BucketScene(await ObjectServer.start(kind));
  }

  place(): Promise<BucketPlace> {
    return Promise.resolve(new BucketPlace(clientOf(this.server.url), `place-${++this.#places}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}

for (const kind of ["", "old"] as const) {
  const where = kind === "" ? "" : `, a server that is ${kind}`;
  testAuditLog(`S3AuditLog${where}`, () => BucketScene.set(kind));
  testRecordingRemoval(`S3AuditLog${where}: removal`, () => BucketScene.set(kind));
}

Deno.test("S3AuditLog: what it stores is no recording, with a prefix and without", async () => {
  await using scene = await BucketScene.set();
  const client = clientOf(scene.server.url);
  for (const prefix of ["", "recordings", "a/b"]) {
    const log = new S3AuditLog(client, prefix);
    await log.begin({ line: LINE });
    await log.commit(ID);
    await log.begin({ line: LINE });
    const archive = new S3RecordingArchive(client, prefix);
    assertEquals(await Array.fromAsync(archive.list()), []);
    assertEquals(await archive.remove(ID), "not_found");
    const keys = new RecordingKeys(prefix);
    const stored = await Array.fromAsync(client.list(`${keys.root}audit/`));
    assertEquals(stored.length, 2);
    for (const { key } of stored) assertEquals(keys.parse(key), undefined, key);
  }
  for (const prefix of ["/", "a/", "a b", "../x"]) {
    assertThrows(() => new S3AuditLog(client, prefix), S3PlaceError);
  }
});

Deno.test("S3AuditLog: of two servers, the second to remove a recording joins the first", async () => {
  await using scene = await BucketScene.set();
  const place = await scene.place();
  const [one, other] = [place.newLog(now), place.newLog(now)];
  assertEquals(await one.begin({ line: LINE }), "begun");
  assertEquals(await other.begin({ line: { ...LINE, by: "retention" } }), "joined");
  // It is not theirs to give up.
  await other.cancel(ID);
  await place.newLog(now).cancel(ID);
  assertEquals((await place.pending()).length, 1);
  assertEquals(await other.begin({ line: { ...LINE, by: "retention" } }), "joined");
  await one.commit(ID);
  await other.commit(ID);
  assertEquals(await place.lines(), [LINE]);
  assertEquals(await place.pending(), []);
});

Deno.test("S3AuditLog: what joins also writes the line if the first server does not", async () => {
  await using scene = await BucketScene.set();
  const place = await scene.place();
  const [one, other] = [place.newLog(now), place.newLog(now)];
  await one.begin({ line: LINE });
  await other.begin({ line: { ...LINE, by: "retention" } });
  await one.cancel(ID);
  await other.commit(ID);
  assertEquals(await place.lines(), [LINE]);
});

Deno.test("S3AuditLog: while one server changes a recording, another one's change is refused", async () => {
  await using scene = await BucketScene.set();
  const under = new Under(await scene.place());
  await under.put(ID);
  const steps = auditedRemoval(under.others, ID, "api");
  assertEquals((await steps.next()).value, "begin");
  const error = await assertRejects(
    () => under.removal.setHold(ID, HOLD, "api"),
    RefusedChangeError,
  );
  assertEquals(
    error.message,
    "Another server is changing this recording: try again in a few minutes",
  );
  assertEquals(await under.archive.hold(ID), undefined);
  // Nor does another one that starts give up what this one is at.
  await new RecordingRemoval(under.others).finishInterrupted();
  for (;;) if ((await steps.next()).done) break;
  assertEquals(await under.removal.setHold(ID, HOLD, "api"), false);
  assertEquals((await under.place.lines()).map(said), [["removed", ID, "api", CONVERSATION]]);
  assertEquals(await under.place.pending(), []);
});

Deno.test("S3AuditLog: of servers that remove the same recordings at once, each has one line", async () => {
  await using scene = await BucketScene.set();
  const under = new Under(await scene.place());
  const ids = Array.from({ length: 8 }, () => `2026-01-31.${crypto.randomUUID()}`);
  for (const id of ids) await under.put(id);
  const servers = [0, 1, 2].map(() => new RecordingRemoval(under.others));
  const results = await Promise.all(ids.map(async (id, n) => {
    const all = servers.map((server, k) => server.remove(id, k === 0 ? "api" : "retention"));
    if (n % 3 === 0) await servers[n % 2]?.finishInterrupted();
    return await Promise.all(all);
  }));
  for (const all of results) {
    assert(all.includes("removed"), all.join());
    assert(all.every((result) => result === "removed" || result === "not_found"), all.join());
  }
  assertEquals((await under.place.lines()).map(({ id }) => id).sort(), ids.toSorted());
  assertEquals(await under.place.pending(), []);
  assertEquals(await under.place.names(), []);
});

Deno.test("S3AuditLog: a removal that fails at any request is finished, with one line", async () => {
  await using scene = await BucketScene.set();
  await using proxy = FaultProxy.to(scene.server.port);
  await atEachRequest(11, async (request) => {
    const place = await scene.place();
    const under = new Under(place);
    await under.put(ID);
    const failing = clientOf(proxy.url, 1);
    const parts = {
      ...under.others,
      archive: new S3RecordingArchive(failing, place.prefix),
      audit: place.newLog(undefined, failing),
    };
    const removal = new RecordingRemoval(parts);
    const result = await request.fail(
      proxy,
      () => removal.remove(ID, "api").catch((error: unknown) => error),
    );
    // Now and then by the same server, when storage answers again; now and then by the next one.
    const next = request.index % 2 === 0 ? removal : new RecordingRemoval(under.parts);
    await next.finishInterrupted();
    if (await under.archive.metadata(ID) !== undefined) {
      assert(result instanceof S3Error);
      assertEquals(await place.lines(), []);
      assertEquals(await next.remove(ID, "api"), "removed");
    }
    assertEquals((await place.lines()).map(said), [["removed", ID, "api", CONVERSATION]]);
    assertEquals(await place.keys("audit/pending/"), []);
    assertEquals(await place.names(), []);
    if (request.isReached) assert(result instanceof S3Error, String(result));
    else assertEquals(result, "removed");
  });
});

Deno.test("S3AuditLog: an answer that is lost is no other server", async () => {
  await using scene = await BucketScene.set();
  await using proxy = FaultProxy.to(scene.server.port);
  const place = await scene.place();
  const log = place.newLog(undefined, clientOf(proxy.url, 3));
  proxy.become({ kind: "cuts answers", afterBytes: 5 }, 1);
  assertEquals(await log.begin({ line: LINE }), "begun");
  assertEquals(proxy.faults, 1);
  proxy.become({ kind: "cuts answers", afterBytes: 5 }, 1);
  await log.commit(ID);
  assertEquals(proxy.faults, 2);
  assertEquals(await place.lines(), [LINE]);
  assertEquals(await place.pending(), []);
});

Deno.test("S3AuditLog: told of a conflict, it tries again; told so for ever, it says so", async () => {
  await using scene = await BucketScene.set();
  await using proxy = FaultProxy.to(scene.server.port);
  const place = await scene.place();
  const log = place.newLog(undefined, clientOf(proxy.url, 3));
  const conflict = { kind: "answers", status: 409, code: "ConditionalRequestConflict" } as const;
  proxy.become(conflict, 2);
  assertEquals(await log.begin({ line: LINE }), "begun");
  proxy.become(conflict, 2);
  await log.commit(ID);
  assertEquals(await place.lines(), [LINE]);
  assertEquals(await place.pending(), []);
  proxy.become(conflict);
  await assertRejects(() => log.begin({ line: LINE }), S3Error, "ConditionalRequestConflict");
});

Deno.test("S3AuditLog: what was put down and cannot be read is said, and does no harm", async () => {
  await using logs = await LogRecords.watch();
  await using scene = await BucketScene.set();
  const under = new Under(await scene.place());
  const { client, prefix } = under.place as BucketPlace;
  await under.put(ID);
  for (const name of [`${ID}.json`, "notes.txt", "x.json", `${ID}.2.json.part`]) {
    await client.put(`${prefix}/audit/pending/${name}`, bytes("{"));
  }
  await under.removal.finishInterrupted();
  assertEquals(logs.of("What is stored as audit/pending/").length, 1);
  assertEquals(await under.removal.remove(ID, "api"), "removed");
  assertEquals((await under.place.lines()).map(said), [["removed", ID, "api", CONVERSATION]]);
  await client.put(`${prefix}/audit/pending/${ID}.json`, noise(MAX_BYTES + 1));
  await assertRejects(() => under.removal.remove(ID, "api"), S3Error, "more than 65536 bytes");
});

Deno.test("S3AuditLog: storage that fails is an error, and finishing says so", async () => {
  await using logs = await LogRecords.watch();
  await using scene = await BucketScene.set();
  const under = new Under(await scene.place());
  const log = under.place.newLog();
  await scene.server.kill();
  await log.prepare();
  await assertRejects(() => log.begin({ line: LINE }), S3Error);
  await assertRejects(() => log.pending(ID), S3Error);
  await assertRejects(() => log.pendingIds(), S3Error);
  await assertRejects(() => log.cancel(ID), S3Error);
  await assertRejects(() => log.commit(ID), S3Error);
  await under.removal.finishInterrupted();
  assertEquals(logs.of("Cannot look for what was begun").length, 1);
});
