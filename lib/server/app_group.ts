/**
 * The apps of one session: each is bounded in time, and one that fails is left out.
 *
 * Imports the App interface, never an app.
 */
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import type {
  App,
  Call,
  CallEnd,
  CallHandler,
  CloseAnswer,
  OpenPreferences,
  WireMessage,
} from "../app/app.ts";
import type { AudioFrame } from "../app/audio_frame.ts";
import {
  durationSchema,
  mediaOfferSchema,
  type OutputVariables,
  outputVariablesSchema,
} from "../protocol/mod.ts";
import { withDeadline } from "../app/deadline.ts";

const log = getLogger(["audiohook", "apps"]);

/** How long apps may take. */
export interface AppTimeouts {
  /** For `open`. The client waits for 5 s. */
  readonly openMs: number;
  /** For `close`. The client waits for 10 s. */
  readonly closeMs: number;
}

/** The defaults. */
export const APP_TIMEOUTS = { openMs: 3_000, closeMs: 8_000 } as const satisfies AppTimeouts;

/** Messages before the handlers are there; more is not a client that means well. */
const MAX_EARLY_MESSAGES = 100;
/** And their length, in characters. */
const MAX_EARLY_CHARS = 1024 * 1024;

const preferencesSchema = z.object({
  media: mediaOfferSchema.nullable().optional(),
  startPaused: z.boolean().optional(),
  discardTo: durationSchema.optional(),
});

/** Methods of a handler that report something, and have to return at once. */
type Report = Exclude<keyof CallHandler, "preferences" | "close">;

class Member {
  readonly app: App;
  readonly abort = new AbortController();
  handler: CallHandler | undefined;
  preferences: OpenPreferences = {};
  /** Gets no more reports, because one failed. */
  failed = false;

  constructor(app: App) {
    this.app = app;
  }
}

/** The apps of one session. */
export class AppGroup {
  readonly #members: readonly Member[];
  readonly #timeouts: AppTimeouts;
  readonly #sessionId: string;
  #early: WireMessage[] | undefined = [];
  #earlyChars = 0;
  #closing: Promise<OutputVariables | undefined> | undefined;
  /** Handlers that take audio, of members that have not failed. */
  #listeners: readonly CallHandler[] = [];

  /** @param sessionId For logs. */
  constructor(apps: readonly App[], timeouts: AppTimeouts, sessionId: string) {
    this.#members = apps.map((app) => new Member(app));
    this.#timeouts = timeouts;
    this.#sessionId = sessionId;
  }

  /**
   * Opens all apps at once. Never rejects, and settles in time.
   *
   * @returns What the apps that are in want the answer to say, in the order of the apps.
   */
  async open(call: Call): Promise<OpenPreferences[]> {
    await Promise.all(this.#members.map((member) => this.#open(member, call)));
    this.#reportEarly();
    return this.#members.flatMap(({ handler, preferences }) =>
      handler === undefined ? [] : [preferences]
    );
  }

  /** Languages of all apps, each once, in the order of the apps. */
  get supportedLanguages(): readonly string[] {
    const tags = new Map<string, string>();
    for (const { app } of this.#members) {
      for (const tag of app.supportedLanguages ?? []) {
        if (!tags.has(tag.toLowerCase())) tags.set(tag.toLowerCase(), tag);
      }
    }
    return [...tags.values()];
  }

