/**
 * How long recovery takes after a server was killed in the middle of many calls: partial recordings
 * of a minute each are made, completed, and all of them are read and checked.
 *
 * Their bytes are on the disk when recovery begins, as those are that were recorded more than a
 * moment ago; a second row has the same without that, where the disk's own speed is most of it.
 */
import { join } from "node:path";
import { createWavHeader, parseWav } from "../../lib/audio/mod.ts";
import { recoverRecordings } from "../../lib/storage/recover_recordings.ts";
import { recordingMetadataSchema } from "../../lib/storage/recording_metadata.ts";
import { CALL_WAV, TemporaryFolder } from "../helpers/program.ts";
import { printTable } from "./table.ts";

const RECORDINGS = 1_000;
const SECONDS = 60;
const DAY = "2026-01-31";
const HEADER = createWavHeader({ encoding: "PCMU", channelCount: 2, rate: 8000 }, Infinity);
/** A minute of stereo µ-law, and half a sample. */
const AUDIO = minuteOf(parseWav(await Deno.readFile(CALL_WAV)).data);

function minuteOf(call: Uint8Array): Uint8Array {
  const audio = new Uint8Array(SECONDS * 16_000 + 1);
  for (let at = 0; at < audio.length; at += call.length) {
    audio.set(call.subarray(0, audio.length - at), at);
  }
  return audio;
}

/** The message log of a call of a minute. */
function logOf(sessionId: string): string {
  const nil = "00000000-0000-0000-0000-000000000000";
  const line = (second: number, rest: Record<string, unknown>) => {
    const time = new Date(Date.parse(`${DAY}T09:00:00Z`) + second * 1000).toISOString();
    return JSON.stringify({ time, position: `PT${second}S`, ...rest }) + "\n";
  };
  const participant = { id: nil, ani: "tel:+1", aniName: "A", dnis: "tel:+2" };
  const call = {
    ...{ version: 1, sessionId, organizationId: sessionId, conversationId: sessionId, participant },
    media: { format: "PCMU", channels: ["external", "internal"], rate: 8000 },
    startedAt: `${DAY}T09:00:00.000Z`,
  };
  let log = line(0, { call });
  for (let second = 5; second <= SECONDS; second += 5) {
    for (const [from, type] of [["client", "ping"], ["server", "pong"]]) {
      const message = { version: "2", id: sessionId, type, seq: second, parameters: {} };
      log += line(second, { from, message });
    }
  }
  return log;
}

async function makeRecordings(folder: string): Promise<string[]> {
  await Deno.mkdir(join(folder, DAY));
  const names: string[] = [];
  for (let index = 0; index < RECORDINGS; index++) {
    const name: string = crypto.randomUUID();
    const location = join(folder, DAY, name);
    using file = await Deno.open(`${location}.wav.part`, { write: true, createNew: true });
    for (const bytes of [HEADER, AUDIO]) {
      for (let rest = bytes; rest.length > 0;) rest = rest.subarray(await file.write(rest));
    }
    await Deno.writeTextFile(`${location}.jsonl`, logOf(name));
    names.push(name);
  }
  return names;
}

/** Reads all that was completed. */
async function check(folder: string, names: readonly string[]): Promise<void> {
  const whole = AUDIO.length - 1;
  const header = createWavHeader({ encoding: "PCMU", channelCount: 2, rate: 8000 }, whole);
  for (const name of names) {
    const location = join(folder, DAY, name);
    const wav = await Deno.readFile(`${location}.wav`);
    const isWhole = wav.length === header.length + whole &&
      header.every((byte, index) => byte === wav[index]) &&
      isSame(wav.subarray(header.length), AUDIO.subarray(0, whole));
    if (!isWhole) throw new Error(`The audio of ${name} is not what was recorded`);
    const text = await Deno.readTextFile(`${location}.json`);
    const metadata = recordingMetadataSchema.parse(JSON.parse(text));
    if (metadata.duration !== `PT${SECONDS}S` || metadata.conversationId !== name) {
      throw new Error(`The metadata of ${name} is not what was recorded`);
    }
  }
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}

/** Waits until all that was written is on the disk. */
async function syncAll(): Promise<void> {
  if (!(await new Deno.Command("sync").output()).success) throw new Error("sync failed");
}

const rows: string[][] = [];
for (const isSynced of [true, false]) {
  await using folder = await TemporaryFolder.make();
  await syncAll();
  const names = await makeRecordings(folder.path);
  if (isSynced) await syncAll();
  // The longest time that nothing else could be done.
  let [lastMs, maxLateMs] = [performance.now(), 0];
  const timer = setInterval(() => {
    const nowMs = performance.now();
    maxLateMs = Math.max(maxLateMs, nowMs - lastMs - 1);
    lastMs = nowMs;
  }, 1);
  const startMs = performance.now();
  const result = await recoverRecordings(folder.path);
  const tookMs = performance.now() - startMs;
  clearInterval(timer);
  if (result.recovered !== RECORDINGS) throw new Error(`Recovered ${result.recovered}`);
  await check(folder.path, names);
  rows.push([
    isSynced ? "on the disk" : "just written",
    String(result.recovered),
    (tookMs / 1000).toFixed(2),
    (tookMs / RECORDINGS).toFixed(2),
    maxLateMs.toFixed(1),
  ]);
}
printTable(
  `Recovery of ${RECORDINGS} recordings of ${SECONDS} s each, all checked afterwards`,
  ["audio", "recordings", "s", "ms for each", "event loop held up, ms at most"],
  rows,
);
