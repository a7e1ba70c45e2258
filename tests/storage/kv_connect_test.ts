/**
 * The index in a database that is reached by a URL: Deno KV's own client, and a server of the
 * protocol.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import { BackgroundIndex } from "../../lib/storage/background_index.ts";
import { IndexUpkeep } from "../../lib/storage/index_upkeep.ts";
import { openRecordingIndex } from "../../lib/storage/open_recording_index.ts";
import { IndexUnavailableError } from "../../lib/storage/recording_index.ts";
import { reindex } from "../../lib/storage/reindex.ts";
import { until } from "../helpers/deadline.ts";
import { recording } from "../helpers/index_entries.ts";
import { KV_TOKEN, KvConnectServer } from "../helpers/kv_connect_server.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { SmallArchive } from "../helpers/small_archive.ts";
import { TempDir } from "../helpers/temp_dir.ts";
import { allPages, testRecordingIndex } from "./recording_index_suite.ts";

const KEY = new Uint8Array(32).fill(1);
const TOKEN_NAME = "DENO_KV_ACCESS_TOKEN";

/** As long as a test runs, the token is in the environment. */
class Token implements Disposable {
  readonly #before = Deno.env.get(TOKEN_NAME);

  constructor(token: string) {
    Deno.env.set(TOKEN_NAME, token);
  }

  [Symbol.dispose](): void {
    if (this.#before === undefined) Deno.env.delete(TOKEN_NAME);
    else Deno.env.set(TOKEN_NAME, this.#before);
  }
}

function optionsOf({ url }: KvConnectServer, answerTimeoutMs = 10_000) {
  return { place: { kind: "url", url }, key: KEY, answerTimeoutMs } as const;
}

async function makeArchive(dir: TempDir, count: number): Promise<SmallArchive> {
  const folder = join(dir.path, "recordings");
  await Deno.mkdir(folder);
  const archive = new SmallArchive(folder);
  for (let n = 0; n < count; n++) await archive.add(recording(n));
  return archive;
}

/** How often a server is asked in a time. */
async function askedIn({ asked }: KvConnectServer, ms: number): Promise<number> {
  const count = () => [...asked.values()].reduce((sum, one) => sum + one, 0);
  const before = count();
  await new Promise((resolve) => setTimeout(resolve, ms));
  return count() - before;
}

testRecordingIndex("index at an address", async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(KvConnectServer.start());
  using _token = new Token(KV_TOKEN);
  const index = stack.use(await openRecordingIndex(optionsOf(server)));
  stack.defer(() => assertEquals(server.refused, [], "all was by the protocol"));
  const resources = stack.move();
  return {
    index,
    showsParticipants: false,
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
  // Each answer takes 40 ms: few go a long way.
}, 10);

Deno.test("index at an address: two instances fill it at once, from many recordings", async () => {
  await using _logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 300);
  await using server = KvConnectServer.start();
  using _token = new Token(KV_TOKEN);
  const options = optionsOf(server);
  await Promise.all([reindex(options, archive), reindex(options, archive)]);
  using index = await openRecordingIndex(options);
  assertEquals((await allPages(index, {}, 100)).length, 300);
  assertEquals((await allPages(index, { participant: "tel:+493077" }, 9)).length, 1);
  // The record, time, conversation, organization, three of the participant; and the format.
  assertEquals(server.size, 300 * 7 + 1);
  assertEquals(server.refused, []);
  // Other settings: all of the old index goes.
  await reindex({ ...options, indexPersonalData: true }, archive);
  assertEquals(server.size, 300 * 7 + 1);
  assertEquals((await allPages(index, {}, 100)).length, 0);
});

Deno.test("index at an address: a wrong token is said", async () => {
  await using server = KvConnectServer.start();
  using _token = new Token("another");
  await assertRejects(() => openRecordingIndex(optionsOf(server)), TypeError);
});

Deno.test("index at an address: a token that expires is renewed", async () => {
  await using server = KvConnectServer.start();
  using _token = new Token(KV_TOKEN);
  server.tokenMs = 500;
  using index = await openRecordingIndex(optionsOf(server));
  const exchanges = () => server.asked.get("/") ?? 0;
  const atFirst = exchanges();
  await until(() => exchanges() > atFirst + 1, "it is renewed");
  await index.put(recording(1));
  assertEquals((await index.find({}, 9)).entries.length, 1);
});

for (const mood of ["refusing", "silent"] as const) {
  Deno.test(`index at an address: a server that is ${mood} for a while is not asked ever more`, async () => {
    await using logs = await LogRecords.watch();
    await using dir = await TempDir.create();
    const archive = await makeArchive(dir, 3);
    await using server = KvConnectServer.start();
    using _token = new Token(KV_TOKEN);
    {
      await using index = new BackgroundIndex(
        () => openRecordingIndex(optionsOf(server, 300)),
        { tryTimeoutMs: 900, readTimeoutMs: 900, firstRetryMs: 1, maxRetryMs: 5, maxTries: 1e9 },
      );
      await using upkeep = new IndexUpkeep(index, archive, { lookMs: 60_000 });
      upkeep.start();
      const count = async () => (await index.find({}, 9)).entries.length;
      await until(() => count().then((found) => found === 3, () => false), "it is filled");
      await until(() => logs.of("The index has all").length > 0, "it is complete");
      server.mood = mood;
      await index.put(recording(5, { state: "recording" }));
      await index.put(recording(6));
      await until(() => index.status.failingSince !== undefined, "it is failing");
      for (let n = 0; n < 40; n++) await assertRejects(() => count(), IndexUnavailableError);
      // Those that were under way when there were enough came on top.
      if (mood === "silent") assert(server.waiting < 20, `${server.waiting}`);
      server.mood = "well";
      await until(() => index.status.waiting === 0, "all is done");
      assertEquals(index.status.failingSince, undefined);
      await until(() => count().then((found) => found === 5, () => false), "all are found");
      assertEquals(index.status.dropped, 0);
      await until(async () => await askedIn(server, 1000) === 0, "all late answers have come");
    }
    assertEquals(server.refused, []);
  });
}

Deno.test("index at an address: one whose connection has died is opened again", async () => {
  await using logs = await LogRecords.watch();
  await using dir = await TempDir.create();
  const archive = await makeArchive(dir, 3);
  await using server = KvConnectServer.start();
  using _token = new Token(KV_TOKEN);
  await using index = new BackgroundIndex(() => openRecordingIndex(optionsOf(server, 300)), {
    ...{ tryTimeoutMs: 900, firstRetryMs: 1, maxRetryMs: 5, maxTries: 1e9 },
  });
  {
    await using upkeep = new IndexUpkeep(index, archive, { lookMs: 20 });
    upkeep.start();
    await until(() => logs.of("The index has all").length > 0, "it is complete");
    server.mood = "deaf";
    await index.put(recording(5));
    // By the log: it is well again in a moment.
    await until(() => logs.of("Cannot write to the index").length > 0, "it is failing");
    await until(() => index.status.waiting === 0, "it is put by another connection");
    await until(() => index.status.failingSince === undefined, "it is well");
    await until(() => index.get(recording(5).id).catch(() => undefined), "it is found");
  }
  assert(server.waiting > 0);
  server.mood = "well";
  await until(async () => await askedIn(server, 1000) === 0, "all late answers have come");
});
