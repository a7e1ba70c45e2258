/**
 * Work that is interrupted at each of its requests in turn: its instance is killed there, as far as
 * storage can tell, or somebody else does something.
 *
 * Must not import: anything of lib.
 */
import { assert, assertGreaterOrEqual } from "@std/assert";
import type { FaultProxy } from "./fault_proxy.ts";

/** Far more than any work of a test has. */
const MAX_REQUESTS = 500;

/** The request at which a round of {@link atEachRequest} interrupts. */
export class InterruptedRequest {
  /** Of the first one, 0. */
  readonly index: number;
  #isReached = false;

  constructor(index: number) {
    this.index = index;
  }

  /** Whether the work had so many requests. */
  get isReached(): boolean {
    return this.#isReached;
  }

  /** For messages. */
  get what(): string {
    return `request ${this.index}`;
  }

  /** Does something before this request of some work is passed on. */
  async before<T>(
    proxy: FaultProxy,
    action: () => void | Promise<void>,
    work: () => Promise<T>,
  ): Promise<T> {
    const count = proxy.heads.length + this.index + 1;
    let isOver = false;
    // Of what the action throws, the work only sees a connection that breaks, and may try again.
    let acted: Promise<void> | undefined;
    proxy.before(() => !isOver && proxy.heads.length === count, () => {
      this.#isReached = true;
      return acted = Promise.try(action);
    });
    try {
      return await work();
    } finally {
      isOver = true;
      await acted;
    }
  }

  /** Does some work, of which this request and all later ones are answered by an error. */
  async fail<T>(proxy: FaultProxy, work: () => Promise<T>): Promise<T> {
    try {
      return await this.before(proxy, () => proxy.failAfter(0), work);
    } finally {
      proxy.failAfter(Infinity);
    }
  }
}

/**
 * Does a round for each request of the work in it, and the last one without an interruption.
 *
 * @param atLeast How many requests there have to be, so that it is known that something was tried.
 */
export async function atEachRequest(
  atLeast: number,
  round: (request: InterruptedRequest) => Promise<void>,
): Promise<void> {
  for (let index = 0;; index++) {
    assert(index <= MAX_REQUESTS, "there is no end of requests");
    const request = new InterruptedRequest(index);
    await round(request);
    if (request.isReached) continue;
    assertGreaterOrEqual(index, atLeast, "so few requests");
    return;
  }
}
