/**
 * The server's side of one session, sans-I/O (protocol sections 4 to 15).
 *
 * Frames and the present time go in; events for the application and frames to send come out. It
 * owns no socket, timer or promise: whoever drives it calls {@link ServerSession.tick} at
 * {@link ServerSession.deadlineMs}, and sends all of {@link ServerSession.takeOutput}, in order.
 * Imports nothing but its neighbours.
 */
import { ClientPace } from "./client_pace.ts";
import type { EventEntity } from "./entities.ts";
import type { Media } from "./media.ts";
import { MessageExchange } from "./message_exchange.ts";
import { type OpenedAnswer, openedParameters, selectedMedia } from "./opened_answer.ts";
import { type DisconnectReason, RemoteProtocolError } from "./protocol_error.ts";
import { ReceivedStream } from "./received_stream.ts";
import { ServerDeadlines } from "./server_deadlines.ts";
import { ServerInbox } from "./server_inbox.ts";
import type { OutputVariables, ServerMessage } from "./server_messages.ts";
import { ServerOutbox } from "./server_outbox.ts";
import { type ServerSessionEvent, ServerSessionReports } from "./server_session_events.ts";
import { SERVER_SESSION_LIMITS, type ServerSessionOptions } from "./server_session_options.ts";
import type { SessionState } from "./transitions.ts";

/** The server's side of one session. */
export class ServerSession {
  /** Largest text frame that is accepted, in bytes. */
  readonly maxTextBytes: number;
  readonly #exchange: MessageExchange<"server">;
  readonly #stream: ReceivedStream;
  readonly #pace: ClientPace;
  readonly #reports = new ServerSessionReports();
  readonly #outbox: ServerOutbox;
  readonly #inbox: ServerInbox;
  readonly #deadlines: ServerDeadlines;
  /** Nothing that comes is looked at any more. */
  #hasGivenUp = false;

