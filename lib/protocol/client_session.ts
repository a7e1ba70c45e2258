/**
 * The client's side of one session, sans-I/O (protocol sections 4 to 15): what Genesys Cloud does.
 *
 * Driven like {@link ServerSession}: frames and the present time go in, events and frames to send
 * come out, and {@link ClientSession.tick} is due at {@link ClientSession.deadlineMs}. Imports
 * nothing but its neighbours.
 */
import { ClientInbox } from "./client_inbox.ts";
import type { ClientParameters, OpenParameters } from "./client_messages.ts";
import { ClientOutbox } from "./client_outbox.ts";
import { ClientPings } from "./client_pings.ts";
import { ClientReports } from "./client_reports.ts";
import {
  CLIENT_SESSION_LIMITS,
  type ClientSessionEvent,
  type ClientSessionLimits,
  timeoutEvent,
} from "./client_session_events.ts";
import { ClientStream } from "./client_stream.ts";
import { MAX_SENT_TEXT_BYTES, TEXT_LIMITS } from "./codec.ts";
import type { Media } from "./media.ts";
import { MessageExchange } from "./message_exchange.ts";
import { RemoteProtocolError } from "./protocol_error.ts";
import type { SessionState } from "./transitions.ts";

/** How a client session begins. */
export interface ClientSessionOptions {
  /** UUID of the session, as sent in `Audiohook-Session-Id`. */
  readonly id: string;
  /** What differs from {@link CLIENT_SESSION_LIMITS}. */
  readonly limits?: Partial<ClientSessionLimits>;
}

/** The client's side of one session. */
export class ClientSession {
  readonly #exchange: MessageExchange<"client">;
  readonly #limits: ClientSessionLimits;
  readonly #pings: ClientPings;
  readonly #reports = new ClientReports();
  readonly #stream = new ClientStream();
  readonly #outbox: ClientOutbox;
  readonly #inbox: ClientInbox;
  #stateDeadlineMs = Infinity;

