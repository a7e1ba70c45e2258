/**
 * Drives a server session: the application's part, and what the protocol promises of what is sent
 * (sections 6 to 15).
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  decodeClientText,
  type EventEntity,
  LocalProtocolError,
  type MediaOffer,
  type OpenedAnswer,
  ServerSession,
  type ServerSessionEvent,
} from "../../lib/protocol/mod.ts";
import {
  CLIENT_MESSAGES,
  clientMessage,
  isMessage,
  type JsonObject,
  ORGANIZATION_ID,
  type SentFrame,
} from "../helpers/protocol_wire.ts";
import { SessionDriver, TRANSCRIPT_ID } from "./session_driver.ts";

/** What may still be sent after `disconnect` (section 14). */
const AFTER_DISCONNECT = ["event", "pong", "closed"];
/** What may be sent before `opened`, or instead of it (sections 6 and 13). */
const BEFORE_OPENED = ["opened", "disconnect", "closed"];
/** Of what a client may cause any number of times. */
const MAX_VIOLATIONS = 100;

type Sent = "opened" | "disconnect" | "closed";

export class ServerSessionDriver extends SessionDriver<ServerSession> {
  readonly #sent = new Set<Sent>();
  #offers: readonly MediaOffer[] = [];
  #position = 0;
  #closes = 0;
  #hangups = 0;
  #violations = 0;
  #hasEnded = false;
  #mustClose = false;
  #violationsBefore = 0;

  constructor(isRenumbered: boolean) {
    const options = { id: TRANSCRIPT_ID, organizationId: ORGANIZATION_ID, nowMs: 0 };
    super(new ServerSession(options), "server", isRenumbered);
  }

