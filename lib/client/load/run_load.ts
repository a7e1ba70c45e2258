/**
 * Many sessions at a time at an AudioHook server, and what they were like.
 *
 * One timer for all sessions. Imports its neighbours.
 */
import process from "node:process";
import { FaultPlan, type FaultShares } from "./fault_plan.ts";
import { FrameWheel, SLOT_MS } from "./frame_wheel.ts";
import type { CallAudio } from "../call_audio.ts";
import { LoadAudio, type LoadChannels } from "./load_audio.ts";
import { LoadNumbers } from "./load_numbers.ts";
import type { LoadProgress, LoadResult } from "./load_result.ts";
import { frameSamplesOf, type LoadContext, LoadSession } from "./load_session.ts";
import { readOpenFilesLimit } from "./process_usage.ts";
import { ServerWatch } from "./server_watch.ts";
import { SteadyCpu } from "./steady_cpu.ts";
import { type SentSession, verifyRecordings } from "./verify_recordings.ts";

/** What is called, with what, and for how long. */
export interface LoadOptions {
  /** `ws:` or `wss:`. */
  readonly url: URL;
  readonly apiKey: string;
  /** Empty: requests are not signed. */
  readonly clientSecret: Uint8Array;
  /** At a time. */
  readonly sessions: number;
  /** Sessions that begin each second, evenly spaced; 50 unless given. */
  readonly ratePerSecond?: number;
  /** Length of a frame, whole milliseconds; 100 unless given. */
  readonly frameMs?: number;
  /** Of each call, from `opened` to `close`. */
  readonly durationSeconds: number;
  /** For so long from the beginning, who ended is replaced by another; 0 unless given. */
  readonly holdSeconds?: number;
  readonly audio: CallAudio;
  /** `both` unless given. */
  readonly channels?: LoadChannels;
  /** The official client's 5,000 unless given. */
  readonly pingIntervalMs?: number;
  /** Percentages; none unless given. */
  readonly faults?: Partial<FaultShares>;
  /** Decides which sessions are broken, and when; a random one unless given. */
  readonly seed?: number;
  /** The server's process, on this machine, to be watched; Linux only. */
  readonly serverPid?: number;
  /** The server's folder of recordings, to be compared. */
  readonly verifyFolder?: string;
  /** Closes all sessions, and ends the run. */
  readonly signal?: AbortSignal;
  /** Called once in each progress interval. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** 1,000 unless given. */
  readonly progressIntervalMs?: number;
  /** Called when something should be known before the end. */
  readonly onWarning?: (warning: string) => void;
}

const DEFAULT_RATE_PER_SECOND = 50;
const DEFAULT_FRAME_MS = 100;
const PROGRESS_INTERVAL_MS = 1000;
/** Of what the processes use. */
const READING_INTERVAL_MS = 2000;
/** As long as no connection was ever made, no more are tried: a server locks out who fails often. */
const MAX_FIRST_TRIES = 10;
/** From the wish to stop: more than the protocol's time for `closed`. */
const STOP_TIMEOUT_MS = 15_000;
/** More than that, in one of a hundred frames, says that this program had not enough time. */
const MAX_LATENESS_MS = 50;
/** What else this program has open. */
const SPARE_FILES = 50;

/**
 * Runs a load, to the end of its last session.
 *
 * @returns What it was like. What goes wrong with the server or the network is in it.
 * @throws {RangeError} If an option is no sensible number.
 */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const problem = findProblem(options);
  if (problem !== undefined) throw new RangeError(problem);
  const warnings: string[] = [];
  const warn = (text: string) => {
    warnings.push(text);
    options.onWarning?.(text);
  };
  const limit = await readOpenFilesLimit();
  if (limit !== undefined && limit < options.sessions + SPARE_FILES) {
    warn(
      `This shell allows ${limit} open files (ulimit -n), too few for ${options.sessions} ` +
        `connections: the last of them will fail with EMFILE. Raise it here, and for the server`,
    );
  }
  const { serverPid } = options;
  const watch = serverPid === undefined
    ? undefined
    : await ServerWatch.start(serverPid, options.sessions);
  if (serverPid !== undefined && watch === undefined) {
    warn(`Cannot read what process ${serverPid} uses: it must run on this machine, under Linux`);
  }
  const startMs = performance.now();
  const cpuBeforeSeconds = ownCpuSeconds();
  const run = new LoadRun(options, watch);
  const stopped = await run.finished;
  const cpuSeconds = ownCpuSeconds() - cpuBeforeSeconds;
  const wallSeconds = (performance.now() - startMs) / 1000;
  const counted = run.numbers.result();
  const { sessions, sessionMinutes, times } = counted;
  const lateMs = times.lateness.p99Ms ?? 0;
  if (lateMs > MAX_LATENESS_MS) {
    warnings.push(
      `This program itself was late by ${Math.round(lateMs)} ms (p99), which is in all times ` +
        `above: it needs more of a processor, or fewer sessions`,
    );
  }
  const server = await watch?.stop(sessions.mostOpen, sessionMinutes) ?? null;
  const verify = options.verifyFolder === undefined
    ? null
    : await verifyRecordings(options.verifyFolder, run.sentSessions);
  const isGood = sessions.failed === 0 && run.numbers.violations.total === 0 &&
    sessions.well + sessions.faulted > 0 &&
    (verify === null || verify.different + verify.missing + verify.cutDifferent === 0);
  return {
    isGood,
    stopped,
    warnings,
    seed: run.seed,
    wallSeconds,
    ...counted,
    server,
    client: {
      cpuSeconds,
      cpuSecondsPerSessionMinute: sessionMinutes > 0 ? cpuSeconds / sessionMinutes : null,
      steadyCpuSecondsPerSessionMinute: run.steadyCpu.perSessionMinute,
    },
    verify,
  };
}

