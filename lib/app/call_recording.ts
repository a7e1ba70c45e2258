/**
 * The recording of one call: what comes becomes audio, lines of the message log, and metadata.
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
import type { IndexedRecording } from "../storage/recording_index.ts";
import type { RecordedCall } from "../storage/recording_log.ts";
import type { RecordingMetadata } from "../storage/recording_metadata.ts";
import type { RecordingStore } from "../storage/recording_store.ts";
import type { Call, CallEnd, CallHandler, Gap, WireMessage } from "./app.ts";
import type { AudioFrame } from "./audio_frame.ts";
import { withDeadline } from "./deadline.ts";
import { callLogLine, gapLogLine, messageLogLine } from "./message_log.ts";
import { RecordingWriter } from "./recording_writer.ts";

const log = getLogger(["audiohook", "recorder"]);

/** Longest silence that is written for one gap: 10 minutes, in seconds. */
const MAX_GAP_SECONDS = 600;
/** Longest silence that is written in one call: 60 minutes, in seconds. */
const MAX_SILENCE_SECONDS = 3600;
/** How long the end of a call may wait for its recording. */
const MAX_CLOSE_MS = 1000;
/** How many messages are kept of a call that was not opened so far. */
const MAX_EARLY_MESSAGES = 200;
/** How many gaps the metadata lists. */
const MAX_LISTED_GAPS = 1000;
/** Longest message log, in characters. */
const MAX_LOG_CHARS = 256 * 1024 * 1024;

/** What a {@link CallRecording} may do, and whom it tells. Nothing of it may throw. */
export interface CallRecordingOptions {
  /** How much longer than the call itself silence may make a recording, in seconds. */
  readonly maxSilenceAheadSeconds: number;
  /** The files are made. */
  readonly onBegun: (recording: IndexedRecording) => void;
  /** All is written, but for messages that come after the end. */
  readonly onFinished: (id: string, metadata: RecordingMetadata) => void;
  /** Storage failed. Called once until it works again. */
  readonly onFailure: (error: unknown) => void;
  /** Storage works again. */
  readonly onRecovery: () => void;
  /** Storage failed for too long; the identifier is empty if there was not even a file. */
  readonly onGivenUp: (id: string) => void;
  /** Nothing is left to do. */
  readonly onOver: () => void;
}

/** Records one call. */
export class CallRecording implements CallHandler {
  // First what each frame needs, so that it's found in one place.
  #writer: RecordingWriter | undefined;
  #sampleFrameBytes = 1;
  /** Audio that is being lost because too much waits for the storage. */
  #storageGap: { startSamples: number; samples: number } | undefined;
  /** Length of the audio file, in samples. */
  #recordedSamples = 0;
  readonly #call: Call;
  readonly #store: RecordingStore;
  readonly #options: CallRecordingOptions;
  readonly #gaps: RecordingMetadata["gaps"] = [];
  #unlistedGaps = 0;
  #unloggedMessages = 0;
  #loggedChars = 0;
  /** Messages before `opened`: a call that is never opened is not recorded. */
  #early: WireMessage[] = [];
  #media: Media | undefined;
  #id = "";
  #startedMs = 0;
  /** The same, on a clock that nobody sets. */
  #startedTickMs = 0;
  #silenceSamples = 0;
  #lostToStorage = false;

  /** Nothing is written before the call is opened. */
  constructor(call: Call, store: RecordingStore, options: CallRecordingOptions) {
    this.#call = call;
    this.#store = store;
    this.#options = options;
  }

