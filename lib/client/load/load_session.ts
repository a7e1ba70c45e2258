/**
 * One session of a load: connects, opens, streams for its time, closes (protocol sections 2 to 14).
 *
 * It has no timer: {@link LoadSession.step} is called once in each frame interval, and what the
 * server sends comes in between. Imports the neighbours and the protocol.
 */
import {
  ClientSession,
  type ClientSessionEvent,
  type ClientSessionLimits,
  SAMPLE_RATE,
} from "../../protocol/mod.ts";
import { AttemptVerdict } from "../attempt_verdict.ts";
import { ClientSocket, type ClientSocketHandlers, type ConnectionEnd } from "../client_socket.ts";
import { connectionHeaders } from "../connection_request.ts";
import { SessionClock } from "../session_clock.ts";
import type { Fault } from "./fault_plan.ts";
import { LoadStream, type LoadStreamOptions } from "./load_stream.ts";
import type { SentAudio } from "./sent_audio.ts";

/** What all sessions of a load share. */
export interface LoadContext extends LoadStreamOptions {
  readonly url: URL;
  readonly apiKey: string;
  /** Empty: requests are not signed. */
  readonly clientSecret: Uint8Array;
  readonly organizationId: string;
  readonly durationMs: number;
  readonly limits: Partial<ClientSessionLimits>;
  /** A session is over. */
  onEnd(session: LoadSession): void;
}

/** What a session does; `opening` begins with the connection. */
type Phase = "opening" | "open" | "closing" | "ended";

/** One session. */
export class LoadSession implements ClientSocketHandlers {
  /** UUID. */
  readonly id = crypto.randomUUID();
  readonly #context: LoadContext;
  readonly #fault: Fault | undefined;
  readonly #session: ClientSession;
  readonly #stream: LoadStream;
  readonly #clock = new SessionClock();
  readonly #verdict = new AttemptVerdict();
  #socket: ClientSocket | undefined;
  #phase: Phase = "opening";
  /** The moment of `opened`; the call's time begins with the first step after it. */
  #openedMs: number | undefined;
  #beginMs: number | undefined;
  /** When what was begun began: the connection, `open`, `close`. */
  #sinceMs = 0;
  /** From here on, how it ends says nothing of the server. */
  #isFaulted = false;
  #stalledUntilMs = 0;
  #isClosed = false;
  #isCancelled = false;
  /** Something did not come in time, and the connection is being ended. */
  #isGivenUp = false;
  #failure: { readonly kind: string; readonly text: string } | undefined;

  /**
   * @param index How many sessions there were before; decides where in the audio it begins.
   * @param fault How it is broken.
   */
  constructor(context: LoadContext, index: number, fault: Fault | undefined) {
    this.#context = context;
    this.#fault = fault;
    this.#session = new ClientSession({ id: this.id, limits: context.limits });
    this.#stream = new LoadStream(context, index, this.#session);
    context.numbers.started++;
    context.numbers.opening++;
  }

  /** What was sent, if that is kept. */
  get sent(): SentAudio | undefined {
    return this.#stream.sent;
  }

  /** Whether it was open, and ended by `close` and `closed`. */
  get endedWell(): boolean {
    return this.#isClosed && this.#openedMs !== undefined && this.#failure === undefined;
  }

