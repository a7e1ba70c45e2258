/**
 * Tells a person of a call: lines, and a progress bar below them.
 *
 * Imports its neighbours and the protocol.
 */
import { isSupportedMedia, SAMPLE_RATE } from "../protocol/mod.ts";
import { KEYS_HELP } from "./call_keys.ts";
import {
  type CallAction,
  type CallBeginning,
  type CallEnding,
  type CallReport,
  summarizeRoundTrips,
} from "./call_report.ts";
import type { CallEvent } from "./call_event.ts";
import type { CallOutcome } from "./place_call.ts";
import type { ReportOutput } from "./report_output.ts";
import { Terminal } from "./terminal.ts";

/** At the end: each was shown when it happened, too. */
const MAX_VIOLATIONS_SHOWN = 10;

/** Writes to standard output. */
export class TextReport implements CallReport {
  readonly #terminal: Terminal;
  #totalSamples = 0;
  #asksLanguages = false;

  /** @param output Where it is written; one of its own unless given. */
  constructor(output?: ReportOutput) {
    this.#terminal = new Terminal(output);
  }

  begin(beginning: CallBeginning): void {
    const { url, sessionId, organizationId, conversationId, totalSamples, hasKeys } = beginning;
    this.#totalSamples = totalSamples ?? 0;
    this.#asksLanguages = beginning.asksLanguages;
    const what = totalSamples === undefined ? "Probing" : "Calling";
    this.#terminal.print(`${what} ${url} (session ${sessionId})`);
    this.#terminal.print(`  organization ${organizationId}, conversation ${conversationId}`);
    if (hasKeys) this.keys();
  }

  event(event: CallEvent): void {
    for (const line of describe(event)) this.#terminal.print(`  ${line}`);
    if (event.type === "opened" && this.#asksLanguages) {
      const { supportedLanguages } = event.parameters;
      const list = supportedLanguages?.join(", ") ?? "not told by the server";
      this.#terminal.print(`  supported languages: ${list || "none"}`);
    }
  }

  message(from: "client" | "server", text: string): void {
    this.#terminal.print(`  ${from === "client" ? ">" : "<"} ${text}`);
  }

  progress(positionSamples: number): void {
    if (this.#totalSamples === 0) return;
    this.#terminal.progress(
      positionSamples / this.#totalSamples,
      `${seconds(positionSamples)} of ${seconds(this.#totalSamples)} s`,
    );
  }

  action({ step, what, wasPossible, hint }: CallAction): void {
    const who = step === undefined ? "key" : `step ${step}`;
    const why = hint === undefined ? "" : `: ${hint}`;
    this.#terminal.print(
      `  ${who}: ${what}${wasPossible ? "" : `, which is not possible now${why}`}`,
    );
  }

  keys(): void {
    this.#terminal.print(`  Keys: ${KEYS_HELP}`);
  }

  closing(): void {
    this.#terminal.print("  Closing the call; Ctrl-C ends it at once");
  }

  end({ outcome, failures, savedAudioBytes }: CallEnding): void {
    this.#terminal.endProgress();
    for (const line of summarize(outcome)) this.#terminal.print(line);
    if (savedAudioBytes !== undefined) {
      this.#terminal.print(
        savedAudioBytes === 0
          ? "No audio was saved: the server sent none"
          : `Saved ${savedAudioBytes} bytes of audio`,
      );
    }
    for (const failure of failures) this.#terminal.print(`Failed: ${failure}`);
    if (failures.length === 0) {
      this.#terminal.print(`Closed after ${seconds(outcome.positionSamples)} s of audio`);
    }
  }
}

function* summarize(outcome: CallOutcome): Generator<string> {
  const { sentFrames, sentAudioBytes, receivedAudioBytes, attempts, violations } = outcome;
  const { openedMs, closedMs } = outcome;
  if (attempts > 1) yield `${attempts} attempts`;
  const waits = [
    ...openedMs === undefined ? [] : [`opened after ${openedMs.toFixed(1)} ms`],
    ...closedMs === undefined ? [] : [`closed after ${closedMs.toFixed(1)} ms`],
  ];
  if (waits.length > 0) yield `The server ${waits.join(", ")}`;
  if (sentFrames > 0) yield `Sent ${sentFrames} frames, ${sentAudioBytes} bytes`;
  if (receivedAudioBytes > 0) yield `Received ${receivedAudioBytes} bytes of audio`;
  const trips = summarizeRoundTrips(outcome.roundTripsMs);
  if (trips !== undefined) {
    const [min, median, max] = [trips.min, trips.median, trips.max].map((ms) => ms.toFixed(1));
    yield `${outcome.roundTripsMs.length} pings, round trip at least ${min} ms, ` +
      `median ${median} ms, at most ${max} ms`;
  }
  if (violations.length === 0) return;
  yield `Violations of the protocol by the server: ${violations.length}`;
  for (const { section, info } of violations.slice(0, MAX_VIOLATIONS_SHOWN)) {
    yield `  ${info} (protocol section ${section})`;
  }
  if (violations.length > MAX_VIOLATIONS_SHOWN) yield "  …";
}

/** What happened, in lines; none for what only matters in numbers. */
function describe(event: CallEvent): string[] {
  switch (event.type) {
    case "connected":
      return [event.attempt === 0 ? "connected" : `connected, retry ${event.attempt}`];
    case "retry": {
      const delay = (event.delayMs / 1000).toFixed(1);
      return [`${event.why}; retry ${event.attempt} in ${delay} s`];
    }
    case "connection-ended":
      // Of the others, the retry or the outcome tells.
      return event.end.how === "lost" ? [`connection lost (code ${event.end.code})`] : [];
    case "catch-up": {
      if (event.offeredSamples + event.lostSamples === 0) return [];
      const lost = event.lostSamples === 0 ? "" : `, ${seconds(event.lostSamples)} s are lost`;
      return [`catching up: ${seconds(event.offeredSamples)} s at once${lost}`];
    }
    case "playback":
      return [`playback ${event.state}`];
    case "throttled":
      return [
        event.isThrottled
          ? "throttled: the server or the network is too slow, audio waits or is left out"
          : "no longer throttled",
      ];
    case "opened": {
      const { media: [media], startPaused } = event.parameters;
      const what = media !== undefined && isSupportedMedia(media)
        ? `${media.format} ${media.channels.join(", ")}`
        : "no audio";
      return [`opened: ${what}${startPaused ? ", paused" : ""}`];
    }
    case "event":
      return event.entities.map(({ type, data }) => `event: ${type} ${JSON.stringify(data)}`);
    case "disconnect":
      return [`disconnect: ${JSON.stringify(event.parameters)}`];
    case "reconnect":
      return [`reconnect: ${event.info ?? ""}`];
    case "violation":
      return [`violation: ${event.info} (protocol section ${event.section})`];
    case "advice":
      return [`advice: ${event.info} (protocol section ${event.section})`];
    case "unknown":
      return [`unknown message: ${event.messageType}`];
    case "timeout":
      return [`timeout: no "${event.waitedFor}"`];
    case "pause":
    case "resume":
    case "updated":
      return [event.type];
    case "closed": {
      const { outputVariables } = event.parameters;
      const handed = outputVariables === undefined ? "" : `: ${JSON.stringify(outputVariables)}`;
      return [`closed${handed}`];
    }
    case "pong":
      return [];
  }
}

function seconds(samples: number): string {
  return (samples / SAMPLE_RATE).toFixed(1);
}
