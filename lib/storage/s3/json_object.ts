/**
 * Small objects of JSON: a line, stored as a whole with its checksum.
 *
 * Imports its neighbours.
 */
import { Checksums } from "./checksums.ts";
import type { S3Client } from "./s3_client.ts";
import type { StoreCondition } from "./store_if.ts";
import type { ExpectedObject } from "./verify_object.ts";

/** An object that may be stored more than once, the same each time. */
export class JsonObject {
  /** What is there when it is stored. */
  readonly expected: ExpectedObject;
  readonly #body: Uint8Array<ArrayBuffer>;

  /** @param value What JSON can say; a few KiB, for it is hashed at once. */
  constructor(value: unknown) {
    this.#body = new TextEncoder().encode(`${JSON.stringify(value)}\n`);
    const checksums = new Checksums();
    checksums.add(this.#body);
    const { sha256, md5 } = checksums.end();
    this.expected = { sizeBytes: this.#body.length, sha256, etag: md5 };
  }

  /**
   * Stores it, if what is at the key is as it has to be.
   *
   * @returns Its ETag.
   * @throws {S3Error} If storage fails, or something else is at the key.
   */
  put(client: S3Client, key: string, condition: StoreCondition = {}): Promise<string> {
    const { expected: { etag: md5 } } = this;
    return client.put(key, this.#body, { contentType: "application/json", md5, ...condition });
  }
}
