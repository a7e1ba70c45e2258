/**
 * Requests to object storage: each is signed (AWS signature version 4, by aws4fetch), has a
 * deadline, and is sent again if it failed for a reason that may pass.
 *
 * Imports aws4fetch and its neighbours.
 */
import { AwsV4Signer } from "aws4fetch";
import type { S3Address } from "./s3_address.ts";
import { plainToken, S3Error, type S3Failure, type S3Operation } from "./s3_error.ts";
import { childText, parseXml, XmlError } from "./xml_element.ts";

/** An answer with 1000 keys of 1024 characters has less. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** A body gets as much more time as it takes at this rate. */
const MIN_BYTES_PER_SECOND = 64 * 1024;
const MAX_RETRY_AFTER_SECONDS = 30;
/** The SHA-256 of nothing. */
const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/** Codes that say "later", whatever the status is: also in an answer of status 200. */
const LATER = new Set([
  // Somebody else is storing the same object: whether that succeeds is known soon.
  "ConditionalRequestConflict",
  "InternalError",
  "OperationAborted",
  "RequestTimeout",
  "ServiceUnavailable",
  "SlowDown",
]);

/** Who asks. */
export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of credentials that are valid for a while. */
  readonly sessionToken?: string;
}

/** How long, and how often, is tried. */
export interface S3Patience {
  /** How often a request is sent at most; 4 by default. */
  readonly attempts?: number;
  /** Until an attempt is given up, in milliseconds; 30 seconds by default, more for large bodies. */
  readonly timeoutMs?: number;
  /** Longest pause before the second attempt; twice that before the third, and so on. */
  readonly firstPauseMs?: number;
  readonly maxPauseMs?: number;
  /** From 0 to below 1, for pauses of any length up to the longest. */
  readonly random?: () => number;
}

/** A request. */
export interface S3Request {
  readonly operation: S3Operation;
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** Absent for requests about the bucket. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer>;
  /** SHA-256 of the body, hexadecimal; computed if absent. */
  readonly bodySha256?: string | undefined;
  /** For those that take a server long, in place of the usual. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** An answer whose status is 200 to 299. */
export interface S3Answer {
  readonly headers: Headers;
  /** For a body that is read as it comes; the request's deadline does not hold for it. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** Breaks off the body. */
  abort(): void;
}

/** Sends requests to one bucket. */
export class S3Requests {
  readonly #address: S3Address;
  readonly #credentials: S3Credentials;
  readonly #patience: Required<S3Patience>;
  /** Keys derived from the secret, one for each day. */
  readonly #derivedKeys = new Map<string, ArrayBuffer>();

  constructor(address: S3Address, credentials: S3Credentials, patience: S3Patience = {}) {
    this.#address = address;
    this.#credentials = credentials;
    this.#patience = {
      attempts: 4,
      timeoutMs: 30_000,
      firstPauseMs: 500,
      maxPauseMs: 10_000,
      random: Math.random,
      ...patience,
    };
  }