  /** Tells all apps about a message; those that open later get it then. */
  message(message: WireMessage): void {
    if (this.#early === undefined) return this.report("message", message);
    this.#earlyChars += message.text.length;
    if (this.#early.length < MAX_EARLY_MESSAGES && this.#earlyChars <= MAX_EARLY_CHARS) {
      this.#early.push(message);
    }
  }

  /** Hands a frame to all apps. As {@link AppGroup.report}, without an array for each frame. */
  audio(frame: AudioFrame): void {
    for (const handler of this.#listeners) {
      try {
        const result: unknown = handler.audio?.(frame);
        if (result !== undefined) this.#watch(this.#memberOf(handler), "audio", result);
      } catch (error) {
        this.#fail(this.#memberOf(handler), "audio", error);
      }
    }
  }

  /** Tells all apps that something happened. Never throws. */
  report<K extends Report>(
    what: K,
    ...details: Parameters<NonNullable<CallHandler[K]>>
  ): void {
    for (const member of this.#members) {
      const { handler } = member;
      if (member.failed && what !== "ended") continue;
      try {
        const report = handler?.[what] as ((...details: unknown[]) => unknown) | undefined;
        if (report !== undefined) this.#watch(member, what, report.apply(handler, details));
      } catch (error) {
        this.#fail(member, what, error);
      }
    }
  }

  /**
   * Closes all apps at once. Never rejects, settles in time, and does it once: called again, it
   * gives the same promise.
   *
   * @returns What they have for the call flow; of two values of one name, the later app's.
   */
  close(end: CallEnd): Promise<OutputVariables | undefined> {
    if (this.#closing !== undefined) return this.#closing;
    // First of all: what an app does while it closes may bring us here again.
    const { promise, resolve } = Promise.withResolvers<OutputVariables | undefined>();
    this.#closing = promise;
    resolve(this.#closeAll(end));
    return promise;
  }

  async #open(member: Member, call: Call): Promise<void> {
    const { app } = member;
    const context = { app: app.name, sessionId: this.#sessionId };
    let isWaiting = true;
    const opening = (async () => {
      // `null` is not allowed, but an app without types may say it.
      const handler = await app.open(call, member.abort.signal) ?? undefined;
      if (!isWaiting || this.#closing !== undefined) return await this.#leaveOut(member, handler);
      try {
        member.preferences = preferencesSchema.parse(handler?.preferences ?? {});
      } catch (error) {
        await this.#leaveOut(member, handler);
        throw error;
      }
      member.handler = handler;
      this.#findListeners();
    })().then(() => true, (error) => {
      log.error("App {app} failed to open, and is left out of {sessionId}", { ...context, error });
      member.abort.abort(new DOMException("The app failed to open", "AbortError"));
      return true;
    });
    if (await withDeadline(opening, this.#timeouts.openMs) === undefined) {
      log.error("App {app} did not open in time, and is left out of {sessionId}", context);
      member.abort.abort(new DOMException("The app did not open in time", "TimeoutError"));
    }
    isWaiting = false;
  }

  #reportEarly(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const message of early) this.report("message", message);
  }

  async #leaveOut({ app }: Member, handler: CallHandler | undefined): Promise<void> {
    try {
      await handler?.close?.({ how: "left_out" });
    } catch (error) {
      const context = { app: app.name, sessionId: this.#sessionId, error };
      log.error("App {app} failed to close {sessionId}, which it was left out of", context);
    }
  }

  async #closeAll(end: CallEnd): Promise<OutputVariables | undefined> {
    this.#reportEarly();
    const answers = await Promise.all(this.#members.map((member) => {
      member.abort.abort(new DOMException("The call has ended", "AbortError"));
      return this.#close(member, end);
    }));
    const variables = answers.filter((answer) => answer !== undefined);
    return variables.length === 0 ? undefined : Object.assign({}, ...variables);
  }

  async #close(member: Member, end: CallEnd): Promise<OutputVariables | undefined> {
    const { app, handler } = member;
    const context = { app: app.name, sessionId: this.#sessionId };
    try {
      const closing = (async () => await handler?.close?.(end) ?? {})();
      const answer = await withDeadline<CloseAnswer>(closing, this.#timeouts.closeMs);
      if (answer === undefined) log.error("App {app} did not close {sessionId} in time", context);
      return outputVariablesSchema.optional().parse(answer?.outputVariables);
    } catch (error) {
      log.error("App {app} failed to close {sessionId}", { ...context, error });
      return undefined;
    }
  }

  /** Another list each time: the one before may be gone through at this moment. */
  #findListeners(): void {
    this.#listeners = this.#members.flatMap(({ failed, handler }) =>
      failed || handler?.audio === undefined ? [] : [handler]
    );
  }

  /** Several apps may have one handler: then it is the first that has not failed. */
  #memberOf(handler: CallHandler): Member {
    const members = this.#members.filter((member) => member.handler === handler);
    const member = members.find(({ failed }) => !failed) ?? members[0];
    if (member === undefined) throw new Error("The handler is of no app");
    return member;
  }

  /** The interface has no promises here, but nothing keeps a handler from being async. */
  #watch(member: Member, what: Report, result: unknown): void {
    if (result instanceof Promise) result.catch((error) => this.#fail(member, what, error));
  }

  #fail(member: Member, what: Report, error: unknown): void {
    if (member.failed) return;
    member.failed = true;
    this.#findListeners();
    log.error("App {app} failed in {what}, and is left out of {sessionId} from now on", {
      app: member.app.name,
      what,
      sessionId: this.#sessionId,
      error,
    });
  }
}
