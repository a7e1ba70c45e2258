/**
 * An app for tests: notes what it is told, does what a test says, and hands out its calls.
 */
import type { App, Call, CallEnd, CallHandler, CloseAnswer } from "../../lib/app/app.ts";
import { Inbox } from "./deadline.ts";

/** Something that an app was told. */
export type Note = { readonly what: string; readonly detail?: unknown };

/** How a {@link TestApp} behaves; what is absent is harmless. */
export interface Behaviour extends Omit<CallHandler, "close"> {
  readonly name?: string;
  readonly supportedLanguages?: readonly string[];
  /** Before the handler is handed out. */
  readonly open?: (call: Call, signal: AbortSignal) => unknown;
  readonly close?: (
    end: CallEnd,
    call: Call,
  ) => CloseAnswer | void | Promise<CloseAnswer | void>;
}

const REPORTS = [
  "opened",
  "message",
  "audio",
  "gap",
  "paused",
  "resumed",
  "update",
  "dtmf",
  "playback",
  "tick",
  "ended",
] as const;

export class TestApp implements App {
  readonly name: string;
  readonly supportedLanguages: readonly string[] | undefined;
  /** All that it was told, of all calls, but `message` and `tick`. */
  readonly notes: Note[] = [];
  readonly #calls = new Inbox<Call>("call for the test app");
  readonly #behaviour: Behaviour;
  readonly #inboxes = new Map<string, Inbox<unknown>>();

  constructor(behaviour: Behaviour = {}) {
    this.#behaviour = behaviour;
    this.name = behaviour.name ?? "test";
    this.supportedLanguages = behaviour.supportedLanguages;
  }

  /** The next call that it was asked to open. */
  nextCall(): Promise<Call> {
    return this.#calls.take();
  }

  /** The next report of a kind: its detail. */
  told(what: string, timeoutMs?: number): Promise<unknown> {
    return this.#inbox(what).take(timeoutMs);
  }

  /** The kinds of what it was told, in order. */
  get whats(): string[] {
    return this.notes.map(({ what }) => what);
  }

  /** How often it was told something. */
  count(what: string): number {
    return this.notes.filter((note) => note.what === what).length;
  }

  open(call: Call, signal: AbortSignal): CallHandler | Promise<CallHandler> {
    this.#note("open", call);
    this.#calls.push(call);
    const result = this.#behaviour.open?.(call, signal);
    const handler = this.#handler(call);
    return result instanceof Promise ? result.then(() => handler) : handler;
  }

  #handler(call: Call): CallHandler {
    const handler: Record<string, unknown> = { preferences: this.#behaviour.preferences };
    for (const what of REPORTS) {
      handler[what] = (detail: unknown) => {
        if (what === "tick") this.#inbox(what).push(detail);
        else if (what !== "message") this.#note(what, detail);
        const reaction = this.#behaviour[what] as ((detail: unknown) => unknown) | undefined;
        return reaction?.(detail);
      };
    }
    handler.close = (end: CallEnd) => {
      this.#note("close", end);
      return this.#behaviour.close?.(end, call);
    };
    return handler as CallHandler;
  }

  #note(what: string, detail?: unknown): void {
    this.notes.push({ what, detail });
    this.#inbox(what).push(detail);
  }

  #inbox(what: string): Inbox<unknown> {
    let inbox = this.#inboxes.get(what);
    if (inbox === undefined) {
      this.#inboxes.set(what, inbox = new Inbox(`report "${what}" to the test app`));
    }
    return inbox;
  }
}
