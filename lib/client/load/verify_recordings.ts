/**
 * Compares our server's recordings, `<folder>/<day>/<sessionId>.wav` or
 * `<sessionId>.<8 digits>.wav`, with what a load sent.
 *
 * One file after the other: memory is bounded by the longest of them. Imports the neighbours and
 * the audio room.
 */
import { basename, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseWav, WavFormatError } from "../../audio/mod.ts";
import { describeFailure } from "../../config/describe_failure.ts";
import { recordedSession } from "../recorded_session.ts";
import type { VerifyCounts } from "./load_result.ts";
import type { SentAudio } from "./sent_audio.ts";

/** One session to be looked at. */
export interface SentSession {
  readonly sessionId: string;
  readonly sent: SentAudio;
  /** If not, what was sent last may have been lost on the way. */
  readonly endedWell: boolean;
}

/** Recordings are finished some time after the end of their calls. */
const PATIENCE_MS = 10_000;
const LOOK_INTERVAL_MS = 250;
const MAX_EXAMPLES = 5;
/** More than the header and what else a WAV file has. */
const MAX_EXTRA_BYTES = 64 * 1024;

/**
 * Compares.
 *
 * @param folder The folder that has a folder for each day.
 * @param sessions Those that sent audio.
 * @param patienceMs Without any recording for so long, none is waited for any more.
 */
export async function verifyRecordings(
  folder: string,
  sessions: readonly SentSession[],
  patienceMs = PATIENCE_MS,
): Promise<VerifyCounts> {
  const verdicts = new Verdicts();
  const waiting = new Map(
    sessions.filter(({ sent }) => sent.bytes > 0)
      .map((session) => [session.sessionId, session]),
  );
  let lastFoundMs = performance.now();
  while (waiting.size > 0) {
    for (const path of await findFiles(folder, (name) => waiting.has(sessionOf(name)))) {
      const sessionId = sessionOf(basename(path));
      const session = waiting.get(sessionId);
      if (session === undefined) continue;
      waiting.delete(sessionId);
      verdicts.add(session, await compare(path, session));
      lastFoundMs = performance.now();
    }
    if (performance.now() - lastFoundMs > patienceMs) break;
    if (waiting.size > 0) await delay(LOOK_INTERVAL_MS);
  }
  for (const session of waiting.values()) verdicts.addMissing(session);
  return verdicts.counts;
}

function sessionOf(fileName: string): string {
  return recordedSession(fileName) ?? "";
}

/** Looks into the folder of each day: a run may go on over midnight. */
async function findFiles(folder: string, isWanted: (name: string) => boolean): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const day of Deno.readDir(folder)) {
      if (!day.isDirectory) continue;
      for await (const { name } of Deno.readDir(join(folder, day.name))) {
        if (isWanted(name)) found.push(join(folder, day.name, name));
      }
    }
  } catch {
    // What can't be read is missing, and reported as such.
  }
  return found;
}

/** @returns What is wrong; `undefined` if nothing is. */
async function compare(path: string, session: SentSession): Promise<string | undefined> {
  const { sent, endedWell } = session;
  try {
    const { size } = await Deno.stat(path);
    // With what was left out at the end, and reported, as silence.
    if (size > sent.bytesWithSilence + MAX_EXTRA_BYTES) {
      return `has ${size} bytes, but only ${sent.bytes} were sent`;
    }
    const { data } = parseWav(await Deno.readFile(path));
    const difference = sent.firstDifference(data);
    if (difference !== undefined) return `differs at byte ${difference} of its audio`;
    if (!endedWell || data.length >= sent.bytes) return undefined;
    return `has ${data.length} bytes of audio, but ${sent.bytes} were sent`;
  } catch (error) {
    if (error instanceof WavFormatError) return error.message;
    return `cannot be read (${describeFailure(error)})`;
  }
}

class Verdicts {
  readonly #counts = {
    exact: 0,
    different: 0,
    missing: 0,
    cutExact: 0,
    cutDifferent: 0,
    cutMissing: 0,
  };
  readonly #examples: string[] = [];

  get counts(): VerifyCounts {
    return { ...this.#counts, examples: this.#examples };
  }

  add({ sessionId, endedWell }: SentSession, wrong: string | undefined): void {
    if (wrong === undefined) this.#counts[endedWell ? "exact" : "cutExact"]++;
    else {
      this.#counts[endedWell ? "different" : "cutDifferent"]++;
      this.#example(`${sessionId}.wav ${wrong}`);
    }
  }

  addMissing({ sessionId, endedWell }: SentSession): void {
    this.#counts[endedWell ? "missing" : "cutMissing"]++;
    if (endedWell) this.#example(`${sessionId}.wav is missing`);
  }

  #example(text: string): void {
    if (this.#examples.length < MAX_EXAMPLES) this.#examples.push(text);
  }
}
