/**
 * A flood of bad connection requests, as a process of its own: authority, requests a second, and
 * seconds are its arguments. Writes a line when it begins, and a {@link FloodResult} when all
 * requests are answered.
 *
 * It waits for no answer before the next request. Half of the requests come on connections of their
 * own, half on ones that are kept alive, of which there are as many as it takes.
 */
import { setTimeout as delay } from "node:timers/promises";
import { badRequests } from "./bad_requests.ts";
import { percentile } from "./distribution.ts";
import { printLine } from "./table.ts";

/** What became of a flood. */
export interface FloodResult {
  readonly sent: number;
  readonly seconds: number;
  /** How many requests got which HTTP status, or which error instead. */
  readonly answers: Readonly<Record<string, number>>;
  /** Time to the answer, milliseconds. */
  readonly medianMs: number;
  readonly p99Ms: number;
}

const ANSWER_TIMEOUT_MS = 5_000;
/** Signatures are renewed so often: a server refuses old ones without the work of a new one. */
const RENEWAL_MS = 3_000;
const TICK_MS = 2;

const decoder = new TextDecoder();

/** Reads an answer; `undefined` if the connection ended before. */
async function readAnswer(conn: Deno.TcpConn): Promise<string | undefined> {
  const buffer = new Uint8Array(1024);
  for (let size = 0; size < buffer.length;) {
    const count = await conn.read(buffer.subarray(size));
    if (count === null) return undefined;
    size += count;
    const text = decoder.decode(buffer.subarray(0, size));
    const end = text.indexOf("\r\n\r\n") + 4;
    if (end < 4) continue;
    const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
    if (size >= end + length) return text;
  }
  throw new Error("Expected a short answer");
}

class Flood {
  sent = 0;
  readonly answers: Record<string, number> = {};
  readonly answerMs: number[] = [];
  readonly #hostname: string;
  readonly #port: number;
  /** Connections that are kept alive, and wait for a request. */
  readonly #idle: Deno.TcpConn[] = [];

  constructor({ hostname, port }: URL) {
    this.#hostname = hostname;
    this.#port = Number(port);
  }

  /** Sends a request; settles when its answer was counted. */
  async send(request: Uint8Array, isKeptAlive: boolean): Promise<void> {
    this.sent++;
    let conn: Deno.TcpConn | undefined;
    let answer: string;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const startMs = performance.now();
    try {
      conn = isKeptAlive ? this.#idle.pop() : undefined;
      conn ??= await Deno.connect({ hostname: this.#hostname, port: this.#port });
      const { close } = conn;
      timer = setTimeout(close.bind(conn), ANSWER_TIMEOUT_MS);
      // Smaller than any send buffer: it goes at once.
      await conn.write(request);
      const text = await readAnswer(conn);
      answer = text?.slice(9, 12) ?? "no answer";
      if (text !== undefined) this.answerMs.push(performance.now() - startMs);
      if (isKeptAlive && text !== undefined && !/^connection: close/im.test(text)) {
        this.#idle.push(conn);
        conn = undefined;
      }
    } catch (error) {
      answer = error instanceof Error ? error.name : "unknown error";
    }
    clearTimeout(timer);
    conn?.close();
    this.answers[answer] = (this.answers[answer] ?? 0) + 1;
  }

  end(): void {
    for (const conn of this.#idle) conn.close();
  }
}

async function run(url: URL, perSecond: number, seconds: number): Promise<FloodResult> {
  const flood = new Flood(url);
  const sending: Promise<void>[] = [];
  let requests = await badRequests(url.host);
  const renewal = setInterval(async () => requests = await badRequests(url.host), RENEWAL_MS);
  printLine("started");
  const startMs = performance.now();
  let elapsedMs = 0;
  while (elapsedMs < seconds * 1000) {
    const due = elapsedMs * perSecond / 1000;
    while (flood.sent < due) {
      const round = Math.floor(flood.sent / requests.length);
      const request = requests[flood.sent % requests.length] ?? new Uint8Array();
      sending.push(flood.send(request, round % 2 === 0));
    }
    await delay(TICK_MS);
    elapsedMs = performance.now() - startMs;
  }
  clearInterval(renewal);
  await Promise.all(sending);
  flood.end();
  const { sent, answers, answerMs } = flood;
  return {
    sent,
    seconds: elapsedMs / 1000,
    answers,
    medianMs: percentile(answerMs, 0.5),
    p99Ms: percentile(answerMs, 0.99),
  };
}

if (import.meta.main) {
  const [authority = "", perSecond, seconds] = Deno.args;
  const url = new URL(`http://${authority}`);
  printLine(JSON.stringify(await run(url, Number(perSecond), Number(seconds))));
}
