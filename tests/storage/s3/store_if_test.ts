/**
 * Storing only where there is nothing, or in place of what is known, also by servers that do neither.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { S3Client, S3Error } from "../../../lib/storage/s3/mod.ts";
import { type StoreCondition, storeIf } from "../../../lib/storage/s3/store_if.ts";
import { BUCKET, CREDENTIALS, ObjectServer } from "./object_server.ts";

for (const kind of ["", "old"] as const) {
  Deno.test(`storeIf: only what may be replaced is: a server that is ${kind || "as it should be"}`, async () => {
    await using server = await ObjectServer.start(kind);
    const client = new S3Client({ endpoint: server.url, bucket: BUCKET }, CREDENTIALS);
    const store = (text: string, condition: StoreCondition) =>
      storeIf(
        client,
        "one",
        condition,
        (only) => client.put("one", new TextEncoder().encode(text), only),
      );
    const text = async () => new TextDecoder().decode(await client.get("one", 100));

    assertEquals(await store("a", { ifMatch: "0".repeat(32) }), undefined);
    assertEquals(await client.head("one"), undefined);
    const first = await store("b", { isNew: true });
    assert(first !== undefined);
    assertEquals(await store("c", { isNew: true }), undefined);
    assertEquals(await text(), "b");
    assert(await store("d", { ifMatch: first.stored }) !== undefined);
    assertEquals(await store("e", { ifMatch: first.stored }), undefined);
    assertEquals(await text(), "d");
    assert(await store("f", {}) !== undefined);
    assertEquals(await text(), "f");
  });
}

Deno.test("storeIf: what fails otherwise is an error, and what is stored on no condition is stored once", async () => {
  await using server = await ObjectServer.start();
  const client = new S3Client({ endpoint: server.url, bucket: "nobodys" }, CREDENTIALS);
  for (const condition of [{ isNew: true }, { ifMatch: "0".repeat(32) }, {}]) {
    const stored = storeIf(
      client,
      "one",
      condition,
      (only) => client.put("one", new Uint8Array(1), only),
    );
    await assertRejects(() => stored, S3Error, "NoSuchBucket");
  }
  let times = 0;
  const never = storeIf(client, "one", {}, () => {
    times++;
    const details = { operation: "PutObject", failure: "refused", status: 501 } as const;
    return Promise.reject(new S3Error({ ...details, code: "NotImplemented" }));
  });
  await assertRejects(() => never, S3Error, "NotImplemented");
  assertEquals(times, 1);
});
