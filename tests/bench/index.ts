/**
 * The index of recordings with 100,000 of them, in a file: how long a page takes, by whatever it's
 * looked for, how many are put a second, and how long the comparison with the recordings' names
 * takes that each start makes. The baseline is KV's own list of as many keys.
 */
import { join } from "node:path";
import type { KvRecordingIndex } from "../../lib/storage/kv_recording_index.ts";
import { openRecordingIndex } from "../../lib/storage/open_recording_index.ts";
import { rebuildIndex } from "../../lib/storage/rebuild_index.ts";
import type { RecordingArchive } from "../../lib/storage/recording_archive.ts";
import type { IndexedRecording, RecordingFilter } from "../../lib/storage/recording_index.ts";
import { recording, uuid } from "../helpers/index_entries.ts";
import { TemporaryFolder } from "../helpers/program.ts";
import { DISTRIBUTION_HEAD, distributionCells, percentile } from "./distribution.ts";
import { printLine, printTable } from "./table.ts";

const RECORDINGS = 100_000;
const ORGANIZATIONS = 100;
/** Two recordings of each conversation. */
const CONVERSATIONS = RECORDINGS / 2;
const CALLERS = 2_000;
/** Nearly 70 days. */
const APART_MS = 60_000;
const FIRST_MS = Date.parse("2026-01-01T00:00:00.000Z");
const PAGE = 50;
const PAGES = 200;
const WARM_UP_PAGES = 20;
const DEEP = 80_000;
const SINGLE_PUTS = 1_000;
const GOAL_MS = 20;

const key = crypto.getRandomValues(new Uint8Array(32));

const organization = (n: number) => uuid(0x300000 + n % ORGANIZATIONS);
const conversation = (n: number) => uuid(0x400000 + n % CONVERSATIONS);
const caller = (n: number) => `tel:+4930${n % CALLERS}`;

function make(n: number, state: IndexedRecording["state"] = "finished"): IndexedRecording {
  return recording(n, {
    state,
    startedMs: FIRST_MS + n * APART_MS,
    organizationId: organization(n),
    conversationId: conversation(n),
    participant: { id: uuid(0x500000 + n), ani: caller(n), dnis: "tel:+18005550100" },
  });
}

/** Names only: nothing is to be read when nothing is missing. */
const archive: RecordingArchive = {
  async *list() {
    await Promise.resolve();
    for (let n = 0; n < RECORDINGS; n++) {
      yield `${new Date(FIRST_MS + n * APART_MS).toISOString().slice(0, 10)}.${uuid(n)}`;
    }
  },
  metadata: () => Promise.reject(new Error("Expected that no metadata is read")),
  isUnderWay: () => Promise.reject(new Error("Expected that no recording is looked at")),
  open: () => Promise.reject(new Error("Expected that nothing is opened")),
  hold: () => Promise.resolve(undefined),
  setHold: () => Promise.resolve(false),
  remove: () => Promise.resolve("not_found" as const),
};

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return (performance.now() - startMs) / 1000;
}

/** A number of chance. */
const any = (below: number) => Math.floor(Math.random() * below);

/** One way to ask for a page. */
interface Question {
  readonly what: string;
  /** A filter that as many recordings fit as a page has, or that are said. */
  readonly filter: () => RecordingFilter;
  readonly expected?: number;
}

const QUESTIONS: readonly Question[] = [
  { what: "the newest", filter: () => ({}) },
  {
    what: "from the middle, by time",
    filter: () => ({ toMs: FIRST_MS + any(RECORDINGS / 2) * APART_MS + PAGE * APART_MS }),
  },
  { what: "one of 100 organizations", filter: () => ({ organizationId: organization(any(100)) }) },
  {
    what: "the same, from the middle",
    filter: () => ({
      organizationId: organization(any(100)),
      toMs: FIRST_MS + (RECORDINGS / 2) * APART_MS,
    }),
  },
  { what: "a caller, of 50 calls", filter: () => ({ participant: caller(any(CALLERS)) }) },
  { what: "a number that all have called", filter: () => ({ participant: "tel:+18005550100" }) },
  {
    what: "a conversation, of 2 recordings",
    filter: () => ({ conversationId: conversation(any(CONVERSATIONS)) }),
    expected: 2,
  },
  {
    what: "that number, and an organization",
    filter: () => ({
      participant: "tel:+18005550100",
      organizationId: organization(any(100)),
    }),
  },
];

