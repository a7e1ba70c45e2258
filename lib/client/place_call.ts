/**
 * Places one call, as Genesys Cloud would: connects, opens, streams, closes.
 *
 * The client's transport adapter: it owns the socket and the one timer, and drives a
 * {@link ClientSession}. Imports the protocol and its neighbours.
 */
import {
  bytesPerSampleFrame,
  ClientSession,
  type ClientSessionEvent,
  type Media,
  type OpenParameters,
  SAMPLE_RATE,
} from "../protocol/mod.ts";
import type { CallAudio } from "./call_audio.ts";
import { ClientSocket, type ConnectionEnd } from "./client_socket.ts";
import { connectionHeaders, type ConnectionRequest } from "./connection_request.ts";

/** How a call is placed. */
export interface PlaceCallOptions {
  /** Where, and as whom. */
  readonly request: ConnectionRequest;
  /** What is said. */
  readonly audio: CallAudio;
  /** What `open` says. */
  readonly open: OpenParameters;
  /** 1 is real time, 2 twice as fast. */
  readonly speed: number;
  /** Length of a frame in samples; 800, which is 100 ms, unless given. */
  readonly frameSamples?: number;
  /** Ends the call early, by `close`. */
  readonly signal?: AbortSignal;
  /** Called for all that the server does. */
  readonly onEvent?: (event: ClientSessionEvent) => void;
  /** Called for each frame of the bot's voice. */
  readonly onAudio?: (frame: Uint8Array) => void;
  /** Called as the call goes on, with how many samples are through. */
  readonly onProgress?: (positionSamples: number) => void;
}

/** How a call ended. */
export interface CallOutcome {
  /** Why it failed: `undefined` if it ended with `closed`, and the server kept to the protocol. */
  readonly failure: string | undefined;
  /** How far the stream came, in samples. */
  readonly positionSamples: number;
  /** Round trips of the pings, in milliseconds. */
  readonly roundTripsMs: readonly number[];
}

const CONNECT_HINT =
  "Does a server listen there, and does it know the key, the secret and this address?";
const CERTIFICATE_HINT = "Is this host one of the certificate's names, and the certificate valid " +
  "now, and of a known authority? DENO_CERT=FILE in the environment makes one known";
const DEFAULT_FRAME_SAMPLES = 800;
/** More than that waits in the socket: the server or the network is too slow for this speed. */
const MAX_BUFFERED_BYTES = 1024 * 1024;
/** So that messages are read, however fast frames are due. */
const MAX_FRAMES_AT_ONCE = 100;

/** Places a call. Never rejects: what goes wrong is the outcome. */
export async function placeCall(options: PlaceCallOptions): Promise<CallOutcome> {
  try {
    const headers = await connectionHeaders(options.request, Math.floor(Date.now() / 1000));
    return await new CallInProgress(options, headers).outcome;
  } catch (error) {
    // The address or a header is not one.
    const why = error instanceof Error ? error.message : String(error);
    return { failure: `Cannot connect: ${why}`, positionSamples: 0, roundTripsMs: [] };
  }
}

class CallInProgress {
  readonly #options: PlaceCallOptions;
  readonly #socket: ClientSocket;
  readonly #session: ClientSession;
  readonly #outcome = Promise.withResolvers<CallOutcome>();
  readonly #roundTripsMs: number[] = [];
  readonly #onAbort = () => this.#close();
  #bytes: Uint8Array = new Uint8Array();
  #bytesPerSampleFrame = 0;
  #spokenSamples = 0;
  #nextFrameMs = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;
  #violation: string | undefined;
  #failure: string | undefined = "The connection ended before the session was closed";

  constructor(options: PlaceCallOptions, headers: Record<string, string>) {
    this.#options = options;
    this.#session = new ClientSession({ id: options.request.sessionId });
    const { url } = options.request;
    this.#socket = new ClientSocket({ url, headers }, {
      onOpen: () => this.#onConnected(),
      onText: (text) => {
        this.#session.receiveText(text, performance.now());
        this.#work();
      },
      onBinary: (frame) => {
        if (this.#session.receiveAudio(frame, performance.now())) this.#options.onAudio?.(frame);
        this.#work();
      },
      onEnd: (end) => this.#end(end),
    });
    options.signal?.addEventListener("abort", this.#onAbort);
    if (options.signal?.aborted) this.#close();
  }

