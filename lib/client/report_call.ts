/**
 * Places a call, does in it what a scenario and the keyboard want, and tells how it goes.
 *
 * Imports its neighbours and the protocol.
 */
import type { OpenParameters } from "../protocol/mod.ts";
import type { CallAudio } from "./call_audio.ts";
import type { CallControl } from "./call_control.ts";
import { type CallKey, CallKeys } from "./call_keys.ts";
import { describeViolation } from "./call_log.ts";
import type { CallReport } from "./call_report.ts";
import { type CallOutcome, placeCall } from "./place_call.ts";
import type { SavedAudio } from "./saved_audio.ts";
import type { ScenarioStep } from "./scenario.ts";
import { describeStep, ScenarioRunner } from "./scenario_runner.ts";
import type { ServerOptions } from "./server_options.ts";

/** What is called, how, and who is told. */
export interface ReportCallOptions extends ServerOptions {
  readonly audio: CallAudio;
  /** What `open` says. */
  readonly open: OpenParameters;
  /** UUID. */
  readonly sessionId: string;
  /** 1 is real time. */
  readonly speed: number;
  readonly report: CallReport;
  /** Whether the report is told each text message. */
  readonly showsMessages?: boolean;
  /** Opens and closes, and nothing else. */
  readonly isProbe?: boolean;
  /** Length of a frame in samples. */
  readonly frameSamples?: number;
  /** So much audio is from before the call was opened, and is sent at once. */
  readonly historySeconds?: number;
  readonly maxRetries?: number;
  readonly scenario?: readonly ScenarioStep[];
  readonly savedAudio?: SavedAudio;
  /** Closes the call. */
  readonly signal?: AbortSignal;
  /** If keys are to be read, where standard input is a terminal: called for what closes the call. */
  readonly onQuitKey?: (does: "close" | "interrupt") => void;
}

/** A timer can't wait for longer than 24 days, and a slow call has steps beyond that. */
const MAX_TIMER_MS = 60_000;

/**
 * Places a call, and tells the report of it.
 *
 * @returns How the call ended, and all that went wrong; nothing if it was good.
 */
export async function reportCall(
  options: ReportCallOptions,
): Promise<{ readonly outcome: CallOutcome; readonly failures: readonly string[] }> {
  const { report, audio, open, sessionId, savedAudio, onQuitKey, isProbe } = options;
  const { url, apiKey, clientSecret } = options;
  const { organizationId, conversationId } = open;
  const actions = new CallActions(options);
  using keys = onQuitKey && CallKeys.listen((key) => actions.press(key));
  report.begin({
    url,
    sessionId,
    organizationId,
    conversationId,
    totalSamples: isProbe ? undefined : audio.samples,
    asksLanguages: open.supportedLanguages === true,
    hasKeys: keys !== undefined,
  });
  const onAbort = () => report.closing();
  options.signal?.addEventListener("abort", onAbort);
  try {
    const outcome = await placeCall({
      request: {
        url,
        organizationId,
        sessionId,
        correlationId: crypto.randomUUID(),
        apiKey,
        clientSecret,
      },
      audio,
      open,
      isProbe,
      speed: options.speed,
      frameSamples: options.frameSamples,
      historySeconds: options.historySeconds,
      maxRetries: options.maxRetries,
      signal: options.signal,
      onEvent(event) {
        report.event(event);
        if (event.type === "opened") actions.start();
      },
      onAudio: (frame) => savedAudio?.write(frame),
      onMessage: options.showsMessages ? (from, text) => report.message(from, text) : undefined,
      onProgress: (positionSamples) => report.progress(positionSamples),
      onControl: (control) => actions.control = control,
    });
    savedAudio?.finish();
    const failures = [
      ...faultsOf(outcome),
      ...actions.failures,
      ...savedAudio?.failure === undefined ? [] : [
        `The audio could not be saved beyond ${savedAudio.bytes} bytes: ${savedAudio.failure}`,
      ],
    ];
    report.end({ outcome, failures, savedAudioBytes: savedAudio?.bytes });
    return { outcome, failures };
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    actions.stop();
    savedAudio?.finish();
  }
}

function faultsOf({ failure, violations }: CallOutcome): string[] {
  if (failure !== undefined) return [failure];
  return violations.slice(0, 1).map(describeViolation);
}

const DIGITS_HINT =
  "only a voice bot is told of digits, in a session of the external channel alone";

/** What is done to a call from outside, by the clock and by keys. */
class CallActions {
  readonly #options: ReportCallOptions;
  readonly #runner: ScenarioRunner;
  readonly #failures: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** That of the call, as soon as there is one. */
  control: CallControl | undefined;

  constructor(options: ReportCallOptions) {
    this.#options = options;
    this.#runner = new ScenarioRunner(options.scenario ?? [], options.speed);
  }

  /** The call is open. */
  start(): void {
    this.#runner.start(performance.now());
    // Not now: the call is in the middle of telling that it is open.
    this.#wait();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.control = undefined;
  }

  /** What the scenario wanted in vain; complete when the call is over. */
  get failures(): readonly string[] {
    const { stepsLeft } = this.#runner;
    if (stepsLeft === 0) return this.#failures;
    const total = this.#options.scenario?.length ?? 0;
    const first = total - stepsLeft + 1;
    const which = stepsLeft === 1 ? `step ${first}` : `steps ${first} to ${total}`;
    return [...this.#failures, `The call ended before ${which} of the scenario`];
  }

  press(key: CallKey): void {
    const { report, onQuitKey } = this.#options;
    switch (key.does) {
      case "help":
        return report.keys();
      case "close":
      case "interrupt":
        return onQuitKey?.(key.does);
      case "pause":
      case "resume": {
        const wasPossible = this.control?.[key.does]() ?? false;
        return report.action({ step: undefined, what: key.does, wasPossible, hint: undefined });
      }
      case "dtmf": {
        const wasPossible = this.control?.dtmf(key.digit) ?? false;
        const hint = wasPossible ? undefined : DIGITS_HINT;
        return report.action({ step: undefined, what: `dtmf ${key.digit}`, wasPossible, hint });
      }
    }
  }

  #wait(): void {
    clearTimeout(this.#timer);
    const { dueMs } = this.#runner;
    if (dueMs === Infinity) return;
    const waitMs = Math.min(MAX_TIMER_MS, Math.max(0, dueMs - performance.now()));
    this.#timer = setTimeout(() => this.#work(), waitMs);
  }

  #work(): void {
    if (this.control === undefined) return;
    for (const result of this.#runner.run(performance.now(), this.control)) {
      const { step, number, wasPossible } = result;
      const what = describeStep(step);
      const hint = wasPossible || step.do !== "dtmf" ? undefined : DIGITS_HINT;
      this.#options.report.action({ step: number, what, wasPossible, hint });
      if (wasPossible) continue;
      const why = hint === undefined ? "" : `: ${hint}`;
      this.#failures.push(`Step ${number} of the scenario (${what}) was not possible${why}`);
    }
    this.#wait();
  }
}