/** A question, and the milliseconds that its answers took. */
interface Timed {
  readonly what: string;
  readonly ask: () => Promise<{ readonly entries: readonly unknown[] }>;
  readonly expected: number;
  readonly times: number[];
}

/** All questions take turns, so that what else the machine does hits all of them alike. */
async function timePages(all: readonly Timed[]): Promise<void> {
  for (let round = -WARM_UP_PAGES; round < PAGES; round++) {
    for (const { what, ask, expected, times } of all) {
      const startMs = performance.now();
      const { entries } = await ask();
      const ms = performance.now() - startMs;
      if (entries.length !== expected) {
        throw new Error(`${what}: expected ${expected} entries, got ${entries.length}`);
      }
      if (round >= 0) times.push(ms);
    }
  }
}

/** The baseline, all questions, and one that goes on from page to page, far from the newest. */
async function timedQuestions(index: KvRecordingIndex, kv: Deno.Kv): Promise<Timed[]> {
  let cursor: string | undefined;
  for (let n = 0; n < DEEP; n += 500) ({ cursor } = await index.find({}, 500, cursor));
  const bareList = async () => ({
    entries: await Array.fromAsync(
      kv.list({ prefix: ["audiohook"] }, { limit: PAGE, batchSize: PAGE }),
    ),
  });
  const nextPage = async () => {
    const page = await index.find({}, PAGE, cursor);
    ({ cursor } = page);
    return page;
  };
  const expected = PAGE;
  return [
    { what: `baseline: kv.list of ${PAGE} keys`, ask: bareList, expected, times: [] },
    ...QUESTIONS.map(({ what, filter, expected = PAGE }) => (
      { what, ask: () => index.find(filter(), PAGE), expected, times: [] }
    )),
    { what: `by cursors, ${DEEP} deep`, ask: nextPage, expected, times: [] },
  ];
}

await using folder = await TemporaryFolder.make();
const path = join(folder.path, "index.kv");
const options = { place: { kind: "file", path }, key } as const;
const fillSeconds = await secondsOf(async () => {
  using index = await openRecordingIndex(options);
  for (let n = 0; n < RECORDINGS; n += 1000) {
    await index.putAll(Array.from({ length: 1000 }, (_, i) => make(n + i)));
  }
});
const openSeconds = await secondsOf(async () => {
  using _index = await openRecordingIndex(options);
});
using index = await openRecordingIndex(options);
using kv = await Deno.openKv(path);
const all = await timedQuestions(index, kv);
await timePages(all);
printTable(
  `A page of ${PAGE} of ${RECORDINGS} recordings, milliseconds`,
  ["what", ...DISTRIBUTION_HEAD],
  all.map(({ what, times }) => [what, ...distributionCells(times)]),
);
const slowest = Math.max(...all.map(({ times }) => percentile(times, 0.99)));
printLine(`\nThe slowest p99 is ${slowest.toFixed(1)} ms; the goal is ${GOAL_MS} ms.`);

const compareSeconds = await secondsOf(async () => {
  const { recordings, written, removed } = await rebuildIndex(index, archive);
  if (recordings !== RECORDINGS || written + removed > 0) throw new Error("Expected no change");
});
const putSeconds = async (state: IndexedRecording["state"]) =>
  await secondsOf(async () => {
    for (let n = 0; n < SINGLE_PUTS; n++) await index.put(make(RECORDINGS + n, state));
  });
const perSecond = (count: number, seconds: number) => `${(count / seconds).toFixed(0)} a second`;
const milliseconds = (seconds: number) => `${(seconds * 1000).toFixed(0)} ms`;
printTable("The rest", ["what", "measured"], [
  ["put, many at once", perSecond(RECORDINGS, fillSeconds)],
  ["put, one after the other", perSecond(SINGLE_PUTS, await putSeconds("recording"))],
  ["the same once more, as finished", perSecond(SINGLE_PUTS, await putSeconds("finished"))],
  ["opening, and looking for damage", milliseconds(openSeconds)],
  ["comparing with all names at start", milliseconds(compareSeconds)],
  ["file", `${((await Deno.stat(path)).size / 1e6).toFixed(0)} MB`],
  ["memory of the process (RSS)", `${(Deno.memoryUsage().rss / 1e6).toFixed(0)} MB`],
]);