function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function findProblem(options: LoadOptions): string | undefined {
  const { sessions, ratePerSecond = 1, frameMs = DEFAULT_FRAME_MS, durationSeconds } = options;
  const { faults: { drop = 0, stall = 0, reset = 0 } = {}, audio } = options;
  if (!(Number.isInteger(sessions) && sessions > 0)) return "Expected at least one session";
  if (!(ratePerSecond > 0 && ratePerSecond < Infinity)) return "Expected a rate greater than 0";
  if (!(Number.isInteger(frameMs) && frameMs >= 20 && frameMs <= 1000)) {
    return "Expected frames of 20 to 1000 ms";
  }
  if (!(durationSeconds > 0 && durationSeconds < Infinity)) return "Expected a duration";
  if (!(drop >= 0 && stall >= 0 && reset >= 0 && drop + stall + reset <= 100)) {
    return "Expected faults of 100 % at most, all together";
  }
  if (audio.samples < 1) return "Expected some audio";
  return undefined;
}

/** A load that runs. */
class LoadRun {
  readonly numbers = new LoadNumbers();
  readonly seed: number;
  readonly sentSessions: SentSession[] = [];
  readonly steadyCpu: SteadyCpu;
  readonly #options: LoadOptions;
  readonly #context: LoadContext;
  readonly #watch: ServerWatch | undefined;
  readonly #faults: FaultPlan;
  readonly #wheel: FrameWheel<LoadSession>;
  readonly #live = new Set<LoadSession>();
  readonly #startMs = performance.now();
  readonly #openIntervalMs: number;
  readonly #finished = Promise.withResolvers<LoadResult["stopped"]>();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #onAbort = () => this.#stop("signal", "It was told to stop");
  #nextOpenMs = this.#startMs;
  readonly #progressIntervalMs: number;
  #nextReadingMs = this.#startMs;
  #nextProgressMs: number;
  #lastProgressMs = this.#startMs;
  #lastFrames = 0;
  #stopped: LoadResult["stopped"] = null;
  #abandonMs = Infinity;

  constructor(options: LoadOptions, watch: ServerWatch | undefined) {
    const { url, apiKey, clientSecret, frameMs = DEFAULT_FRAME_MS, pingIntervalMs } = options;
    const { drop = 0, stall = 0, reset = 0 } = options.faults ?? {};
    const frameSamples = frameSamplesOf(frameMs);
    this.#options = options;
    this.#watch = watch;
    this.steadyCpu = new SteadyCpu(options.sessions);
    this.seed = options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
    this.#faults = new FaultPlan({ drop, stall, reset }, this.seed);
    this.#openIntervalMs = 1000 / (options.ratePerSecond ?? DEFAULT_RATE_PER_SECOND);
    this.#progressIntervalMs = options.progressIntervalMs ?? PROGRESS_INTERVAL_MS;
    this.#nextProgressMs = this.#startMs + this.#progressIntervalMs;
    this.#wheel = new FrameWheel(frameMs, () => performance.now());
    this.#context = {
      url,
      apiKey,
      clientSecret,
      organizationId: crypto.randomUUID(),
      audio: new LoadAudio(options.audio, options.channels ?? "both", frameSamples),
      frameSamples,
      frameMs,
      durationMs: options.durationSeconds * 1000,
      limits: pingIntervalMs === undefined ? {} : { pingIntervalMs },
      numbers: this.numbers,
      isVerified: options.verifyFolder !== undefined,
      onEnd: (session) => this.#onEnd(session),
    };
    this.#timer = setInterval(() => this.#tick(), SLOT_MS);
    options.signal?.addEventListener("abort", this.#onAbort);
    if (options.signal?.aborted) this.#onAbort();
  }

