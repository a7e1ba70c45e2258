/**
 * Why object storage did not do what it was asked for.
 *
 * No error has a key, a signature, or text that the server wrote: of its answers only codes and
 * identifiers are taken, and these only if they look like such. Imports nothing.
 */

/** What was asked for, by the names of S3's API. */
export type S3Operation =
  | "PutObject"
  | "GetObject"
  | "HeadObject"
  | "ListObjectsV2"
  | "DeleteObject"
  | "CreateMultipartUpload"
  | "UploadPart"
  | "ListParts"
  | "CompleteMultipartUpload"
  | "AbortMultipartUpload"
  | "ListMultipartUploads";

/**
 * How it failed: `refused` by the server, for good; `unavailable`: it has trouble or is too busy;
 * `timeout`: no answer in time; `network`: no connection, or it broke; `malformed`: the answer is
 * none of S3, or was cut; `mismatch`: what is stored is not what was sent; `stopped` by the caller.
 */
export type S3Failure =
  | "refused"
  | "unavailable"
  | "timeout"
  | "network"
  | "malformed"
  | "mismatch"
  | "stopped";

/** Whether the same request may succeed if it is just sent again. */
const IS_TRANSIENT = {
  refused: false,
  unavailable: true,
  timeout: true,
  network: true,
  malformed: true,
  mismatch: false,
  stopped: false,
} as const satisfies Record<S3Failure, boolean>;

/** What to do about codes that people can do something about. */
const ADVICE: Readonly<Partial<Record<string, string>>> = {
  RequestTimeTooSkewed: "the clock of this machine and that of the server differ too much: set it",
  SignatureDoesNotMatch:
    "the secret key is not that of the access key, or a proxy changes requests",
  InvalidAccessKeyId: "the server does not know the access key",
  InvalidToken: "the session token is wrong",
  ExpiredToken: "the session token has expired",
  AccessDenied: "the access key is not allowed to do that",
  AllAccessDisabled: "the bucket is disabled",
  AccountProblem: "the account has a problem: ask the provider",
  NoSuchBucket: "make the bucket, or correct its name",
  PermanentRedirect: "the bucket is in another region: correct the region and the endpoint",
  AuthorizationHeaderMalformed: "the bucket is in another region: correct the region",
  IncorrectEndpoint: "the bucket is in another region: correct the endpoint",
  QuotaExceeded: "the storage is full",
  XMinioStorageFull: "the storage is full",
  NotImplemented: "the server cannot do that",
};

/** What is known of a failure. */
export interface S3ErrorDetails {
  readonly operation: S3Operation;
  readonly failure: S3Failure;
  /** Key of the object, or prefix of those listed. */
  readonly key?: string;
  /** HTTP status; absent if there was no answer. */
  readonly status?: number;
  /** S3's code, such as `SlowDown`; absent if there was none. */
  readonly code?: string;
  /** The server's id of the request, to ask its operator with. */
  readonly requestId?: string;
  /** How far the server's clock is ahead of ours, if it said so. */
  readonly clockAheadSeconds?: number;
  /** Seconds after which the server wants to be asked again. */
  readonly retryAfterSeconds?: number;
  /** Further words for people. */
  readonly reason?: string;
  readonly cause?: unknown;
}

/** Thrown when object storage did not do what it was asked for. */
export class S3Error extends Error {
  override readonly name = "S3Error";
  readonly operation: S3Operation;
  readonly failure: S3Failure;
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly requestId: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(details: S3ErrorDetails) {
    super(describe(details), details.cause === undefined ? undefined : { cause: details.cause });
    this.operation = details.operation;
    this.failure = details.failure;
    this.status = details.status;
    this.code = details.code;
    this.requestId = details.requestId;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }

  /** Whether the same request may succeed if it is just sent again. */
  get isTransient(): boolean {
    return IS_TRANSIENT[this.failure];
  }

  /** S3's code if there is one, otherwise what comes closest: for status pages and metrics. */
  get shortCode(): string {
    return this.code ?? (this.status === undefined ? this.failure : `HTTP ${this.status}`);
  }
}

function describe(details: S3ErrorDetails): string {
  const { operation, failure, key, status, code, requestId, clockAheadSeconds, reason } = details;
  const what = key === undefined || key === "" ? operation : `${operation} of ${key}`;
  const answer = [status, code].filter((part) => part !== undefined).join(" ");
  const why = {
    refused: `refused with ${answer}`,
    unavailable: `the server answered ${answer}`,
    timeout: "no answer in time",
    network: "the server cannot be reached, or the connection broke",
    malformed: "the answer is not one of an S3 server",
    mismatch: "what is stored is not what was sent",
    stopped: "it was stopped",
  }[failure];
  const request = requestId === undefined ? "" : ` (request ${requestId})`;
  const advice = (code && ADVICE[code]) ?? "";
  const clock = code === "RequestTimeTooSkewed" && clockAheadSeconds !== undefined
    ? `The server's clock is ${describeClock(clockAheadSeconds)}`
    : "";
  const more = [reason, advice, clock].filter(Boolean).join(". ");
  return `${what} failed: ${why}${request}${more === "" ? "" : `: ${more}`}`;
}

function describeClock(aheadSeconds: number): string {
  return aheadSeconds >= 0 ? `${aheadSeconds} s ahead` : `${-aheadSeconds} s behind`;
}

/** A code or id as S3 has it, or `undefined`: what a server sends is not put into logs as it is. */
export function plainToken(text: string | null | undefined): string | undefined {
  return text != null && /^[\w.+/=-]{1,128}$/.test(text) ? text : undefined;
}
