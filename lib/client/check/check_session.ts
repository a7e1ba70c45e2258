/**
 * One session, as a case drives it: proper messages by their types, improper ones by their text,
 * and waits that always end (protocol sections 4 to 15).
 *
 * Answers `pause` and `resume` by itself, as every client does: a server may send them at any
 * time. Imports its neighbours.
 */
import type { Media } from "../../protocol/mod.ts";
import type { ConnectionEnd } from "../client_socket.ts";
import { fail, skip } from "./check_case.ts";
import { CheckInbox, describeDisconnect } from "./check_inbox.ts";
import type { CheckRequest } from "./check_request.ts";
import { CheckStream } from "./check_stream.ts";
import { CheckWire, type CheckWireOptions } from "./check_wire.ts";
import { ServerRules, type ServerText } from "./server_rules.ts";

/** Deadlines of the protocol (sections 6, 11 and 13). */
export const OPENED_MS = 5_000;
export const PONG_MS = 5_000;
export const CLOSED_MS = 10_000;
/** How long a case waits for audio to flow. A server may keep its pause for longer. */
const RESUME_MS = 3_000;
/** How soon a server should say that something is wrong. */
export const DISCONNECT_MS = 5_000;

/** One connection, and the session on it. */
export class CheckSession {
  readonly sessionId: string;
  readonly organizationId: string;
  readonly rules: ServerRules;
  readonly #options: CheckWireOptions;
  readonly #wire: CheckWire;
  readonly #inbox: CheckInbox;
  readonly #stream = new CheckStream();
  #sentSeq = 0;
  #receivedSeq = 0;
  /** We sent `close`. */
  #hasClosed = false;
  /** The server said `disconnect` or `closed`. */
  #isEnding = false;

