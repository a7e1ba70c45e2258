/**
 * Drives a session of either side through steps, and checks what is true of both.
 */
import { assert, assertEquals } from "@std/assert";
import { LocalProtocolError, type SessionState } from "../../lib/protocol/mod.ts";
import {
  isMessage,
  type JsonObject,
  type SentFrame,
  SentFrames,
} from "../helpers/protocol_wire.ts";
import { mutatedText } from "./mutations.ts";
import type { Step } from "./session_steps.ts";

/** Id of the session in all transcripts. */
export const TRANSCRIPT_ID = "e160e428-53e2-487c-977d-96989bf5c99d";

/** What both sessions have in common. */
export interface DrivenSession {
  readonly state: SessionState;
  readonly deadlineMs: number;
  readonly positionSamples: number;
  receiveText(text: string, nowMs: number): void;
  tick(nowMs: number): void;
  takeOutput(): readonly (string | Uint8Array)[];
}

/** More often in a row, a deadline that has come need not stay. */
const MAX_IDLE_TICKS = 3;
const MAX_TICKS = 20_000;

/** A session under test, its clock, and the peer's counter. */
export abstract class SessionDriver<S extends DrivenSession> {
  readonly session: S;
  readonly #sent: SentFrames;
  readonly #isRenumbered: boolean;
  readonly #acknowledges: "serverseq" | "clientseq";
  /** What this input came to. */
  readonly reached = new Set<string>();
  nowMs = 0;
  /** Number of the peer's message that was counted last. */
  #seq = 0;
  #acknowledged = 0;

  /** @param isRenumbered Whether the peer counts right, but where that is changed. */
  constructor(session: S, side: "client" | "server", isRenumbered: boolean) {
    this.session = session;
    this.#sent = new SentFrames(side, TRANSCRIPT_ID);
    this.#isRenumbered = isRenumbered;
    this.#acknowledges = side === "server" ? "serverseq" : "clientseq";
  }

  /** Looks at what was sent. */
  protected abstract onSent(frame: SentFrame): void;
  /** Looks at events, and at what has to be true at any time. */
  protected abstract onChange(): void;
  /** The application does something, which may throw. */
  protected abstract act(act: string, args: readonly unknown[]): void;
  protected abstract receiveAudio(frame: Uint8Array): void;
  /** Text is about to be delivered, or was just delivered. */
  protected abstract beforeText(text: string, message: JsonObject | undefined): void;
  protected abstract afterText(text: string, message: JsonObject | undefined): void;
  /** The connection ends. */
  protected abstract end(): void;

  /** What the peer acknowledges; for a message that answers one, the number of that one. */
  protected acknowledges(_message: JsonObject): number {
    return this.#sent.seq;
  }

  /** Number of the message that the session sent last. */
  protected get sentSeq(): number {
    return this.#sent.seq;
  }

  run(step: Step): void {
    switch (step.kind) {
      case "message":
        this.#deliver(this.#textOf(step.json, step.edits));
        break;
      case "raw":
        this.#deliver(step.text);
        break;
      case "audio":
        this.receiveAudio(new Uint8Array(step.bytes));
        break;
      case "act":
        this.try(step.act, step.args);
        break;
      case "wait":
        this.pass(step.ms, step.isLate);
        break;
      case "deadline": {
        const ms = this.session.deadlineMs - this.nowMs - step.earlyMs;
        if (ms >= 0 && ms < Infinity) this.pass(ms, false);
        break;
      }
      case "end":
        this.end();
    }
    this.check();
  }

  /** Does something that may be refused, in the one way in which that is allowed. */
  try(act: string, args: readonly unknown[]): boolean {
    const { state, positionSamples } = this.session;
    let isDone = true;
    try {
      this.act(act, args);
      this.reached.add(`did ${act}`);
    } catch (error) {
      if (!(error instanceof LocalProtocolError)) throw error;
      assertEquals([this.session.state, this.session.positionSamples], [state, positionSamples]);
      isDone = false;
    }
    this.check();
    return isDone;
  }

  /** Time passes. If nobody looks in time, all that was due is done at once. */
  pass(ms: number, isLate: boolean): void {
    const endMs = this.nowMs + ms;
    if (isLate) this.nowMs = endMs;
    let idle = 0;
    for (let turns = 0; this.session.deadlineMs <= endMs; turns++) {
      this.nowMs = Math.max(this.nowMs, this.session.deadlineMs);
      this.session.tick(this.nowMs);
      this.check();
      idle = this.session.deadlineMs <= this.nowMs ? idle + 1 : 0;
      assert(idle < MAX_IDLE_TICKS && turns < MAX_TICKS, "deadlineMs does not move on");
    }
    this.nowMs = endMs;
  }

  /** What holds after anything that happens. */
  check(): void {
    const { deadlineMs, positionSamples, state } = this.session;
    assert(typeof deadlineMs === "number" && !Number.isNaN(deadlineMs), "deadlineMs is no number");
    assert(Number.isSafeInteger(positionSamples) && positionSamples >= 0);
    this.reached.add(`state ${state}`);
    this.onChange();
    for (const frame of this.#sent.read(this.session.takeOutput())) {
      if (isMessage(frame)) {
        const acknowledged = Number(frame.clientseq ?? frame.serverseq);
        assert(acknowledged >= this.#acknowledged, "what was received goes back");
        this.#acknowledged = acknowledged;
        this.reached.add(`sent ${frame.type}`);
      }
      this.onSent(frame);
    }
  }

  #textOf(json: string, edits: Parameters<typeof mutatedText>[1]): string {
    const message: JsonObject = JSON.parse(json);
    if (this.#isRenumbered) {
      message.id = TRANSCRIPT_ID;
      message.seq = this.#seq + 1;
      message[this.#acknowledges] = this.acknowledges(message);
    }
    return mutatedText(message, edits);
  }

  #deliver(text: string): void {
    const message = parseObject(text);
    this.beforeText(text, message);
    this.session.receiveText(text, this.nowMs);
    const seq = message?.seq;
    this.#seq = typeof seq === "number" && Number.isSafeInteger(seq) && seq > 0
      ? seq
      : this.#seq + 1;
    this.check();
    this.afterText(text, message);
  }
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const json = JSON.parse(text);
    return typeof json === "object" && json !== null && !Array.isArray(json) ? json : undefined;
  } catch {
    return undefined;
  }
}
