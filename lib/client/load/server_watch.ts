/**
 * Watches what the server's process uses while a load runs.
 *
 * Imports its neighbours.
 */
import type { ServerUse } from "./load_result.ts";
import { type ProcessUsage, readProcessUsage } from "./process_usage.ts";
import { SteadyCpu } from "./steady_cpu.ts";

/** Watches one process. */
export class ServerWatch {
  readonly #pid: number;
  readonly #idle: ProcessUsage;
  #last: ProcessUsage;
  #highestKb: number;
  #reading: Promise<void> | undefined;
  readonly #steady: SteadyCpu;
  #isGone = false;

  private constructor(pid: number, idle: ProcessUsage, sessions: number) {
    this.#pid = pid;
    this.#idle = idle;
    this.#last = idle;
    this.#highestKb = idle.rssKb;
    this.#steady = new SteadyCpu(sessions);
  }

  /**
   * Begins; the server should be idle.
   *
   * @param sessions How many sessions there are when all are.
   * @returns `undefined` if the process cannot be seen.
   */
  static async start(pid: number, sessions: number): Promise<ServerWatch | undefined> {
    const idle = await readProcessUsage(pid);
    return typeof idle === "string" ? undefined : new ServerWatch(pid, idle, sessions);
  }

  /**
   * Reads, unless it still does.
   *
   * @param open How many sessions are open.
   */
  read(open: number): void {
    if (this.#isGone) return;
    this.#reading ??= this.#read(open).finally(() => this.#reading = undefined);
  }

  /** The last reading. */
  async stop(mostOpen: number, sessionMinutes: number): Promise<ServerUse> {
    await this.#reading;
    await this.#read(0);
    const cpuSeconds = this.#last.cpuSeconds - this.#idle.cpuSeconds;
    const idleKb = this.#idle.rssKb;
    return {
      pid: this.#pid,
      cpuSeconds,
      cpuSecondsPerSessionMinute: sessionMinutes > 0 ? cpuSeconds / sessionMinutes : null,
      steadyCpuSecondsPerSessionMinute: this.#steady.perSessionMinute,
      idleKb,
      highestKb: this.#highestKb,
      endKb: this.#last.rssKb,
      kbPerSession: mostOpen > 0 ? (this.#highestKb - idleKb) / mostOpen : null,
      isGone: this.#isGone,
    };
  }

  async #read(open: number): Promise<void> {
    const usage = await readProcessUsage(this.#pid);
    // Perhaps the next time: no more files may be open at present.
    if (usage === "unreadable") return;
    if (usage === "gone") {
      this.#isGone = true;
      return;
    }
    this.#last = usage;
    this.#steady.add(performance.now(), open, usage.cpuSeconds);
    this.#highestKb = Math.max(this.#highestKb, usage.rssKb);
  }
}
