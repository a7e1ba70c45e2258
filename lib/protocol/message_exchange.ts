/**
 * One side's exchange of messages: state, sequence numbers, and nothing else (protocol section 4).
 *
 * It is the only place where a state changes, and the only one where a `seq` is given out: a
 * message that got one is returned to be sent, and must be. Imports nothing but its neighbours.
 */
import type { ClientMessage } from "./client_messages.ts";
import {
  decodeClientText,
  type DecodedText,
  decodeServerText,
  encodeText,
  TEXT_LIMITS,
  type TextLimits,
} from "./codec.ts";
import { sameUuid } from "./identifiers.ts";
import { LocalProtocolError, RemoteProtocolError } from "./protocol_error.ts";
import type { ServerMessage } from "./server_messages.ts";
import { nextState, type Role, type SessionState } from "./transitions.ts";

/** What a role sends. */
export type SentBy<R extends Role> = R extends "client" ? ClientMessage : ServerMessage;
/** What a role receives. */
export type ReceivedBy<R extends Role> = R extends "client" ? ServerMessage : ClientMessage;

/** A text frame that was received and counted. */
export type Received<R extends Role> =
  | { readonly kind: "message"; readonly message: ReceivedBy<R>; readonly acknowledged: number }
  | { readonly kind: "unknown"; readonly type: string };

/** State and sequence numbers of one side of a session. */
export class MessageExchange<R extends Role> {
  readonly #role: R;
  readonly #id: string;
  readonly #limits: TextLimits;
  #state: SessionState = "idle";
  #receivesAudio = false;
  #sentSeq = 0;
  #lastReceivedSeq = 0;
  #highestReceivedSeq = 0;
  /** Of a client: what the server has said to have received, which can only grow. */
  #acknowledgedSeq = 0;
  /** Of a client: number of the message that the server's message answers. */
  readonly #answerSeqs = { opened: 0, closed: 0 };

  /**
   * @param role Which side we are.
   * @param id The session's UUID, of every message in both directions.
   * @param limits What is accepted.
   */
  constructor(role: R, id: string, limits: TextLimits = TEXT_LIMITS) {
    this.#role = role;
    this.#id = id;
    this.#limits = limits;
  }

  /** The session's state, as this side knows it. */
  get state(): SessionState {
    return this.#state;
  }

  /** Number of the message that was sent last; 0 before the first. */
  get sentSeq(): number {
    return this.#sentSeq;
  }

