/**
 * What is told of a call while it runs and when it is over, in whatever form.
 *
 * Imports types only.
 */
import type { CallEvent } from "./call_event.ts";
import type { CallOutcome } from "./place_call.ts";

/** Who calls whom. */
export interface CallBeginning {
  readonly url: URL;
  readonly sessionId: string;
  readonly organizationId: string;
  readonly conversationId: string;
  /** `undefined` for a connection probe. */
  readonly totalSamples: number | undefined;
  /** Whether the server is asked which languages it supports. */
  readonly asksLanguages: boolean;
  /** Whether keys are read. */
  readonly hasKeys: boolean;
}

/** Something that a scenario or a key wanted. */
export interface CallAction {
  /** Number of the step, from 1; `undefined` if it was a key. */
  readonly step: number | undefined;
  /** In a few words, such as `update to de-DE`. */
  readonly what: string;
  /** Whether the call let it be done. */
  readonly wasPossible: boolean;
  /** What would make it possible, if that is known. */
  readonly hint: string | undefined;
}

/** How it all went. */
export interface CallEnding {
  readonly outcome: CallOutcome;
  /** All that went wrong; empty if the call was good. */
  readonly failures: readonly string[];
  /** What was saved of the bot's voice; `undefined` if nobody asked for it. */
  readonly savedAudioBytes: number | undefined;
}

/** Tells a person or a program of one call. */
export interface CallReport {
  begin(beginning: CallBeginning): void;
  event(event: CallEvent): void;
  /** A text message on the wire. */
  message(from: "client" | "server", text: string): void;
  progress(positionSamples: number): void;
  action(action: CallAction): void;
  /** The keys there are. */
  keys(): void;
  /** The user ends the call. */
  closing(): void;
  end(ending: CallEnding): void;
}

/** Shortest, middle and longest round trip; `undefined` if there was none. */
export function summarizeRoundTrips(
  roundTripsMs: readonly number[],
): { readonly min: number; readonly median: number; readonly max: number } | undefined {
  const sorted = roundTripsMs.toSorted((one, other) => one - other);
  const [min] = sorted;
  const max = sorted.at(-1);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (min === undefined || max === undefined || upper === undefined) return undefined;
  const lower = sorted.length % 2 === 0 ? sorted[middle - 1] ?? upper : upper;
  return { min, median: (lower + upper) / 2, max };
}
