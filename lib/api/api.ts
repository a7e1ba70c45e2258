/**
 * The HTTP API for recordings: which route a request is for, who may use it, and what becomes of
 * what goes wrong.
 *
 * Places for recordings are handed in. Must not import: the server, concrete stores.
 */
import { getLogger } from "@logtape/logtape";
import { RefusedChangeError } from "../storage/recording_archive.ts";
import { AdminGate, type FailedTries } from "./admin_gate.ts";
import { errorResponse } from "./api_error.ts";
import type { ApiLimits, ApiParts } from "./api_parts.ts";
import { type Metric, METRICS_CONTENT_TYPE, metricsText } from "./metrics_text.ts";
import { OpenFiles } from "./open_files.ts";
import { type ApiStorage, patientStorage } from "./patient_storage.ts";
import { matchPath, type Route } from "./route.ts";
import { ROUTES } from "./routes.ts";
import { StorageFailure, StorageTimeoutError } from "./storage_failure.ts";
import { UnfinishedAnswers } from "./unfinished_answers.ts";
import { WorkQueue } from "./work_queue.ts";

const log = getLogger(["audiohook", "api"]);

/** To those who can do nothing but wait. */
const STORAGE_FAILED = "Storage failed: try again later";

/** What an API needs. */
export interface ApiOptions extends ApiStorage {
  /** What whoever uses the API has to know. */
  readonly adminToken: string;
  /** Counts wrong tokens. */
  readonly failedTries: FailedTries;
  /** Bounds that are not as they are by default. */
  readonly limits?: Partial<ApiLimits>;
  /** What `/metrics` has; by default there is no such path. */
  readonly metrics?: () => readonly Metric[];
}

/** What is known of a request besides itself. */
export interface ApiRequestInfo {
  /** Where it comes from, for counting failures. */
  readonly remoteAddress: string;
  /** Path and query, exactly as sent. */
  readonly requestTarget: string;
  /** Resolves when the answer was sent, or its connection has ended. */
  readonly completed: Promise<void>;
}

/** Answers requests; `undefined` for one whose path is not below `/api/`. */
export type Api = (request: Request, info: ApiRequestInfo) => Promise<Response | undefined>;

/** The bounds, unless others are given. */
export const API_LIMITS: ApiLimits = {
  maxBodyBytes: 16 * 1024,
  bodyTimeoutMs: 10_000,
  answerTimeoutMs: 60_000,
  // Longer than what the index has for a question: its own error says more.
  readTimeoutMs: 10_000,
  // Longer than what the audit log waits for another process, for the same reason.
  changeTimeoutMs: 30_000,
  // Half of the operations that Deno does at a time: see patience.ts.
  maxReadsRunning: 16,
  maxReadsWaiting: 1_000,
  maxChangesWaiting: 100,
  stallTimeoutMs: 60_000,
  maxOpenFiles: 100,
  // As many again may have been cut off.
  maxUnfinishedAnswers: 200,
  maxPeaksRunning: 2,
  maxPeaksWaiting: 8,
  peaksWaitTimeoutMs: 20_000,
};

/**
 * Makes the API.
 *
 * @throws {TypeError} If the admin token is empty.
 */
