/**
 * The client's side of one session, sans-I/O (protocol sections 4 to 15): what Genesys Cloud does.
 *
 * Driven like {@link ServerSession}: frames and the present time go in, events and frames to send
 * come out, and {@link ClientSession.tick} is due at {@link ClientSession.deadlineMs}. Imports
 * nothing but its neighbours.
 */
import type { ClientMessage, ClientParameters, OpenParameters } from "./client_messages.ts";
import {
  CLIENT_SESSION_LIMITS,
  type ClientSessionEvent,
  type ClientSessionLimits,
} from "./client_session_events.ts";
import { ClientStream } from "./client_stream.ts";
import { durationToSamples, formatDuration, samplesToDuration } from "./duration.ts";
import {
  bytesPerSampleFrame,
  isSupportedMedia,
  MAX_AUDIO_FRAME_BYTES,
  type Media,
  sameMedia,
  SAMPLE_RATE,
  takesPlayback,
} from "./media.ts";
import { MessageExchange } from "./message_exchange.ts";
import { RemoteProtocolError } from "./protocol_error.ts";
import type { ServerMessage, ServerParameters } from "./server_messages.ts";
import type { SessionState } from "./transitions.ts";

/** How a client session begins. */
export interface ClientSessionOptions {
  /** UUID of the session, as sent in `Audiohook-Session-Id`. */
  readonly id: string;
  /** What differs from {@link CLIENT_SESSION_LIMITS}. */
  readonly limits?: Partial<ClientSessionLimits>;
}

interface SentPing {
  readonly seq: number;
  readonly sentMs: number;
}

/** The client's side of one session. */
export class ClientSession {
  readonly #exchange: MessageExchange<"client">;
  readonly #limits: ClientSessionLimits;
  #stream = new ClientStream(undefined, false, 0);
  #offers: OpenParameters["media"] = [];
  #media: Media | undefined;
  #pings: SentPing[] = [];
  #lastRoundTripMs: number | undefined;
  #nextPingMs = Infinity;
  #stateDeadlineMs = Infinity;
  #events: ClientSessionEvent[] = [];
  #output: (string | Uint8Array)[] = [];

  /** Begins when the connection is there; {@link ClientSession.open} comes next. */
  constructor(options: ClientSessionOptions) {
    this.#exchange = new MessageExchange("client", options.id);
    this.#limits = { ...CLIENT_SESSION_LIMITS, ...options.limits };
  }

  /** The session's state. */
  get state(): SessionState {
    return this.#exchange.state;
  }

