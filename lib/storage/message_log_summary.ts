/**
 * What a message log tells of a call whose server was killed: who called, what is missing of the
 * audio, and when and how it ended.
 *
 * A log may have hundreds of megabytes, and its lines may be anything: it is read piece by piece,
 * and what can't be understood is counted. Imports zod's schemas of its neighbours and the protocol.
 */
import type { z } from "zod";
import { CLIENT_PARAMETERS, MAX_DURATION_SECONDS, SAMPLE_RATE } from "../protocol/mod.ts";
import { logLineSchema, type RecordedCall, recordedCallSchema } from "./recording_log.ts";
import { type RecordingMetadata, recordingMetadataSchema } from "./recording_metadata.ts";
import type { RecoveryFile } from "./recovery_disk.ts";

const CHUNK_BYTES = 64 * 1024;
const NEWLINE = 10;
/** Longest line that is looked at. A message has 65,535 bytes, each of which JSON may write as six. */
const MAX_LINE_BYTES = 1024 * 1024;
/** No log is longer: recorders stop at 256 Mi characters, of up to three bytes each, and gaps. */
const MAX_LOG_BYTES = 1024 * 1024 * 1024;
/** How many gaps are listed, as recorders do. */
const MAX_LISTED_GAPS = 1000;
const MAX_MISSING_SAMPLES = MAX_DURATION_SECONDS * SAMPLE_RATE;