  /** Begins when the connection is there: from now on the client has to send `open`. */
  constructor(options: ServerSessionOptions) {
    const { organizationId } = options;
    const limits = { ...SERVER_SESSION_LIMITS, ...options.limits };
    this.maxTextBytes = limits.maxTextBytes;
    this.#exchange = new MessageExchange("server", options.id, limits);
    this.#stream = new ReceivedStream(limits.maxAudioFrameBytes);
    this.#pace = new ClientPace(limits, options.nowMs);
    this.#outbox = new ServerOutbox(this.#exchange, limits, options.nowMs);
    this.#inbox = new ServerInbox({
      organizationId,
      stream: this.#stream,
      outbox: this.#outbox,
      reports: this.#reports,
    });
    this.#deadlines = new ServerDeadlines(limits, options.nowMs);
  }

  /** The session's state. */
  get state(): SessionState {
    return this.#exchange.state;
  }

  /** Tells whether a message may be sent now: the table's word, for whoever must not ask in vain. */
  maySend(type: ServerMessage["type"]): boolean {
    return this.#exchange.maySend(type);
  }

  /** What was selected; `undefined` before `opened`, and for a session without audio. */
  get media(): Media | undefined {
    return this.#stream.media;
  }

  /** Where the stream is: samples received, plus samples reported lost. */
  get positionSamples(): number {
    return this.#stream.positionSamples;
  }

  /** The two pauses. */
  get paused(): { readonly byServer: boolean; readonly byClient: boolean } {
    return { byServer: this.#stream.pauses.byServer, byClient: this.#stream.pauses.byClient };
  }

  /** When {@link ServerSession.tick} has something to do; `Infinity` if never. */
  get deadlineMs(): number {
    return Math.min(this.#deadlines.dueMs, this.#outbox.nextMs);
  }

  /** Takes what happened since the last call. */
  takeEvents(): readonly ServerSessionEvent[] {
    return this.#reports.take();
  }

  /** Takes what has to be sent, in this order: strings as text frames, bytes as binary ones. */
  takeOutput(): readonly (string | Uint8Array)[] {
    return this.#outbox.take();
  }

  /** A text frame came. */
  receiveText(text: string, nowMs: number): void {
    if (this.#hasGivenUp) return;
    const breach = this.#pace.message(nowMs, text.length);
    const wasPaused = this.#isPaused;
    try {
      const received = this.#exchange.receive(text);
      if (received.kind === "unknown") {
        this.#reports.addSome({ type: "unknown", messageType: received.type });
      } else {
        // The only message that tells, during a pause, that the client lives.
        if (received.message.type === "ping") this.#deadlines.lifeSign(nowMs);
        this.#inbox.receive(received.message, this.#exchange.state, nowMs);
      }
    } catch (error) {
      this.#fault(error, nowMs);
      if (error instanceof RemoteProtocolError && error.closeReason !== undefined) {
        this.#onFaultyClose(error.closeReason);
      }
    }
    this.#deadlines.follow(this.#exchange.state, nowMs);
    if (!wasPaused || !this.#isPaused) this.#deadlines.lifeSign(nowMs);
    // The message was counted all the same, and may have been `close`.
    if (breach !== undefined) this.#onFlood(breach, nowMs);
  }

  /**
   * A binary frame came.
   *
   * @param frame Interleaved samples of the selected channels.
   * @returns Position of its first sample, in samples; -1 if the frame is not to be used.
   */
  receiveAudio(frame: Uint8Array, nowMs: number): number {
    if (this.#hasGivenUp) return -1;
    this.#deadlines.lifeSign(nowMs);
    const breach = this.#pace.frame(nowMs);
    if (breach !== undefined) {
      this.#onFlood(breach, nowMs);
      return -1;
    }
    try {
      if (!this.#exchange.receivesAudio) {
        throw new RemoteProtocolError(`Unexpected audio while ${this.#exchange.state}`);
      }
      const samples = this.#stream.check(frame);
      this.#pace.audio(samples, nowMs);
      return this.#stream.advance(samples);
    } catch (error) {
      this.#fault(error, nowMs);
      return -1;
    }
  }

  /** The connection is gone: nothing more can be sent, and nothing more will be asked for. */
  connectionEnded(): void {
    this.#exchange.end();
    this.#outbox.clear();
    this.#deadlines.end();
  }

  /** The time of {@link ServerSession.deadlineMs} has come; harmless at any other time. */
  tick(nowMs: number): void {
    this.#outbox.flush(nowMs);
    const expiry = this.#deadlines.expire(this.#isPaused, nowMs);
    switch (expiry?.action) {
      case "disconnect":
        return this.#fault(new RemoteProtocolError(expiry.info, { code: 408 }), nowMs);
      case "closed":
        return this.closed(undefined, nowMs);
      case "hangup":
        return this.#reports.add({ type: "hangup", info: expiry.info });
    }
  }

  /**
   * Answers `open`.
   *
   * @throws {LocalProtocolError} If no `open` waits for an answer, or `media` is none of the offers
   * or not supported.
   */
  opened(answer: OpenedAnswer, nowMs: number): void {
    this.#exchange.requireSend("opened");
    const media = selectedMedia(answer, this.#inbox.offers);
    const parameters = openedParameters(answer, media, this.#inbox.wantsLanguages);
    this.#send({ type: "opened", parameters }, nowMs);
    if (answer.startPaused) this.#stream.pauses.startPaused();
    if (media !== undefined) this.#stream.start(media);
  }

  /**
   * Reports entities. They are sent in order, at once or when the client takes more messages;
   * `barge_in` is never delayed, and drops what waits to be played.
   *
   * @throws {LocalProtocolError} If the session is not open, or an entity is not as its type demands, or
   * too much is waiting.
   */
  sendEvent(entities: readonly EventEntity[], nowMs: number): void {
    this.#exchange.requireSend("event");
    this.#outbox.sendEntities(entities, nowMs);
  }

  /**
   * Asks the client to pause. Asked again, the client answers again.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  pause(nowMs: number): void {
    this.#outbox.send({ type: "pause", parameters: {} }, nowMs);
    this.#stream.pauses.requestPause();
  }

  /**
   * Ends our pause. The client answers `resumed`, or `paused` while its own pause holds.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  resume(nowMs: number): void {
    this.#outbox.send({ type: "resume", parameters: {} }, nowMs);
    this.#stream.pauses.requestResume();
  }

  /**
   * Confirms a change of language.
   *
   * @throws {LocalProtocolError} If no `update` waits for an answer, or the session is not open.
   */
  updated(nowMs: number): void {
    this.#inbox.requireUpdate();
    this.#outbox.send({ type: "updated", parameters: {} }, nowMs);
    this.#inbox.updated();
  }

  /**
   * Sends audio to the caller (Audio Connector), near real time.
   *
   * @throws {LocalProtocolError} If the session is not open or is not a bot's, or the frame is too
   * large or has part of a sample.
   */
  play(frame: Uint8Array, nowMs: number): void {
    this.#exchange.requireSend("audio");
    this.#outbox.play(frame, this.#stream.media, nowMs);
  }

  /**
   * Asks the client to end the session: it answers `close`. In place of `opened`, it refuses.
   *
   * @param info For logs on both sides: no personal data.
   * @param outputVariables For the call flow (Audio Connector).
   * @throws {LocalProtocolError} If `disconnect` was sent already, or the client is closing.
   */
  disconnect(
    reason: DisconnectReason,
    info: string | undefined,
    outputVariables: OutputVariables | undefined,
    nowMs: number,
  ): void {
    this.#send({
      type: "disconnect",
      parameters: {
        reason,
        ...(info === undefined ? {} : { info }),
        ...(outputVariables === undefined ? {} : { outputVariables }),
      },
    }, nowMs);
    this.#outbox.clearPlayback();
  }

  /**
   * Asks the client to continue the stream in a new session (protocol section 16).
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  reconnect(info: string | undefined, nowMs: number): void {
    this.#outbox.send({ type: "reconnect", parameters: info === undefined ? {} : { info } }, nowMs);
  }

  /**
   * Answers `close`, after the events that still wait.
   *
   * @throws {LocalProtocolError} If no `close` waits for an answer.
   */
  closed(outputVariables: OutputVariables | undefined, nowMs: number): void {
    this.#exchange.requireSend("closed");
    this.#outbox.sendWaitingEntities(nowMs);
    const parameters = outputVariables === undefined ? {} : { outputVariables };
    this.#send({ type: "closed", parameters }, nowMs);
  }

  /** A `close` that breaks a rule closes too: the client waits for `closed`, and sends no other. */
  #onFaultyClose(reason: string): void {
    if (!this.#exchange.mayReceive("close")) return;
    this.#exchange.accept("close");
    this.#inbox.close(reason);
  }

  #send(message: ServerMessage, nowMs: number): void {
    this.#outbox.send(message, nowMs);
    this.#deadlines.follow(this.#exchange.state, nowMs);
  }

  get #isPaused(): boolean {
    return !this.#stream.pauses.flowing;
  }

  /** More came than any client needs to send. One that goes on so is hung up on. */
  #onFlood(info: string, nowMs: number): void {
    if (this.#pace.forgive(nowMs)) {
      return this.#fault(new RemoteProtocolError(info, { code: 429 }), nowMs);
    }
    this.#hasGivenUp = true;
    this.#deadlines.end();
    this.#reports.add({ type: "hangup", info });
  }

  /** Reports a fault of the peer, and answers by `disconnect` where there can be one. */
  #fault(error: unknown, nowMs: number): void {
    if (!(error instanceof RemoteProtocolError)) throw error;
    this.#reports.addSome({ type: "violation", info: error.message });
    if (this.#exchange.maySend("disconnect")) {
      this.disconnect(error.reason, error.message, undefined, nowMs);
    }
  }
}
