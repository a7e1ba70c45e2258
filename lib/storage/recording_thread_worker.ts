/**
 * The thread that writes recordings: does what recording_thread.ts asks for.
 */
import { parentPort, workerData } from "node:worker_threads";
import { FileOperations } from "./file_operations.ts";
import {
  type Batch,
  type BatchDone,
  type NumberedRequest,
  NUMBERS_PER_WRITE,
  type ThreadError,
  type ThreadReport,
  type ThreadSettings,
} from "./recording_batch.ts";
import type { SyncStatus } from "./sync_schedule.ts";

/** How long an answer that took syncs waits for others, which end at about the same time. */
const GATHER_MS = 5;

let answers: [number, string | ThreadError][] = [];
let syncs: [number, ThreadError | undefined][] = [];
let status: SyncStatus | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

const { syncSeconds, hasUniqueNames } = workerData as ThreadSettings;
const operations = new FileOperations({
  syncSeconds,
  hasUniqueNames,
  onSync(id, error) {
    syncs.push([id, error === undefined ? undefined : describe(error)]);
    reportSoon();
  },
  onStatus(now) {
    status = now;
    reportSoon();
  },
});

parentPort?.on("message", (batch: Batch) => report(doBatch(batch)));

function doBatch(batch: Batch): BatchDone {
  const failures: [number, ThreadError][] = [];
  const writes = new Float64Array(batch.writes);
  let index = 0;
  const writeUpTo = (end: number) => {
    for (; index < end; index++) {
      try {
        doWrite(writes, index * NUMBERS_PER_WRITE, batch.bytes);
      } catch (error) {
        failures.push([index, describe(error)]);
      }
    }
  };
  for (const request of batch.requests) {
    writeUpTo(request.writesBefore);
    doRequest(request);
  }
  writeUpTo(writes.length / NUMBERS_PER_WRITE);
  return { failures, bytes: batch.bytes };
}

function doWrite(writes: Float64Array, at: number, bytes: ArrayBuffer): void {
  const part = new Uint8Array(bytes, writes[at + 3] ?? 0, writes[at + 4]);
  const file = writes[at] === 1 ? "audio" : "messages";
  operations.write(file, writes[at + 1] ?? 0, writes[at + 2] ?? 0, part);
}

function doRequest({ number, request }: NumberedRequest): void {
  const answer = (result: string | ThreadError) => void answers.push([number, result]);
  const answerLater = (result: string | ThreadError) => {
    answer(result);
    reportSoon();
  };
  try {
    const result = operations.do(request);
    if (typeof result === "string") answer(result);
    else result.then(answerLater, (error) => answerLater(describe(error)));
  } catch (error) {
    answer(describe(error));
  }
}

function reportSoon(): void {
  timer ??= setTimeout(report, GATHER_MS);
}

function report(done?: BatchDone): void {
  clearTimeout(timer);
  timer = undefined;
  const all: ThreadReport = { ...(done && { done }), answers, syncs, status };
  parentPort?.postMessage(all, done === undefined ? [] : [done.bytes]);
  answers = [];
  syncs = [];
  status = undefined;
}

/** An error of Deno's loses its kind on its way to another thread. */
function describe(error: unknown): ThreadError {
  const { name, message, code } = error as Error & { readonly code?: string };
  return { name, message, code };
}
