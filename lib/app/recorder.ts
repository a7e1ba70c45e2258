/**
 * The recorder: every call to files that are exact to the sample.
 *
 * Lost audio becomes silence of the same length, so that file time is call time. Imports the App
 * interface, the audio room, and the storage's interface.
 */
import { getLogger } from "@logtape/logtape";
import { createWavHeader, MULAW_SILENCE, type WavFormat, wavPaddingBytes } from "../audio/mod.ts";
import {
  bytesPerSampleFrame,
  type Media,
  SAMPLE_RATE,
  samplesToDuration,
} from "../protocol/mod.ts";
import type { RecordingMetadata } from "../storage/recording_metadata.ts";
import type { RecordingStore } from "../storage/recording_store.ts";
import type { App, Call, CallEnd, CallHandler, Gap, WireMessage } from "./app.ts";
import type { AudioFrame } from "./audio_frame.ts";
import { withDeadline } from "./deadline.ts";
import { messageLogLine } from "./message_log.ts";
import { RecordingWriter } from "./recording_writer.ts";

const log = getLogger(["audiohook", "recorder"]);

/** Longest silence that is written for one gap: 10 minutes, in seconds. */
const MAX_GAP_SECONDS = 600;
/** Longest silence that is written in one call: 60 minutes, in seconds. */
const MAX_SILENCE_SECONDS = 3600;
/**
 * How much longer than the call itself silence may make a recording, in seconds. Audio that was
 * lost can't be ahead of real time, but for what was lost before the call was opened; a client that
 * says so all the same must not fill a disk.
 */
const MAX_SILENCE_AHEAD_SECONDS = 60;
/** How long the end of a call may wait for its recording. */
const MAX_CLOSE_MS = 1000;
/** How many messages are kept of a call that was not opened so far. */
const MAX_EARLY_MESSAGES = 200;
/** How many gaps the metadata lists. */
const MAX_LISTED_GAPS = 1000;
/** Longest message log, in characters. */
const MAX_LOG_CHARS = 256 * 1024 * 1024;

/** Options of a {@link Recorder}. */
export interface RecorderOptions {
  /**
   * How much longer than the call itself silence may make a recording, in seconds; 60 by default.
   * What is lost beyond that is listed in the metadata only.
   */
  readonly maxSilenceAheadSeconds?: number;
}

/** The app that records. */
export class Recorder implements App {
  /** For logs. */
  readonly name = "recorder";
  readonly #store: RecordingStore;
  readonly #running = new Set<Promise<void>>();

  readonly #maxSilenceAheadSeconds: number;

  /** @param store Where recordings are kept. */
  constructor(
    store: RecordingStore,
    { maxSilenceAheadSeconds = MAX_SILENCE_AHEAD_SECONDS }: RecorderOptions = {},
  ) {
    this.#store = store;
    this.#maxSilenceAheadSeconds = maxSilenceAheadSeconds;
  }

