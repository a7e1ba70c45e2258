/**
 * Sends what a call says through one session, at the call's own speed, and holds back or leaves out
 * what the network does not take (protocol sections 6.8, 7, 9 and 17).
 *
 * A live call cannot wait: when the socket's buffer backs up, its audio is left out, and reported by
 * `discarded` when it flows again. A file that is said faster than real time is no live call, so
 * there the call waits. History waits in either case, for it is in a buffer already. Imports the
 * protocol and its neighbours.
 */
import { bytesPerSampleFrame, type ClientSession, MAX_AUDIO_FRAME_BYTES } from "../protocol/mod.ts";
import type { Media } from "../protocol/mod.ts";
import type { CallAudio } from "./call_audio.ts";
import type { CallLog } from "./call_log.ts";
import type { ClientSocket } from "./client_socket.ts";
import type { LiveAudio } from "./live_audio.ts";

/** What is sent, and how. */
export interface AudioSenderOptions {
  readonly audio: CallAudio;
  readonly live: LiveAudio;
  /** Audio that cannot be sent in time is left out; otherwise the call waits. */
  readonly dropsLateAudio: boolean;
  /** More than that in the socket's buffer is too much; 256 KiB, 16 s of stereo, unless given. */
  readonly maxBufferedBytes?: number;
  readonly log: CallLog;
}

/** What a sender asks for. */
export interface AudioSenderHooks {
  /** Hands the session's output to the socket. */
  write(): void;
  /** Closes the session: all is said. */
  finish(): void;
}

const MAX_BUFFERED_BYTES = 256 * 1024;
/** So that messages are read, however fast frames are due. */
const MAX_FRAMES_AT_ONCE = 100;
/** How often a throttled call looks whether it may go on. */
const THROTTLED_MS = 20;

/** Sends through one session. */
export class AudioSender {
  readonly #options: AudioSenderOptions;
  readonly #session: ClientSession;
  readonly #socket: ClientSocket;
  readonly #hooks: AudioSenderHooks;
  #bytes: Uint8Array = new Uint8Array();
  #sampleFrameBytes = 0;
  #isThrottled = false;

  constructor(
    options: AudioSenderOptions,
    session: ClientSession,
    socket: ClientSocket,
    hooks: AudioSenderHooks,
  ) {
    this.#options = options;
    this.#session = session;
    this.#socket = socket;
    this.#hooks = hooks;
  }

  /**
   * The session is open.
   *
   * @param media What the server selected; without it, the call takes its time all the same.
   * @throws {RangeError} If the audio has no such channel.
   */
  start(media: Media | undefined, nowMs: number): void {
    const { audio, live, log } = this.#options;
    if (media !== undefined) {
      this.#bytes = audio.bytesFor(media);
      this.#sampleFrameBytes = bytesPerSampleFrame(media);
    }
    const { offeredSamples, lostSamples } = live.openSession(nowMs);
    if (offeredSamples + lostSamples === 0) return;
    // Reported with the first frame.
    if (media !== undefined && lostSamples > 0) this.#session.lose(lostSamples);
    log.event({ type: "catch-up", offeredSamples, lostSamples });
  }

  /** When {@link AudioSender.work} has something to do; `Infinity` if never. */
  get dueMs(): number {
    return this.#options.live.dueMs;
  }

  /** Sends what is due, up to the end. */
  work(nowMs: number): void {
    const { live, log } = this.#options;
    for (let count = 0; count < MAX_FRAMES_AT_ONCE && this.#session.state === "open"; count++) {
      // A frame is sent when its first sample is said: the call goes on to its last.
      if (live.isOver && nowMs >= live.dueMs) return this.#hooks.finish();
      const samples = this.#nextFrame(nowMs);
      if (samples === 0) return;
      if (this.#sampleFrameBytes > 0 && !this.#send(samples, nowMs)) return;
      live.advance(samples);
      log.progress(live.positionSamples);
    }
  }

  #nextFrame(nowMs: number): number {
    const samples = this.#options.live.nextFrame(nowMs);
    const most = Math.floor(MAX_AUDIO_FRAME_BYTES / Math.max(1, this.#sampleFrameBytes));
    return Math.min(samples, most);
  }

  /** Sends a frame, or leaves it out; `false` if it has to wait. */
  #send(samples: number, nowMs: number): boolean {
    const { live, dropsLateAudio, log } = this.#options;
    if (this.#checkThrottled()) {
      const untilMs = nowMs + THROTTLED_MS;
      if (live.isCatchingUp) live.hold(untilMs);
      else if (!dropsLateAudio) live.wait(untilMs);
      else this.#session.lose(samples);
      return !live.isCatchingUp && dropsLateAudio;
    }
    if (live.isDropping) {
      this.#session.lose(samples);
      return true;
    }
    const offset = live.positionSamples * this.#sampleFrameBytes;
    const length = samples * this.#sampleFrameBytes;
    if (this.#session.sendAudio(this.#bytes.subarray(offset, offset + length))) {
      log.sentAudio(length);
      this.#hooks.write();
    }
    return true;
  }

  #checkThrottled(): boolean {
    const { maxBufferedBytes = MAX_BUFFERED_BYTES, log } = this.#options;
    const { bufferedBytes } = this.#socket;
    // Not at once when there is room again: it would be a frame now and a frame then.
    const isThrottled =
      bufferedBytes > (this.#isThrottled ? maxBufferedBytes / 2 : maxBufferedBytes);
    if (isThrottled !== this.#isThrottled) {
      this.#isThrottled = isThrottled;
      log.event({ type: "throttled", isThrottled, bufferedBytes });
    }
    return isThrottled;
  }
}