  /** The end of the last session; why it came early. Rejects if this program has a defect. */
  get finished(): Promise<LoadResult["stopped"]> {
    return this.#finished.promise;
  }

  #tick(): void {
    try {
      const nowMs = performance.now();
      this.#begin(nowMs);
      this.#wheel.turn();
      if (nowMs >= this.#nextReadingMs) this.#readUse(nowMs);
      if (nowMs >= this.#nextProgressMs) this.#reportProgress(nowMs);
      if (nowMs >= this.#abandonMs) this.#abandonAll();
      if (this.#live.size === 0 && this.#isComplete(nowMs)) this.#finish();
    } catch (error) {
      this.#finish(error);
    }
  }

  /** Begins the sessions that are due. */
  #begin(nowMs: number): void {
    const { numbers } = this;
    while (this.#nextOpenMs <= nowMs && this.#stopped === null && !this.#isComplete(nowMs)) {
      const isWaiting = numbers.connected === 0 && numbers.started >= MAX_FIRST_TRIES;
      if (isWaiting || this.#live.size >= this.#options.sessions) {
        // Not made up for later: the rate is a bound.
        this.#nextOpenMs = nowMs;
        return;
      }
      this.#nextOpenMs += this.#openIntervalMs;
      const session = new LoadSession(this.#context, numbers.started, this.#faults.next());
      this.#live.add(session);
      this.#wheel.add(session);
      void session.begin();
    }
  }

  /** Whether no more sessions begin. */
  #isComplete(nowMs: number): boolean {
    if (this.#stopped !== null) return true;
    const { sessions, holdSeconds = 0 } = this.#options;
    return this.numbers.started >= sessions && nowMs >= this.#startMs + holdSeconds * 1000;
  }

  #onEnd(session: LoadSession): void {
    this.#live.delete(session);
    this.#wheel.delete(session);
    const { id: sessionId, sent, endedWell } = session;
    if (sent !== undefined) this.sentSessions.push({ sessionId, sent, endedWell });
    const { sessions, holdSeconds = 0 } = this.#options;
    // In a hold, who failed is replaced, up to these tries.
    const tries = holdSeconds > 0 ? MAX_FIRST_TRIES : Math.min(sessions, MAX_FIRST_TRIES);
    const { connected, failures } = this.numbers;
    if (connected === 0 && failures.total >= tries && tries > 1) {
      const [[kind, { examples }] = ["", { examples: [] }]] = Object.entries(failures.toJSON());
      this.#stop("refused", `None of the first ${tries} connected: ${kind} (${examples[0] ?? ""})`);
    }
  }

  #stop(by: "signal" | "refused", why: string): void {
    if (this.#stopped !== null) return;
    this.#stopped = { by, why };
    this.#abandonMs = performance.now() + STOP_TIMEOUT_MS;
    for (const session of this.#live) session.close();
  }

  #abandonAll(): void {
    this.#abandonMs = Infinity;
    for (const session of this.#live) session.abandon();
  }

  #reportProgress(nowMs: number): void {
    const { numbers } = this;
    this.#nextProgressMs = nowMs + this.#progressIntervalMs;
    this.#options.onProgress?.({
      elapsedSeconds: (nowMs - this.#startMs) / 1000,
      opening: numbers.opening,
      open: numbers.open,
      closing: numbers.closing,
      ended: numbers.ended,
      failed: numbers.failures.total,
      violations: numbers.violations.total,
      framesPerSecond: (numbers.frames - this.#lastFrames) * 1000 / (nowMs - this.#lastProgressMs),
      pong: numbers.recentPong.summary(),
      lateness: numbers.recentLateness.summary(),
    });
    this.#lastFrames = numbers.frames;
    this.#lastProgressMs = nowMs;
    numbers.recentPong.clear();
    numbers.recentLateness.clear();
  }

  #readUse(nowMs: number): void {
    this.#nextReadingMs = nowMs + READING_INTERVAL_MS;
    this.#watch?.read(this.numbers.open);
    this.steadyCpu.add(nowMs, this.numbers.open, ownCpuSeconds());
  }

  #finish(error?: unknown): void {
    clearInterval(this.#timer);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    for (const session of this.#live) session.abandon();
    if (error === undefined) this.#finished.resolve(this.#stopped);
    else this.#finished.reject(error);
  }
}
