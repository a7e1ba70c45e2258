/**
 * Recordings made by hand, without lib's code: files as the server leaves them.
 */
import { join } from "node:path";
import type { IndexedRecording } from "../../lib/storage/recording_index.ts";
import type { RecordingMetadata } from "../../lib/storage/recording_metadata.ts";
import { concat } from "./wav_check.ts";

/** What is recorded. */
export interface MadeAudio {
  readonly format: "PCMU" | "L16";
  readonly channels: readonly ("external" | "internal")[];
  /** Samples of all channels in turn. */
  readonly data: Uint8Array;
}

/** What a recording is to be; what is absent is as is usual. */
export interface RecordingWish {
  /** `null` for a session without audio. */
  readonly audio: MadeAudio | null;
  /** The whole file, if it is not to be made of the audio. */
  readonly file?: Uint8Array;
  /** Whether it has not ended. */
  readonly isBeingMade?: boolean;
  readonly messages?: string;
  readonly startedAt?: string;
  readonly recovered?: boolean;
  readonly conversationId?: string;
  readonly ani?: string;
}

/** A recording that was made. */
export interface MadeRecording {
  readonly id: string;
  readonly entry: IndexedRecording;
  /** Undefined while it is being made. */
  readonly metadata: RecordingMetadata | undefined;
  /** Undefined if it has no audio. */
  readonly wav: Uint8Array | undefined;
  readonly messages: string;
  /** Paths of its files, without their extensions. */
  readonly path: string;
}

const TO_THE_END = 0xFFFFFFFF;

/** A WAV file, byte for byte. `dataBytes` is what its header says, if not how much there is. */
export function wavFile(
  { format, channels, data }: MadeAudio,
  dataBytes = data.length,
): Uint8Array<ArrayBuffer> {
  const sampleBytes = format === "PCMU" ? 1 : 2;
  const header = new DataView(new ArrayBuffer(format === "PCMU" ? 58 : 44));
  const word = (at: number, text: string) =>
    [...text].forEach((letter, i) => header.setUint8(at + i, letter.charCodeAt(0)));
  const isOpen = dataBytes === TO_THE_END;
  const padding = isOpen ? 0 : data.length % 2;
  word(0, "RIFF");
  header.setUint32(
    4,
    isOpen ? TO_THE_END : header.byteLength - 8 + dataBytes + dataBytes % 2,
    true,
  );
  word(8, "WAVEfmt ");
  header.setUint32(16, format === "PCMU" ? 18 : 16, true);
  header.setUint16(20, format === "PCMU" ? 7 : 1, true);
  header.setUint16(22, channels.length, true);
  header.setUint32(24, 8000, true);
  header.setUint32(28, 8000 * channels.length * sampleBytes, true);
  header.setUint16(32, channels.length * sampleBytes, true);
  header.setUint16(34, sampleBytes * 8, true);
  if (format === "PCMU") {
    word(38, "fact");
    header.setUint32(42, 4, true);
    header.setUint32(46, isOpen ? TO_THE_END : dataBytes / channels.length, true);
  }
  word(header.byteLength - 8, "data");
  header.setUint32(header.byteLength - 4, dataBytes, true);
  return concat(new Uint8Array(header.buffer), data, new Uint8Array(padding));
}

/** A linear sample of a µ-law byte, computed as ITU-T G.711's common C code does. */
export function linearOf(byte: number): number {
  const code = ~byte & 0xFF;
  const magnitude = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4);
  return code & 0x80 ? 0x84 - magnitude : magnitude - 0x84;
}

/** All samples of one channel, or of all in turn. */
export function samplesOf(
  { format, channels, data }: MadeAudio,
  channel?: "external" | "internal",
): number[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const all = format === "PCMU"
    ? [...data].map(linearOf)
    : Array.from({ length: data.length / 2 }, (_, i) => view.getInt16(2 * i, true));
  if (channel === undefined) return all;
  return all.filter((_, i) => i % channels.length === channels.indexOf(channel));
}

/** What the API has to give: as asked for, computed sample by sample. */
export function expectedAudio(
  audio: MadeAudio,
  format: "original" | "pcm16",
  channel?: "external" | "internal",
): MadeAudio {
  const channels = channel === undefined ? audio.channels : [channel];
  if (format === "pcm16") {
    const samples = samplesOf(audio, channel);
    const data = new DataView(new ArrayBuffer(2 * samples.length));
    samples.forEach((sample, i) => data.setInt16(2 * i, sample, true));
    return { format: "L16", channels, data: new Uint8Array(data.buffer) };
  }
  const sampleBytes = audio.format === "PCMU" ? 1 : 2;
  const index = channel === undefined ? undefined : audio.channels.indexOf(channel);
  const data = audio.data.filter((_, i) =>
    index === undefined || Math.floor(i / sampleBytes) % audio.channels.length === index
  );
  return { format: audio.format, channels, data };
}

/** Makes the files of a recording. */
export async function makeRecording(folder: string, wish: RecordingWish): Promise<MadeRecording> {
  const { audio, isBeingMade = false, recovered = false } = wish;
  const { startedAt = "2026-11-22T09:30:00.000Z" } = wish;
  const sessionId = crypto.randomUUID();
  const day = startedAt.slice(0, 10);
  const id = `${day}.${sessionId}`;
  const path = join(folder, day, sessionId);
  const samples = audio === null ? 0 : samplesOf(audio).length / audio.channels.length;
  const call = {
    sessionId,
    organizationId: "d7934305-0972-4844-938e-9060eef73d05",
    conversationId: wish.conversationId ?? crypto.randomUUID(),
    participant: {
      id: crypto.randomUUID(),
      ani: wish.ani ?? "+15551234567",
      aniName: "Jane Roe",
      dnis: "+18005550100",
    },
    language: "en-US",
    media: audio && { format: audio.format, channels: [...audio.channels], rate: 8000 },
    startedAt,
  };
  const ended = {
    endedAt: new Date(Date.parse(startedAt) + samples / 8).toISOString(),
    duration: `PT${samples / 8000}S`,
    closeReason: "end",
    isComplete: !recovered,
  };
  const metadata: RecordingMetadata = {
    version: 1,
    ...call,
    ...ended,
    durationSamples: samples,
    recordedSamples: samples,
    gaps: [],
    unlistedGaps: 0,
    recovered,
    unloggedMessages: 0,
  };
  const { messages = `{"time":"${startedAt}","position":"PT0S","call":{}}\n` } = wish;
  const wav = audio === null
    ? undefined
    : wish.file ?? wavFile(audio, isBeingMade ? TO_THE_END : undefined);
  await Deno.mkdir(join(folder, day), { recursive: true });
  if (wav !== undefined) await Deno.writeFile(`${path}.wav${isBeingMade ? ".part" : ""}`, wav);
  await Deno.writeTextFile(`${path}.jsonl`, messages);
  if (!isBeingMade) await Deno.writeTextFile(`${path}.json`, JSON.stringify(metadata));
  const running = { endedAt: null, duration: null, closeReason: null, isComplete: null };
  const state = isBeingMade ? "recording" : recovered ? "recovered" : "finished";
  return {
    id,
    entry: { id, state, ...call, ...(isBeingMade ? running : ended) },
    metadata: isBeingMade ? undefined : metadata,
    wav,
    messages,
    path,
  };
}
