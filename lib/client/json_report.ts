/**
 * Tells a program of a call: one JSON object a line on standard output, and nothing else there.
 *
 * Imports its neighbours and how text is written.
 */
import { escapeControls, writeText } from "../config/text_output.ts";
import { SAMPLE_RATE } from "../protocol/mod.ts";
import type { CallEvent } from "./call_event.ts";
import {
  type CallAction,
  type CallBeginning,
  type CallEnding,
  type CallReport,
  summarizeRoundTrips,
} from "./call_report.ts";

/** Writes lines of JSON: `calling`, each event, `message`, `action`, and last `outcome`. */
export class JsonReport implements CallReport {
  begin({ url, sessionId, organizationId, conversationId }: CallBeginning): void {
    write({ type: "calling", url: url.href, sessionId, organizationId, conversationId });
  }

  event(event: CallEvent): void {
    write(event);
  }

  message(from: "client" | "server", text: string): void {
    write({ type: "message", from, ...parse(text) });
  }

  progress(): void {}

  action({ step, what, wasPossible, hint }: CallAction): void {
    write({ type: "action", step, what, wasPossible, hint });
  }

  keys(): void {}

  closing(): void {
    write({ type: "closing" });
  }

  end({ outcome, failures, savedAudioBytes }: CallEnding): void {
    const { failure: _, roundTripsMs, positionSamples, ...numbers } = outcome;
    write({
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
}

function parse(text: string): { readonly message: unknown } | { readonly text: string } {
  try {
    return { message: JSON.parse(text) };
  } catch {
    return { text };
  }
}

function write(value: object): void {
  // JSON leaves some characters as they are that steer a terminal.
  writeText(Deno.stdout, `${escapeControls(JSON.stringify(value))}\n`);
}