  /** Begins a recording, without waiting for the storage. */
  open(call: Call): CallHandler {
    const ended = Promise.withResolvers<void>();
    this.#running.add(ended.promise);
    void ended.promise.then(() => this.#running.delete(ended.promise));
    return new Recording(call, this.#store, this.#maxSilenceAheadSeconds, ended.resolve);
  }

  /** Settles when all recordings that run now are written, which needs their calls to end. */
  async finished(): Promise<void> {
    await Promise.all(this.#running);
  }
}

class Recording implements CallHandler {
  // First what each frame needs, so that it's found in one place.
  #writer: RecordingWriter | undefined;
  #sampleFrameBytes = 1;
  /** Audio that is being lost because too much waits for the storage. */
  #storageGap: { startSamples: number; samples: number } | undefined;
  /** Length of the audio file, in samples. */
  #recordedSamples = 0;
  readonly #call: Call;
  readonly #store: RecordingStore;
  readonly #maxSilenceAheadSeconds: number;
  readonly #onEnded: () => void;
  readonly #gaps: RecordingMetadata["gaps"] = [];
  #unlistedGaps = 0;
  #unloggedMessages = 0;
  #loggedChars = 0;
  /** Messages before `opened`: a call that is never opened is not recorded. */
  #early: WireMessage[] = [];
  #media: Media | undefined;
  #startedMs = 0;
  /** The same, on a clock that never goes back. */
  #startedTickMs = 0;
  #silenceSamples = 0;
  #lostToStorage = false;

  constructor(
    call: Call,
    store: RecordingStore,
    maxSilenceAheadSeconds: number,
    onEnded: () => void,
  ) {
    this.#call = call;
    this.#store = store;
    this.#maxSilenceAheadSeconds = maxSilenceAheadSeconds;
    this.#onEnded = onEnded;
  }

  opened(media: Media | undefined): void {
    this.#media = media;
    this.#startedMs = Date.now();
    this.#startedTickMs = performance.now();
    if (media !== undefined) this.#sampleFrameBytes = bytesPerSampleFrame(media);
    const { sessionId } = this.#call;
    const day = new Date(this.#startedMs).toISOString().slice(0, 10);
    this.#writer = new RecordingWriter({
      create: () => this.#store.create(day, sessionId.toLowerCase()),
      chunkBytes: SAMPLE_RATE * this.#sampleFrameBytes,
      silenceByte: media?.format === "PCMU" ? MULAW_SILENCE : 0,
      // Until it is finished, the sizes say "to the end of the file".
      header: media && createWavHeader(wavFormat(media), Infinity),
      onFailure: (error) => {
        log.error("Cannot write the recording of {sessionId}; trying again", { sessionId, error });
      },
      onRecovery: () => log.info("The recording of {sessionId} is written again", { sessionId }),
    });
    for (const message of this.#early) this.message(message);
    this.#early = [];
  }

  message(message: WireMessage): void {
    if (this.#writer === undefined) {
      if (this.#early.length < MAX_EARLY_MESSAGES) this.#early.push(message);
      else this.#unloggedMessages++;
      return;
    }
    const line = messageLogLine(message);
    this.#loggedChars += line.length;
    if (this.#loggedChars > MAX_LOG_CHARS || !this.#writer.hasRoomForMessage(line.length)) {
      this.#unloggedMessages++;
    } else {
      this.#writer.message(line);
    }
  }

  audio(frame: AudioFrame): void {
    const { bytes, positionSamples } = frame;
    const samples = bytes.length / this.#sampleFrameBytes;
    if (this.#storageGap === undefined && this.#writer?.audio(bytes)) {
      this.#recordedSamples += samples;
    } else {
      this.#audioAfterLoss(bytes, positionSamples, samples);
    }
  }

  /** There is no room for the frame, or was none for the one before. */
  #audioAfterLoss(bytes: Uint8Array, positionSamples: number, samples: number): void {
    if (this.#storageGap !== undefined && this.#writer?.hasRoom(bytes.length)) {
      this.#endStorageGap();
      if (this.#writer.audio(bytes)) {
        this.#recordedSamples += samples;
        return;
      }
    }
    this.#lostToStorage = true;
    this.#storageGap ??= { startSamples: positionSamples, samples: 0 };
    this.#storageGap.samples += samples;
  }

  gap({ positionSamples, samples, cause }: Gap): void {
    this.#endStorageGap();
    this.#addGap(positionSamples, samples, cause);
  }

  tick(): void {
    // What the storage has no time for is better collected in whole chunks.
    if (this.#writer?.isIdle) this.#writer.flush();
  }

  async close(end: CallEnd): Promise<void> {
    if (end.how === "left_out") return this.#onEnded();
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#endStorageGap();
    const endedMs = Date.now();
    const durationSamples = this.#call.positionSamples;
    const dataBytes = this.#recordedSamples * this.#sampleFrameBytes;
    const header = this.#media && createWavHeader(wavFormat(this.#media), dataBytes);
    const padding = new Uint8Array(wavPaddingBytes(dataBytes));
    const finished = writer.finish(header, padding, () => {
      const metadata = this.#metadata(end, endedMs, durationSamples);
      return JSON.stringify(metadata, null, 2) + "\n";
    }).then((isWritten) => this.#reportEnd(writer, isWritten, durationSamples));
    // Usually it is written when the client hears of the end, but it doesn't wait for a slow disk.
    await withDeadline(finished, MAX_CLOSE_MS);
  }

  #reportEnd(writer: RecordingWriter, isWritten: boolean, durationSamples: number): void {
    const { sessionId } = this.#call;
    const { location } = writer;
    if (isWritten) {
      const durationSeconds = durationSamples / SAMPLE_RATE;
      log.info("Recorded {sessionId}: {location}", { sessionId, location, durationSeconds });
    } else {
      log.error("Gave up writing the recording of {sessionId}", { sessionId, location });
    }
  }

  ended(): void {
    void (this.#writer?.close() ?? Promise.resolve()).finally(this.#onEnded);
  }

  #endStorageGap(): void {
    if (this.#storageGap === undefined) return;
    const { startSamples, samples } = this.#storageGap;
    this.#storageGap = undefined;
    this.#addGap(startSamples, samples, "storage");
  }

  #addGap(
    startSamples: number,
    samples: number,
    cause: RecordingMetadata["gaps"][number]["cause"],
  ): void {
    const elapsedSeconds = (performance.now() - this.#startedTickMs) / 1000;
    const longest = Math.floor((elapsedSeconds + this.#maxSilenceAheadSeconds) * SAMPLE_RATE);
    const silenceSamples = this.#media === undefined ? 0 : Math.min(
      samples,
      Math.max(0, longest - this.#recordedSamples),
      MAX_GAP_SECONDS * SAMPLE_RATE,
      MAX_SILENCE_SECONDS * SAMPLE_RATE - this.#silenceSamples,
    );
    this.#writer?.silence(silenceSamples * this.#sampleFrameBytes);
    this.#silenceSamples += silenceSamples;
    this.#recordedSamples += silenceSamples;
    if (this.#gaps.length < MAX_LISTED_GAPS) {
      this.#gaps.push({ startSamples, samples, silenceSamples, cause });
    } else {
      this.#unlistedGaps++;
    }
  }

  #metadata(end: CallEnd, endedMs: number, durationSamples: number): RecordingMetadata {
    const call = this.#call;
    const media = this.#media;
    return {
      version: 1,
      sessionId: call.sessionId,
      organizationId: call.organizationId,
      conversationId: call.conversationId,
      correlationId: call.correlationId,
      participant: call.participant,
      language: call.language,
      media: media === undefined
        ? null
        : { format: media.format, channels: [...media.channels], rate: media.rate },
      startedAt: new Date(this.#startedMs).toISOString(),
      endedAt: new Date(endedMs).toISOString(),
      durationSamples,
      duration: samplesToDuration(durationSamples, SAMPLE_RATE),
      recordedSamples: this.#recordedSamples,
      gaps: this.#gaps,
      unlistedGaps: this.#unlistedGaps,
      closeReason: end.how === "closed" ? end.reason : null,
      isComplete: end.how === "closed" && !this.#lostToStorage,
      recovered: false,
      unloggedMessages: this.#unloggedMessages,
    };
  }
}

function wavFormat(media: Media): WavFormat {
  return { encoding: media.format, channelCount: media.channels.length, rate: media.rate };
}
