/**
 * Recordings in a real S3 server, read, held and removed; and in two places at once.
 */
import { assert, assertEquals, assertExists, assertRejects, assertThrows } from "@std/assert";
import {
  CombinedArchive,
  S3Client,
  S3Error,
  S3RecordingArchive,
} from "../../../lib/storage/s3/mod.ts";
import type { RecordingArchive, RecordingMetadata } from "../../../lib/storage/mod.ts";
import { assertSameBytes, concat, noise } from "../../helpers/wav_check.ts";
import { FaultProxy } from "./fault_proxy.ts";
import { BUCKET, CREDENTIALS, ObjectServer } from "./object_server.ts";

const UUID = "30b0e395-84d3-4570-ac13-9a62d8f514c0";
const DAY = "2026-01-31";
const ID = `${DAY}.${UUID}`;
const HOLD = { since: "2026-02-01T10:00:00.000Z", reason: "a lawsuit" };
const bytes = (text: string) => new TextEncoder().encode(text);

const METADATA: RecordingMetadata = {
  version: 1,
  sessionId: UUID,
  organizationId: UUID,
  conversationId: UUID,
  participant: { id: UUID, ani: "+1", aniName: "", dnis: "+2" },
  media: { format: "PCMU", channels: ["external"], rate: 8000 },
  startedAt: "2026-01-31T10:00:00.000Z",
  endedAt: "2026-01-31T10:00:01.000Z",
  durationSamples: 8000,
  duration: "PT1S",
  recordedSamples: 8000,
  gaps: [],
  unlistedGaps: 0,
  closeReason: "end",
  isComplete: true,
  recovered: false,
  unloggedMessages: 0,
};

function clientOf(url: string): S3Client {
  const patience = { attempts: 2, firstPauseMs: 1, timeoutMs: 60_000 };
  return new S3Client({ endpoint: url, bucket: BUCKET }, CREDENTIALS, patience);
}

/** Stores a recording that has ended. */
async function store(client: S3Client, id = ID, prefix = "recordings/"): Promise<void> {
  const base = `${prefix}${id.slice(0, 10)}/${id.slice(11)}`;
  await client.put(`${base}.wav`, noise(5000));
  await client.put(`${base}.jsonl`, bytes("{}\n"));
  await client.put(`${base}.json`, bytes(JSON.stringify(METADATA)));
}

async function keysOf(client: S3Client): Promise<string[]> {
  return (await Array.fromAsync(client.list(""))).map(({ key }) => key);
}

async function readAll(
  archive: RecordingArchive,
  part: "audio" | "messages",
  from?: number,
  to?: number,
): Promise<Uint8Array | undefined> {
  await using file = await archive.open(ID, part);
  return file && concat(...await Array.fromAsync(file.read(from ?? 0, to ?? file.size)));
}

Deno.test("S3RecordingArchive: a recording is listed, described, and read, also in parts", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server.url);
  const archive = new S3RecordingArchive(client);
  assertEquals(await Array.fromAsync(archive.list()), []);
  await store(client);
  assertEquals(await Array.fromAsync(archive.list()), [ID]);
  assertEquals(await archive.metadata(ID), METADATA);
  assertSameBytes(await readAll(archive, "audio") ?? noise(0), noise(5000));
  assertSameBytes(
    await readAll(archive, "audio", 44, 1044) ?? noise(0),
    noise(5000).slice(44, 1044),
  );
  assertEquals(await readAll(archive, "audio", 10, 10), noise(0));
  assertEquals(await readAll(archive, "messages"), bytes("{}\n"));
  await using file = await archive.open(ID, "audio");
  assertExists(file);
  assertEquals([file.size, file.isFinal], [5000, true]);
  assert(Math.abs(file.modifiedAt.getTime() - Date.now()) < 60_000);
  for (const [from, to] of [[-1, 5], [0, 5001], [6, 5], [0.5, 1]] as const) {
    assertThrows(() => file.read(from, to), RangeError);
  }
  // Ending it early is no fault.
  await file.read(0, 5000).cancel();
});

Deno.test("S3RecordingArchive: what is not there, and what is no identifier", async () => {
  await using server = await ObjectServer.start();
  const archive = new S3RecordingArchive(clientOf(server.url));
  for (const id of [ID, "", "../../etc", `${DAY}.${UUID}/x`, `${DAY}/${UUID}`]) {
    assertEquals(await archive.metadata(id), undefined);
    assertEquals(await archive.open(id, "audio"), undefined);
    assertEquals(await archive.hold(id), undefined);
    assertEquals(await archive.setHold(id, HOLD), false);
    assertEquals(await archive.remove(id), "not_found");
  }
});

