/**
 * The server's side of a session as it should be, written by hand from sections 4 to 14 of the
 * protocol, small and whole. Uses nothing of lib, so that whoever checks and who is checked can't
 * share a misreading. Every decision is a method, which a fault may replace.
 */
// @ts-types="ws/types"
import type { WebSocket } from "ws";

// deno-lint-ignore no-explicit-any
export type Json = any;

/** A text message of the client, whose envelope may still be wrong. */
export type Message = Record<string, Json>;

/** What a session knows of its connection, and of the server around it. */
export interface Surroundings {
  readonly socket: WebSocket;
  readonly sessionId: string;
  readonly organizationId: string;
  /** The process dies, and is started again at once: all sessions are lost. */
  crash(): void;
  /** Connections that there are, this one included. */
  connections(): number;
  /** A number that all sessions share. */
  nextOfAll(): number;
}

/** How long the client may take for `open`, for `close`, and to close the WebSocket. */
const OPEN_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 5_000;
const HANGUP_TIMEOUT_MS = 5_000;
const MAX_TEXT_BYTES = 65_535;
const MAX_AUDIO_BYTES = 64_000;
export const NIL = "00000000-0000-0000-0000-000000000000";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const DURATION = /^PT\d{1,9}(\.\d{1,30})?S$/;
const LANGUAGE = /^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*$/;

const isUuid = (value: Json) => typeof value === "string" && UUID.test(value);
const isDuration = (value: Json) => typeof value === "string" && DURATION.test(value);
const isLanguage = (value: Json) => typeof value === "string" && LANGUAGE.test(value);
const isObject = (value: Json) =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: Json) => Number.isSafeInteger(value) && value >= 0;
const isText = (value: Json) => typeof value === "string";
const isAbsentOr = (value: Json, is: (value: Json) => boolean) => value === undefined || is(value);

/** Whether we can record it; what we don't know may be offered all the same. */
const isUsable = ({ type, format, channels, rate }: Json) =>
  type === "audio" && (format === "PCMU" || format === "L16") && rate === 8000 &&
  Array.isArray(channels) && channels.length > 0 && new Set(channels).size === channels.length &&
  channels.every((channel) => channel === "external" || channel === "internal");

const isOpen = (open: Json) =>
  isUuid(open.organizationId) && isUuid(open.conversationId) && isObject(open.participant) &&
  isUuid(open.participant.id) &&
  ["ani", "aniName", "dnis"].every((name) => isText(open.participant[name])) &&
  Array.isArray(open.media) && open.media.every(isObject) &&
  isAbsentOr(open.language, isLanguage) &&
  isAbsentOr(open.supportedLanguages, (value) => typeof value === "boolean") &&
  isAbsentOr(open.customConfig, isObject) && isAbsentOr(open.inputVariables, isObject) &&
  isAbsentOr(
    open.continuedSessions,
    (sessions) =>
      Array.isArray(sessions) &&
      sessions.every((session) =>
        isObject(session) && isUuid(session.id) && isCount(session.serverseq) &&
        isCount(session.clientseq)
      ),
  );