export function createApi(options: ApiOptions): Api {
  const { adminToken, failedTries } = options;
  const limits = { ...API_LIMITS, ...options.limits };
  const gate = new AdminGate(adminToken, failedTries);
  const storage = patientStorage(options, limits);
  const parts: ApiParts = {
    ...storage,
    limits,
    files: new OpenFiles(storage.archive, limits.maxOpenFiles),
    unfinished: new UnfinishedAnswers(limits.maxUnfinishedAnswers),
    peaks: new WorkQueue({
      maxRunning: limits.maxPeaksRunning,
      maxWaiting: limits.maxPeaksWaiting,
      waitTimeoutMs: limits.peaksWaitTimeoutMs,
    }),
  };

  async function answer(
    request: Request,
    path: string,
    query: string,
    { remoteAddress, completed }: ApiRequestInfo,
  ): Promise<Response> {
    const matched = matchPath(ROUTES, path);
    if (matched === undefined) {
      return errorResponse("unknown_path", "Expected a path of those in /api/openapi.json");
    }
    // What there is to ask is no secret, so that is told to all.
    const method = request.method === "HEAD" ? "GET" : request.method;
    const route = matched.routes.find((route) => route.method === method);
    if (route === undefined) {
      const allow = matched.routes
        .flatMap(({ method }) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
      return errorResponse("method_not_allowed", `Expected ${allow}`, { allow });
    }
    if (route.isPublic !== true) {
      const refusal = gate.check(request.headers, remoteAddress);
      if (refusal !== undefined) return refusal;
    }
    const { id } = matched;
    const late = new AbortController();
    try {
      const answering = route.answer(
        { request, id, query, completed, late: late.signal },
        parts,
      );
      return await inTime(answering, limits.answerTimeoutMs, late) ?? tooLate(route, id);
    } catch (error) {
      return failed(route, id, error);
    }
  }

  /** Not of the table: it is no part of the API, and read by other programs. */
  function answerMetrics(
    { method, headers }: Request,
    remoteAddress: string,
    metrics: readonly Metric[],
  ): Response {
    if (method !== "GET" && method !== "HEAD") {
      return errorResponse("method_not_allowed", "Expected GET, HEAD", { allow: "GET, HEAD" });
    }
    const refusal = gate.check(headers, remoteAddress);
    if (refusal !== undefined) return refusal;
    return new Response(metricsText(metrics), {
      headers: { "content-type": METRICS_CONTENT_TYPE, "cache-control": "no-store" },
    });
  }

  return async (request, info) => {
    const { remoteAddress, requestTarget } = info;
    const [path = ""] = requestTarget.split("?", 1);
    if (path === "/metrics" && options.metrics !== undefined) {
      const response = answerMetrics(request, remoteAddress, options.metrics());
      return request.method === "HEAD" ? await withoutBody(response) : response;
    }
    if (path !== "/api" && !path.startsWith("/api/")) return undefined;
    const query = requestTarget.slice(path.length + 1);
    const response = await answer(request, path, query, info);
    return request.method === "HEAD" ? await withoutBody(response) : response;
  };
}

/** The answer, or `undefined` if it is late; whoever is late is told to let go of what it has. */
function inTime(
  answering: Promise<Response>,
  timeoutMs: number,
  late: AbortController,
): Promise<Response | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      late.abort();
      resolve(undefined);
    }, timeoutMs);
    answering.then((response) => {
      if (late.signal.aborted) response.body?.cancel().catch(() => {});
      else resolve(response);
    }, (error) => {
      if (late.signal.aborted) log.error("A late answer failed", { error });
      else reject(error);
    }).finally(() => clearTimeout(timer));
  });
}

async function withoutBody(response: Response): Promise<Response> {
  const { body, status, headers } = response;
  if (body === null) return response;
  await body.cancel();
  return new Response(null, { status, headers });
}

function tooLate({ operationId, method }: Route, id: string): Response {
  log.error("Cannot answer {operationId} in time: storage is slow", { operationId, id });
  return storageTimeout(method, method !== "GET");
}

function storageTimeout(method: Route["method"], mayStillHappen: boolean): Response {
  const whatToDo = mayStillHappen
    ? "the change may still be made, so see whether it was before you try again"
    : method === "GET"
    ? "try again later"
    : "nothing was changed, try again later";
  return errorResponse("storage_timeout", `Storage does not answer: ${whatToDo}`);
}

function failed({ operationId, method }: Route, id: string, error: unknown): Response {
  // An id that is none was refused, so none of it is anybody's invention.
  if (error instanceof StorageFailure) {
    const { cause } = error;
    if (cause instanceof StorageTimeoutError) {
      log.error("Cannot answer {operationId}: storage does not answer", {
        operationId,
        id,
        error: cause,
      });
      return storageTimeout(method, cause.mayStillHappen);
    }
    log.error("Cannot answer {operationId}: storage failed", { operationId, id, error: cause });
    const isRefused = cause instanceof RefusedChangeError;
    return errorResponse("unavailable", isRefused ? cause.message : STORAGE_FAILED);
  }
  log.fatal("Defect in {operationId}: please report it", { operationId, id, error });
  return errorResponse("internal_error", "A defect of the server: its log says more");
}
