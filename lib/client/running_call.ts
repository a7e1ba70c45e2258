/**
 * A call through all of its attempts, and what may be done to it meanwhile.
 *
 * A retry is a new connection with a signature of its own and a new session, of the same id and
 * conversation; its stream begins at `PT0S` with the audio on offer. Imports its neighbours and the
 * protocol.
 */
import { type OpenParameters, SAMPLE_RATE, takesPlayback } from "../protocol/mod.ts";
import { type AttemptEnd, CallAttempt } from "./call_attempt.ts";
import type { CallControl } from "./call_control.ts";
import { CallLog } from "./call_log.ts";
import { connectionHeaders } from "./connection_request.ts";
import { LiveAudio } from "./live_audio.ts";
import type { CallOutcome, PlaceCallOptions } from "./place_call.ts";
import { backoffMs, MAX_RETRIES } from "./retry_rule.ts";
import { serverRates } from "./server_rates.ts";

const DEFAULT_FRAME_SAMPLES = 800;
const CANCELLED = "The call was cancelled before it was connected";

/** One call. */
export class RunningCall implements CallControl {
  readonly #options: PlaceCallOptions;
  readonly #log: CallLog;
  readonly #live: LiveAudio;
  #open: OpenParameters;
  #attempt: CallAttempt | undefined;
  #attempts = 0;
  #hasAudio = false;
  #isOnHold = false;
  #isEnding = false;
  /** Ends the wait for a retry. */
  #wake: (() => void) | undefined;

