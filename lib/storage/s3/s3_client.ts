/**
 * Object storage that speaks the S3 API: AWS, MinIO, Cloudflare R2, Google Cloud Storage (with HMAC
 * keys), and others. Objects of one bucket, and of them what recordings need.
 *
 * Imports its neighbours.
 */
import { S3Address, type S3Place } from "./s3_address.ts";
import {
  isError,
  type ListedObject,
  type ListedPart,
  type ListedUpload,
  type Page,
  readObjects,
  readParts,
  readUploadId,
  readUploads,
} from "./s3_answers.ts";
import { readBody } from "./s3_body.ts";
import { S3Error } from "./s3_error.ts";
import {
  checkRange,
  readETag,
  readObjectInfo,
  readWholeObject,
  type S3ObjectInfo,
} from "./s3_object_answers.ts";
import {
  errorOf,
  readNothing,
  readText,
  type S3Answer,
  type S3Credentials,
  type S3Patience,
  type S3Request,
  S3Requests,
} from "./s3_requests.ts";

export type { S3ObjectInfo } from "./s3_object_answers.ts";

/** A large upload is put together by the server, which may take it minutes. */
const COMPLETE_TIMEOUT_MS = 180_000;

/** How an object is stored. */
export interface PutOptions {
  readonly contentType?: string;
  /** SHA-256 of the object, hexadecimal, to be kept with it. */
  readonly sha256?: string;
  /** MD5 of the body, hexadecimal: the server refuses another body. */
  readonly md5?: string;
  /** SHA-256 of the body, hexadecimal, if it is known: else, a copy of the body is hashed. */
  readonly bodySha256?: string | undefined;
  /**
   * Only if there is no object of this key: the status is 412 if there is. Servers that can't do
   * that store it anyway, or answer `NotImplemented`.
   */
  readonly isNew?: boolean;
  /**
   * Only in place of the object of this ETag: the status is 412 if there is another one, and 404 or
   * 412 if there is none. Servers that can't do that answer as above.
   */
  readonly ifMatch?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A part of a multipart upload, as the server has it. */
export interface UploadedPart {
  /** From 1. */
  readonly number: number;
  readonly etag: string;
}

/** What limits a call. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** One bucket. All methods throw {@link S3Error}, if they don't say more. */
export class S3Client {
  /** Name of the bucket, for people. */
  readonly bucket: string;
  readonly #requests: S3Requests;
  readonly #idleTimeoutMs: number;

  /** @throws {S3PlaceError} If the place can be none. */
  constructor(place: S3Place, credentials: S3Credentials, patience: S3Patience = {}) {
    const address = new S3Address(place);
    this.bucket = address.bucket;
    this.#requests = new S3Requests(address, credentials, patience);
    this.#idleTimeoutMs = patience.timeoutMs ?? 30_000;
  }