  /**
   * Sends a request until it succeeds, is refused, or was tried often enough.
   *
   * @param read Reads the answer, within the deadline; what it throws is an attempt that failed.
   * @throws {S3Error} Why the last attempt failed.
   */
  async send<T>(request: S3Request, read: (answer: S3Answer) => Promise<T>): Promise<T> {
    const { attempts, firstPauseMs, maxPauseMs, random } = this.#patience;
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#attempt(request, read);
      } catch (error) {
        if (!(error instanceof S3Error) || !error.isTransient || attempt >= attempts) throw error;
        const longestMs = Math.min(maxPauseMs, firstPauseMs * 2 ** (attempt - 1));
        const wantedSeconds = Math.min(error.retryAfterSeconds ?? 0, MAX_RETRY_AFTER_SECONDS);
        await pause(Math.max(random() * longestMs, wantedSeconds * 1000), request.signal);
      }
    }
  }

  async #attempt<T>(request: S3Request, read: (answer: S3Answer) => Promise<T>): Promise<T> {
    const { operation, method, key, body, signal } = request;
    const controller = new AbortController();
    const stop = () => controller.abort();
    const bodyMs = (body?.length ?? 0) / MIN_BYTES_PER_SECOND * 1000;
    const timer = setTimeout(stop, (request.timeoutMs ?? this.#patience.timeoutMs) + bodyMs);
    signal?.addEventListener("abort", stop);
    try {
      if (signal?.aborted) controller.abort();
      const { url, headers } = await this.#sign(request);
      const response = await fetch(url, {
        method,
        headers,
        body: body ?? null,
        redirect: "manual",
        signal: controller.signal,
      });
      if (!response.ok) throw await refusalOf(request, response);
      return await read({ headers: response.headers, body: response.body, abort: stop });
    } catch (error) {
      if (error instanceof S3Error) throw error;
      const about = { operation, ...(key === undefined ? {} : { key }) };
      if (signal?.aborted) throw new S3Error({ ...about, failure: "stopped" });
      if (controller.signal.aborted) throw new S3Error({ ...about, failure: "timeout" });
      if (error instanceof XmlError) throw new S3Error({ ...about, failure: "malformed" });
      // What `fetch` and the streams of its bodies throw when a connection breaks.
      if (error instanceof TypeError || isConnectionError(error)) {
        throw new S3Error({ ...about, failure: "network", cause: error });
      }
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  async #sign(request: S3Request): Promise<{ url: URL; headers: Headers }> {
    const { method, key, query, body } = request;
    const sha256 = request.bodySha256 ?? (body === undefined ? EMPTY_SHA256 : await hash(body));
    const signed = await new AwsV4Signer({
      ...this.#credentials,
      method,
      url: this.#address.url(key, query).href,
      // With the body's hash signed, the server refuses a body that was changed on its way.
      headers: { ...request.headers, "x-amz-content-sha256": sha256 },
      service: "s3",
      region: this.#address.region,
      cache: this.#derivedKeys,
    }).sign();
    const headers = new Headers(signed.headers);
    // Not signed: Google changes it. Compressed answers would have other lengths than objects.
    headers.set("accept-encoding", "identity");
    return { url: signed.url, headers };
  }
}

/**
 * Reads an answer as text.
 *
 * @throws {XmlError} If it is too long.
 */
export async function readText(body: S3Answer["body"]): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new XmlError("The answer is too long");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Reads an answer that matters by its status only. */
export async function readNothing({ body }: S3Answer): Promise<void> {
  await body?.cancel();
}

/** The error that an answer is; of an answer of status 200, too, which some operations have. */
export function errorOf(
  request: Pick<S3Request, "operation" | "key">,
  status: number,
  headers: Headers,
  text: string,
): S3Error {
  const { code, requestId } = codeOf(text);
  const isLater = status >= 500 || status === 429 || status === 408 || (code && LATER.has(code));
  const failure: S3Failure = code === "NotImplemented" || !isLater ? "refused" : "unavailable";
  const retryAfter = headers.get("retry-after");
  const clockAhead = (Date.parse(headers.get("date") ?? "") - Date.now()) / 1000;
  const id = requestId ?? plainToken(headers.get("x-amz-request-id"));
  return new S3Error({
    operation: request.operation,
    failure,
    status,
    ...(request.key === undefined ? {} : { key: request.key }),
    ...(code === undefined ? {} : { code }),
    ...(id === undefined ? {} : { requestId: id }),
    ...(Number.isFinite(clockAhead) ? { clockAheadSeconds: Math.round(clockAhead) } : {}),
    ...(retryAfter && /^\d{1,6}$/.test(retryAfter)
      ? { retryAfterSeconds: Number(retryAfter) }
      : {}),
  });
}

async function refusalOf(request: S3Request, response: Response): Promise<S3Error> {
  const text = await readText(response.body).catch((error) => {
    if (error instanceof XmlError) return "";
    throw error;
  });
  return errorOf(request, response.status, response.headers, text);
}

/** What an error says; a proxy in between may answer with no XML at all. */
function codeOf(text: string): { code?: string | undefined; requestId?: string | undefined } {
  try {
    const xml = parseXml(text);
    if (xml.name !== "Error") return {};
    return {
      code: plainToken(childText(xml, "Code")),
      requestId: plainToken(childText(xml, "RequestId")),
    };
  } catch (error) {
    if (error instanceof XmlError) return {};
    throw error;
  }
}

/** By class: Deno's own errors, which a body's stream may have as they are. */
function isConnectionError(error: unknown): boolean {
  return error instanceof Deno.errors.Http || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.UnexpectedEof || error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.Interrupted || error instanceof Deno.errors.TimedOut ||
    error instanceof Deno.errors.BadResource;
}

async function hash(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Waits, or until it is stopped. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}
