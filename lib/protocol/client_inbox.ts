/**
 * What a server's messages do to a client session: they are held against the rules, answered where
 * every client answers by itself, and reported (protocol sections 6 to 16).
 *
 * A fault that ends the session is thrown; one that does not is reported. Imports nothing but its
 * neighbours.
 */
import type { OpenParameters } from "./client_messages.ts";
import type { ClientOutbox } from "./client_outbox.ts";
import type { ClientPings } from "./client_pings.ts";
import type { ClientReports } from "./client_reports.ts";
import type { ClientStream } from "./client_stream.ts";
import { durationToSamples, formatDuration } from "./duration.ts";
import {
  bytesPerSampleFrame,
  isSupportedMedia,
  type Media,
  sameMedia,
  SAMPLE_RATE,
} from "./media.ts";
import type { MessageExchange } from "./message_exchange.ts";
import { RemoteProtocolError } from "./protocol_error.ts";
import type { ServerMessage, ServerParameters } from "./server_messages.ts";
import { type Paced, ServerPace, type ServerPaceLimits } from "./server_pace.ts";
import {
  brokenByEntities,
  checkPlayed,
  isPaced,
  mayFollowDisconnect,
  sectionOf,
} from "./server_rules.ts";

const IGNORED_UPDATE = {
  type: "advice",
  section: "10",
  info: 'An "update" was answered neither by "updated" nor by "pause" or "disconnect"',
} as const;

/** What a {@link ClientInbox} works on. */
export interface ClientInboxParts {
  readonly exchange: MessageExchange<"client">;
  readonly stream: ClientStream;
  readonly pings: ClientPings;
  readonly outbox: ClientOutbox;
  readonly reports: ClientReports;
  readonly limits: ServerPaceLimits;
}

/** Messages and audio of the server, and what is known from them. */
export class ClientInbox {
  readonly #parts: ClientInboxParts;
  readonly #pace: ServerPace;
  #offers: OpenParameters["media"] = [];
  #asksForLanguages = false;
  #media: Media | undefined;
  #unansweredUpdates = 0;
  /** Of these, the ones that were not refused either. */
  #ignoredUpdates = 0;
  #hasDisconnect = false;

  constructor(parts: ClientInboxParts) {
    this.#parts = parts;
    this.#pace = new ServerPace(parts.limits);
  }

  /** What the server selected; `undefined` before `opened`, and for a session without audio. */
  get media(): Media | undefined {
    return this.#media;
  }

  /** Whether `disconnect` came. */
  get hasDisconnect(): boolean {
    return this.#hasDisconnect;
  }

  /** `open` was sent. */
  openSent({ media, supportedLanguages }: OpenParameters): void {
    this.#offers = media;
    this.#asksForLanguages = supportedLanguages === true;
  }

  /** `update` was sent. */
  updateSent(): void {
    this.#unansweredUpdates++;
    this.#ignoredUpdates++;
  }

  /** We did not read for so long: what the server sent meanwhile comes at once. */
  forgivePace(heldBackMs: number): void {
    this.#pace.forgive(heldBackMs);
  }

  /** The section that says when a message is allowed. */
  sectionOf(type: string): string | undefined {
    return this.#hasDisconnect && !mayFollowDisconnect(type) ? "14" : sectionOf(type);
  }

