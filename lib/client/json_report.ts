/**
 * Tells a program of a call: one JSON object a line on standard output, and nothing else there.
 *
 * Imports its neighbours and how text is written.
 */
import { escapeControls } from "../config/text_output.ts";
import { SAMPLE_RATE } from "../protocol/mod.ts";
import type { CallEvent } from "./call_event.ts";
import {
  type CallAction,
  type CallBeginning,
  type CallEnding,
  type CallReport,
  summarizeRoundTrips,
} from "./call_report.ts";
import type { ReportOutput } from "./report_output.ts";

/** Writes lines of JSON: `calling`, each event, `message`, `action`, and last `outcome`. */
export class JsonReport implements CallReport {
  readonly #output: ReportOutput;

  /** @param output Where it is written. */
  constructor(output: ReportOutput) {
    this.#output = output;
  }

  begin({ url, sessionId, organizationId, conversationId }: CallBeginning): void {
    this.#write({ type: "calling", url: url.href, sessionId, organizationId, conversationId });
  }

  event(event: CallEvent): void {
    this.#write(event);
  }

  message(from: "client" | "server", text: string): void {
    this.#write({ type: "message", from, ...parse(text) });
  }

  progress(): void {}

  action({ step, what, wasPossible, hint }: CallAction): void {
    this.#write({ type: "action", step, what, wasPossible, hint });
  }

  keys(): void {}

  closing(): void {
    this.#write({ type: "closing" });
  }

  end({ outcome, failures, savedAudioBytes }: CallEnding): void {
    const { failure: _, roundTripsMs, positionSamples, ...numbers } = outcome;
    this.#write({
      type: "outcome",
      isGood: failures.length === 0,
      failures,
      audioSeconds: positionSamples / SAMPLE_RATE,
      ...numbers,
      pings: roundTripsMs.length,
      roundTripMs: summarizeRoundTrips(roundTripsMs),
      savedAudioBytes,
    });
  }

  #write(value: object): void {
    // JSON leaves some characters as they are that steer a terminal.
    this.#output.write(`${escapeControls(JSON.stringify(value))}\n`);
  }
}

function parse(text: string): { readonly message: unknown } | { readonly text: string } {
  try {
    return { message: JSON.parse(text) };
  } catch {
    return { text };
  }
}
