/**
 * What stands between a browser and the API in a test: an `<audio>` element cannot send a token, so
 * this adds it, and notes which ranges were asked for and how they were answered. Headers and
 * bodies pass as they are; of a long body, only the beginning until the browser no longer wants
 * it: whoever seeks has to ask for what is there.
 *
 * Must not import: anything of lib.
 */

/** Of each answer, this much comes at once, and no more. */
const PASSED_BYTES = 256 * 1024;

/** A request for audio, and its answer. */
export interface SeenRange {
  /** The header `Range`; null if there was none. */
  readonly asked: string | null;
  readonly status: number;
  /** What the answer is of the file, in bytes; undefined if it is the whole. */
  readonly from?: number;
  readonly to?: number;
}

/** What an {@link AudioPassage} serves. */
export interface AudioPassageOptions {
  /** The recording's audio, at the API. */
  readonly audio: URL;
  readonly token: string;
  /** HTML, at `/`. */
  readonly page: string;
  /** Bytes, at `/reference/…`. */
  readonly references: Readonly<Record<string, Uint8Array<ArrayBuffer>>>;
}

/** Serves until it is disposed of: the audio is at `/part`, and unabridged at `/whole`. */
export class AudioPassage implements AsyncDisposable {
  /** Of `/part`, in order. */
  readonly seen: SeenRange[] = [];
  readonly #options: AudioPassageOptions;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #ending = new AbortController();

  private constructor(options: AudioPassageOptions) {
    this.#options = options;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {}, signal: this.#ending.signal },
      (request) => this.#answer(request),
    );
  }

  static start(options: AudioPassageOptions): AudioPassage {
    return new AudioPassage(options);
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.#server.addr.port}/`);
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const { page, references } = this.#options;
    if (pathname === "/") return new Response(page, { headers: { "content-type": "text/html" } });
    if (pathname === "/whole") return await this.#fetch(search);
    if (pathname === "/part") return await this.#part(request, search);
    const reference = references[pathname.replace("/reference/", "")];
    return reference === undefined
      ? new Response(null, { status: 404 })
      : new Response(reference, { headers: { "content-type": "application/octet-stream" } });
  }

  async #fetch(search: string, range: string | null = null): Promise<Response> {
    const { audio, token } = this.#options;
    const headers = new Headers({ authorization: `Bearer ${token}` });
    if (range !== null) headers.set("range", range);
    return await fetch(new URL(search, audio), { headers, signal: this.#ending.signal });
  }

  async #part(request: Request, search: string): Promise<Response> {
    const asked = request.headers.get("range");
    const { status, headers, body } = await this.#fetch(search, asked);
    const content = /^bytes (\d+)-(\d+)\//.exec(headers.get("content-range") ?? "");
    this.seen.push({
      asked,
      status,
      ...(content && { from: Number(content[1]), to: Number(content[2]) + 1 }),
    });
    return new Response(body && beginningOf(body), { status, headers });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#server.finished;
  }
}

/** The same stream, which stops in the middle, and does not end, if it is long. */
function beginningOf(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let passedBytes = 0;
  return new ReadableStream({
    async pull(controller) {
      if (passedBytes >= PASSED_BYTES) return await new Promise<void>(() => {});
      const { done, value } = await reader.read();
      if (done) return controller.close();
      passedBytes += value.length;
      controller.enqueue(value);
    },
    async cancel(reason) {
      await reader.cancel(reason);
    },
  });
}
