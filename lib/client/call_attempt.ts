/**
 * One connection of a call: the transport adapter of a {@link ClientSession}. It owns the socket and
 * the timers.
 *
 * Imports the protocol and its neighbours.
 */
import {
  bytesPerSampleFrame,
  ClientSession,
  type ClientSessionEvent,
  type ClientSessionLimits,
  LocalProtocolError,
  type Media,
  type OpenParameters,
  SAMPLE_RATE,
  takesPlayback,
} from "../protocol/mod.ts";
import { AttemptVerdict, type Verdict } from "./attempt_verdict.ts";
import { AudioSender } from "./audio_sender.ts";
import { BotPlayer } from "./bot_player.ts";
import type { CallAudio } from "./call_audio.ts";
import type { CallLog } from "./call_log.ts";
import { ClientSocket, type ConnectionEnd } from "./client_socket.ts";
import type { ConnectionRequest } from "./connection_request.ts";
import type { LiveAudio } from "./live_audio.ts";
import { SessionClock } from "./session_clock.ts";

/** What an attempt needs of its call. */
export interface AttemptOptions {
  readonly request: ConnectionRequest;
  /** Headers of the connection request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly attempt: number;
  readonly open: OpenParameters;
  /** Close as soon as it is open. */
  readonly isProbe: boolean;
  /** The client's own pause holds from the beginning. */
  readonly isOnHold: boolean;
  readonly audio: CallAudio;
  readonly live: LiveAudio;
  readonly speed: number;
  /** Audio that cannot be sent in time is left out; otherwise the call waits. */
  readonly dropsLateAudio: boolean;
  readonly maxBufferedBytes?: number;
  readonly connectTimeoutMs?: number;
  readonly limits?: Partial<ClientSessionLimits>;
  readonly log: CallLog;
}

/** How an attempt ended. */
export interface AttemptEnd extends Verdict {
  /** Whether the client's own pause held at the end. */
  readonly isOnHold: boolean;
}

/** From our goodbye to the end of the connection: nobody waits for a server's. */
const GOODBYE_MS = 1_000;
/** More text than that waits for a server that does not read. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** The longest stall, so that a call has an end. */
const MAX_STALL_SECONDS = 300;

/** One connection, from the request to its end. */
export class CallAttempt {
  readonly #options: AttemptOptions;
  readonly #log: CallLog;
  readonly #session: ClientSession;
  readonly #socket: ClientSocket;
  readonly #sender: AudioSender;
  readonly #clock = new SessionClock();
  readonly #verdict = new AttemptVerdict();
  readonly #ended = Promise.withResolvers<AttemptEnd>();
  #player: BotPlayer | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #goodbyeTimer: ReturnType<typeof setTimeout> | undefined;
  #stallTimer: ReturnType<typeof setTimeout> | undefined;
  #openSentMs = 0;
  #closeSentMs: number | undefined;
  #isOver = false;
  #wasOpened = false;

