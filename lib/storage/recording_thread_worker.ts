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
  const view = new Uint8Array(bytes);
  for (let i = 0; i < writes.length; i += NUMBERS_PER_WRITE) {
    const [isAudio, id = 0, offset = 0, from = 0, length = 0] = writes.slice(
      i,
      i + NUMBERS_PER_WRITE,
    );
    try {
      const part = view.subarray(from, from + length);
      operations.write(isAudio === 1 ? "audio" : "messages", id, offset, part);
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