Deno.test("S3RecordingArchive: identifiers come by days, each once, and nothing else does", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server.url);
  const ids = [
    `2026-02-01.${UUID}`,
    ID,
    `${ID}.2`,
    `${ID}.10`,
    `${ID}.${UUID}`,
    // One begins as another one's suffix does.
    ...[`${ID}.30b0e395`, `${ID}.fabcdef0`, `${ID}.12345678`],
    `2025-12-31.${UUID}`,
  ];
  for (const id of ids) await store(client, id);
  await client.put(
    `recordings/${DAY}/d7934305-0972-4844-938e-9060eef73d05.part/begin`,
    bytes("{}"),
  );
  for (
    const key of ["recordings/notes.json", `recordings/${DAY}/x.wav`, `other/${DAY}/${UUID}.json`]
  ) {
    await client.put(key, bytes("{}"));
  }
  const listed = await Array.fromAsync(new S3RecordingArchive(client).list());
  assertEquals(listed.length, 10);
  assertEquals(new Set(listed).size, 10);
  for (const id of ids) assert(listed.includes(id), id);
  assertEquals(listed.map((id) => id.slice(0, 10)), listed.map((id) => id.slice(0, 10)).sort());
  const other = new S3RecordingArchive(client, "other");
  assertEquals(await Array.fromAsync(other.list()), [ID]);
  // Removing one touches no other one of its session.
  const archive = new S3RecordingArchive(client);
  assertEquals(await archive.remove(ID), "removed");
  assertEquals(await Array.fromAsync(archive.list()), listed.filter((id) => id !== ID));
});

Deno.test("S3RecordingArchive: a hold is set, replaced and lifted", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server.url);
  const archive = new S3RecordingArchive(client);
  await store(client);
  assertEquals(await archive.hold(ID), undefined);
  assertEquals(await archive.setHold(ID, HOLD), true);
  assertEquals(await archive.hold(ID), HOLD);
  assertEquals(await archive.setHold(ID, { ...HOLD, reason: "" }), true);
  assertEquals(await archive.hold(ID), { ...HOLD, reason: "" });
  assertEquals(await archive.setHold(ID, undefined), true);
  assertEquals(await archive.hold(ID), undefined);
  // Whatever is written there, somebody wanted it to stay.
  await client.put(`recordings/${DAY}/${UUID}.hold`, bytes("?"));
  assertEquals((await archive.hold(ID))?.reason, "");
  assertEquals(await archive.remove(ID), "removed");
  assertEquals(await keysOf(client), []);
});

Deno.test("S3RecordingArchive: a removal that fails at any request is never seen as whole, and goes on", async () => {
  await using server = await ObjectServer.start();
  await using proxy = FaultProxy.to(server.port);
  const client = clientOf(server.url);
  for (let requests = 0;; requests++) {
    await store(client);
    await client.put(`recordings/${DAY}/${UUID}.part/audio-0000000000000`, bytes("left"));
    const removing = new S3RecordingArchive(new FailingClient(proxy, requests).client);
    const result = await removing.remove(ID).catch((error) => error);
    const archive = new S3RecordingArchive(client);
    const keys = await keysOf(client);
    const isWhole = keys.length >= 3;
    assertEquals(await archive.metadata(ID) !== undefined, isWhole, keys.join());
    assertEquals(await archive.open(ID, "audio") !== undefined, isWhole, keys.join());
    if (result === "removed") {
      assertEquals(keys, []);
      assert(requests >= 5);
      break;
    }
    assert(result instanceof S3Error);
    assertEquals(await archive.remove(ID), "removed", keys.join());
    assertEquals(await keysOf(client), []);
  }
});

/** A client whose server answers so many requests, and then fails. */
class FailingClient {
  readonly client: S3Client;

  constructor(proxy: FaultProxy, requests: number) {
    proxy.become({ kind: "none" });
    proxy.failAfter(requests);
    const patience = { attempts: 1, timeoutMs: 60_000 };
    this.client = new S3Client({ endpoint: proxy.url, bucket: BUCKET }, CREDENTIALS, patience);
  }
}

Deno.test("S3RecordingArchive: one that is being made is not removed", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server.url);
  const archive = new S3RecordingArchive(client);
  await client.put(`recordings/${DAY}/${UUID}.part/begin`, bytes("{}"));
  assertEquals(await archive.remove(ID), "being_made");
  assertEquals(await archive.isUnderWay(ID), true);
  assertEquals(await archive.setHold(ID, HOLD), true);
  assertEquals(await archive.metadata(ID), undefined);
  assertEquals((await keysOf(client)).length, 2);
});

