/**
 * The thread that writes recordings: does what recording_thread.ts asks for.
 */
import { parentPort } from "node:worker_threads";
import { FileOperations } from "./file_operations.ts";
import {
  type Batch,
  type BatchDone,
  NUMBERS_PER_WRITE,
  type ThreadError,
} from "./recording_batch.ts";

const operations = new FileOperations();

parentPort?.on("message", (batch: Batch) => {
  const done: BatchDone = { ...doBatch(batch), bytes: batch.bytes };
  parentPort?.postMessage(done, [batch.bytes]);
});

function doBatch({ writes, bytes, request }: Batch): Omit<BatchDone, "bytes"> {
  const failures: [number, ThreadError][] = [];
  for (let i = 0; i < writes.length; i += NUMBERS_PER_WRITE) {
    try {
      const from = writes[i + 3] ?? 0;
      const part = new Uint8Array(bytes, from, writes[i + 4]);
      const file = writes[i] === 1 ? "audio" : "messages";
      operations.write(file, writes[i + 1] ?? 0, writes[i + 2] ?? 0, part);
    } catch (error) {
      failures.push([i / NUMBERS_PER_WRITE, describe(error)]);
    }
  }
  if (request === undefined) return { failures };
  try {
    return { failures, answer: operations.do(request) };
  } catch (error) {
    return { failures, answer: describe(error) };
  }
}

/** An error of Deno's loses its kind on its way to another thread. */
function describe(error: unknown): ThreadError {
  const { name, message, code } = error as Error & { readonly code?: string };
  return { name, message, code };
}
