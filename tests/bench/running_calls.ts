/**
 * Calls that run in real time while something else is measured: audio ten times a second, a ping
 * every second or as often as is said. They are spread evenly over the time, as calls of different
 * customers are.
 */
import { Probe } from "./probe.ts";

const FRAME_MS = 100;
const PING_MS = 1000;
const TICK_MS = 5;
/** How many calls are begun at a time. */
const AT_ONCE = 8;

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

  readonly #pingIntervalMs: number;

  private constructor(probes: readonly Probe[], pingIntervalMs: number) {
    this.#pingIntervalMs = pingIntervalMs;
    const startMs = performance.now();
    this.#calls = probes.map((probe, index) => {
      const nextFrameMs = startMs + index * FRAME_MS / probes.length;
      const pingSlotMs = (index % (pingIntervalMs / FRAME_MS)) * FRAME_MS;
      const nextPingMs = nextFrameMs + pingSlotMs;
      return { probe, nextFrameMs, nextPingMs, isWaiting: false };
    });
    this.#timer = setInterval(() => this.#tick(performance.now()), TICK_MS);
  }

  /** Connects and opens the calls; each sends a ping every second, unless told otherwise. */
  static async start(url: URL, count: number, pingIntervalMs = PING_MS): Promise<RunningCalls> {
    const probes: Probe[] = [];
    let begun = 0;
    const begin = async () => {
      while (begun++ < count) {
        const probe = await Probe.connect(url);
        await probe.open();
        probes.push(probe);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, begin));
    return new RunningCalls(probes, pingIntervalMs);
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
      if (call.nextPingMs <= nowMs && !call.isWaiting) {
        call.nextPingMs += this.#pingIntervalMs;
        void this.#ping(call);
      }
      if (call.nextFrameMs > nowMs) continue;
      call.probe.sendFrame();
      call.nextFrameMs += FRAME_MS;
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
