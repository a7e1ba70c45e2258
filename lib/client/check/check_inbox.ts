/**
 * Messages that a server sent to a case, until the case asks for them; every wait for one ends.
 *
 * Imports its neighbours.
 */
import { fail, skip } from "./check_case.ts";
import { type CheckClock, OUT_OF_TIME } from "./check_clock.ts";
import { type CheckWire, describeEnd } from "./check_wire.ts";
import type { ServerText } from "./server_rules.ts";

/** First in, first out. */
export class CheckInbox {
  readonly #wire: CheckWire;
  readonly #clock: CheckClock;
  readonly #received: ServerText[] = [];

  constructor(wire: CheckWire, clock: CheckClock) {
    this.#wire = wire;
    this.#clock = clock;
  }

  /** A message came. */
  add(message: ServerText): void {
    this.#received.push(message);
  }

  /**
   * Waits for a message; others are passed over, except that the session must not end.
   *
   * @throws {CaseEnd} If it does not come in time, or `disconnect` or `closed` comes instead.
   */
  async waitFor(types: readonly string[], withinMs: number): Promise<ServerText> {
    const what = types.map((type) => `"${type}"`).join(" or ");
    const boundMs = this.#clock.bounded(this.#clock.scale(withinMs));
    const endsMs = performance.now() + boundMs;
    const passed: string[] = [];
    for (;;) {
      const message = this.#received.shift();
      if (message !== undefined) {
        if (types.includes(message.type)) return message;
        if (message.type === "disconnect") {
          fail(`${describeDisconnect(message)} in place of ${what}`);
        }
        if (message.type === "closed") fail(`"closed" in place of ${what}`);
        passed.push(message.type);
        continue;
      }
      if (this.#wire.flood !== undefined) fail(this.#wire.flood);
      if (this.#wire.end !== undefined) fail(`${describeEnd(this.#wire.end)} in place of ${what}`);
      if (!(await this.#wire.until(() => this.#hasNews, endsMs - performance.now()))) {
        const others = passed.length === 0 ? "" : `; other messages came: ${passed.slice(-5)}`;
        const seconds = (boundMs / 1000).toFixed(1);
        if (boundMs < this.#clock.scale(withinMs)) {
          // The server may be slow, as long as it keeps the protocol's deadlines.
          skip(`${OUT_OF_TIME}: no ${what} in its last ${seconds} s${others}`);
        }
        fail(`No ${what} within ${seconds} s${others}`);
      }
    }
  }

  /** Looks for a message that came, or comes within a time; all stay. */
  async seen(type: string, withinMs: number): Promise<ServerText | undefined> {
    const found = () => this.#received.find((message) => message.type === type);
    await this.#wire.until(() => found() !== undefined, this.#clock.bounded(withinMs));
    return found();
  }

  get #hasNews(): boolean {
    const { end, flood } = this.#wire;
    return this.#received.length > 0 || end !== undefined || flood !== undefined;
  }
}

/** A `disconnect` in words. */
export function describeDisconnect({ parameters: { reason, info } }: ServerText): string {
  return `"disconnect" (${String(reason)}${typeof info === "string" ? `: ${info}` : ""})`;
}
