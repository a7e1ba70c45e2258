/**
 * The transport adapter: one WebSocket, one session, and the apps of the call.
 *
 * The only code that touches a socket. It feeds frames in, hands events to the apps, and writes
 * what the session asks it to write; it decides nothing about the protocol.
 */
import { getLogger } from "@logtape/logtape";
import type { Call, CallEnd } from "../app/app.ts";
import { AudioFrame } from "../app/audio_frame.ts";
import {
  LocalProtocolError,
  type OpenParameters,
  type ServerSession,
  type ServerSessionEvent,
} from "../protocol/mod.ts";
import type { AppGroup } from "./app_group.ts";
import type { ConnectionIdentity } from "./authenticator.ts";
import { liveCall } from "./live_call.ts";
import { logClosed, logEvent, type SessionContext } from "./log_event.ts";
import { MessageReports } from "./message_reports.ts";
import { combinePreferences } from "./preferences.ts";
import type { Ticker, Ticking } from "./ticker.ts";

const log = getLogger(["audiohook", "connection"]);

/**
 * How often apps tick, and the socket is looked at: at the eighth tick of 100 ms, also if that comes
 * a little early or late, so every 800 ms. A recorder has to have in its file, within 1 s, all that
 * came: that is 800 ms up to the tick, and then twice the 50 ms that writes wait for each other, if
 * one was under way. 100 ms are left for the disk, and for a busy process.
 */
const LOOK_MS = 750;

/** What a {@link Connection} is made of. */
export interface ConnectionParts {
  /** Just upgraded; the adapter sets all its handlers. */
  readonly socket: WebSocket;
  /** Just made. */
  readonly session: ServerSession;
  readonly apps: AppGroup;
  readonly ticker: Ticker;
  readonly identity: ConnectionIdentity;
  /** Path and query of the connection request. */
  readonly requestTarget: string;
  /** What may wait in the socket; more means that the client doesn't read. */
  readonly maxBufferedBytes: number;
}

/** A connection, from the upgrade to its end. */
export class Connection implements Ticking {
  readonly #parts: ConnectionParts;
  readonly #messages: MessageReports;
  readonly #ended = Promise.withResolvers<void>();
  readonly #released = Promise.withResolvers<void>();
  #isOver = false;
  #hasDefect = false;
  /** What waited when the client was told that it doesn't read. */
  #bufferedWhenTold: number | undefined;
  #refusals = 0;
  #nextLookMs: number;
  /** When {@link tick} has something to do, or earlier. */
  #dueMs = 0;