  /**
   * Begins to connect.
   *
   * @throws {Error} If the address or a header is not one.
   */
  constructor(options: AttemptOptions) {
    this.#options = options;
    this.#log = options.log;
    const { request: { url, sessionId }, headers, connectTimeoutMs, limits } = options;
    this.#session = new ClientSession({ id: sessionId, limits });
    this.#socket = new ClientSocket({ url, headers, connectTimeoutMs }, {
      onOpen: () => this.#onConnected(),
      onText: (text) => this.#onText(text),
      onBinary: (frame) => this.#onBinary(frame),
      onEnd: (end) => this.#end(end),
    });
    this.#sender = new AudioSender(options, this.#session, this.#socket, {
      write: () => this.#write(),
      finish: () => void this.close("end"),
    });
  }

  /** Settles when the connection is over; never rejects. */
  get ended(): Promise<AttemptEnd> {
    return this.#ended.promise;
  }

  /** What the server selected. */
  get media(): Media | undefined {
    return this.#session.media;
  }

  /** The two pauses. */
  get paused(): ClientSession["paused"] {
    return this.#session.paused;
  }

  /** Whether nothing can be done any more: the session is over or given up. */
  get #isDone(): boolean {
    return this.#isOver || this.#goodbyeTimer !== undefined;
  }

  /** Whether what comes is not heard any more; after `closed`, it is: nothing must come. */
  get #isGivenUp(): boolean {
    return this.#goodbyeTimer !== undefined && this.#session.state !== "closed";
  }

  /** Whether audio may go either way. */
  get #isOpen(): boolean {
    return this.#session.state === "open" && !this.#verdict.isSettled;
  }

  /** Does something with the session, if its state allows that. */
  tryWith(act: (session: ClientSession) => void): boolean {
    if (this.#isDone) return false;
    try {
      act(this.#session);
    } catch (error) {
      if (!(error instanceof LocalProtocolError)) throw error;
      return false;
    }
    this.#write();
    this.#plan();
    return true;
  }

  /** Ends the session; before there is one, the connection. */
  close(reason: "end" | "error" | "disconnect" | "reconnect"): boolean {
    if (this.#isDone) return false;
    if (this.#session.state !== "idle") {
      return this.tryWith((session) => session.close(reason, this.#clock.nowMs));
    }
    this.#verdict.expect("The call was cancelled before it was connected");
    this.#socket.close();
    return true;
  }

  /** Stops reading for a while. The session's clock stands still: nothing is late by it. */
  stall(seconds: number): boolean {
    if (this.#isDone || this.#session.state === "idle" || this.#clock.isStalled) return false;
    if (!(seconds > 0 && seconds <= MAX_STALL_SECONDS)) return false;
    this.#clock.stall();
    this.#socket.stall();
    this.#stallTimer = setTimeout(() => this.unstall(), seconds * 1000);
    this.#plan();
    return true;
  }

  /** Drops the connection, or resets it, as a network does. */
  fail(how: "drop" | "reset"): boolean {
    if (this.#isDone) return false;
    const why = how === "drop" ? "The connection was dropped" : "The connection was reset";
    this.#verdict.expect(`${why}, as asked for`);
    if (this.#closeSentMs === undefined) this.#verdict.allowRetry(why);
    this.#socket[how]();
    return true;
  }

  /** Reads again, if it stalls. */
  unstall(): void {
    if (this.#isOver || !this.#clock.isStalled) return;
    clearTimeout(this.#stallTimer);
    this.#session.forgivePace(this.#clock.unstall());
    this.#socket.unstall();
    this.#plan();
  }

  #onConnected(): void {
    const { attempt, open } = this.#options;
    this.#openSentMs = performance.now();
    try {
      this.#session.open(open, this.#clock.nowMs);
    } catch (error) {
      if (!(error instanceof LocalProtocolError)) throw error;
      this.#verdict.giveUp(error.message);
      return this.#hangUp();
    }
    this.#log.event({ type: "connected", attempt });
    this.#work();
  }

  #onText(text: string): void {
    if (this.#isGivenUp) return;
    this.#log.message("server", text);
    this.#session.receiveText(text, this.#clock.nowMs);
    this.#work();
  }

  #onBinary(frame: Uint8Array): void {
    if (this.#isGivenUp) return;
    if (this.#session.receiveAudio(frame, this.#clock.nowMs)) {
      this.#log.receivedAudio(frame);
      if (this.#player?.add(frame.length, performance.now())) this.#tellPlayback("started");
    }
    this.#work();
  }

  /** Does all that is due, and plans what is due next. */
  #work(): void {
    if (this.#isOver) return;
    const nowMs = performance.now();
    const sessionMs = this.#clock.nowMs;
    if (sessionMs >= this.#session.deadlineMs) this.#session.tick(sessionMs);
    this.#handleEvents();
    if (this.#player?.hasCompleted(nowMs)) this.#tellPlayback("completed");
    this.#write();
    if (!this.#isOver && this.#isOpen) this.#sender.work(nowMs);
    this.#write();
    this.#plan();
  }

  #plan(): void {
    clearTimeout(this.#timer);
    if (this.#isOver) return;
    const sessionMs = this.#clock.realMs(this.#session.deadlineMs);
    const audioMs = this.#isOpen ? this.#sender.dueMs : Infinity;
    const playerMs = this.#isOpen ? this.#player?.deadlineMs ?? Infinity : Infinity;
    const dueMs = Math.min(sessionMs, audioMs, playerMs);
    if (dueMs === Infinity) return;
    this.#timer = setTimeout(() => this.#work(), Math.max(0, dueMs - performance.now()));
  }

  #write(): void {
    if (this.#isOver) return;
    for (const frame of this.#session.takeOutput()) {
      if (typeof frame === "string") this.#log.message("client", frame);
      this.#socket.send(frame);
    }
    const { state } = this.#session;
    if (state === "closing" || state === "withdrawing") this.#closeSentMs ??= performance.now();
    if (this.#socket.bufferedBytes > MAX_WAITING_BYTES) {
      const why = "The server does not read what is sent to it";
      this.#verdict.expect(why);
      this.#verdict.allowRetry(why);
      this.#socket.drop();
    }
  }

  #handleEvents(): void {
    let events = this.#session.takeEvents();
    while (events.length > 0 && !this.#isOver) {
      for (const event of events) {
        if (this.#isOver) return;
        this.#log.event(event);
        // Whoever was told may have dropped the connection.
        if (!this.#isOver) this.#handle(event);
      }
      events = this.#session.takeEvents();
    }
  }

  #handle(event: ClientSessionEvent): void {
    switch (event.type) {
      case "opened":
        return this.#onOpened();
      case "event":
        if (event.entities.some(({ type }) => type === "barge_in")) {
          this.#player?.drop(performance.now());
        }
        return;
      case "disconnect":
        return this.#verdict.disconnected(event.parameters.reason);
      case "violation":
        if (!this.#verdict.violated(event.ends)) this.#socket.drop();
        return;
      case "timeout":
        // Who does not answer `close` has had the whole call.
        if (event.waitedFor !== "closed") this.#verdict.allowRetry(event.info);
        this.#verdict.giveUp(event.info);
        return this.#hangUp();
      case "closed":
        if (this.#closeSentMs !== undefined) {
          this.#log.closedMs = performance.now() - this.#closeSentMs;
        }
        this.#verdict.closed();
        return this.#hangUp();
    }
  }

  #onOpened(): void {
    const { speed, isProbe, isOnHold } = this.#options;
    const nowMs = performance.now();
    this.#log.openedMs = nowMs - this.#openSentMs;
    const { media, state } = this.#session;
    // It crossed our `close`, or selects what was not offered.
    if (state !== "open") return;
    if (isProbe) return void this.close("end");
    try {
      this.#sender.start(media, nowMs);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#verdict.giveUp(`Cannot send what the server selected: ${error.message}`);
      return void this.close("error");
    }
    if (takesPlayback(media)) {
      this.#player = new BotPlayer(bytesPerSampleFrame(media) * SAMPLE_RATE / 1000 * speed);
    }
    this.#wasOpened = true;
    if (isOnHold) this.#session.pause();
  }

  #tellPlayback(state: "started" | "completed"): void {
    if (this.#session.state !== "open") return;
    this.#session.playback(state);
    this.#log.event({ type: "playback", state });
  }

  /** Ends the connection: the session is over, or was given up. */
  #hangUp(): void {
    this.#write();
    clearTimeout(this.#timer);
    this.#socket.close();
    if (!this.#isOver) this.#goodbyeTimer ??= setTimeout(() => this.#socket.drop(), GOODBYE_MS);
  }

  #end(end: ConnectionEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const timer of [this.#timer, this.#goodbyeTimer, this.#stallTimer]) clearTimeout(timer);
    const { attempt, request: { url }, isOnHold } = this.#options;
    const hasClosed = this.#closeSentMs !== undefined;
    const violation = this.#verdict.violationByEnd(end, hasClosed);
    if (violation !== undefined) this.#log.event(violation);
    this.#log.event({ type: "connection-ended", attempt, end });
    this.#ended.resolve({
      ...this.#verdict.of(end, url, hasClosed),
      // A session that was never opened has no pauses.
      isOnHold: this.#wasOpened ? this.#session.paused.byClient : isOnHold,
    });
  }
}