  protected override act(act: string, args: readonly unknown[]): void {
    const { session, nowMs } = this;
    switch (act) {
      case "opened":
        return session.opened((args[0] ?? {}) as OpenedAnswer, nowMs);
      case "openedAsOffered":
        return session.opened({ media: this.#offers[Number(args[0])] }, nowMs);
      case "sendEvent":
        return session.sendEvent(args[0] as EventEntity[], nowMs);
      case "pause":
        return session.pause(nowMs);
      case "resume":
        return session.resume(nowMs);
      case "updated":
        return session.updated(nowMs);
      case "play":
        return session.play(new Uint8Array(Number(args[0])), nowMs);
      case "disconnect": {
        const [reason, info, variables] = args;
        return session.disconnect(
          reason as "completed",
          info as string | undefined,
          variables as Record<string, string> | undefined,
          nowMs,
        );
      }
      case "reconnect":
        return session.reconnect(args[0] as string | undefined, nowMs);
      case "closed":
        return session.closed(args[0] as Record<string, string> | undefined, nowMs);
      default:
        throw new Error(`There is no ${act}`);
    }
  }

  protected override receiveAudio(frame: Uint8Array): void {
    const { media } = this.session;
    const position = this.session.receiveAudio(frame, this.nowMs);
    if (position < 0) {
      assertEquals(position, -1);
      return;
    }
    assert(media !== undefined, "audio was accepted in a session without any");
    assertEquals(position, this.#position);
    this.#position += frame.length / (media.channels.length * (media.format === "L16" ? 2 : 1));
    this.reached.add("accepted audio");
  }

  protected override beforeText(text: string, message: JsonObject | undefined): void {
    this.#violationsBefore = this.#violations;
    if (message?.type !== "close" || this.#closes > 0 || this.#hasEnded) return;
    const decoded = decodeClientText(text);
    this.#mustClose = decoded.kind === "message" &&
      decoded.envelope.id.toLowerCase() === TRANSCRIPT_ID;
  }

  protected override afterText(_text: string, message: JsonObject | undefined): void {
    // After some, no more are reported.
    if (this.#violations > this.#violationsBefore || this.#violations > 5) return;
    this.reached.add(`accepted ${acceptedType(message)}`);
  }

  protected override onSent(frame: SentFrame): void {
    assert(!this.#hasEnded, "something was sent after the end of the connection");
    assert(!this.#sent.has("closed"), "something was sent after closed");
    if (!isMessage(frame)) {
      assert(this.#sent.has("opened") && !this.#sent.has("disconnect"), "audio was sent");
      assertEquals(this.session.media?.channels, ["external"]);
      return;
    }
    const { type } = frame;
    if (this.#sent.has("disconnect")) assert(AFTER_DISCONNECT.includes(type), `${type} was sent`);
    if (this.#sent.has("opened")) assert(type !== "opened", "opened was sent twice");
    else assert(BEFORE_OPENED.includes(type), `${type} was sent before opened`);
    if (type === "closed") assertEquals(this.#closes, 1, "closed without a close");
    if (type === "opened" || type === "disconnect" || type === "closed") this.#sent.add(type);
  }

  protected override onChange(): void {
    for (const event of this.session.takeEvents()) this.#onEvent(event);
    assertEquals(this.session.positionSamples, this.#position, "the position");
    const isLive = ["idle", "opening", "open"].includes(this.session.state);
    assert(!isLive || this.#violations === 0, "a violation has no consequence");
    assert(this.#violations <= MAX_VIOLATIONS);
    // A client that exceeds its rates may get no answer at all.
    if (this.#mustClose && this.#hangups === 0) assertEquals(this.#closes, 1, "a close was lost");
  }

  #onEvent(event: ServerSessionEvent): void {
    switch (event.type) {
      case "open":
        this.#offers = event.parameters.media;
        return;
      case "close":
        this.#closes++;
        assertEquals(this.#closes, 1, "two closes were reported");
        return;
      case "gap":
        assertEquals(event.positionSamples, this.#position);
        assert(Number.isSafeInteger(event.samples) && event.samples > 0);
        this.#position += event.samples;
        return;
      case "violation":
        this.#violations++;
        assert(event.info.length < 500);
        return;
      case "hangup":
        this.#hangups++;
    }
  }

  protected override end(): void {
    this.session.connectionEnded();
    this.#hasEnded = true;
    this.#mustClose = false;
  }

  /** The application answers, time goes on for ever, and the connection ends. */
  finish(): void {
    if (this.session.state === "opening") {
      this.try("openedAsOffered", [0]) || this.try("opened", []);
    }
    if (this.#closes > 0 && !this.#sent.has("closed") && !this.#hasEnded) {
      assert(this.try("closed", []), "closed was refused");
      assert(this.#sent.has("closed"), "closed was not sent");
    }
    this.pass(1e9, false);
    assertEquals(this.session.deadlineMs, Infinity, "a session that has an end");
    if (!this.#hasEnded) assert(this.#hangups > 0, "nobody ends the connection");
    this.end();
    this.#poke();
  }

  /** After the end of the connection nothing is sent, and nothing can be asked for. */
  #poke(): void {
    const { session, nowMs } = this;
    for (const [act, args] of POKES) assertThrows(() => this.act(act, args), LocalProtocolError);
    session.receiveText(POKE, nowMs);
    session.receiveAudio(new Uint8Array(160), nowMs);
    session.tick(nowMs + 1e9);
    assertEquals([session.takeOutput(), session.deadlineMs], [[], Infinity]);
  }
}

/** Name of a type for the tally, which would grow for ever with what a client makes up. */
function acceptedType(message: JsonObject | undefined): string {
  const type = String(message?.type);
  return Object.hasOwn(CLIENT_MESSAGES, type) ? type : "unknown type";
}

const POKE = JSON.stringify(clientMessage("ping", {}, { id: TRANSCRIPT_ID }));
const POKES: readonly [string, readonly unknown[]][] = [
  ["opened", []],
  ["sendEvent", [[{ type: "note", data: {} }]]],
  ["pause", []],
  ["disconnect", ["error"]],
  ["play", [160]],
  ["closed", []],
];
