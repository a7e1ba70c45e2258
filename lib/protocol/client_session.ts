/**
 * The client's side of one session, sans-I/O (protocol sections 4 to 15): what Genesys Cloud does.
 *
 * Driven like {@link ServerSession}: frames and the present time go in, events and frames to send
 * come out, and {@link ClientSession.tick} is due at {@link ClientSession.deadlineMs}. Imports
 * nothing but its neighbours.
 */
import type { ClientMessage, ClientParameters, OpenParameters } from "./client_messages.ts";
import { ClientPings } from "./client_pings.ts";
import {
  CLIENT_SESSION_LIMITS,
  type ClientSessionEvent,
  type ClientSessionLimits,
  timeoutEvent,
} from "./client_session_events.ts";
import { ClientStream } from "./client_stream.ts";
import { MAX_SENT_TEXT_BYTES, TEXT_LIMITS } from "./codec.ts";
import { durationToSamples, formatDuration, samplesToDuration } from "./duration.ts";
import { isSupportedMedia, type Media, sameMedia, SAMPLE_RATE } from "./media.ts";
import { MessageExchange } from "./message_exchange.ts";
import { RemoteProtocolError } from "./protocol_error.ts";
import type { ServerMessage, ServerParameters } from "./server_messages.ts";
import { ServerPace } from "./server_pace.ts";
import { brokenByEntities, checkPlayed, mayFollowDisconnect, sectionOf } from "./server_rules.ts";
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
  readonly #pace: ServerPace;
  #stream = new ClientStream(undefined, false, 0);
  #offers: OpenParameters["media"] = [];
  #asksForLanguages = false;
  #media: Media | undefined;
  #unansweredUpdates = 0;
  #hasDisconnect = false;
  #stateDeadlineMs = Infinity;
  #events: ClientSessionEvent[] = [];
  #output: (string | Uint8Array)[] = [];

  /** Begins when the connection is there; {@link ClientSession.open} comes next. */
  constructor(options: ClientSessionOptions) {
    const textLimits = { ...TEXT_LIMITS, maxTextBytes: MAX_SENT_TEXT_BYTES };
    this.#exchange = new MessageExchange("client", options.id, textLimits);
    this.#limits = { ...CLIENT_SESSION_LIMITS, ...options.limits };
    this.#pings = new ClientPings(this.#limits);
    this.#pace = new ServerPace(this.#limits);
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
    return this.#exchange.state === "open" ? this.#pings.deadlineMs : this.#stateDeadlineMs;
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
    this.#asksForLanguages = parameters.supportedLanguages === true;
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
    this.#unansweredUpdates++;
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
   * Ends the session. What was left out and could still be reported, is.
   *
   * @throws {LocalProtocolError} If it ends already.
   */
  close(reason: "end" | "error" | "disconnect" | "reconnect", nowMs: number): void {
    this.#exchange.requireSend("close");
    if (this.#exchange.maySend("discarded") && this.#stream.flowing) this.#reportLost();
    this.#send({ type: "close", parameters: { reason } });
    this.#stateDeadlineMs = nowMs + this.#limits.closeTimeoutMs;
  }

  /** A text frame came. */
  receiveText(text: string, nowMs: number): void {
    this.#guard(nowMs, () => {
      const received = this.#exchange.receive(text, (type) => this.#sectionOf(type));
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
    // We closed while it was on its way; after a `disconnect`, none can be.
    const { state } = this.#exchange;
    if (state === "closing" && !this.#hasDisconnect) return false;
    return this.#guard(nowMs, () => {
      this.#requireNoDisconnect("audio");
      checkPlayed(frame, this.#exchange.mayReceive("audio") ? this.#media : undefined);
      this.#countPaced("audio", nowMs);
    });
  }

  /** We did not read for so long: what the server sent meanwhile comes at once. */
  forgivePace(heldBackMs: number): void {
    this.#pace.forgive(heldBackMs);
  }

  /** The time of {@link ClientSession.deadlineMs} has come; harmless at any other time. */
  tick(nowMs: number): void {
    if (this.#exchange.state !== "open") {
      if (nowMs < this.#stateDeadlineMs) return;
      this.#stateDeadlineMs = Infinity;
      const waitedFor = this.#exchange.state === "opening" ? "opened" : "closed";
      this.#events.push(timeoutEvent(waitedFor, this.#limits));
    } else if (this.#pings.isLate(nowMs)) {
      this.#pings.stop();
      this.error({ code: 408, message: 'No "pong" in time' });
      this.#events.push(timeoutEvent("pong", this.#limits));
    } else {
      for (let count = this.#pings.due(nowMs); count > 0; count--) {
        this.#send({ type: "ping", parameters: this.#pings.parameters });
        this.#pings.sent(this.#exchange.sentSeq, nowMs);
      }
    }
  }

  #handle(message: ServerMessage, acknowledged: number, nowMs: number): void {
    this.#requireNoDisconnect(message.type);
    switch (message.type) {
      case "opened":
        return this.#onOpened(message.parameters, nowMs);
      case "pong":
        this.#events.push({
          type: "pong",
          roundTripMs: this.#pings.answered(acknowledged, nowMs),
        });
        return;
      case "pause":
      case "resume":
        return this.#onPauseRequest(message.type);
      case "updated":
        if (this.#unansweredUpdates > 0) this.#unansweredUpdates--;
        else this.#report("10", 'Unexpected "updated": no "update" waits for it');
        this.#events.push({ type: "updated" });
        return;
      case "event":
        this.#countPaced("event", nowMs);
        for (const { section, info } of brokenByEntities(message.parameters.entities)) {
          this.#report(section, info);
        }
        this.#events.push({ type: "event", entities: message.parameters.entities });
        return;
      case "reconnect":
        this.#events.push({ type: "reconnect", info: message.parameters.info });
        return;
      case "disconnect":
        this.#hasDisconnect = true;
        this.#events.push({ type: "disconnect", parameters: message.parameters });
        if (this.#exchange.maySend("close")) this.close("disconnect", nowMs);
        return;
      case "closed":
        this.#stateDeadlineMs = Infinity;
        this.#events.push({ type: "closed", parameters: message.parameters });
    }
  }

  #onOpened(parameters: ServerParameters<"opened">, nowMs: number): void {
    if (this.#asksForLanguages && parameters.supportedLanguages === undefined) {
      this.#report("6.4", '"opened" has no supportedLanguages, although "open" asked for them');
    }
    // We closed while it was on its way.
    if (this.#exchange.state !== "open") return;
    const [selected] = parameters.media;
    if (selected !== undefined && !this.#offers.some((offer) => sameMedia(offer, selected))) {
      throw new RemoteProtocolError("Selected media not one of the offered", { section: "6.3" });
    }
    if (selected !== undefined && isSupportedMedia(selected)) this.#media = selected;
    const startPaused = parameters.startPaused === true;
    const discardTo = durationToSamples(parameters.discardTo ?? "PT0S", SAMPLE_RATE);
    this.#stream = new ClientStream(this.#media, startPaused, discardTo);
    this.#pings.start(nowMs);
    this.#events.push({ type: "opened", parameters });
    if (startPaused) this.#send({ type: "paused", parameters: {} });
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

  /** Counts what a server can pace; too much of it is answered, and taken all the same. */
  #countPaced(kind: "event" | "audio", nowMs: number): void {
    const message = this.#pace.count(kind, nowMs);
    if (message === undefined) return;
    const retryAfter = formatDuration(Math.round(this.#limits.retryAfterMs * 1e6));
    if (this.#exchange.maySend("error")) this.error({ code: 429, message, retryAfter });
    this.#report("12", message, 429);
  }

  #sectionOf(type: string): string | undefined {
    return this.#hasDisconnect && !mayFollowDisconnect(type) ? "14" : sectionOf(type);
  }

  #requireNoDisconnect(type: string): void {
    if (!this.#hasDisconnect || mayFollowDisconnect(type)) return;
    throw new RemoteProtocolError(`Unexpected "${type}" after "disconnect"`, { section: "14" });
  }

  /** The server broke a rule, and the session goes on. */
  #report(section: string, info: string, code = 400): void {
    this.#events.push({ type: "violation", code, info, section, ends: false });
  }

  /** Runs a reaction to the server; a fault of its ends the session. */
  #guard(nowMs: number, react: () => void): boolean {
    try {
      react();
      return true;
    } catch (error) {
      if (!(error instanceof RemoteProtocolError)) throw error;
      const { code, message, section = "4" } = error;
      this.#events.push({ type: "violation", code, info: message, section, ends: true });
      if (this.#exchange.maySend("error")) this.error({ code, message });
      if (this.#exchange.maySend("close")) this.close("error", nowMs);
      return false;
    }
  }

  #send(message: ClientMessage): void {
    const position = samplesToDuration(this.#stream.positionSamples, SAMPLE_RATE);
    this.#output.push(this.#exchange.send(message, position));
  }
}