  /** Begins to connect; wait for {@link CheckSession.connected} next. */
  constructor(options: CheckWireOptions) {
    this.#options = options;
    this.sessionId = options.request.sessionId;
    this.organizationId = options.request.organizationId;
    this.rules = new ServerRules(this.sessionId);
    this.#wire = new CheckWire(options, {
      onText: (text) => this.#onText(text),
      onBinary: (bytes) => this.rules.audio(bytes.length),
      onUnreadable: (what) => this.rules.unreadable(what),
    });
    this.#inbox = new CheckInbox(this.#wire, options.clock);
  }

  /** Headers of the connection request. */
  get headers(): CheckRequest["headers"] {
    return this.#options.request.headers;
  }

  /** How the connection ended, if it did. */
  get end(): ConnectionEnd | undefined {
    return this.#wire.end;
  }

  /** That the server sent far too much, for which the checker dropped the connection. */
  get flood(): string | undefined {
    return this.#wire.flood;
  }

  /** What the server selected, once it opened the session. */
  get media(): Media | undefined {
    return this.#stream.media;
  }

  /** Number of the message that was sent last. */
  get sentSeq(): number {
    return this.#sentSeq;
  }

  /** Whether the server's pause holds. */
  get isPausedByServer(): boolean {
    return this.#stream.pausedByServer;
  }

  /** Settles when there is a connection, or none to come. */
  async connected(): Promise<void> {
    await this.#wire.connected();
  }

  /**
   * Sends a message.
   *
   * @param envelope Fields of the envelope that are to be otherwise; `undefined` leaves one out.
   */
  send(
    type: string,
    parameters: Readonly<Record<string, unknown>> = {},
    envelope: Readonly<Record<string, unknown>> = {},
  ): void {
    const text = this.message(type, parameters, envelope);
    const seq = typeof envelope.seq === "number" ? envelope.seq : this.#sentSeq + 1;
    this.#sendText(text, type, seq, parameters);
  }

  /** The text of the next message, which is not sent. */
  message(
    type: string,
    parameters: Readonly<Record<string, unknown>> = {},
    envelope: Readonly<Record<string, unknown>> = {},
  ): string {
    return JSON.stringify({
      version: "2",
      id: this.sessionId,
      type,
      seq: this.#sentSeq + 1,
      serverseq: this.#receivedSeq,
      position: this.#stream.position,
      parameters,
      ...envelope,
    });
  }

  /**
   * Sends any text; it is counted as a message, so that the next one has the next number.
   *
   * @param type What it is, if it is a message after all.
   */
  sendText(
    text: string,
    type = "",
    parameters: Readonly<Record<string, unknown>> = {},
  ): void {
    this.#sendText(text, type, this.#sentSeq + 1, parameters);
  }

  /** Sends a binary frame as it is. */
  sendBytes(bytes: Uint8Array): void {
    this.#wire.sendBytes(bytes);
  }

  /**
   * Sends silence in the selected format, and moves on.
   *
   * @param samples Of each channel.
   */
  sendAudio(samples: number): void {
    this.sendBytes(this.#stream.silence(samples));
    this.#stream.advance(samples);
  }

  /** Reports lost audio, and moves on. */
  sendDiscarded(samples: number): void {
    this.#sendLost("discarded", samples);
  }

  /** Parameters of `discarded` and `resumed`. */
  lost(samples: number): { start: string; discarded: string } {
    return this.#stream.lost(samples);
  }

  /** Begins the client's own pause. */
  pause(): void {
    this.#stream.setPause("client", true);
    this.send("paused");
  }

  /** Ends the client's own pause; says nothing while the server's holds. */
  resume(): void {
    this.#stream.setPause("client", false);
    if (!this.#stream.pausedByServer) this.#sendResumed();
  }

  /** The selected format. */
  requireMedia(): Media {
    return this.#stream.requireMedia();
  }

  /**
   * Waits until audio may be sent: a server may begin a session paused, and pause it at any time.
   * Comes before audio wherever something was waited for. If the session ends meanwhile, what is
   * awaited next tells so.
   */
  async untilAudioFlows(): Promise<void> {
    this.requireMedia();
    const clock = this.#options.clock;
    const isWaiting = () =>
      this.isPausedByServer && !this.#isEnding && this.end === undefined &&
      this.flood === undefined;
    await this.#wire.until(() => !isWaiting(), clock.bounded(clock.scale(RESUME_MS)));
    if (isWaiting()) skip("The server keeps the session paused");
  }

  /**
   * Waits for a message; others are passed over, except that the session must not end.
   *
   * @throws {CaseEnd} If it does not come in time, or `disconnect` or `closed` comes instead.
   */
  async waitFor(types: readonly string[], withinMs: number): Promise<ServerText> {
    return await this.#inbox.waitFor(types, withinMs);
  }

  /** Waits for the end of the connection; tells whether it came. */
  async waitForEnd(withinMs: number): Promise<boolean> {
    const clock = this.#options.clock;
    return await this.#wire.until(() => this.#wire.end !== undefined, clock.bounded(withinMs));
  }

  /**
   * Opens the session.
   *
   * @returns The parameters of `opened`.
   * @throws {CaseEnd} If the server does not open it.
   */
  async open(
    parameters: Readonly<Record<string, unknown>>,
    envelope: Readonly<Record<string, unknown>> = {},
  ): Promise<Readonly<Record<string, unknown>>> {
    this.send("open", parameters, envelope);
    const answer = await this.waitFor(["opened", "disconnect"], OPENED_MS);
    if (answer.type === "opened") return answer.parameters;
    const seen = `${describeDisconnect(answer)} in place of "opened"`;
    // "I need no more" is no complaint about what was sent.
    if (answer.parameters.reason === "completed") skip(`The server refuses the session: ${seen}`);
    fail(seen);
  }

  /** Pings, and waits for the answer. */
  async ping(parameters: Readonly<Record<string, unknown>> = {}): Promise<void> {
    this.send("ping", parameters);
    await this.waitFor(["pong"], PONG_MS);
  }

  /** Closes the session and waits for the answer. What else is on its way may come first. */
  async close(reason = "end"): Promise<void> {
    if (this.#wire.end === undefined) this.send("close", { reason });
    await this.closed();
  }

  /** Waits for `closed`; `opened` and `disconnect` may cross `close`. */
  async closed(): Promise<void> {
    const clock = this.#options.clock;
    const endsMs = performance.now() + clock.scale(CLOSED_MS);
    for (;;) {
      const leftMs = Math.max(1, (endsMs - performance.now()) / clock.scale(1));
      const { type } = await this.waitFor(["closed", "disconnect"], leftMs);
      if (type === "closed") return;
    }
  }

  /**
   * Waits until the server says that it ends the session because of a fault of ours.
   *
   * @returns What it said.
   */
  async complaint(reason = "error"): Promise<string> {
    const message = await this.waitFor(["disconnect"], DISCONNECT_MS);
    const seen = describeDisconnect(message);
    if (message.parameters.reason !== reason) fail(`${seen}; expected the reason "${reason}"`);
    return seen;
  }

  /**
   * Waits until the server ends the session because of a fault of ours, and closes it.
   *
   * @returns What it said.
   */
  async disconnected(reason = "error"): Promise<string> {
    const seen = await this.complaint(reason);
    await this.close("disconnect");
    return `${seen}, then "closed"`;
  }

  /** Looks for a message that came, or comes within a time; the others stay. */
  async seen(type: string, withinMs: number): Promise<ServerText | undefined> {
    return await this.#inbox.seen(type, withinMs);
  }

  /** Drops the connection, as a network failure does. */
  drop(): void {
    this.#wire.drop();
  }

  /** Resets the connection. */
  reset(): void {
    this.#wire.reset();
  }

  /** Ends the connection, whatever the session is doing. Never throws, never hangs. */
  async hangUp(): Promise<void> {
    await this.#wire.hangUp();
  }

  #sendText(
    text: string,
    type: string,
    seq: number,
    parameters: Readonly<Record<string, unknown>>,
  ): void {
    this.#sentSeq = seq;
    if (type === "close") this.#hasClosed = true;
    this.rules.sent(type, seq, parameters);
    this.#wire.sendText(text);
  }

  #onText(text: string): void {
    const message = this.rules.text(text, performance.now());
    if (message === undefined) return;
    this.#receivedSeq = Math.max(this.#receivedSeq, message.seq);
    // After our `close`, nothing is to be said any more: these were on their way.
    if (!this.#hasClosed) this.#answer(message);
    if (message.type === "disconnect" || message.type === "closed") this.#isEnding = true;
    this.#inbox.add(message);
  }

  #answer({ type, parameters }: ServerText): void {
    if (type === "opened") this.#onOpened(parameters);
    else if (type === "pause") this.#onPause();
    else if (type === "resume") this.#onResume();
  }

  #onOpened({ media, startPaused }: Readonly<Record<string, unknown>>): void {
    this.#stream.select(media);
    if (startPaused === true) this.#onPause();
  }

  #onPause(): void {
    this.#stream.setPause("server", true);
    this.send("paused");
  }

  #onResume(): void {
    this.#stream.setPause("server", false);
    if (this.#stream.pausedByClient) this.send("paused");
    else this.#sendResumed();
  }

  #sendResumed(): void {
    this.#sendLost("resumed", this.#stream.takePaused());
  }

  #sendLost(type: "discarded" | "resumed", samples: number): void {
    this.send(type, this.#stream.lost(samples));
    this.#stream.advance(samples);
  }
}
