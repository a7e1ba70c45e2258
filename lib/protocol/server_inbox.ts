/**
 * What a client's messages do to a server session: they move its stream, ask for an answer, or are
 * just reported (protocol sections 6 to 15).
 *
 * Whether a message is allowed, and whether it is as it should be, was looked at before. Imports
 * nothing but its neighbours.
 */
import type { ClientMessage, ClientParameters, OpenParameters } from "./client_messages.ts";
import { durationToSamples, parseDuration } from "./duration.ts";
import { NIL_UUID, sameUuid } from "./identifiers.ts";
import { type MediaOffer, SAMPLE_RATE } from "./media.ts";
import { LocalProtocolError, RemoteProtocolError } from "./protocol_error.ts";
import type { ReceivedStream } from "./received_stream.ts";
import type { ServerOutbox } from "./server_outbox.ts";
import type { GapCause, ServerSessionReports } from "./server_session_events.ts";
import type { SessionState } from "./transitions.ts";

/** Longest that a client may silence us by `retryAfter`. */
const MAX_RETRY_AFTER_MS = 60_000;

/** What a {@link ServerInbox} works on. */
export interface ServerInboxParts {
  /** UUID that `open` has to name. */
  readonly organizationId: string;
  readonly stream: ReceivedStream;
  /** For `pong`, and for what the client wants to have no more. */
  readonly outbox: ServerOutbox;
  readonly reports: ServerSessionReports;
}

/** Messages of the client, and what of them waits for an answer. */
export class ServerInbox {
  readonly #parts: ServerInboxParts;
  #offers: readonly MediaOffer[] = [];
  #wantsLanguages = false;
  #unansweredUpdates = 0;

  constructor(parts: ServerInboxParts) {
    this.#parts = parts;
  }

  /** The media that `open` offers; none before it. */
  get offers(): readonly MediaOffer[] {
    return this.#offers;
  }

  /** Whether `open` asks for the supported languages. */
  get wantsLanguages(): boolean {
    return this.#wantsLanguages;
  }

  /**
   * Makes sure that an `update` waits for an answer.
   *
   * @throws {LocalProtocolError} If none does.
   */
  requireUpdate(): void {
    if (this.#unansweredUpdates > 0) return;
    throw new LocalProtocolError('Cannot send "updated": no "update" waits for an answer');
  }

  /** An `update` was answered. */
  updated(): void {
    this.#unansweredUpdates--;
  }

  /**
   * A message came.
   *
   * @param state The session's state, now that the message was counted.
   * @throws {RemoteProtocolError} If the client must not say that.
   */
  receive(message: ClientMessage, state: SessionState, nowMs: number): void {
    const { stream, outbox, reports } = this.#parts;
    switch (message.type) {
      case "open":
        // Else it crossed our `disconnect`.
        if (state === "opening") this.#onOpen(message.parameters);
        return;
      case "ping":
        // At once: the answer's clientseq has to be the number of the ping.
        return outbox.send({ type: "pong", parameters: {} }, nowMs);
      case "paused":
        stream.pauses.paused();
        return reports.add({ type: "paused" });
      case "resumed":
        stream.pauses.resumed();
        this.#lose(message.parameters, "paused");
        return reports.add({ type: "resumed" });
      case "discarded":
        return this.#lose(message.parameters, "discarded");
      case "update":
        if (state !== "open") return;
        this.#unansweredUpdates++;
        return reports.add({ type: "update", language: message.parameters.language });
      case "dtmf":
        return reports.add({ type: "dtmf", digit: message.parameters.digit });
      case "playback_started":
        return reports.add({ type: "playback", state: "started" });
      case "playback_completed":
        return reports.add({ type: "playback", state: "completed" });
      case "error":
        return this.#onError(message.parameters, nowMs);
      case "close":
        return this.close(message.parameters.reason);
    }
  }

  /** The client closes. */
  close(reason: string): void {
    this.#parts.outbox.clearPlayback();
    this.#parts.reports.add({ type: "close", reason });
  }

  #onOpen(parameters: OpenParameters): void {
    if (!sameUuid(parameters.organizationId, this.#parts.organizationId)) {
      throw new RemoteProtocolError("organizationId is not that of the connection request", {
        reason: "unauthorized",
      });
    }
    this.#offers = parameters.media;
    this.#wantsLanguages = parameters.supportedLanguages === true;
    const isProbe = parameters.conversationId === NIL_UUID &&
      parameters.participant.id === NIL_UUID;
    this.#parts.reports.add({ type: "open", parameters, isProbe });
  }

  #onError({ code, retryAfter }: ClientParameters<"error">, nowMs: number): void {
    const nanoseconds = retryAfter === undefined ? undefined : parseDuration(retryAfter);
    const retryAfterMs = nanoseconds === undefined
      ? undefined
      : Math.min(Math.ceil(nanoseconds / 1e6), MAX_RETRY_AFTER_MS);
    if (code === 429 && retryAfterMs !== undefined) {
      this.#parts.outbox.block(nowMs + retryAfterMs, nowMs);
    }
    this.#parts.reports.addSome({ type: "error", code, retryAfterMs });
  }

  #lose({ start, discarded }: { start: string; discarded: string }, cause: GapCause): void {
    const { stream, reports } = this.#parts;
    const { positionSamples, samples } = stream.lose(discarded);
    const reportedSamples = durationToSamples(start, SAMPLE_RATE);
    if (reportedSamples !== positionSamples) {
      reports.addSome({ type: "drift", positionSamples, reportedSamples });
    }
    if (samples > 0) reports.add({ type: "gap", positionSamples, samples, cause });
  }
}
