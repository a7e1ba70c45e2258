/**
 * Drives a client session: what the application asks of it, and what the protocol promises of what
 * is sent (sections 4 to 15).
 */
import { assert, assertEquals } from "@std/assert";
import { ClientSession, type OpenParameters } from "../../lib/protocol/mod.ts";
import {
  isMessage,
  type JsonObject,
  type SentFrame,
  SERVER_MESSAGES,
} from "../helpers/protocol_wire.ts";
import { SessionDriver, TRANSCRIPT_ID } from "./session_driver.ts";

export class ClientSessionDriver extends SessionDriver<ClientSession> {
  readonly #unansweredPings: number[] = [];
  #hasOpened = false;
  #hasSentOpen = false;
  #hasSentClose = false;
  #violations = 0;
  #violationsBefore = 0;
  #mayHaveAudio = false;
  #position = 0;

  constructor(isRenumbered: boolean) {
    super(new ClientSession({ id: TRANSCRIPT_ID }), "client", isRenumbered);
  }

  protected override act(act: string, args: readonly unknown[]): void {
    const { session, nowMs } = this;
    switch (act) {
      case "open":
        return session.open(args[0] as OpenParameters, nowMs);
      case "sendAudio":
        session.sendAudio(new Uint8Array(Number(args[0])));
        return;
      case "discard":
        return session.discard(Number(args[0]));
      case "pause":
        return session.pause();
      case "resume":
        return session.resume();
      case "update":
        return session.update(String(args[0]));
      case "dtmf":
        return session.dtmf(String(args[0]));
      case "playback":
        return session.playback(args[0] as "started");
      case "error":
        return session.error(args[0] as Parameters<ClientSession["error"]>[0]);
      case "close":
        return session.close(args[0] as "end", nowMs);
      default:
        throw new Error(`There is no ${act}`);
    }
  }

  protected override acknowledges(message: JsonObject): number {
    return message.type === "pong" ? this.#unansweredPings[0] ?? this.sentSeq : this.sentSeq;
  }

  protected override receiveAudio(frame: Uint8Array): void {
    const isPlayed = this.session.receiveAudio(frame, this.nowMs);
    if (!isPlayed) return;
    assertEquals(this.session.media?.channels, ["external"]);
    this.reached.add("accepted audio");
  }

  protected override beforeText(): void {
    this.#violationsBefore = this.#violations;
  }

  protected override afterText(_text: string, message: JsonObject | undefined): void {
    if (this.#violations > this.#violationsBefore) return;
    const type = String(message?.type);
    this.reached.add(`accepted ${Object.hasOwn(SERVER_MESSAGES, type) ? type : "unknown type"}`);
  }

  protected override onSent(frame: SentFrame): void {
    assert(!this.#hasSentClose, "something was sent after close");
    if (!isMessage(frame)) {
      assert(this.#mayHaveAudio, "audio was sent that nobody wants");
      return;
    }
    const { type } = frame;
    if (type === "open") {
      assert(!this.#hasSentOpen, "open was sent twice");
      this.#hasSentOpen = true;
    } else if (type === "close") {
      this.#hasSentClose = true;
    } else if (type !== "error") {
      assert(this.#hasOpened, `${type} was sent before opened`);
    }
    if (type === "ping") this.#unansweredPings.push(frame.seq);
  }

  protected override onChange(): void {
    for (const event of this.session.takeEvents()) {
      switch (event.type) {
        case "opened":
          assert(!this.#hasOpened, "opened was reported twice");
          break;
        case "pong":
          this.#unansweredPings.shift();
          assert(event.roundTripMs >= 0, "a pong came before its ping");
          break;
        case "event":
          assert(event.entities.length > 0);
          break;
        case "violation":
          if (event.ends) this.#violations++;
          assert(event.info.length < 500);
          break;
        case "closed":
        case "timeout":
          this.reached.add(event.type);
      }
    }
    const { session } = this;
    assert(session.positionSamples >= this.#position, "the position goes back");
    this.#position = session.positionSamples;
    if (session.state === "open") this.#hasOpened = true;
    this.#mayHaveAudio = session.state === "open" && session.media !== undefined &&
      !session.paused.byServer && !session.paused.byClient;
    assert(this.#violations === 0 || session.state !== "open", "a violation has no consequence");
  }

  /** Nobody waits for ever; only this application's `end` ends the connection. */
  protected override end(): void {
    this.try("close", ["error"]);
  }

  /** The application ends the session, and time goes on for ever. */
  finish(): void {
    if (this.#hasSentOpen && !this.#hasSentClose) {
      assert(this.try("close", ["end"]), "close was refused");
      assert(this.#hasSentClose, "close was not sent");
    }
    this.pass(1e9, false);
    assertEquals(this.session.deadlineMs, Infinity, "a session that has an end");
  }
}
