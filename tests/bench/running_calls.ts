/**
 * Calls that run in real time while something else is measured: audio ten times a second, a ping
 * every second. They are spread evenly over the time, as calls of different customers are.
 */
import { PING_AFTER_FRAME_MS, Probe } from "./probe.ts";

const FRAME_MS = 100;
const PING_MS = 1000;
const TICK_MS = 5;

interface RunningCall {
  readonly probe: Probe;
  nextFrameMs: number;
  nextPingMs: number;
  isWaiting: boolean;
}

/** Some calls at the same time. */
export class RunningCalls {
  readonly #calls: readonly RunningCall[];
  readonly #timer: ReturnType<typeof setInterval>;
  #lastTickMs = performance.now();
  #pingMs: number[] = [];
  #lateMs: number[] = [];
  #failure: unknown;

  private constructor(probes: readonly Probe[]) {
    const startMs = performance.now();
    this.#calls = probes.map((probe, index) => {
      const nextFrameMs = startMs + index * FRAME_MS / probes.length;
      const pingSlotMs = (index % (PING_MS / FRAME_MS)) * FRAME_MS;
      const nextPingMs = nextFrameMs + pingSlotMs + PING_AFTER_FRAME_MS;
      return { probe, nextFrameMs, nextPingMs, isWaiting: false };
    });
    this.#timer = setInterval(() => this.#tick(performance.now()), TICK_MS);
  }

  /** Connects and opens the calls, one after the other. */
  static async start(url: URL, count: number): Promise<RunningCalls> {
    const probes: Probe[] = [];
    for (let i = 0; i < count; i++) {
      const probe = await Probe.connect(url);
      await probe.open();
      probes.push(probe);
    }
    return new RunningCalls(probes);
  }

  /**
   * The times of the pings that were answered since this was last asked, milliseconds; and by how
   * much this client itself was late, which is part of these times.
   *
   * @throws What a call failed with.
   */
  take(): { readonly pingMs: readonly number[]; readonly lateMs: readonly number[] } {
    if (this.#failure !== undefined) throw this.#failure;
    const taken = { pingMs: this.#pingMs, lateMs: this.#lateMs };
    this.#pingMs = [];
    this.#lateMs = [];
    return taken;
  }

  /** Ends the calls. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#calls.some((call) => call.isWaiting)) {
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    await Promise.all(this.#calls.map((call) => call.probe.close()));
  }

  #tick(nowMs: number): void {
    this.#lateMs.push(Math.max(0, nowMs - this.#lastTickMs - TICK_MS));
    this.#lastTickMs = nowMs;
    for (const call of this.#calls) {
      if (call.nextFrameMs <= nowMs) {
        call.probe.sendFrame();
        call.nextFrameMs += FRAME_MS;
      }
      if (call.nextPingMs > nowMs || call.isWaiting) continue;
      call.nextPingMs += PING_MS;
      void this.#ping(call);
    }
  }

  async #ping(call: RunningCall): Promise<void> {
    call.isWaiting = true;
    try {
      this.#pingMs.push(await call.probe.ping());
    } catch (error) {
      this.#failure ??= error;
    }
    call.isWaiting = false;
  }
}
