/**
 * `deno task demo`: one call from the first byte to the finished recording.
 *
 * The server is started by main.ts, and handed in as an address. Imports its neighbours.
 */
import { join } from "node:path";
import { parseWav } from "../audio/mod.ts";
import { CallAudio } from "./call_audio.ts";
import { recordedSession } from "./recorded_session.ts";
import { reportCall } from "./report_call.ts";
import type { ServerOptions } from "./server_options.ts";
import { Terminal } from "./terminal.ts";
import { TextReport } from "./text_report.ts";

/** What the demo calls. */
export interface DemoOptions extends ServerOptions {
  /** Where it keeps recordings. */
  readonly recordingsDir: string;
  /** Path of what is said. */
  readonly wav: string;
  /** Closes the call. */
  readonly signal?: AbortSignal;
}

/** 43 seconds of call in about 4. */
const DEMO_SPEED = 10;

/**
 * Places a call, and compares what was recorded with what was said.
 *
 * @returns Whether it is the same.
 */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  const terminal = new Terminal();
  const wav = await Deno.readFile(options.wav).catch(() => undefined);
  if (wav === undefined) {
    terminal.print(`Cannot read ${options.wav}, which is what the demo says in its call`);
    return false;
  }
  const audio = CallAudio.fromWav(wav);
  const sessionId = crypto.randomUUID();
  const { failures } = await reportCall({
    ...options,
    audio,
    open: {
      organizationId: crypto.randomUUID(),
      conversationId: crypto.randomUUID(),
      participant: { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "" },
      media: audio.offers("PCMU"),
      language: "en-US",
    },
    sessionId,
    speed: DEMO_SPEED,
    report: new TextReport(),
  });
  if (failures.length > 0) return false;
  const path = await findRecording(options.recordingsDir, sessionId);
  if (path === undefined) {
    terminal.print(`There is no recording of ${sessionId} in ${options.recordingsDir}`);
    return false;
  }
  terminal.print("");
  terminal.print(`The recording: ${path}`);
  const said = parseWav(wav).data;
  const recorded = parseWav(await Deno.readFile(path)).data;
  const isSame = said.length === recorded.length &&
    said.every((byte, index) => byte === recorded[index]);
  terminal.print(
    isSame
      ? `All ${recorded.length} bytes of its audio are those of ${options.wav}`
      : `Its audio differs from ${options.wav}`,
  );
  return isSame;
}

/** Looks into the folder of each day: a call may end on another day than it began. */
async function findRecording(folder: string, sessionId: string): Promise<string | undefined> {
  for await (const day of Deno.readDir(folder)) {
    if (!day.isDirectory) continue;
    for await (const { name } of Deno.readDir(join(folder, day.name))) {
      if (recordedSession(name) === sessionId) return join(folder, day.name, name);
    }
  }
  return undefined;
}
