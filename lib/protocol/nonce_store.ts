/**
 * Memory of the nonces seen, so that a recorded connection request cannot be sent again.
 *
 * Implements "Replay" of section 3 of `protocol.md`. Imports nothing; time is an argument.
 */

/**
 * Where nonces are remembered. Claim a nonce only after its signature was verified: then nobody
 * without a secret can fill the store, or use up a nonce before its owner does.
 */
export interface NonceStore {
  /**
   * Takes a nonce, once.
   *
   * @param apiKey the API key that the request was signed with; each has nonces of its own
   * @param nonce the signature's nonce
   * @param validUntilSeconds the last moment at which a request with this nonce could be accepted,
   * in UNIX seconds (`nonceValidUntilSeconds` of a verification)
   * @param nowSeconds the present time, in UNIX seconds
   * @returns `true` exactly once for a nonce while it could be valid. `false` means: refuse the
   * request.
   */
  claim(
    apiKey: string,
    nonce: string,
    validUntilSeconds: number,
    nowSeconds: number,
  ): boolean | Promise<boolean>;
}

/** Options of {@linkcode MemoryNonceStore}. */
export interface MemoryNonceStoreOptions {
  /** The most nonces that are remembered at a time. 100,000 by default. */
  readonly capacity?: number;
}

/**
 * Nonces in the memory of one process. Several processes behind one address need a shared store.
 *
 * When it is full of nonces that are still valid, `claim` answers `false`. To forget one of them
 * instead would open it to replay, and whoever can flood us (the holder of a secret, whose requests
 * were verified) could choose which. A full store refuses for some 16 seconds at most, until
 * the nonces expire; the default capacity is that of 6,000 new sessions a second.
 */
export class MemoryNonceStore implements NonceStore {
  readonly #capacity: number;
  readonly #seen = new Set<string>();
  /**
   * The same nonces by the whole second in which they end. They do not arrive in that order, and
   * this way each is touched only twice, when it comes and when it goes.
   */
  readonly #bySecond = new Map<number, string[]>();
  #sweptSecond = -Infinity;
  /** The last second of which nonces were forgotten. */
  #forgottenSecond = -Infinity;

  constructor({ capacity = 100_000 }: MemoryNonceStoreOptions = {}) {
    this.#capacity = capacity;
  }

  /** The number of nonces held at present. */
  get size(): number {
    return this.#seen.size;
  }

  claim(apiKey: string, nonce: string, validUntilSeconds: number, nowSeconds: number): boolean {
    this.#forgetExpired(nowSeconds);
    const endSecond = Math.floor(validUntilSeconds);
    // Could be among the forgotten ones, if the clock was set back since.
    if (!Number.isFinite(endSecond) || endSecond <= this.#forgottenSecond) return false;
    if (!(validUntilSeconds >= nowSeconds)) return false;
    const entry = `${apiKey} ${nonce}`; // Neither of them can hold a space.
    if (this.#seen.has(entry) || this.#seen.size >= this.#capacity) return false;

    this.#seen.add(entry);
    const sameSecond = this.#bySecond.get(endSecond);
    if (sameSecond === undefined) this.#bySecond.set(endSecond, [entry]);
    else sameSecond.push(entry);
    return true;
  }

  /** Once a second at most. There are as many lists as a nonce has seconds to live, some 16. */
  #forgetExpired(nowSeconds: number): void {
    const nowSecond = Math.floor(nowSeconds);
    if (nowSecond === this.#sweptSecond) return;
    this.#sweptSecond = nowSecond;
    for (const [endSecond, entries] of this.#bySecond) {
      // Kept for the whole of its last second, and if the time is not a number.
      if (!(endSecond < nowSecond)) continue;
      for (const entry of entries) this.#seen.delete(entry);
      this.#bySecond.delete(endSecond);
      this.#forgottenSecond = Math.max(this.#forgottenSecond, endSecond);
    }
  }
}