Deno.test("S3RecordingArchive: what nobody ends or completes is removed, once it is old", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server.url);
  const base = `recordings/${DAY}/${UUID}`;
  for (const rest of [".part/begin", ".part/audio-0000000005000", ".wav", ".hold"]) {
    await client.put(base + rest, noise(100));
  }
  await store(client, `${ID}.2`);
  const others = (await keysOf(client)).filter((key) => key.startsWith(`${base}.2`));
  const hourMs = 3_600_000;
  const after = (hours: number) =>
    new S3RecordingArchive(client, "recordings", { nowMs: () => Date.now() + hours * hourMs });
  assertEquals(await after(11).remove(ID), "being_made");
  assertEquals((await keysOf(client)).length, 4 + others.length);
  // A new sign of life, or of somebody who completes it.
  await client.put(`${base}.part/claim`, noise(10));
  assertEquals(await after(11).remove(ID), "being_made");
  assertEquals(await after(11).isUnderWay(ID), true);
  assertEquals(await after(13).isUnderWay(ID), false);
  assertEquals(await after(13).remove(ID), "removed");
  assertEquals(await keysOf(client), others);
  assertEquals(await after(13).remove(ID), "not_found");
});

Deno.test("S3RecordingArchive: what fails is an error, not a recording that is not there", async () => {
  await using server = await ObjectServer.start();
  const archive = new S3RecordingArchive(clientOf(server.url));
  await server.kill();
  await assertRejects(() => Array.fromAsync(archive.list()), S3Error);
  await assertRejects(() => archive.metadata(ID), S3Error);
  await assertRejects(() => archive.open(ID, "audio"), S3Error);
  await assertRejects(() => archive.hold(ID), S3Error);
  await assertRejects(() => archive.setHold(ID, HOLD), S3Error);
  await assertRejects(() => archive.remove(ID), S3Error);
});

Deno.test("CombinedArchive: lists are merged, without duplicates, by days and names", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server.url);
  const idOf = (day: number, n: number) => `2026-01-0${day}.${UUID.slice(0, -1)}${n}`;
  for (const id of [idOf(1, 1), idOf(1, 3), idOf(3, 1)]) await store(client, id, "near/");
  const unique = `${idOf(1, 3)}.0badcafe`;
  for (const id of [idOf(1, 2), idOf(1, 3), unique, idOf(2, 1), idOf(4, 1)]) {
    await store(client, id, "far/");
  }
  const archive = new CombinedArchive([
    new S3RecordingArchive(client, "near"),
    new S3RecordingArchive(client, "far"),
  ]);
  const all = [idOf(1, 1), idOf(1, 2), idOf(1, 3), unique, idOf(2, 1), idOf(3, 1), idOf(4, 1)];
  assertEquals(await Array.fromAsync(archive.list()), all);
  // Whoever needs only the first ones may stop there.
  for await (const id of archive.list()) {
    assertEquals(id, idOf(1, 1));
    break;
  }
  assertEquals(await Array.fromAsync(new CombinedArchive([]).list()), []);
});

Deno.test("CombinedArchive: from wherever it is; holds and removals are for all places", async () => {
  await using server = await ObjectServer.start();
  const client = clientOf(server.url);
  const near = new S3RecordingArchive(client, "near");
  const far = new S3RecordingArchive(client, "far");
  const archive = new CombinedArchive([near, far]);
  await store(client, ID, "far/");
  assertEquals(await archive.metadata(ID), METADATA);
  assertSameBytes(await readAll(archive, "audio") ?? noise(0), noise(5000));
  assertEquals(await archive.setHold(ID, HOLD), true);
  assertEquals([await near.hold(ID), await far.hold(ID)], [undefined, HOLD]);
  assertEquals(await archive.hold(ID), HOLD);

  // Half of it is removed here, because it is uploaded.
  await store(client, ID, "near/");
  await client.delete(`near/${DAY}/${UUID}.wav`);
  assertSameBytes(await readAll(archive, "audio") ?? noise(0), noise(5000));
  assertEquals(await archive.setHold(ID, undefined), true);
  assertEquals(await archive.hold(ID), undefined);
  assertEquals(await archive.remove(ID), "removed");
  assertEquals(await archive.remove(ID), "not_found");
  assertEquals(await keysOf(client), []);

  await client.put(`near/${DAY}/${UUID}.part/begin`, bytes("{}"));
  await store(client, ID, "far/");
  assertEquals(await archive.remove(ID), "being_made");
  assertEquals(await archive.isUnderWay(ID), true);
  assertEquals((await keysOf(client)).length, 4, "nothing was removed");
});