  /** Connects. Never rejects: what goes wrong is the session's failure. */
  async begin(): Promise<void> {
    const { url, apiKey, clientSecret, organizationId } = this.#context;
    try {
      const headers = await connectionHeaders({
        url,
        organizationId,
        sessionId: this.id,
        correlationId: crypto.randomUUID(),
        apiKey,
        clientSecret,
      }, Math.floor(Date.now() / 1000));
      if (this.#phase === "ended") return;
      this.#sinceMs = performance.now();
      this.#socket = new ClientSocket({ url, headers, hasZeroMask: true }, this);
    } catch (error) {
      // The address or a header is not one.
      this.#fail("no request", error instanceof Error ? error.message : String(error));
      this.#end();
    }
  }

  /** See {@link Due}. */
  step(dueMs: number, nowMs: number): void {
    if (this.#phase !== "open") return this.#tickIfDue(nowMs);
    this.#beginMs ??= dueMs;
    // What would have been due behind the end of the call was not skipped.
    this.#stream.countSkipped(Math.min(dueMs, this.#beginMs + this.#context.durationMs));
    this.#context.numbers.recordLateness(nowMs - dueMs);
    const elapsedMs = dueMs - this.#beginMs;
    if (this.#fault !== undefined && this.#breakIfDue(this.#fault, elapsedMs, dueMs)) return;
    // Half a millisecond: the sum of many frames is not exact.
    if (elapsedMs >= this.#context.durationMs - 0.5) return this.close();
    this.#tickIfDue(nowMs);
    if (this.#phase === "open") this.#sendFrame();
  }

  /** Ends it: by `close`, or at once if there is no connection yet. */
  close(): void {
    if (this.#phase === "ended" || this.#phase === "closing") return;
    this.#isCancelled = this.#phase === "opening";
    if (this.#session.state === "idle") {
      if (this.#socket === undefined) this.#end();
      else this.#socket.drop();
      return;
    }
    this.#unstall();
    this.#session.close("end", this.#clock.nowMs);
    this.#afterSession();
  }

  /** Gives it up, whatever it waits for. */
  abandon(): void {
    if (this.#phase === "ended") return;
    if (!this.#isClosed) this.#fail("timeout", "It did not end in time");
    if (this.#socket === undefined) this.#end();
    else this.#socket.drop();
  }

  onOpen(): void {
    const { numbers, audio, organizationId } = this.#context;
    const nowMs = performance.now();
    numbers.connect.record(nowMs - this.#sinceMs);
    numbers.connected++;
    this.#sinceMs = nowMs;
    this.#session.open({
      organizationId,
      conversationId: crypto.randomUUID(),
      participant: { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "" },
      media: [...audio.offers],
      language: "en-US",
    }, this.#clock.nowMs);
    this.#flush();
  }

  onText(text: string): void {
    // What comes too late is no fault of its own.
    if (this.#isGivenUp) return;
    this.#session.receiveText(text, this.#clock.nowMs);
    this.#afterSession();
  }

  onBinary(bytes: Uint8Array): void {
    if (this.#isGivenUp) return;
    this.#session.receiveAudio(bytes, this.#clock.nowMs);
    this.#afterSession();
  }

  onEnd(end: ConnectionEnd): void {
    if (!this.#isClosed && !this.#isFaulted && !this.#isCancelled) {
      switch (end.how) {
        case "refused":
          this.#fail(`refused ${end.status}`, `The server answered ${end.status}`);
          break;
        case "unreachable":
          this.#fail(`unreachable${end.code === undefined ? "" : ` ${end.code}`}`, end.why);
          break;
        case "lost": {
          const { state } = this.#session;
          const hasClosed = state === "closing" || state === "withdrawing";
          const violation = this.#verdict.violationByEnd(end, hasClosed);
          this.#fail(`lost ${end.code}`, violation?.info ?? `The connection ended while ${state}`);
          if (violation !== undefined) this.#handle(violation);
        }
      }
    }
    this.#end();
  }

  #tickIfDue(nowMs: number): void {
    if (this.#clock.realMs(this.#session.deadlineMs) > nowMs) return;
    this.#session.tick(this.#clock.nowMs);
    this.#afterSession();
  }

  #sendFrame(): void {
    if (this.#socket === undefined) return;
    this.#stream.sendFrame(this.#socket);
    this.#flush();
  }

  /** @returns Whether the connection is gone. */
  #breakIfDue({ kind, at, stallMs }: Fault, elapsedMs: number, dueMs: number): boolean {
    if (dueMs >= this.#stalledUntilMs) this.#unstall();
    if (this.#isFaulted || elapsedMs < at * this.#context.durationMs) return false;
    this.#isFaulted = true;
    this.#context.numbers.faults[kind]++;
    if (kind === "drop") this.#socket?.drop();
    else if (kind === "reset") this.#socket?.reset();
    else {
      this.#stalledUntilMs = dueMs + stallMs;
      this.#clock.stall();
      this.#socket?.stall();
    }
    return kind !== "stall";
  }

  #unstall(): void {
    if (!this.#clock.isStalled) return;
    this.#session.forgivePace(this.#clock.unstall());
    this.#socket?.unstall();
  }

  /** Does what the session wants done. */
  #afterSession(): void {
    const events = this.#session.takeEvents();
    for (const event of events) this.#handle(event);
    const isOver = events.some(({ type }) => type === "closed" || type === "timeout");
    const isClosing = isOver || this.#session.state === "closing";
    if (isClosing && (this.#phase === "opening" || this.#phase === "open")) {
      // What was already read may end the session: its clock has to go on, or it never ends.
      this.#unstall();
      this.#enter("closing");
    }
    this.#flush();
    if (isOver) this.#socket?.close();
  }

  #handle(event: ClientSessionEvent): void {
    const { numbers } = this.#context;
    switch (event.type) {
      case "opened":
        this.#onOpened();
        return;
      case "pong":
        // After a stall, it would be our own time.
        if (!this.#isFaulted) numbers.recordPong(event.roundTripMs);
        return;
      case "violation":
        numbers.violations.add(event.section, event.info);
        // Some are reported, and the session goes on.
        if (event.ends) this.#fail("violation", event.info);
        return;
      case "disconnect": {
        const { reason, info } = event.parameters;
        this.#verdict.disconnected(reason);
        this.#fail(`disconnect ${reason}`, info ?? reason);
        return;
      }
      case "timeout":
        this.#isGivenUp = true;
        if (!this.#isFaulted) numbers.violations.add(event.section, event.info);
        this.#fail(`timeout ${event.waitedFor}`, event.info);
        return;
      case "closed":
        this.#isClosed = true;
        if (!this.#isFaulted) numbers.closed.record(performance.now() - this.#sinceMs);
    }
  }

  #onOpened(): void {
    const { numbers } = this.#context;
    const nowMs = performance.now();
    numbers.opened.record(nowMs - this.#sinceMs);
    numbers.everOpened++;
    this.#openedMs = nowMs;
    this.#enter("open");
    const { media } = this.#session;
    if (media !== undefined) this.#stream.start(media);
  }

  #flush(): void {
    for (const frame of this.#session.takeOutput()) this.#socket?.send(frame);
  }

  /** The first failure is the one that counts. */
  #fail(kind: string, text: string): void {
    this.#failure ??= { kind, text };
  }

  #enter(phase: Phase): void {
    const { numbers } = this.#context;
    if (this.#phase !== "ended") numbers[this.#phase]--;
    if (phase !== "ended") numbers[phase]++;
    numbers.mostOpen = Math.max(numbers.mostOpen, numbers.open);
    this.#phase = phase;
    if (phase === "closing") this.#sinceMs = performance.now();
  }

  #end(): void {
    if (this.#phase === "ended") return;
    this.#enter("ended");
    const { numbers } = this.#context;
    if (this.#openedMs !== undefined) numbers.openMs += performance.now() - this.#openedMs;
    if (this.#isFaulted) {
      numbers.faulted++;
      if (this.#fault?.kind === "stall" && this.endedWell) numbers.faults.stallsEndedWell++;
    } else if (this.#failure !== undefined) {
      numbers.failures.add(this.#failure.kind, this.#failure.text);
    } else if (this.#isClosed && this.#openedMs !== undefined) {
      numbers.well++;
    } else {
      numbers.cancelled++;
    }
    this.#context.onEnd(this);
  }
}

/** Length of a frame in samples. */
export function frameSamplesOf(frameMs: number): number {
  return frameMs * SAMPLE_RATE / 1000;
}