  /** Tells whether a message, or a binary frame (`audio`), may be sent now. */
  maySend(type: SentBy<R>["type"] | "audio"): boolean {
    return nextState(this.#role, this.#state, "send", type) !== undefined;
  }

  /**
   * Makes sure that a message, or a binary frame (`audio`), may be sent now.
   *
   * @throws {LocalProtocolError} If not.
   */
  requireSend(type: SentBy<R>["type"] | "audio"): void {
    if (!this.maySend(type)) throw this.#cannotSend(type);
  }

  /** Tells whether a binary frame may be received now: asked for each, and looked up before. */
  get receivesAudio(): boolean {
    return this.#receivesAudio;
  }

  /** Tells whether a message, or a binary frame (`audio`), may be received now. */
  mayReceive(type: ReceivedBy<R>["type"] | "audio"): boolean {
    return nextState(this.#role, this.#state, "receive", type) !== undefined;
  }

  /**
   * Gives a message its number and moves to the next state.
   *
   * @param position Stream position, of client messages.
   * @returns The text frame, which must now be sent: the peer ends the session on a gap.
   * @throws {LocalProtocolError} If the state does not allow the message, or it is too large; then
   * nothing has changed.
   */
  send(message: SentBy<R>, position?: string): string {
    const next = nextState(this.#role, this.#state, "send", message.type);
    if (next === undefined) throw this.#cannotSend(message.type);
    const text = encodeText(this.#role, {
      id: this.#id,
      seq: this.#sentSeq + 1,
      acknowledged: this.#highestReceivedSeq,
      position,
    }, message);
    this.#sentSeq++;
    if (message.type === "open") this.#answerSeqs.opened = this.#sentSeq;
    if (message.type === "close") this.#answerSeqs.closed = this.#sentSeq;
    this.#enter(next);
    return text;
  }

  /**
   * Reads a text frame, counts it, and moves to the next state.
   *
   * @param sectionOf Section of protocol.md that says when a type is allowed.
   * @throws {RemoteProtocolError} If it breaks the protocol. It is counted all the same: the peer
   * goes on from the number that it used.
   */
  receive(
    text: string,
    sectionOf: (type: string) => string | undefined = () => undefined,
  ): Received<R> {
    const decoded = this.#decode(text);
    const expected = this.#lastReceivedSeq + 1;
    if (decoded.kind === "invalid") {
      // A message is a message, even if its number can't be read: the next one has the next.
      this.#count(decoded.seq ?? expected);
      const closeReason = decoded.type === "close" ? "error" : undefined;
      const isClosed = decoded.type === "closed";
      const { section } = decoded;
      const code = section === "1" ? 413 : 400;
      throw new RemoteProtocolError(decoded.info, { code, closeReason, isClosed, section });
    }
    const { id, seq, acknowledged } = decoded.envelope;
    const closeReason = decoded.kind === "message" && decoded.message.type === "close"
      ? decoded.message.parameters.reason
      : undefined;
    const isClosed = decoded.kind === "message" && decoded.message.type === "closed";
    const fault = { closeReason, isClosed, section: "4" };
    this.#count(seq);
    if (!sameUuid(id, this.#id)) {
      const info = "Invalid message: id is not that of the session";
      throw new RemoteProtocolError(info, { isClosed, section: "4" });
    }
    if (seq !== expected) {
      // The official client calls a gap a defect of the server.
      const code = this.#role === "client" ? 500 : 400;
      const info = `Invalid message: expected seq ${expected}, got ${near(seq, expected)}`;
      throw new RemoteProtocolError(info, { ...fault, code });
    }
    if (acknowledged > this.#sentSeq) {
      const name = this.#role === "server" ? "serverseq" : "clientseq";
      const info = `Invalid message: ${name} is ${near(acknowledged, this.#sentSeq)}, but only ` +
        `${this.#sentSeq} were sent`;
      throw new RemoteProtocolError(info, fault);
    }
    if (this.#role === "client") {
      const type = decoded.kind === "message" ? decoded.message.type : decoded.type;
      const info = this.#acknowledge(type, acknowledged);
      if (info !== undefined) throw new RemoteProtocolError(info, fault);
    }
    if (decoded.kind === "unknown") return { kind: "unknown", type: decoded.type };
    if (decoded.kind === "unexpected") {
      throw this.#unexpected(decoded.type, sectionOf(decoded.type));
    }
    this.accept(decoded.message.type);
    return { kind: "message", message: decoded.message, acknowledged };
  }

  /** The connection is gone: nothing can be sent or received any more, whatever the state was. */
  end(): void {
    this.#enter("closed");
  }

  /**
   * Moves on by a message that was received; {@link MessageExchange.receive} does it for those
   * without a fault.
   *
   * @throws {RemoteProtocolError} If the state does not allow it.
   */
  accept(type: ReceivedBy<R>["type"]): void {
    const next = nextState(this.#role, this.#state, "receive", type);
    if (next === undefined) throw this.#unexpected(type);
    this.#enter(next);
  }

  #enter(state: SessionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#receivesAudio = this.mayReceive("audio");
  }

  #decode(text: string): DecodedText<ReceivedBy<R>> {
    const isAwaited = (type: string) =>
      nextState(this.#role, this.#state, "receive", type as never) !== undefined;
    const decoded = this.#role === "server"
      ? decodeClientText(text, this.#limits, isAwaited)
      : decodeServerText(text, this.#limits, isAwaited, false);
    return decoded as DecodedText<ReceivedBy<R>>;
  }

  #unexpected(type: string, section?: string): RemoteProtocolError {
    return new RemoteProtocolError(`Unexpected "${type}" while ${this.#state}`, { section });
  }

  #cannotSend(type: string): LocalProtocolError {
    return new LocalProtocolError(`Cannot send "${type}" while the session is ${this.#state}`);
  }

  /**
   * Notes how much of what a client sent its server has received.
   *
   * @returns What is wrong with that, if anything.
   */
  #acknowledge(type: string, seq: number): string | undefined {
    if (seq < this.#acknowledgedSeq) {
      return `Invalid message: clientseq is ${seq}, after ${this.#acknowledgedSeq}`;
    }
    this.#acknowledgedSeq = seq;
    if (type !== "opened" && type !== "closed") return undefined;
    const least = this.#answerSeqs[type];
    if (seq >= least) return undefined;
    return `Invalid "${type}": expected a clientseq of at least ${least}, got ${seq}`;
  }

  #count(seq: number): void {
    this.#lastReceivedSeq = seq;
    this.#highestReceivedSeq = Math.max(this.#highestReceivedSeq, seq);
  }
}

/** A number that the peer sent, if it can be one that was counted: others may say anything. */
function near(number: number, expected: number): string {
  return Math.abs(number - expected) < 1000 ? String(number) : "a number far from it";
}
