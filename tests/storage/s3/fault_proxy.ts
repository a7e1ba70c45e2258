/**
 * A proxy between a client and a server that does what networks and busy servers do: cuts
 * connections, is slow, says nothing, or answers by itself. It passes on bytes as they are, so that
 * signatures stay valid.
 *
 * Must not import: anything of lib.
 */

/** What it does, from now on, with what comes. */
export type Fault =
  | { readonly kind: "none" }
  /** Answers requests by itself: each, or those whose heads are such. */
  | {
    readonly kind: "answers";
    readonly to?: RegExp;
    readonly status: number;
    readonly code?: string;
    readonly headers?: Readonly<Record<string, string>>;
  }
  /** Takes requests, and answers nothing. */
  | { readonly kind: "hangs" }
  /** Ends each connection when so many bytes of requests have been passed on. */
  | { readonly kind: "cuts requests"; readonly afterBytes: number }
  /** Ends each connection when so many bytes of answers have been passed on. */
  | { readonly kind: "cuts answers"; readonly afterBytes: number }
  /** Passes requests on whose heads are such, but not the answers to them. */
  | { readonly kind: "loses answers"; readonly to: RegExp }
  /** Changes a byte of a request's body. */
  | { readonly kind: "corrupts" }
  /** Waits before each chunk of requests and answers. */
  | { readonly kind: "slow"; readonly pauseMs: number };

/** Make it by `await using proxy = FaultProxy.to(port)`. */
export class FaultProxy implements AsyncDisposable {
  /** Heads of requests, as they came. */
  readonly heads: string[] = [];
  /** How many requests were answered by the proxy itself, or cut, or swallowed. */
  faults = 0;
  /** Bytes of requests that were passed on. */
  passedBytes = 0;
  readonly #listener: Deno.TcpListener;
  readonly #serverPort: number;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #running = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;
  /** Connections to the server whose next answer is lost. */
  readonly #losing = new Set<Deno.TcpConn>();
  #fault: Fault = { kind: "none" };
  /** How many requests more have the fault; all, if it is infinite. */
  #times = Infinity;
  /** What is done before requests. */
  readonly #actions: {
    readonly isIt: (head: string) => boolean;
    readonly action: () => Promise<void>;
  }[] = [];
  /** How many requests more are passed on. */
  #passing = Infinity;

  private constructor(serverPort: number) {
    this.#serverPort = serverPort;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#accepting = this.#accept();
  }

  static to(serverPort: number): FaultProxy {
    return new FaultProxy(serverPort);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** What it does from now on, with so many connections or requests. */
  become(fault: Fault, times = Infinity): void {
    this.#fault = fault;
    this.#times = times;
  }

  /** Passes so many requests on, and answers all that come after them by an error. */
  failAfter(requests: number): void {
    this.#passing = requests;
  }

  /**
   * Does something before the next request of such a head is passed on, once. Requests by other
   * connections go on meanwhile. What it throws breaks the connection.
   *
   * @param isIt By the head, when it is in {@link heads} already.
   */
  before(isIt: (head: string) => boolean, action: () => Promise<void>): void {
    this.#actions.push({ isIt, action });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) close(connection);
    await this.#accepting;
    await Promise.all(this.#running);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      this.#open.add(client);
      const running = this.#serve(client).finally(() => {
        this.#running.delete(running);
        this.#open.delete(client);
        close(client);
      });
      this.#running.add(running);
    }
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    let server: Deno.TcpConn;
    try {
      server = await Deno.connect({ hostname: "127.0.0.1", port: this.#serverPort });
    } catch {
      return;
    }
    this.#open.add(server);
    const answers = this.#pass(server, client, "answers");
    await this.#pass(client, server, "requests");
    close(server);
    await answers;
    this.#open.delete(server);
  }

  /** Passes bytes on until one side ends, or the fault ends it. */
  async #pass(from: Deno.TcpConn, to: Deno.TcpConn, what: "requests" | "answers"): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    let faultyBytes = 0;
    try {
      for (;;) {
        const count = await from.read(buffer);
        if (count === null) break;
        const bytes = buffer.subarray(0, count);
        const head = what === "requests" ? this.#note(bytes) : undefined;
        const found = this.#actions.findIndex(({ isIt }) => head !== undefined && isIt(head));
        if (found >= 0) await this.#actions.splice(found, 1)[0]?.action();
        const fault = this.#fault;
        if (head !== undefined && this.#passing-- <= 0) {
          await writeAll(from, answerOf({ kind: "answers", status: 500, code: "InternalError" }));
          break;
        }
        const isAnswered = what === "requests" && fault.kind === "answers" &&
          (fault.to === undefined || (head !== undefined && fault.to.test(head)));
        if (isAnswered && this.#isFaulty()) {
          await writeAll(from, answerOf(fault));
          break;
        }
        if (what === "requests" && fault.kind === "hangs" && this.#isFaulty()) continue;
        if (what === "answers" && this.#losing.delete(from)) break;
        const losesThis = what === "requests" && fault.kind === "loses answers" &&
          fault.to.test(new TextDecoder("latin1").decode(bytes.subarray(0, 4096)));
        if (losesThis && this.#isFaulty()) this.#losing.add(to);
        if (isCut(fault, what)) {
          if (faultyBytes + count > fault.afterBytes && this.#isFaulty()) {
            await writeAll(to, bytes.subarray(0, fault.afterBytes - faultyBytes));
            break;
          }
          faultyBytes += count;
        }
        const isBody = what === "requests" && count > 20_000;
        if (fault.kind === "corrupts" && isBody && this.#isFaulty()) {
          bytes[count - 1] = (bytes[count - 1] ?? 0) ^ 1;
        }
        if (fault.kind === "slow") {
          await new Promise((resolve) => setTimeout(resolve, fault.pauseMs));
        }
        await writeAll(to, bytes);
        if (what === "requests") this.passedBytes += count;
      }
    } catch {
      // One of both is gone.
    }
    close(from);
    close(to);
  }

  #isFaulty(): boolean {
    if (this.#times <= 0) return false;
    this.#times--;
    this.faults++;
    return true;
  }

  /** @returns The head of the request that begins, if one does. */
  #note(bytes: Uint8Array): string | undefined {
    const text = new TextDecoder("latin1").decode(bytes.subarray(0, 4096));
    const isHead = /^(GET|HEAD|PUT|POST|DELETE) /.test(text);
    if (!isHead) return undefined;
    const head = text.split("\r\n\r\n")[0] ?? "";
    this.heads.push(head);
    return head;
  }
}

function isCut(
  fault: Fault,
  what: "requests" | "answers",
): fault is Fault & { kind: "cuts requests" | "cuts answers" } {
  return fault.kind === `cuts ${what}`;
}

function answerOf({ status, code, headers = {} }: Fault & { kind: "answers" }): Uint8Array {
  const body = code === undefined
    ? "<html>Sorry</html>"
    : `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>Said by the ` +
      `proxy</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>`;
  const lines = Object.entries({
    "content-length": String(body.length),
    connection: "close",
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return new TextEncoder().encode(`HTTP/1.1 ${status} Said\r\n${lines.join("")}\r\n${body}`);
}

async function writeAll(to: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await to.write(bytes.subarray(written));
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}