/** A message's line as recorders write it, up to its sender. */
const MESSAGE_LINE = /^\{"time":"([^"]{1,40})","position":"[^"]{1,40}","from":"(client|server)",/;
/** Messages that tell something of the recording. */
const TELLING = /"type"\s*:\s*"(?:open|opened|close)"/;

/** What `open` says of who calls. */
const openSchema = CLIENT_PARAMETERS.open.pick({
  organizationId: true,
  conversationId: true,
  participant: true,
  language: true,
});

/** What a message log tells. */
export interface MessageLogSummary {
  /**
   * What the call is: by its first line or, if that is lost, by the messages that opened the
   * session. `undefined` if neither is there.
   */
  readonly call: RecordedCall | undefined;
  /** Missing audio, as metadata lists it. */
  readonly gaps: RecordingMetadata["gaps"];
  /** How many more gaps there were. */
  readonly unlistedGaps: number;
  /** How many samples are missing, and not in the audio file as silence, in all gaps. */
  readonly missingSamples: number;
  /** Reason of the client's `close`; `null` if there was none. */
  readonly closeReason: string | null;
  /** Times of the first and the last line, milliseconds since 1970; `undefined` without lines. */
  readonly firstTimeMs: number | undefined;
  readonly lastTimeMs: number | undefined;
  /** Lines that say nothing: torn, too long, or no lines of a message log. */
  readonly unreadableLines: number;
}

/**
 * Reads a message log from its beginning.
 *
 * @param sessionId UUID of the session in lower case. What is of another one does not count.
 * @param recordedSamples Length of the audio file in samples of one channel. Gaps that began later
 * are left out, since nothing is known of what was before them; and of the silence of the last one,
 * what is in the file counts.
 */
export async function summarizeMessageLog(
  file: Pick<RecoveryFile, "read" | "seek">,
  sessionId: string,
  recordedSamples: number,
): Promise<MessageLogSummary> {
  const reading = new Reading(sessionId, recordedSamples);
  const isRead = await readLines(file, (line) => reading.line(line));
  return reading.summary(isRead ? 0 : 1);
}

/**
 * Calls `onLine` for each line of a file, with `undefined` for one that is too long; also for a last
 * one that does not end.
 *
 * @returns Whether the file was read to its end.
 */
async function readLines(
  file: Pick<RecoveryFile, "read" | "seek">,
  onLine: (line: string | undefined) => void,
): Promise<boolean> {
  const decoder = new TextDecoder();
  const chunk = new Uint8Array(CHUNK_BYTES);
  /** What is known of a line that goes on in the next chunk. */
  let begun: Uint8Array<ArrayBuffer>[] = [];
  let begunBytes = 0;
  const end = (last: Uint8Array<ArrayBuffer>) => {
    const lineBytes = begunBytes + last.length;
    if (lineBytes > MAX_LINE_BYTES) {
      onLine(undefined);
    } else {
      const beginning = begun.map((part) => decoder.decode(part, { stream: true })).join("");
      onLine(beginning + decoder.decode(last));
    }
    begun = [];
    begunBytes = 0;
  };
  await file.seek(0, Deno.SeekMode.Start);
  for (let readBytes = 0; readBytes < MAX_LOG_BYTES;) {
    const count = await file.read(chunk);
    if (count === null) {
      if (begunBytes > 0) end(new Uint8Array());
      return true;
    }
    readBytes += count;
    const bytes = chunk.subarray(0, count);
    let from = 0;
    for (let to; (to = bytes.indexOf(NEWLINE, from)) >= 0; from = to + 1) {
      end(bytes.subarray(from, to));
    }
    // Once a line is too long, its length is all that matters.
    if (begunBytes <= MAX_LINE_BYTES) begun.push(bytes.slice(from));
    else begun = [];
    begunBytes += count - from;
  }
  return false;
}

class Reading {
  readonly #sessionId: string;
  readonly #recordedSamples: number;
  #call: RecordedCall | undefined;
  /** What the client's `open` says, and what the server's `opened` does. */
  #open: z.infer<typeof openSchema> | undefined;
  #opened: Pick<RecordedCall, "media" | "startedAt"> | undefined;
  readonly #gaps: RecordingMetadata["gaps"] = [];
  #unlistedGaps = 0;
  #missingSamples = 0;
  #closeReason: string | null = null;
  #firstTimeMs: number | undefined;
  #lastTimeMs: number | undefined;
  #unreadableLines = 0;

  constructor(sessionId: string, recordedSamples: number) {
    this.#sessionId = sessionId;
    this.#recordedSamples = recordedSamples;
  }

  line(line: string | undefined): void {
    if (line === "") return;
    if (line === undefined || !this.#understand(line)) this.#unreadableLines++;
  }

  summary(moreUnreadableLines: number): MessageLogSummary {
    return {
      call: this.#call ?? this.#callOfMessages(),
      gaps: this.#gaps,
      unlistedGaps: this.#unlistedGaps,
      missingSamples: this.#missingSamples,
      closeReason: this.#closeReason,
      firstTimeMs: this.#firstTimeMs,
      lastTimeMs: this.#lastTimeMs,
      unreadableLines: this.#unreadableLines + moreUnreadableLines,
    };
  }

  /** @returns Whether it is a line of a message log. */
  #understand(line: string): boolean {
    const [, time, from] = MESSAGE_LINE.exec(line) ?? [];
    // Most lines tell no more than that: it would take seconds to parse those of a long log.
    if (time !== undefined && line.endsWith("}") && !TELLING.test(line)) return this.#time(time);
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return false;
    }
    const { data } = logLineSchema.safeParse(value);
    if (data === undefined || !this.#time(data.time)) return false;
    if (data.gap !== undefined) return this.#gap(data.gap);
    if (data.call?.sessionId.toLowerCase() === this.#sessionId) this.#call ??= data.call;
    if (from !== undefined) this.#message(from, data.message, data.time);
    return true;
  }

  #time(time: string): boolean {
    const timeMs = Date.parse(time);
    if (Number.isNaN(timeMs)) return false;
    this.#firstTimeMs ??= timeMs;
    this.#lastTimeMs = timeMs;
    return true;
  }

  #gap(
    { startSamples, samples, silenceSamples, cause }: RecordingMetadata["gaps"][number],
  ): boolean {
    const restSamples = MAX_MISSING_SAMPLES - this.#missingSamples;
    if (silenceSamples > samples || samples > restSamples) return false;
    // Where it is in the file.
    const at = Math.max(0, startSamples - this.#missingSamples);
    if (at > this.#recordedSamples) return true;
    // The rest of the silence was not written any more.
    const writtenSamples = Math.min(silenceSamples, this.#recordedSamples - at);
    this.#missingSamples += samples - writtenSamples;
    if (this.#gaps.length < MAX_LISTED_GAPS) {
      this.#gaps.push({ startSamples, samples, silenceSamples: writtenSamples, cause });
    } else {
      this.#unlistedGaps++;
    }
    return true;
  }

  #message(from: string, message: unknown, time: string): void {
    const { type, id, parameters } = asObject(message);
    if (String(id).toLowerCase() !== this.#sessionId) return;
    if (from === "client" && type === "open") {
      this.#open ??= openSchema.safeParse(parameters).data;
    } else if (from === "server" && type === "opened") {
      const { media } = asObject(parameters);
      const [selected] = Array.isArray(media) ? media : [];
      const { data = null } = recordingMetadataSchema.shape.media.safeParse(selected);
      this.#opened ??= { media: data, startedAt: time };
    } else if (from === "client" && type === "close") {
      const { reason } = asObject(parameters);
      if (typeof reason === "string") this.#closeReason = reason;
    }
  }

  #callOfMessages(): RecordedCall | undefined {
    if (this.#open === undefined || this.#opened === undefined) return undefined;
    const call = { version: 1, sessionId: this.#sessionId, ...this.#open, ...this.#opened };
    return recordedCallSchema.safeParse(call).data;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}