  constructor(options: PlaceCallOptions) {
    const { audio, speed, frameSamples = DEFAULT_FRAME_SAMPLES, historySeconds = 0 } = options;
    this.#options = options;
    this.#open = options.open;
    this.#log = new CallLog(options);
    this.#live = new LiveAudio({
      samples: audio.samples,
      speed,
      frameSamples: Math.max(1, Math.floor(frameSamples)),
      historySeconds,
    });
  }

  /** Places it. Never rejects. */
  async run(): Promise<CallOutcome> {
    const { speed, signal, onControl } = this.#options;
    const onAbort = () => {
      // Who wants the end does not wait for that of a stall.
      this.#attempt?.unstall();
      this.close("end");
    };
    signal?.addEventListener("abort", onAbort);
    if (signal?.aborted) onAbort();
    try {
      onControl?.(this);
      if (!(speed > 0)) return this.#outcome(`Cannot place a call at a speed of ${speed}`);
      return this.#outcome(await this.#runAttempts());
    } finally {
      this.#isEnding = true;
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** @returns Why it failed. */
  async #runAttempts(): Promise<string | undefined> {
    const { maxRetries = 0 } = this.#options;
    const mostRetries = Math.min(MAX_RETRIES, maxRetries);
    while (true) {
      const startedMs = performance.now();
      const { failure, retry, isOnHold } = await this.#try(this.#attempts);
      this.#isOnHold = isOnHold;
      const mayRetry = this.#attempts <= mostRetries && !this.#isEnding && !this.#isSaid;
      if (retry === undefined || !mayRetry) return failure;
      // From here on, the call goes on without its server.
      this.#live.start(startedMs);
      const { why, atLeastMs = 0 } = retry;
      const attempt = this.#attempts;
      const ownMs = (this.#options.backoffMs ?? backoffMs)(attempt);
      const delayMs = Math.max(ownMs, atLeastMs);
      this.#log.event({ type: "retry", attempt, delayMs, why });
      await this.#sleep(delayMs);
      if (this.#isEnding) return failure;
    }
  }

  /** Whether nothing is left to be said; a probe says nothing. */
  get #isSaid(): boolean {
    return this.#live.isOver && this.#live.positionSamples > 0;
  }

  async #try(attempt: number): Promise<AttemptEnd> {
    const { request, limits, audio, speed, isProbe = false, dropsLateAudio } = this.#options;
    const failed = { retry: undefined, isOnHold: this.#isOnHold };
    try {
      const nowSeconds = Math.floor(Date.now() / 1000);
      const headers = await connectionHeaders({ ...request, retryAttempt: attempt }, nowSeconds);
      if (this.#isEnding) return { ...failed, failure: CANCELLED };
      this.#attempts++;
      this.#attempt = new CallAttempt({
        request,
        headers,
        attempt,
        open: this.#open,
        isProbe,
        isOnHold: this.#isOnHold,
        audio,
        live: this.#live,
        speed,
        dropsLateAudio: dropsLateAudio ?? speed <= 1,
        maxBufferedBytes: this.#options.maxBufferedBytes,
        connectTimeoutMs: this.#options.connectTimeoutMs,
        limits: { ...serverRates(speed), ...limits },
        log: this.#log,
      });
    } catch (error) {
      // The address, a header or the secret is not one.
      const why = error instanceof Error ? error.message : String(error);
      return { ...failed, failure: `Cannot connect: ${why}` };
    }
    const end = await this.#attempt.ended;
    this.#hasAudio ||= this.#attempt.media !== undefined;
    this.#attempt = undefined;
    return end;
  }

  #sleep(ms: number): Promise<void> {
    if (this.#isEnding) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#wake = resolve;
    return promise.finally(() => {
      clearTimeout(timer);
      this.#wake = undefined;
    });
  }

  #outcome(failure: string | undefined): CallOutcome {
    const { violation, violations, roundTripsMs, openedMs, closedMs } = this.#log;
    const { sentFrames, sentAudioBytes, receivedAudioBytes } = this.#log;
    return {
      failure: violation ?? failure,
      violations,
      positionSamples: this.#hasAudio ? this.#live.positionSamples : 0,
      sentFrames,
      sentAudioBytes,
      receivedAudioBytes,
      roundTripsMs,
      openedMs,
      closedMs,
      attempts: this.#attempts,
    };
  }

  pause(): boolean {
    const attempt = this.#attempt;
    if (attempt === undefined || attempt.paused.byClient) return false;
    return attempt.tryWith((session) => session.pause());
  }

  resume(): boolean {
    const attempt = this.#attempt;
    if (attempt === undefined || !attempt.paused.byClient) return false;
    return attempt.tryWith((session) => session.resume());
  }

  update(language: string): boolean {
    const isDone = this.#attempt?.tryWith((session) => session.update(language)) ?? false;
    // A retry opens in the language that the call has by then.
    if (isDone) this.#open = { ...this.#open, language };
    return isDone;
  }

  dtmf(digit: string): boolean {
    const attempt = this.#attempt;
    // Only a bot is told of digits.
    if (attempt === undefined || !takesPlayback(attempt.media)) return false;
    return attempt.tryWith((session) => session.dtmf(digit));
  }

  discard(seconds: number): boolean {
    const attempt = this.#attempt;
    const samples = Math.round(seconds * SAMPLE_RATE);
    if (attempt?.media === undefined || !(samples > 0) || !Number.isSafeInteger(samples)) {
      return false;
    }
    return attempt.tryWith((session) => {
      session.lose(0);
      this.#live.drop(samples);
    });
  }

  error(code: number, message: string): boolean {
    return this.#attempt?.tryWith((session) => session.error({ code, message })) ?? false;
  }

  stall(seconds: number): boolean {
    return this.#attempt?.stall(seconds) ?? false;
  }

  drop(): boolean {
    return this.#attempt?.fail("drop") ?? false;
  }

  reset(): boolean {
    return this.#attempt?.fail("reset") ?? false;
  }

  close(reason: "end" | "error" | "disconnect" | "reconnect" = "end"): boolean {
    if (this.#isEnding) return false;
    this.#isEnding = true;
    this.#wake?.();
    // Between attempts, and before the first, there is nobody to say it to.
    return this.#attempt?.close(reason) ?? true;
  }
}