  /**
   * Stores an object as a whole, at most 5 GiB.
   *
   * @returns Its ETag.
   */
  put(key: string, body: Uint8Array<ArrayBuffer>, options: PutOptions = {}): Promise<string> {
    return this.#requests.send({
      operation: "PutObject",
      method: "PUT",
      key,
      body,
      bodySha256: options.bodySha256,
      headers: {
        ...objectHeaders(options),
        ...md5Header(options.md5),
        ...newHeader(options.isNew),
        ...matchHeader(options.ifMatch),
      },
      signal: options.signal,
    }, readETag);
  }

  /** What an object is; `undefined` if there is none. */
  async head(key: string, { signal }: CallOptions = {}): Promise<S3ObjectInfo | undefined> {
    const request: S3Request = { operation: "HeadObject", method: "HEAD", key, signal };
    const asked = this.#requests.send(request, (answer) => readObjectInfo(key, answer));
    return await orUndefined(asked.catch((error) => this.#explain(error, key, signal)));
  }

  /** The answer to HEAD has no code: that of another request says why it was refused. */
  async #explain(error: unknown, key: string, signal: AbortSignal | undefined): Promise<never> {
    if (error instanceof S3Error && error.status !== undefined && error.status !== 404) {
      const request: S3Request = {
        operation: "HeadObject",
        method: "GET",
        key,
        headers: { range: "bytes=0-0" },
        signal,
      };
      await this.#requests.send(request, readNothing);
    }
    throw error;
  }

  /**
   * Reads a small object as a whole.
   *
   * @param maxBytes If it has more, that is an error.
   * @returns Its bytes; `undefined` if there is none.
   */
  async get(
    key: string,
    maxBytes: number,
    { signal }: CallOptions = {},
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const request: S3Request = { operation: "GetObject", method: "GET", key, signal };
    const read = (answer: S3Answer) => readWholeObject(key, answer, maxBytes);
    return await orUndefined(this.#requests.send(request, read));
  }

  /**
   * Reads a part of an object as it comes. If the connection breaks, it goes on where it was.
   *
   * @param from Place of the first byte.
   * @param to Place behind the last one, at most the object's size.
   * @param etag That the object must have: of another one, nothing is read.
   */
  read(
    key: string,
    from: number,
    to: number,
    etag?: string,
    { signal }: CallOptions = {},
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    return readBody({
      from,
      to,
      signal,
      idleTimeoutMs: this.#idleTimeoutMs,
      lost: () => new S3Error({ operation: "GetObject", key, failure: "network" }),
      open: (first, signal) =>
        this.#requests.send({
          operation: "GetObject",
          method: "GET",
          key,
          headers: {
            range: `bytes=${first}-${to - 1}`,
            ...matchHeader(etag || undefined),
          },
          signal,
        }, (answer) => checkRange(key, answer, first)),
    });
  }

  /** Objects whose keys begin so, by the order of their keys. */
  list(prefix: string, options: CallOptions = {}): AsyncGenerator<ListedObject> {
    const request = { operation: "ListObjectsV2", method: "GET", signal: options.signal } as const;
    return this.#pages(request, { "list-type": "2", prefix }, readObjects);
  }

  /** Removes an object, if it is there. */
  async delete(key: string, { signal }: CallOptions = {}): Promise<void> {
    const request: S3Request = { operation: "DeleteObject", method: "DELETE", key, signal };
    await orUndefined(this.#requests.send(request, readNothing));
  }

  /**
   * Begins to store a large object by parts of at least 5 MiB, all of one size but the last. It is
   * there when the upload is completed; until then, its parts cost what objects cost.
   *
   * @returns The upload's id.
   */
  createUpload(key: string, options: PutOptions = {}): Promise<string> {
    return this.#requests.send({
      operation: "CreateMultipartUpload",
      method: "POST",
      key,
      query: { uploads: "" },
      headers: objectHeaders(options),
      signal: options.signal,
    }, async ({ body }) => readUploadId(await readText(body)));
  }

  /** Stores a part; one of the same number is replaced. */
  async uploadPart(
    key: string,
    uploadId: string,
    number: number,
    body: Uint8Array<ArrayBuffer>,
    { md5, bodySha256, signal }: Pick<PutOptions, "md5" | "bodySha256" | "signal"> = {},
  ): Promise<UploadedPart> {
    const etag = await this.#requests.send({
      operation: "UploadPart",
      method: "PUT",
      key,
      query: { partNumber: String(number), uploadId },
      headers: md5Header(md5),
      body,
      bodySha256,
      signal,
    }, readETag);
    return { number, etag };
  }

  /** Parts that are stored of an upload; the error is `NoSuchUpload` if there is none. */
  listParts(
    key: string,
    uploadId: string,
    { signal }: CallOptions = {},
  ): AsyncGenerator<ListedPart> {
    const request = { operation: "ListParts", method: "GET", key, signal } as const;
    return this.#pages(request, { uploadId }, readParts);
  }

  /** Makes the object of its parts. After a lost answer, the error may be `NoSuchUpload`. */
  async completeUpload(
    key: string,
    uploadId: string,
    parts: readonly UploadedPart[],
    { signal, isNew, ifMatch }: Pick<PutOptions, "signal" | "isNew" | "ifMatch"> = {},
  ): Promise<void> {
    const list = parts.map(({ number, etag }) =>
      `<Part><PartNumber>${number}</PartNumber><ETag>&quot;${escaped(etag)}&quot;</ETag></Part>`
    );
    const request: S3Request = {
      operation: "CompleteMultipartUpload",
      method: "POST",
      key,
      query: { uploadId },
      headers: { "content-type": "application/xml", ...newHeader(isNew), ...matchHeader(ifMatch) },
      body: new TextEncoder().encode(
        `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${
          list.join("")
        }</CompleteMultipartUpload>`,
      ),
      timeoutMs: COMPLETE_TIMEOUT_MS,
      signal,
    };
    await this.#requests.send(request, async ({ headers, body }) => {
      const answer = await readText(body);
      if (isError(answer)) throw errorOf(request, 200, headers, answer);
    });
  }

  /** Removes an upload and its parts, if it is there. */
  async abortUpload(key: string, uploadId: string, { signal }: CallOptions = {}): Promise<void> {
    await orUndefined(
      this.#requests.send({
        operation: "AbortMultipartUpload",
        method: "DELETE",
        key,
        query: { uploadId },
        signal,
      }, readNothing),
    );
  }

  /** Uploads whose keys begin so, which are neither completed nor aborted. */
  listUploads(prefix: string, { signal }: CallOptions = {}): AsyncGenerator<ListedUpload> {
    const request = { operation: "ListMultipartUploads", method: "GET", signal } as const;
    return this.#pages(request, { uploads: "", prefix }, readUploads);
  }

  async *#pages<T>(
    request: S3Request,
    query: Readonly<Record<string, string>>,
    read: (answer: string) => Page<T>,
  ): AsyncGenerator<T> {
    let next: Page<T>["next"] = {};
    while (next !== undefined) {
      const page: Page<T> = await this.#requests.send(
        { ...request, query: { ...query, ...next } },
        async ({ body }) => read(await readText(body)),
      );
      yield* page.items;
      next = page.next;
    }
  }
}

function objectHeaders({ contentType, sha256 }: PutOptions): Record<string, string> {
  return {
    "content-type": contentType ?? "application/octet-stream",
    ...(sha256 === undefined ? {} : { "x-amz-meta-sha256": sha256 }),
  };
}

function md5Header(md5: string | undefined): Record<string, string> {
  return md5 === undefined ? {} : { "content-md5": Uint8Array.fromHex(md5).toBase64() };
}

function newHeader(isNew: boolean | undefined): Record<string, string> {
  return isNew ? { "if-none-match": "*" } : {};
}

function matchHeader(etag: string | undefined): Record<string, string> {
  return etag === undefined ? {} : { "if-match": `"${etag}"` };
}

function escaped(text: string): string {
  return text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** What is not there is a value; but not if the bucket is not there. */
async function orUndefined<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    // The answer to HEAD has no code.
    const codes = [undefined, "NoSuchKey", "NoSuchUpload"];
    const isMissing = error instanceof S3Error && error.status === 404 &&
      codes.includes(error.code);
    if (isMissing) return undefined;
    throw error;
  }
}