  /** The call is open: begins to make the files. */
  opened(media: Media | undefined): void {
    this.#media = media;
    this.#startedMs = Date.now();
    this.#startedTickMs = performance.now();
    if (media !== undefined) this.#sampleFrameBytes = bytesPerSampleFrame(media);
    const { sessionId } = this.#call;
    const recorded = this.#recordedCall();
    const day = recorded.startedAt.slice(0, 10);
    this.#writer = new RecordingWriter({
      create: (onSync) => this.#store.create(day, sessionId.toLowerCase(), onSync),
      keepTryingMs: this.#store.keepTryingMs,
      // What comes between two looks, and a little more: one write, also if a look is late.
      chunkBytes: SAMPLE_RATE * this.#sampleFrameBytes,
      silenceByte: media?.format === "PCMU" ? MULAW_SILENCE : 0,
      // Until it is finished, the sizes say "to the end of the file".
      header: media && createWavHeader(wavFormat(media), Infinity),
      onCreated: ({ id }) => {
        this.#id = id;
        this.#options.onBegun(entryOf(id, recorded));
      },
      onFailure: (error) => {
        log.debug("Cannot write the recording of {sessionId}; trying again", { sessionId, error });
        this.#options.onFailure(error);
      },
      onRecovery: () => {
        log.debug("The recording of {sessionId} is written again", { sessionId });
        this.#options.onRecovery();
      },
    });
    this.#addLine(callLogLine(recorded));
    for (const message of this.#early) this.message(message);
    this.#early = [];
    // Whoever finds the files shall know soon what they are.
    this.#writer.flush();
  }

  /** A message becomes a line. */
  message(message: WireMessage): void {
    if (this.#writer === undefined) {
      if (this.#early.length < MAX_EARLY_MESSAGES) this.#early.push(message);
      else this.#unloggedMessages++;
      return;
    }
    if (!this.#addLine(messageLogLine(message))) this.#unloggedMessages++;
  }

  /** Whether there was room for it. */
  #addLine(line: string): boolean {
    this.#loggedChars += line.length;
    if (this.#loggedChars > MAX_LOG_CHARS) return false;
    if (!this.#writer?.hasRoomForMessage(line.length)) return false;
    this.#writer.message(line);
    return true;
  }

  /** Audio comes. */
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

  /** Audio is missing: it becomes silence, a line, and a gap in the metadata. */
  gap({ positionSamples, samples, cause }: Gap): void {
    this.#endStorageGap();
    this.#addGap(positionSamples, samples, cause);
  }

  /** Time has passed: what came is handed to the storage. */
  tick(): void {
    this.#writer?.look();
  }

  /** No more audio comes. Settles when the recording is written, or soon if that takes long. */
  async close(end: CallEnd): Promise<void> {
    if (end.how === "left_out") return this.#options.onOver();
    const writer = this.#writer;
    if (writer === undefined) return;
    this.#endStorageGap();
    const endedMs = this.#startedMs + this.#elapsedMs;
    const durationSamples = this.#call.positionSamples;
    const dataBytes = this.#recordedSamples * this.#sampleFrameBytes;
    const header = this.#media && createWavHeader(wavFormat(this.#media), dataBytes);
    const padding = new Uint8Array(wavPaddingBytes(dataBytes));
    let metadata = this.#metadata(end, endedMs, durationSamples);
    const finished = writer.finish(header, padding, () => {
      metadata = this.#metadata(end, endedMs, durationSamples);
      return JSON.stringify(metadata, null, 2) + "\n";
    }).then((isWritten) => this.#reportEnd(isWritten, metadata));
    // Usually it is written when the client hears of the end, but it doesn't wait for a slow disk.
    await withDeadline(finished, MAX_CLOSE_MS);
  }

  #reportEnd(isWritten: boolean, metadata: RecordingMetadata): void {
    const { sessionId } = this.#call;
    const location = this.#writer?.location;
    if (isWritten) {
      const durationSeconds = metadata.durationSamples / SAMPLE_RATE;
      log.info("Recorded {sessionId}: {location}", { sessionId, location, durationSeconds });
      this.#options.onFinished(this.#id, metadata);
    } else {
      log.error("Gave up writing the recording of {sessionId}", { sessionId, location });
      this.#options.onGivenUp(this.#id);
    }
  }

  /** No more messages come. */
  ended(): void {
    void (this.#writer?.close() ?? Promise.resolve()).finally(this.#options.onOver);
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
    const elapsedMs = this.#elapsedMs;
    const { maxSilenceAheadSeconds } = this.#options;
    const longest = Math.floor((elapsedMs / 1000 + maxSilenceAheadSeconds) * SAMPLE_RATE);
    const silenceSamples = this.#media === undefined ? 0 : Math.min(
      samples,
      Math.max(0, longest - this.#recordedSamples),
      MAX_GAP_SECONDS * SAMPLE_RATE,
      MAX_SILENCE_SECONDS * SAMPLE_RATE - this.#silenceSamples,
    );
    this.#writer?.silence(silenceSamples * this.#sampleFrameBytes);
    this.#silenceSamples += silenceSamples;
    this.#recordedSamples += silenceSamples;
    const gap = { startSamples, samples, silenceSamples, cause };
    this.#addLine(gapLogLine(gap, this.#startedMs + elapsedMs, this.#call.positionSamples));
    if (this.#gaps.length < MAX_LISTED_GAPS) this.#gaps.push(gap);
    else this.#unlistedGaps++;
  }

  /** Since the call was opened. The clock may be set meanwhile: a call can't end before it begins. */
  get #elapsedMs(): number {
    return performance.now() - this.#startedTickMs;
  }

  #recordedCall(): RecordedCall {
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
    };
  }

  #metadata(end: CallEnd, endedMs: number, durationSamples: number): RecordingMetadata {
    return {
      ...this.#recordedCall(),
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

/** A recording that has begun, as an index has it. */
function entryOf(id: string, call: RecordedCall): IndexedRecording {
  const { sessionId, organizationId, conversationId, participant, language, media } = call;
  return {
    id,
    state: "recording",
    ...{ sessionId, organizationId, conversationId, participant, language, media },
    startedAt: call.startedAt,
    ...{ endedAt: null, duration: null, closeReason: null, isComplete: null },
  };
}

function wavFormat(media: Media): WavFormat {
  return { encoding: media.format, channelCount: media.channels.length, rate: media.rate };
}