  get outcome(): Promise<CallOutcome> {
    return this.#outcome.promise;
  }

  #onConnected(): void {
    this.#session.open(this.#options.open, performance.now());
    this.#work();
  }

  /** Does all that is due, and sets the timer for what is due next. */
  #work(): void {
    const nowMs = performance.now();
    if (nowMs >= this.#session.deadlineMs) this.#session.tick(nowMs);
    this.#handleEvents();
    this.#sendAudio(nowMs);
    this.#write();
    clearTimeout(this.#timer);
    if (this.#isOver) return;
    const frameMs = this.#session.state === "open" ? this.#nextFrameMs : Infinity;
    const dueMs = Math.min(frameMs, this.#session.deadlineMs);
    if (dueMs === Infinity) return;
    this.#timer = setTimeout(() => this.#work(), Math.max(0, dueMs - performance.now()));
  }

  #write(): void {
    for (const frame of this.#session.takeOutput()) {
      this.#socket.send(frame);
    }
  }

  #sendAudio(nowMs: number): void {
    const { audio, speed, frameSamples = DEFAULT_FRAME_SAMPLES, onProgress } = this.#options;
    const frameMs = frameSamples * 1000 / SAMPLE_RATE / speed;
    for (let sent = 0; this.#session.state === "open" && this.#nextFrameMs <= nowMs; sent++) {
      if (sent === MAX_FRAMES_AT_ONCE || this.#socket.bufferedBytes > MAX_BUFFERED_BYTES) {
        this.#nextFrameMs = nowMs + frameMs;
        return;
      }
      // If nobody listens, the call takes its time all the same.
      if (this.#session.media !== undefined) {
        const offset = this.#spokenSamples * this.#bytesPerSampleFrame;
        const bytes = frameSamples * this.#bytesPerSampleFrame;
        this.#session.sendAudio(this.#bytes.subarray(offset, offset + bytes));
        this.#write();
      }
      this.#nextFrameMs += frameMs;
      this.#spokenSamples = Math.min(this.#spokenSamples + frameSamples, audio.samples);
      onProgress?.(this.#spokenSamples);
      if (this.#spokenSamples >= audio.samples) this.#close();
    }
  }

  #handleEvents(): void {
    for (
      let events = this.#session.takeEvents();
      events.length > 0;
      events = this.#session.takeEvents()
    ) {
      for (const event of events) {
        this.#options.onEvent?.(event);
        this.#handle(event);
      }
    }
  }

  #handle(event: ClientSessionEvent): void {
    switch (event.type) {
      case "opened":
        this.#start(this.#session.media);
        return;
      case "pong":
        this.#roundTripsMs.push(event.roundTripMs);
        return;
      case "violation":
        this.#violation ??= `The server broke the protocol: ${event.info}`;
        return;
      case "timeout":
        return this.#hangUp(`The server did not answer in time: no "${event.waitedFor}"`);
      case "closed":
        return this.#hangUp(undefined);
    }
  }

  #start(media: Media | undefined): void {
    if (media !== undefined) {
      this.#bytes = this.#options.audio.bytesFor(media);
      this.#bytesPerSampleFrame = bytesPerSampleFrame(media);
    }
    this.#nextFrameMs = performance.now();
  }

  #close(): void {
    const { state } = this.#session;
    if (state === "idle") return this.#hangUp("The call was cancelled before it was connected");
    if (state === "opening" || state === "open") this.#session.close("end", performance.now());
    this.#write();
  }

  #hangUp(failure: string | undefined): void {
    this.#failure = failure;
    this.#write();
    clearTimeout(this.#timer);
    this.#socket.close();
  }

  #end(end: ConnectionEnd): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#outcome.resolve({
      failure: this.#violation ?? this.#describe(end),
      positionSamples: this.#session.positionSamples,
      roundTripsMs: this.#roundTripsMs,
    });
  }

  #describe(end: ConnectionEnd): string | undefined {
    const { url } = this.#options.request;
    switch (end.how) {
      case "refused":
        return `Cannot connect to ${url}: the server answered ${end.status}. ${CONNECT_HINT}`;
      case "unreachable":
        return `Cannot connect to ${url}: ${end.why}. ${
          /cert/i.test(end.code ?? end.why) ? CERTIFICATE_HINT : CONNECT_HINT
        }`;
      case "lost":
      case "closed":
        return this.#failure;
    }
  }
}