  /** What the server selected; `undefined` before `opened`, and for a session without audio. */
  get media(): Media | undefined {
    return this.#media;
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
    if (this.#exchange.state !== "open") return this.#stateDeadlineMs;
    const [oldest] = this.#pings;
    const pong = oldest === undefined ? Infinity : oldest.sentMs + this.#limits.pongTimeoutMs;
    return Math.min(this.#nextPingMs, pong);
  }

  /** Takes what happened since the last call. */
  takeEvents(): readonly ClientSessionEvent[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }

  /** Takes what has to be sent, in this order: strings as text frames, bytes as binary ones. */
  takeOutput(): readonly (string | Uint8Array)[] {
    const output = this.#output;
    if (output.length > 0) this.#output = [];
    return output;
  }

  /**
   * Opens the session.
   *
   * @throws {LocalProtocolError} If it was opened already.
   */
  open(parameters: OpenParameters, nowMs: number): void {
    this.#send({ type: "open", parameters });
    this.#offers = parameters.media;
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
    const samples = this.#stream.samplesOf(frame);
    if (!this.#stream.wants(samples)) {
      this.#stream.lose(samples);
      return false;
    }
    this.#reportLost();
    this.#stream.advance(samples);
    this.#output.push(frame);
    return true;
  }

  /**
   * Leaves audio out, as a client does whose network is too slow.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  discard(samples: number): void {
    this.#exchange.requireSend("discarded");
    this.#stream.lose(samples);
    if (this.#stream.flowing) this.#reportLost();
  }

  /**
   * Begins our own pause.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  pause(): void {
    this.#send({ type: "paused", parameters: {} });
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
    if (this.#stream.flowing) this.#sendResumed();
  }

  /**
   * Changes the language.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  update(language: string): void {
    this.#send({ type: "update", parameters: { language } });
  }

  /**
   * Sends a digit that the caller pressed (Audio Connector).
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  dtmf(digit: string): void {
    this.#send({ type: "dtmf", parameters: { digit } });
  }

  /**
   * Tells that the server's audio began to play, or that no more is left to play.
   *
   * @throws {LocalProtocolError} If the session is not open.
   */
  playback(state: "started" | "completed"): void {
    this.#send({ type: `playback_${state}`, parameters: {} });
  }

  /**
   * Reports an error to the server.
   *
   * @throws {LocalProtocolError} If the state does not allow it.
   */
  error(parameters: ClientParameters<"error">): void {
    this.#send({ type: "error", parameters });
  }

  /**
   * Ends the session.
   *
   * @throws {LocalProtocolError} If it ends already.
   */
  close(reason: "end" | "error" | "disconnect" | "reconnect", nowMs: number): void {
    this.#send({ type: "close", parameters: { reason } });
    this.#stateDeadlineMs = nowMs + this.#limits.closeTimeoutMs;
  }

  /** A text frame came. */
  receiveText(text: string, nowMs: number): void {
    this.#guard(nowMs, () => {
      const received = this.#exchange.receive(text);
      if (received.kind === "unknown") {
        this.#events.push({ type: "unknown", messageType: received.type });
      } else {
        this.#handle(received.message, received.acknowledged, nowMs);
      }
    });
  }

