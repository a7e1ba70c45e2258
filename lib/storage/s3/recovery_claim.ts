/**
 * The segment by which an instance says that it completes a recording: while that takes, it is stored
 * again and again, so that others see that somebody is at it. When that is done, it goes; and with the
 * other segments, when the recording's maker ends it, or somebody removes it.
 *
 * Imports its neighbours.
 */
import type { RecordingPlace } from "../recording_id.ts";
import { JsonObject } from "./json_object.ts";
import type { RecordingBucket } from "./left_recording.ts";
import { SEGMENTS } from "./recording_keys.ts";
import type { ListedObject } from "./s3_answers.ts";
import type { S3Client } from "./s3_client.ts";
import { S3Error } from "./s3_error.ts";
import { type StoreCondition, storeIf } from "./store_if.ts";
import { hasBytes } from "./verify_object.ts";

/** Key of the claim to a recording. */
export function claimKey({ keys }: Pick<RecordingBucket, "keys">, place: RecordingPlace): string {
  return `${keys.base(place)}${SEGMENTS}claim`;
}

/** Thrown where a claim is not ours any more. */
export class ClaimLostError extends Error {
  override readonly name = "ClaimLostError";
}

/** A claim that this instance has, or had. Make it by {@link RecoveryClaim.take}. */
export class RecoveryClaim implements AsyncDisposable {
  readonly key: string;
  readonly #client: S3Client;
  #etag = "";
  /** One after the other: each replaces the one before. */
  #last: Promise<boolean> = Promise.resolve(true);
  #timer: ReturnType<typeof setInterval> | undefined;
  #isLost = false;

  private constructor(client: S3Client, key: string) {
    this.#client = client;
    this.key = key;
  }

  /**
   * Takes the claim to a recording.
   *
   * @param stale One of an instance that was killed as well, which it replaces.
   * @returns `undefined` if there is another one.
   * @throws {S3Error} If storage fails.
   */
  static async take(
    bucket: RecordingBucket,
    place: RecordingPlace,
    stale?: ListedObject,
  ): Promise<RecoveryClaim | undefined> {
    const claim = new RecoveryClaim(bucket.client, claimKey(bucket, place));
    const condition = stale === undefined ? { isNew: true } : { ifMatch: stale.etag };
    return await claim.#store(condition) ? claim : undefined;
  }

  /** Of the object by which it was said last. */
  get etag(): string {
    return this.#etag;
  }

  /** Says it again from now on, until it is disposed of. */
  keep(everyMs: number): void {
    this.#timer ??= setInterval(() => {
      // If it fails, the next time does, or others take the recording over, which confirm() tells.
      this.confirm().catch(() => {});
    }, everyMs);
  }

  /**
   * Says it again.
   *
   * @returns False if it is not ours any more: another instance has it, or it is gone, and perhaps
   *   the recording with it.
   * @throws {S3Error} If storage fails.
   */
  confirm(): Promise<boolean> {
    const again = async () => await this.#store({ ifMatch: this.#etag });
    // After one that failed, it may be ours all the same.
    this.#last = this.#last.then((isOurs) => isOurs && again(), again);
    return this.#last.then((isOurs) => {
      this.#isLost ||= !isOurs;
      return isOurs;
    });
  }

  /**
   * Passes on what is read for the recording, as long as the claim is ours: by what was said last.
   *
   * @throws {ClaimLostError} If it is not.
   */
  async *whileOurs<T>(all: AsyncIterable<T>): AsyncGenerator<T, void> {
    for await (const one of all) {
      if (this.#isLost) throw new ClaimLostError("Somebody else has the claim, or nobody");
      yield one;
    }
  }

  /**
   * Removes it, if it is ours.
   *
   * @throws {S3Error} If storage fails.
   */
  async release(): Promise<void> {
    await this[Symbol.asyncDispose]();
    const info = await this.#client.head(this.key);
    if (info?.etag === this.#etag) await this.#client.delete(this.key);
  }

  /** Says it no more. What was said stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#last.catch(() => {});
  }

  /** Each time another body, so that nobody takes it over by what it was before. */
  async #store(condition: StoreCondition): Promise<boolean> {
    const claim = new JsonObject({ token: crypto.randomUUID() });
    const put = (only: StoreCondition) => claim.put(this.#client, this.key, only);
    let result: { readonly stored: string } | undefined;
    try {
      result = await storeIf(this.#client, this.key, condition, put);
    } catch (error) {
      // Somebody else stores one at this moment.
      if (error instanceof S3Error && error.code === "ConditionalRequestConflict") return false;
      throw error;
    }
    if (result !== undefined) {
      this.#etag = result.stored;
      return true;
    }
    // If it has our bytes, only the answer was lost.
    const info = await this.#client.head(this.key);
    if (info === undefined) return false;
    if (!await hasBytes(this.#client, this.key, info, claim.expected)) return false;
    this.#etag = info.etag;
    return true;
  }
}