/** Whether the parameters of a known type are as it wants them. */
const PARAMETERS: Readonly<Record<string, (parameters: Json) => boolean>> = {
  open: isOpen,
  ping: ({ rtt }) => isAbsentOr(rtt, isDuration),
  paused: () => true,
  resumed: ({ start, discarded }) => isDuration(start) && isDuration(discarded),
  discarded: ({ start, discarded }) => isDuration(start) && isDuration(discarded),
  update: ({ language }) => isLanguage(language),
  close: ({ reason }) => isText(reason),
  error: ({ code, message }) => isCount(code) && code >= 400 && code <= 9999 && isText(message),
  dtmf: ({ digit }) => isText(digit) && /^[0-9A-D*#]$/i.test(digit),
  playback_started: () => true,
  playback_completed: () => true,
};

/** One session. */
export class GoodSession {
  readonly surroundings: Surroundings;
  state: "connected" | "open" | "disconnected" | "closed" = "connected";
  /** `seq` of our last message. */
  sent = 0;
  /** The client's last `seq`, and its highest. */
  last = 0;
  highest = 0;
  media: Json;
  isPaused = false;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings;
    this.later(OPEN_TIMEOUT_MS, () => {
      if (this.state === "connected") this.fail("No open in time");
    });
  }

  /** The connection is gone. */
  end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Does something later, unless the connection is gone by then. */
  later(ms: number, action: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, ms);
    this.#timers.add(timer);
  }

  say(type: string, parameters: Record<string, Json> = {}): void {
    this.transmit(JSON.stringify(this.envelope(type, parameters)));
  }

  transmit(data: string | Uint8Array): void {
    this.surroundings.socket.send(data);
  }

  envelope(type: string, parameters: Record<string, Json>): Message {
    const id = this.surroundings.sessionId;
    return { version: "2", id, type, seq: ++this.sent, clientseq: this.highest, parameters };
  }

  onText(text: string): void {
    if (this.state === "closed") return;
    let message: Json;
    try {
      message = JSON.parse(text);
    } catch {
      this.count(undefined, "Malformed JSON");
      return this.onMalformed();
    }
    const problem = this.problemOf(message, text);
    this.count(message, problem);
    if (problem !== undefined) this.fail(problem);
    if (message?.type === "close") return this.onClose(message);
    if (problem === undefined) this.onMessage(message);
  }

  onMalformed(): void {
    this.fail("Malformed JSON");
  }

  /** What is wrong with a message, in words that may be sent. */
  problemOf(message: Json, text: string): string | undefined {
    if (new TextEncoder().encode(text).length > MAX_TEXT_BYTES) return "Message too large";
    if (!isObject(message)) return "No object";
    const { version, id, type, seq, serverseq, position, parameters } = message;
    if (version !== "2") return "Bad version";
    if (typeof type !== "string") return "Bad type";
    if (this.hasWrongId(id)) return "Wrong id";
    if (this.hasWrongSeq(seq)) return "Wrong seq";
    if (this.hasWrongServerseq(serverseq)) return "Wrong serverseq";
    if (!isDuration(position)) return "Bad position";
    if (!isObject(parameters)) return "No parameters";
    return this.hasBadParameters(type, parameters) ? `Bad parameters of ${type}` : undefined;
  }

  hasWrongId(id: Json): boolean {
    return !isText(id) || id.toLowerCase() !== this.surroundings.sessionId.toLowerCase();
  }

  /** After a fault, any `seq` will do: who knows what the client counts. */
  hasWrongSeq(seq: Json): boolean {
    return this.state === "disconnected" ? !isCount(seq) : seq !== this.last + 1;
  }

  hasWrongServerseq(serverseq: Json): boolean {
    return !isCount(serverseq) || serverseq > this.sent;
  }

  hasBadParameters(type: string, parameters: Json): boolean {
    const isGood = Object.hasOwn(PARAMETERS, type) ? PARAMETERS[type] : undefined;
    return isGood !== undefined && !isGood(parameters);
  }

  /** Counts a message by the `seq` that it says, be it good or not. */
  count(message: Json, _problem: string | undefined): void {
    this.last = isCount(message?.seq) ? message.seq : this.last + 1;
    this.highest = Math.max(this.highest, this.last);
  }

  onMessage(message: Message): void {
    const { type, parameters } = message;
    if (type === "ping" && this.state === "disconnected") return this.onPing();
    if (this.state === "disconnected") return;
    if (!Object.hasOwn(PARAMETERS, type)) return this.onUnknown();
    if (type === "error") return this.onError();
    if ((type === "open") !== (this.state === "connected")) return this.fail(`Unexpected ${type}`);
    if (type === "open") this.onOpen(parameters);
    else if (type === "ping") this.onPing();
    else if (type === "update") this.onUpdate();
    else if (type === "paused") this.onPaused();
    else if (type === "resumed") this.isPaused = false;
  }

  onUnknown(): void {}

  onError(): void {}

  onOpen(open: Json): void {
    if (open.organizationId.toLowerCase() !== this.surroundings.organizationId.toLowerCase()) {
      return this.disconnect("unauthorized", "Wrong organizationId");
    }
    this.state = "open";
    this.say("opened", this.opened(open));
    this.onOpened(open);
  }

  onOpened(_open: Json): void {}

  opened(open: Json): Record<string, Json> {
    this.media = open.conversationId === NIL ? undefined : this.select(open.media);
    return {
      media: this.media === undefined ? [] : [this.media],
      ...(open.supportedLanguages === true ? { supportedLanguages: ["en-US", "es-419"] } : {}),
    };
  }

  select(offers: readonly Json[]): Json {
    return offers.find(isUsable);
  }

  onPing(): void {
    this.say("pong");
  }

  onUpdate(): void {
    this.say("updated");
  }

  onPaused(): void {
    this.isPaused = true;
  }

  onAudio(bytes: Uint8Array): void {
    if (this.state === "disconnected" || this.state === "closed") return;
    const problem = this.audioProblem(bytes);
    if (problem !== undefined) this.fail(problem);
  }

  audioProblem({ length }: Uint8Array): string | undefined {
    if (this.state !== "open" || this.media === undefined) return "Unexpected audio";
    if (this.isPaused) return "Audio while paused";
    if (length > MAX_AUDIO_BYTES) return "Audio frame too large";
    return length % this.sampleBytes === 0 ? undefined : "Part of a sample";
  }

  get sampleBytes(): number {
    return this.media.channels.length * (this.media.format === "L16" ? 2 : 1);
  }

  onClose(_message: Message): void {
    this.state = "closed";
    this.say("closed");
    this.later(HANGUP_TIMEOUT_MS, () => this.surroundings.socket.close(1000));
  }

  fail(info: string): void {
    this.disconnect("error", info);
  }

  /** Once; then `close` is expected. */
  disconnect(reason: string, info: string): void {
    if (this.state === "disconnected") return;
    this.state = "disconnected";
    this.say("disconnect", { reason, info });
    this.later(CLOSE_TIMEOUT_MS, () => this.surroundings.socket.close(1000));
  }
}
