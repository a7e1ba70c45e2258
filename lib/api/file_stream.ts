/**
 * A response's body that is read from a file as the client takes it, and closes the file whatever
 * comes: the end, a client that goes, one that stops reading, or storage that fails.
 *
 * Imports nothing.
 */

/** What a {@link fileStream} needs. */
export interface FileStreamOptions {
  /** What it sends. */
  readonly chunks: AsyncIterable<Uint8Array<ArrayBuffer>>;
  /** Disposed of in the end. */
  readonly file: AsyncDisposable;
  /** How long the client may take for the next chunk; then it is cut off. */
  readonly stallTimeoutMs: number;
  /** Storage failed while it was read. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Makes the body. No chunk is read before there is room for it.
 *
 * Whatever breaks it off just ends it, before its announced length: the HTTP server then ends the
 * connection, and the client knows. An error of the stream would do no more, and be taken for a
 * defect of the server. It learns of neither before there is room for more: the TCP connection of a
 * client that does not read stays until that reads on or is gone (unfinished_answers.ts).
 */
export function fileStream(options: FileStreamOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { chunks, file, stallTimeoutMs, onFailure } = options;
  const iterator = chunks[Symbol.asyncIterator]();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;

  async function close(): Promise<void> {
    if (isClosed) return;
    isClosed = true;
    clearTimeout(timer);
    try {
      await using _file = file;
      await iterator.return?.();
    } catch (error) {
      onFailure(error);
    }
  }

  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: waitForClient,
    async pull(controller) {
      clearTimeout(timer);
      try {
        const next = await iterator.next();
        if (isClosed) return;
        if (next.done) {
          await close();
          controller.close();
          return;
        }
        controller.enqueue(next.value);
        waitForClient(controller);
      } catch (error) {
        // Of a client that has gone meanwhile, nothing needs to be said.
        if (isClosed) return;
        onFailure(error);
        await close();
        controller.close();
      }
    },
    cancel: close,
  }, { highWaterMark: 0 });

  // From the beginning: a client that has gone before the answer may never ask for any of it.
  function waitForClient(controller: ReadableStreamDefaultController): void {
    // Who takes a chunk may cancel in the same moment.
    if (isClosed) return;
    timer = setTimeout(() => {
      controller.close();
      void close();
    }, stallTimeoutMs);
  }
}