  /** Takes the socket over. */
  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#messages = new MessageReports(parts.session, parts.apps);
    this.#nextLookMs = wholeNowMs() + LOOK_MS;
    const { socket, ticker } = parts;
    socket.binaryType = "arraybuffer";
    // Without `#guard`, which would make a closure for each frame. Not by `onmessage`, which costs
    // another call and a look at the kind of the event.
    const onMessage = ({ data }: MessageEvent) => {
      try {
        this.#receive(data);
      } catch (error) {
        this.#onDefect(error);
      }
    };
    socket.addEventListener("message", onMessage);
    socket.onopen = () => this.#guard(() => this.#pump());
    socket.onclose = () => {
      this.#released.resolve();
      // Deno holds on to the socket for a while, and must not hold on to us by it.
      socket.removeEventListener("message", onMessage);
      socket.onopen = socket.onclose = null;
      this.#guard(() => this.#end());
    };
    socket.onerror = ignoreError;
    ticker.add(this);
  }

  /** Settles when the connection is over and all apps have finished with it, or had their time. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /**
   * Settles when the socket is closed. After we ended the connection, that is up to the client:
   * Deno can't drop the TCP connection of a WebSocket.
   */
  get released(): Promise<void> {
    return this.#released.promise;
  }

  /** Asks the client to go elsewhere, because this server stops. */
  shutdown(): void {
    this.#disconnect("The server is shutting down");
  }

  /** Ends the connection without the client. */
  hangUp(): void {
    const { socket } = this.#parts;
    // A client that vanished in the moment of the upgrade: nothing will ever be heard of the socket.
    if (socket.readyState === WebSocket.CONNECTING) this.#released.resolve();
    socket.close();
    // Its `close` event may take long, or never come.
    this.#end();
  }

  /** Time has passed. */
  tick(nowMs: number): void {
    // It runs ten times a second for each of thousands of connections.
    if (nowMs < this.#dueMs) return;
    this.#guard(() => {
      const { session, apps } = this.#parts;
      if (nowMs >= session.deadlineMs) {
        session.tick(nowMs);
        this.#pump();
      }
      if (nowMs >= this.#nextLookMs) {
        this.#nextLookMs = Math.floor(nowMs) + LOOK_MS;
        this.#checkBuffer();
        apps.report("tick");
      }
      this.#dueMs = Math.floor(Math.min(this.#nextLookMs, session.deadlineMs));
    });
  }

  #receive(data: unknown): void {
    // The socket may deliver more after we ended the connection.
    if (this.#isOver) return;
    const { session, apps } = this.#parts;
    if (typeof data === "string") {
      session.receiveText(data, performance.now());
      this.#messages.received(data);
      this.#pump();
    } else if (data instanceof ArrayBuffer) {
      const bytes = new Uint8Array(data);
      const positionSamples = session.receiveAudio(bytes, wholeNowMs());
      if (positionSamples < 0) this.#pump();
      else if (bytes.length > 0 && session.media !== undefined) {
        apps.audio(new AudioFrame(bytes, positionSamples, session.media));
      }
    }
  }

  /** Writes what there is to write, then tells what there is to tell, until nothing is left. */
  #pump(): void {
    this.#write();
    for (
      let events = this.#parts.session.takeEvents();
      events.length > 0;
      events = this.#parts.session.takeEvents()
    ) {
      for (const event of events) this.#handle(event);
      this.#write();
    }
  }

  #write(): void {
    const { session, socket } = this.#parts;
    // What changed may be due earlier than what was.
    this.#dueMs = 0;
    // Until then nothing can be sent, and what the session has numbered must be.
    if (socket.readyState === WebSocket.CONNECTING) return;
    for (const frame of session.takeOutput()) {
      if (socket.readyState !== WebSocket.OPEN) return;
      // The bytes are the app's own, or the session's copy; nobody changes them.
      socket.send(frame as string | Uint8Array<ArrayBuffer>);
      if (typeof frame === "string") this.#messages.sent(frame);
    }
    this.#messages.flush();
  }

  /**
   * A client that doesn't read is asked to go. Looked at from time to time, not when something was
   * sent: at that moment, all of it waits, however fast the client reads.
   */
  #checkBuffer(): void {
    const { socket, maxBufferedBytes } = this.#parts;
    const { bufferedAmount } = socket;
    if (bufferedAmount <= maxBufferedBytes || this.#isOver) return;
    if (this.#bufferedWhenTold !== undefined) {
      // Not everything was stopped: an app's last events go out before `closed`.
      if (bufferedAmount > this.#bufferedWhenTold + maxBufferedBytes) this.hangUp();
      return;
    }
    this.#bufferedWhenTold = bufferedAmount;
    log.warning("The client of {sessionId} does not read: {bufferedAmount} bytes wait for it", {
      ...this.#context,
      bufferedAmount,
    });
    this.#disconnect(`More than ${maxBufferedBytes} bytes wait to be read`);
  }

  #handle(event: ServerSessionEvent): void {
    const { session, apps } = this.#parts;
    switch (event.type) {
      case "open":
        return this.#open(event.parameters, event.isProbe);
      case "close":
        void this.#close(event.reason);
        return;
      case "gap":
        return apps.report("gap", event);
      case "paused":
      case "resumed":
        return apps.report(event.type);
      case "update": {
        const refusals = this.#refusals;
        apps.report("update", event.language);
        // An app that paused or disconnected has given the answer.
        if (refusals === this.#refusals && session.maySend("updated")) {
          session.updated(performance.now());
        }
        return;
      }
      case "dtmf":
        return apps.report("dtmf", event.digit);
      case "playback":
        return apps.report("playback", event.state);
      case "drift":
      case "error":
      case "unknown":
      case "violation":
        return logEvent(event, this.#context);
      case "hangup":
        logEvent(event, this.#context);
        this.hangUp();
    }
  }

  #open(parameters: OpenParameters, isProbe: boolean): void {
    const { session, apps } = this.#parts;
    if (isProbe) {
      log.info("Connection probe {sessionId}", this.#context);
      session.opened({ supportedLanguages: apps.supportedLanguages }, performance.now());
      return;
    }
    apps.open(this.#call(parameters)).then((preferences) => {
      // The client may have closed or gone meanwhile, or an app refused the call.
      if (!session.maySend("opened")) return;
      try {
        session.opened({
          ...combinePreferences(parameters.media, preferences),
          supportedLanguages: apps.supportedLanguages,
        }, performance.now());
      } catch (error) {
        // An offer that is as large as a message may be, which can't be repeated.
        if (!(error instanceof LocalProtocolError)) throw error;
        return this.#disconnect(error.message);
      }
      this.#write();
      log.info("Session {sessionId} is open", this.#context);
      apps.report("opened", session.media);
      this.#pump();
    }).catch((error) => this.#onDefect(error));
  }

  async #close(reason: string): Promise<void> {
    const { session, apps } = this.#parts;
    const outputVariables = await apps.close({ how: "closed", reason });
    this.#guard(() => {
      // The connection may have ended; or it took so long that the session did it by itself.
      if (!session.maySend("closed")) return;
      try {
        session.closed(outputVariables, performance.now());
      } catch (error) {
        if (!(error instanceof LocalProtocolError)) throw error;
        log.error("The apps of {sessionId} have too many output variables: they are left out", {
          ...this.#context,
          error,
        });
        session.closed(undefined, performance.now());
      }
      this.#pump();
      logClosed(reason, this.#context);
    });
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { session, apps, ticker } = this.#parts;
    ticker.delete(this);
    if (session.state !== "closed" && session.state !== "idle") {
      log.warning("The connection of {sessionId} ended while {state}", {
        ...this.#context,
        state: session.state,
      });
    }
    session.connectionEnded();
    const end: CallEnd = { how: "lost" };
    // If `close` came before, this waits for what it began.
    void apps.close(end).then(() => {
      apps.report("ended");
      this.#ended.resolve();
    });
  }

  #call(parameters: OpenParameters): Call {
    const { session, identity, requestTarget } = this.#parts;
    return liveCall({
      session,
      identity,
      requestTarget,
      parameters,
      ask: (request) => {
        this.#messages.countRequest();
        request(performance.now());
        this.#write();
      },
      onRefusal: () => this.#refusals++,
    });
  }

  get #context(): SessionContext {
    const { sessionId, correlationId } = this.#parts.identity;
    return { sessionId, correlationId };
  }

  /** Nothing that goes wrong in one session may reach another, or end the process. */
  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#onDefect(error);
    }
  }

  #onDefect(error: unknown): void {
    log.fatal("Defect in session {sessionId}: please report it", { ...this.#context, error });
    // The client has a right to `disconnect`, unless that is what fails.
    if (this.#hasDefect) return this.hangUp();
    this.#hasDefect = true;
    this.#disconnect("Internal error");
  }

  #disconnect(info: string): void {
    this.#guard(() => {
      const { session } = this.#parts;
      if (!session.maySend("disconnect")) return;
      session.disconnect("error", info, undefined, performance.now());
      this.#pump();
    });
  }
}

/** The present time in whole milliseconds, which V8 keeps without making an object for each. */
function wholeNowMs(): number {
  return Math.floor(performance.now());
}

/** `close` follows; the error itself says no more than that. */
function ignoreError(event: Event): void {
  event.preventDefault();
}
