/**
 * What a server that is killed leaves of its recordings: real audio, and the messages of a real
 * call, as files that a test cuts and spoils.
 */
import { join } from "node:path";
import {
  createWavHeader,
  decodeMulaw,
  encodePcm16,
  extractChannels,
  parseWav,
} from "../../lib/audio/mod.ts";
import { messageLogLine } from "../../lib/app/message_log.ts";
import { SAMPLE_RATE, samplesToDuration } from "../../lib/protocol/mod.ts";
import type { RecordedCall } from "../../lib/storage/recording_log.ts";
import {
  type RecordingMetadata,
  recordingMetadataSchema,
} from "../../lib/storage/recording_metadata.ts";
import { CALL_WAV } from "../helpers/program.ts";
import { readIfExists } from "../helpers/temp_dir.ts";
import { concat } from "../helpers/wav_check.ts";
import {
  CONVERSATION_ID,
  CORRELATION_ID,
  openParameters,
  ORGANIZATION_ID,
} from "../helpers/wire_client.ts";

export const DAY = "2026-01-31";
export const STARTED_AT = "2026-01-31T09:00:00.000Z";
export const STARTED_MS: number = Date.parse(STARTED_AT);
/** Long after all recordings that tests make. */
export const NOW_MS: number = Date.parse("2026-02-01T00:00:00.000Z");

/** What is recorded. */
export interface PartialMedia {
  readonly format: "PCMU" | "L16";
  readonly channels: 1 | 2;
}

export const STEREO_PCMU: PartialMedia = { format: "PCMU", channels: 2 };
export const MONO_PCMU: PartialMedia = { format: "PCMU", channels: 1 };
export const STEREO_L16: PartialMedia = { format: "L16", channels: 2 };
export const MONO_L16: PartialMedia = { format: "L16", channels: 1 };
export const ALL_MEDIA: readonly PartialMedia[] = [STEREO_PCMU, MONO_PCMU, STEREO_L16, MONO_L16];

const CALL_AUDIO = parseWav(await Deno.readFile(CALL_WAV)).data;

/** The audio of a real call. */
export function callAudio({ format, channels }: PartialMedia): Uint8Array {
  const mulaw = channels === 2 ? CALL_AUDIO : extractChannels(CALL_AUDIO, 2, [0], 1);
  return format === "PCMU" ? mulaw : encodePcm16(decodeMulaw(mulaw));
}

/** Bytes of one sample of all channels. */
export function frameBytes({ format, channels }: PartialMedia): number {
  return channels * (format === "PCMU" ? 1 : 2);
}

/** The header of a file that states its size, or does not so far. */
export function headerOf({ format, channels }: PartialMedia, dataBytes = Infinity): Uint8Array {
  return createWavHeader(
    { encoding: format, channelCount: channels, rate: SAMPLE_RATE },
    dataBytes,
  );
}

/** An audio file that nobody finished, with so many bytes of audio. */
export function partialAudio(media: PartialMedia, audioBytes: number): Uint8Array<ArrayBuffer> {
  return concat(headerOf(media), callAudio(media).subarray(0, audioBytes));
}

/** Media as metadata has it. */
export function recordedMedia({ format, channels }: PartialMedia): RecordingMetadata["media"] {
  const names = ["external", "internal"] as const;
  return { format, channels: names.slice(0, channels), rate: SAMPLE_RATE };
}

/** What a log's first line says of the call. */
export function recordedCall(
  sessionId: string,
  media: PartialMedia | null,
  more: Partial<RecordedCall> = {},
): RecordedCall {
  return {
    version: 1,
    sessionId,
    organizationId: ORGANIZATION_ID,
    conversationId: CONVERSATION_ID,
    correlationId: CORRELATION_ID,
    participant: openParameters().participant,
    language: "en-US",
    media: media && recordedMedia(media),
    startedAt: STARTED_AT,
    ...more,
  };
}

function line(positionSamples: number, rest: Record<string, unknown>): string {
  const time = new Date(STARTED_MS + positionSamples / 8).toISOString();
  const position = samplesToDuration(positionSamples, SAMPLE_RATE);
  return JSON.stringify({ time, position, ...rest }) + "\n";
}

/** The first line of a log. */
export function callLine(call: RecordedCall): string {
  return line(0, { call });
}

/** A line of missing audio. */
export function gapLine(
  gap: RecordingMetadata["gaps"][number],
  positionSamples = gap.startSamples + gap.samples,
): string {
  return line(positionSamples, { gap });
}

/** A line of a message. */
export function messageLine(
  from: "client" | "server",
  sessionId: string,
  type: string,
  parameters: unknown = {},
  positionSamples = 0,
): string {
  const text = JSON.stringify({ version: "2", id: sessionId, type, seq: 1, parameters });
  return messageLogLine({ from, text, timeMs: STARTED_MS + positionSamples / 8, positionSamples });
}

/** The messages that open a session. */
export function openLines(sessionId: string, media: PartialMedia | null): string {
  const selected = media === null ? [] : [{ type: "audio", ...recordedMedia(media) }];
  return messageLine("client", sessionId, "open", openParameters({ media: selected })) +
    messageLine("server", sessionId, "opened", { media: selected });
}

/** The log of a call that goes on: a ping each 5 s. */
export function callLog(sessionId: string, media: PartialMedia | null, seconds = 10): string {
  let log = callLine(recordedCall(sessionId, media)) + openLines(sessionId, media);
  for (let second = 5; second <= seconds; second += 5) {
    log += messageLine("client", sessionId, "ping", {}, second * SAMPLE_RATE);
    log += messageLine("server", sessionId, "pong", {}, second * SAMPLE_RATE);
  }
  return log;
}

/** Files of a recording by their extensions. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

/** Writes files of a recording. */
export async function writeFiles(
  folder: string,
  name: string,
  files: Files,
  day = DAY,
): Promise<void> {
  await Deno.mkdir(join(folder, day), { recursive: true });
  for (const [extension, content] of Object.entries(files)) {
    const path = join(folder, day, name + extension);
    if (typeof content === "string") await Deno.writeTextFile(path, content);
    else await Deno.writeFile(path, content);
  }
}

/** The files of a recording. */
export async function readFiles(
  folder: string,
  name: string,
  day = DAY,
): Promise<{
  readonly audio: Uint8Array<ArrayBuffer> | undefined;
  readonly messages: string | undefined;
  readonly metadata: RecordingMetadata | undefined;
}> {
  const read = (extension: string) => readIfExists(join(folder, day, name + extension));
  const [messages, metadata] = [await read(".jsonl"), await read(".json")]
    .map((bytes) => bytes && new TextDecoder().decode(bytes));
  return {
    audio: await read(".wav"),
    messages,
    metadata: metadata === undefined
      ? undefined
      : recordingMetadataSchema.parse(JSON.parse(metadata)),
  };
}

/** All that there is below a folder: what each path is, by its content. */
export async function snapshot(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, isDirectory, isSymlink } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) {
      found[`${name}/`] = "a folder";
      for (const [below, what] of Object.entries(await snapshot(path))) {
        found[`${name}/${below}`] = what;
      }
    } else if (isSymlink) {
      found[name] = `to ${await Deno.readLink(path)}`;
    } else {
      const bytes = await Deno.readFile(path);
      const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      found[name] = `${bytes.length} bytes, ${hash.toHex()}`;
    }
  }
  return Object.fromEntries(Object.entries(found).sort());
}