  /** Begins when the connection is there; {@link ClientSession.open} comes next. */
  constructor(options: ClientSessionOptions) {
    const textLimits = { ...TEXT_LIMITS, maxTextBytes: MAX_SENT_TEXT_BYTES };
    this.#exchange = new MessageExchange("client", options.id, textLimits);
    this.#limits = { ...CLIENT_SESSION_LIMITS, ...options.limits };
    this.#pings = new ClientPings(this.#limits);
    this.#outbox = new ClientOutbox(this.#exchange, this.#stream);
    this.#inbox = new ClientInbox({
      exchange: this.#exchange,
      stream: this.#stream,
      pings: this.#pings,
      outbox: this.#outbox,
      reports: this.#reports,
      limits: this.#limits,
    });
  }

  /** The session's state. */
  get state(): SessionState {
    return this.#exchange.state;
  }

  /** What the server selected; `undefined` before `opened`, and for a session without audio. */
  get media(): Media | undefined {
    return this.#inbox.media;
  }

  /** Where the stream is, in samples. */
  get positionSamples(): number {
    return this.#stream.positionSamples;
  }

  /** The two pauses. */
  get paused(): { readonly byServer: boolean; readonly byClient: boolean } {
    return { byServer: this.#stream.pausedByServer, byClient: this.#stream.pausedByClient };
  }

  /** When {@link ClientSession.tick} has something to do; `Infinity` if never. */
  get deadlineMs(): number {
    return this.#exchange.state === "open" ? this.#pings.deadlineMs : this.#stateDeadlineMs;
  }

  /** Takes what happened since the last call. */
  takeEvents(): readonly ClientSessionEvent[] {
    return this.#reports.take();
  }

  /** Takes what has to be sent, in this order: strings as text frames, bytes as binary ones. */
  takeOutput(): readonly (string | Uint8Array)[] {
    return this.#outbox.take();
  }

  /**
   * Opens the session.
   *
   * @throws {LocalProtocolError} If it was opened already.
   */
  open(parameters: OpenParameters, nowMs: number): void {
    this.#outbox.send({ type: "open", parameters });
    this.#inbox.openSent(parameters);
    this.#stateDeadlineMs = nowMs + this.#limits.openTimeoutMs;
  }

  /**
   * Offers the next frame of the stream. During a pause, and before `discardTo`, it is left out and
   * reported later.
   *
   * @param frame Whole samples of the selected media, at most 64,000 bytes. Not copied.
   * @returns Whether it was sent.
   * @throws {LocalProtocolError} If the session is not open or has no audio.
   */
  sendAudio(frame: Uint8Array): boolean {
    this.#exchange.requireSend("audio");
    return this.#outbox.sendAudio(frame);
  }

  /**
   * Leaves audio out; it is reported before the next frame, together with what is left out until
   * then.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  lose(samples: number): void {
    this.#exchange.requireSend("discarded");
    this.#stream.lose(samples);
  }

  /**
   * Leaves audio out, as a client does whose network is too slow, and reports it at once.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  discard(samples: number): void {
    this.#exchange.requireSend("discarded");
    this.#stream.lose(samples);
    this.#outbox.sendDiscarded();
  }

  /**
   * Begins our own pause.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  pause(): void {
    this.#outbox.send({ type: "paused", parameters: {} });
    this.#stream.setPause("client", true);
  }

  /**
   * Ends our own pause. While the server's holds, nothing is sent.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  resume(): void {
    this.#exchange.requireSend("resumed");
    if (!this.#stream.pausedByClient) return;
    this.#stream.setPause("client", false);
    if (this.#stream.flowing) this.#outbox.sendResumed();
  }

  /**
   * Changes the language.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  update(language: string): void {
    this.#outbox.send({ type: "update", parameters: { language } });
    this.#inbox.updateSent();
  }

  /**
   * Sends a digit that the caller pressed (Audio Connector).
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  dtmf(digit: string): void {
    this.#outbox.send({ type: "dtmf", parameters: { digit } });
  }

  /**
   * Tells that the server's audio began to play, or that no more is left to play.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  playback(state: "started" | "completed"): void {
    this.#outbox.send({ type: `playback_${state}`, parameters: {} });
  }

  /**
   * Reports an error to the server.
   *
   * @throws {LocalProtocolError} If the state does not allow it.
   */
  error(parameters: ClientParameters<"error">): void {
    this.#outbox.send({ type: "error", parameters });
  }

  /**
   * Ends the session. What was left out and could still be reported, is.
   *
   * @throws {LocalProtocolError} If it ends already.
   */
  close(reason: "end" | "error" | "disconnect" | "reconnect", nowMs: number): void {
    this.#exchange.requireSend("close");
    if (this.#exchange.maySend("discarded")) this.#outbox.sendDiscarded();
    this.#outbox.send({ type: "close", parameters: { reason } });
    this.#stateDeadlineMs = nowMs + this.#limits.closeTimeoutMs;
  }

  /** A text frame came. */
  receiveText(text: string, nowMs: number): void {
    this.#guard(nowMs, () => {
      const received = this.#exchange.receive(text, (type) => this.#inbox.sectionOf(type));
      if (received.kind === "unknown") {
        return this.#inbox.receiveUnknown(received.type, nowMs);
      }
      const { message, acknowledged } = received;
      this.#inbox.receive(message, acknowledged, nowMs);
      if (message.type === "closed") this.#stateDeadlineMs = Infinity;
      if (message.type === "disconnect" && this.#exchange.maySend("close")) {
        this.close("disconnect", nowMs);
      }
    });
  }

  /**
   * A binary frame came (Audio Connector).
   *
   * @returns Whether it is to be played.
   */
  receiveAudio(frame: Uint8Array, nowMs: number): boolean {
    // We closed while it was on its way; after a `disconnect`, none can be.
    const { state } = this.#exchange;
    if (state === "closing" && !this.#inbox.hasDisconnect) return false;
    return this.#guard(nowMs, () => this.#inbox.receiveAudio(frame, nowMs));
  }

  /** We did not read for so long: what the server sent meanwhile comes at once. */
  forgivePace(heldBackMs: number): void {
    this.#inbox.forgivePace(heldBackMs);
  }

  /** The time of {@link ClientSession.deadlineMs} has come; harmless at any other time. */
  tick(nowMs: number): void {
    if (this.#exchange.state !== "open") {
      if (nowMs < this.#stateDeadlineMs) return;
      this.#stateDeadlineMs = Infinity;
      const waitedFor = this.#exchange.state === "opening" ? "opened" : "closed";
      this.#reports.add(timeoutEvent(waitedFor, this.#limits));
    } else if (this.#pings.isLate(nowMs)) {
      this.#pings.stop();
      this.error({ code: 408, message: 'No "pong" in time' });
      this.#reports.add(timeoutEvent("pong", this.#limits));
    } else {
      for (let count = this.#pings.due(nowMs); count > 0; count--) {
        this.#outbox.send({ type: "ping", parameters: this.#pings.parameters });
        this.#pings.sent(this.#exchange.sentSeq, nowMs);
      }
    }
  }

  /** A `closed` that breaks a rule closes too: the server sends no other. */
  #onFaultyClosed(): void {
    if (!this.#exchange.mayReceive("closed")) return;
    this.#exchange.accept("closed");
    this.#stateDeadlineMs = Infinity;
    this.#reports.add({ type: "closed", parameters: {} });
  }

  /** Runs a reaction to the server; a fault of its ends the session. */
  #guard(nowMs: number, react: () => void): boolean {
    try {
      react();
      return true;
    } catch (error) {
      if (!(error instanceof RemoteProtocolError)) throw error;
      const { code, message, section = "4" } = error;
      this.#reports.add({ type: "violation", code, info: message, section, ends: true });
      if (error.isClosed) this.#onFaultyClosed();
      if (this.#exchange.maySend("error")) this.error({ code, message });
      if (this.#exchange.maySend("close")) this.close("error", nowMs);
      return false;
    }
  }
}