  /**
   * A binary frame came (Audio Connector).
   *
   * @returns Whether it is to be played.
   */
  receiveAudio(frame: Uint8Array, nowMs: number): boolean {
    // We closed while it was on its way.
    if (this.#exchange.state === "closing") return false;
    return this.#guard(nowMs, () => {
      const media = this.#media;
      if (!this.#exchange.mayReceive("audio") || !takesPlayback(media)) {
        throw new RemoteProtocolError("Unexpected audio", { code: 415 });
      }
      if (frame.length > MAX_AUDIO_FRAME_BYTES) {
        throw new RemoteProtocolError("Audio frame is too large", { code: 413 });
      }
      if (frame.length % bytesPerSampleFrame(media) !== 0) {
        throw new RemoteProtocolError("Audio frame has part of a sample");
      }
    });
  }

  /** The time of {@link ClientSession.deadlineMs} has come; harmless at any other time. */
  tick(nowMs: number): void {
    if (this.#exchange.state !== "open") {
      if (nowMs < this.#stateDeadlineMs) return;
      this.#stateDeadlineMs = Infinity;
      const waitedFor = this.#exchange.state === "opening" ? "opened" : "closed";
      this.#events.push({ type: "timeout", waitedFor });
      return;
    }
    const [oldest] = this.#pings;
    if (oldest !== undefined && nowMs >= oldest.sentMs + this.#limits.pongTimeoutMs) {
      this.#pings = [];
      this.#nextPingMs = Infinity;
      this.#events.push({ type: "timeout", waitedFor: "pong" });
    } else if (nowMs >= this.#nextPingMs) {
      // The first ping is sent twice: the second one measures a warm connection.
      if (this.#lastRoundTripMs === undefined && this.#pings.length === 0) this.#ping(nowMs);
      this.#ping(nowMs);
      this.#nextPingMs = nowMs + this.#limits.pingIntervalMs;
    }
  }

  #handle(message: ServerMessage, acknowledged: number, nowMs: number): void {
    switch (message.type) {
      case "opened":
        return this.#onOpened(message.parameters, nowMs);
      case "pong":
        return this.#onPong(acknowledged, nowMs);
      case "pause":
      case "resume":
        return this.#onPauseRequest(message.type);
      case "updated":
        this.#events.push({ type: "updated" });
        return;
      case "event":
        this.#events.push({ type: "event", entities: message.parameters.entities });
        return;
      case "reconnect":
        this.#events.push({ type: "reconnect", info: message.parameters.info });
        return;
      case "disconnect":
        this.#events.push({ type: "disconnect", parameters: message.parameters });
        if (this.#exchange.maySend("close")) this.close("disconnect", nowMs);
        return;
      case "closed":
        this.#stateDeadlineMs = Infinity;
        this.#events.push({ type: "closed", parameters: message.parameters });
    }
  }

  #onOpened(parameters: ServerParameters<"opened">, nowMs: number): void {
    // We closed while it was on its way.
    if (this.#exchange.state !== "open") return;
    const [selected] = parameters.media;
    if (selected !== undefined && !this.#offers.some((offer) => sameMedia(offer, selected))) {
      throw new RemoteProtocolError("Selected media not one of the offered");
    }
    if (selected !== undefined && isSupportedMedia(selected)) this.#media = selected;
    const startPaused = parameters.startPaused === true;
    const discardTo = durationToSamples(parameters.discardTo ?? "PT0S", SAMPLE_RATE);
    this.#stream = new ClientStream(this.#media, startPaused, discardTo);
    this.#nextPingMs = nowMs + this.#limits.firstPingMs;
    this.#events.push({ type: "opened", parameters });
    if (startPaused) this.#send({ type: "paused", parameters: {} });
  }

  #onPong(acknowledged: number, nowMs: number): void {
    const ping = this.#pings.shift();
    if (ping === undefined) throw new RemoteProtocolError('Unexpected "pong": no ping is open');
    if (ping.seq !== acknowledged) {
      throw new RemoteProtocolError(
        `Invalid "pong": expected clientseq ${ping.seq}, got ${acknowledged}`,
      );
    }
    this.#lastRoundTripMs = nowMs - ping.sentMs;
    this.#events.push({ type: "pong", roundTripMs: this.#lastRoundTripMs });
  }

  #onPauseRequest(request: "pause" | "resume"): void {
    // We closed while it was on its way.
    if (this.#exchange.state !== "open") return;
    this.#stream.setPause("server", request === "pause");
    this.#events.push({ type: request });
    if (this.#stream.flowing) this.#sendResumed();
    else this.#send({ type: "paused", parameters: {} });
  }

  #sendResumed(): void {
    this.#send({ type: "resumed", parameters: this.#stream.takeLost() });
  }

  #reportLost(): void {
    if (this.#stream.hasLost) {
      this.#send({ type: "discarded", parameters: this.#stream.takeLost() });
    }
  }

  #ping(nowMs: number): void {
    const rtt = this.#lastRoundTripMs;
    const parameters = rtt === undefined
      ? {}
      : { rtt: formatDuration(Math.max(0, Math.round(rtt * 1e6))) };
    this.#send({ type: "ping", parameters });
    this.#pings.push({ seq: this.#exchange.sentSeq, sentMs: nowMs });
  }

  /** Runs a reaction to the server; a fault of its ends the session. */
  #guard(nowMs: number, react: () => void): boolean {
    try {
      react();
      return true;
    } catch (error) {
      if (!(error instanceof RemoteProtocolError)) throw error;
      this.#events.push({ type: "violation", code: error.code, info: error.message });
      if (this.#exchange.maySend("error")) this.error({ code: error.code, message: error.message });
      if (this.#exchange.maySend("close")) this.close("error", nowMs);
      return false;
    }
  }

  #send(message: ClientMessage): void {
    const position = samplesToDuration(this.#stream.positionSamples, SAMPLE_RATE);
    this.#output.push(this.#exchange.send(message, position));
  }
}