  /**
   * A message came, in a state that allows it.
   *
   * @param acknowledged Its `clientseq`.
   * @throws {RemoteProtocolError} If the server must not say that.
   */
  receive(message: ServerMessage, acknowledged: number, nowMs: number): void {
    const { pings, reports } = this.#parts;
    this.#requireNoDisconnect(message.type);
    if (!this.#isDemanded(message.type)) this.#countPaced("text", nowMs);
    switch (message.type) {
      case "opened":
        return this.#onOpened(message.parameters, nowMs);
      case "pong":
        return reports.add({ type: "pong", roundTripMs: pings.answered(acknowledged, nowMs) });
      case "pause":
      case "resume":
        return this.#onPauseRequest(message.type);
      case "updated":
        this.#ignoredUpdates = Math.max(0, this.#ignoredUpdates - 1);
        if (this.#unansweredUpdates > 0) this.#unansweredUpdates--;
        else reports.broken("10", 'Unexpected "updated": no "update" waits for it');
        return reports.add({ type: "updated" });
      case "event":
        for (const { section, info } of brokenByEntities(message.parameters.entities)) {
          reports.broken(section, info);
        }
        return reports.add({ type: "event", entities: message.parameters.entities });
      case "reconnect":
        return reports.add({ type: "reconnect", info: message.parameters.info });
      case "disconnect":
        this.#hasDisconnect = true;
        this.#ignoredUpdates = 0;
        return reports.add({ type: "disconnect", parameters: message.parameters });
      case "closed":
        if (this.#ignoredUpdates > 0) reports.add(IGNORED_UPDATE);
        return reports.add({ type: "closed", parameters: message.parameters });
    }
  }

  /**
   * A message of a type that we don't know came.
   *
   * @throws {RemoteProtocolError} If there are too many.
   */
  receiveUnknown(type: string, nowMs: number): void {
    this.#countPaced("text", nowMs);
    this.#parts.reports.add({ type: "unknown", messageType: type });
  }

  /**
   * A binary frame came.
   *
   * @throws {RemoteProtocolError} If there should be none, or it can't be played.
   */
  receiveAudio(frame: Uint8Array, nowMs: number): void {
    this.#requireNoDisconnect("audio");
    const media = this.#parts.exchange.mayReceive("audio") ? this.#media : undefined;
    checkPlayed(frame, media);
    this.#countPaced("audio", nowMs);
    this.#countPaced("samples", nowMs, frame.length / bytesPerSampleFrame(media));
  }

  #onOpened(parameters: ServerParameters<"opened">, nowMs: number): void {
    const { exchange, stream, pings, outbox, reports } = this.#parts;
    if (this.#asksForLanguages && parameters.supportedLanguages === undefined) {
      reports.broken("6.4", '"opened" has no supportedLanguages, although "open" asked for them');
    }
    // We closed while it was on its way.
    if (exchange.state !== "open") return;
    const [selected] = parameters.media;
    if (selected !== undefined && !this.#offers.some((offer) => sameMedia(offer, selected))) {
      throw new RemoteProtocolError("Selected media not one of the offered", { section: "6.3" });
    }
    if (selected !== undefined && isSupportedMedia(selected)) this.#media = selected;
    const startPaused = parameters.startPaused === true;
    const discardTo = durationToSamples(parameters.discardTo ?? "PT0S", SAMPLE_RATE);
    stream.start(this.#media, startPaused, discardTo);
    pings.start(nowMs);
    reports.add({ type: "opened", parameters });
    if (startPaused) outbox.send({ type: "paused", parameters: {} });
  }

  #onPauseRequest(request: "pause" | "resume"): void {
    const { exchange, stream, outbox, reports } = this.#parts;
    // So a server may refuse a language.
    if (request === "pause") this.#ignoredUpdates = 0;
    // We closed while it was on its way.
    if (exchange.state !== "open") return;
    stream.setPause("server", request === "pause");
    reports.add({ type: request });
    if (stream.flowing) outbox.sendResumed();
    else outbox.send({ type: "paused", parameters: {} });
  }

  /** Whether the server has to say that, and at once: it is no fault of its pace (section 12). */
  #isDemanded(type: ServerMessage["type"]): boolean {
    return !isPaced(type) || type === "updated" && this.#unansweredUpdates > 0;
  }

  /**
   * Counts what a server can pace; too much of it is answered, and taken all the same.
   *
   * @throws {RemoteProtocolError} If it is a flood.
   */
  #countPaced(what: Paced, nowMs: number, amount?: number): void {
    const { exchange, outbox, reports, limits } = this.#parts;
    const tooMuch = this.#pace.count(what, nowMs, amount);
    if (tooMuch === undefined) return;
    const { info: message, section, isFlood } = tooMuch;
    if (isFlood) throw new RemoteProtocolError(message, { code: 429, section });
    const retryAfter = formatDuration(Math.round(limits.retryAfterMs * 1e6));
    if (exchange.maySend("error")) {
      outbox.send({ type: "error", parameters: { code: 429, message, retryAfter } });
    }
    reports.broken(section, message, 429);
  }

  #requireNoDisconnect(type: string): void {
    if (!this.#hasDisconnect || mayFollowDisconnect(type)) return;
    throw new RemoteProtocolError(`Unexpected "${type}" after "disconnect"`, { section: "14" });
  }
}
