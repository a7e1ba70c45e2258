/**
 * Places a call, and tells a person how it goes.
 *
 * Imports its neighbours and the protocol.
 */
import {
  type AudioFormat,
  isSupportedMedia,
  type OpenParameters,
  SAMPLE_RATE,
} from "../protocol/mod.ts";
import type { CallAudio } from "./call_audio.ts";
import type { CallEvent } from "./call_event.ts";
import { type CallOutcome, placeCall } from "./place_call.ts";
import { Terminal } from "./terminal.ts";

/** What is called, and with what. */
export interface ReportCallOptions {
  readonly url: URL;
  readonly apiKey: string;
  /** Empty: the request is not signed. */
  readonly clientSecret: Uint8Array;
  readonly audio: CallAudio;
  /** 1 is real time. */
  readonly speed: number;
  /** What is offered. */
  readonly format: AudioFormat;
  /** Closes the call. */
  readonly signal?: AbortSignal;
}

/**
 * Places a call, and prints what the server does.
 *
 * @returns The session's UUID, and how the call ended.
 */
export async function reportCall(
  options: ReportCallOptions,
): Promise<{ sessionId: string; outcome: CallOutcome }> {
  const { url, apiKey, clientSecret, audio, speed, format, signal } = options;
  const terminal = new Terminal();
  const sessionId = crypto.randomUUID();
  const organizationId = crypto.randomUUID();
  const open: OpenParameters = {
    organizationId,
    conversationId: crypto.randomUUID(),
    participant: { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "" },
    media: audio.offers(format),
    language: "en-US",
  };
  terminal.print(`Calling ${url} (session ${sessionId})`);
  let playedBytes = 0;
  const outcome = await placeCall({
    request: {
      url,
      organizationId,
      sessionId,
      correlationId: crypto.randomUUID(),
      apiKey,
      clientSecret,
    },
    audio,
    open,
    speed,
    signal,
    onEvent(event) {
      for (const line of describe(event)) terminal.print(`  ${line}`);
    },
    onAudio(frame) {
      playedBytes += frame.length;
    },
    onProgress(positionSamples) {
      const total = seconds(audio.samples);
      terminal.progress(
        positionSamples / audio.samples,
        `${seconds(positionSamples)} of ${total} s`,
      );
    },
  });
  terminal.endProgress();
  if (playedBytes > 0) terminal.print(`Received ${playedBytes} bytes of audio`);
  if (outcome.roundTripsMs.length > 0) {
    const worst = Math.max(...outcome.roundTripsMs).toFixed(1);
    terminal.print(`${outcome.roundTripsMs.length} pings, round trip at most ${worst} ms`);
  }
  terminal.print(
    outcome.failure === undefined
      ? `Closed after ${seconds(outcome.positionSamples)} s of audio`
      : `Failed: ${outcome.failure}`,
  );
  return { sessionId, outcome };
}

/** What the server did, in lines; none for what only matters in numbers. */
function describe(event: CallEvent): string[] {
  switch (event.type) {
    case "opened": {
      const [media] = event.parameters.media;
      const what = media !== undefined && isSupportedMedia(media)
        ? `${media.format} ${media.channels.join(", ")}`
        : "no audio";
      return [`opened: ${what}${event.parameters.startPaused ? ", paused" : ""}`];
    }
    case "event":
      return event.entities.map(({ type, data }) => `event: ${type} ${JSON.stringify(data)}`);
    case "disconnect":
      return [`disconnect: ${JSON.stringify(event.parameters)}`];
    case "reconnect":
      return [`reconnect: ${event.info ?? ""}`];
    case "violation":
      return [`violation: ${event.info}`];
    case "unknown":
      return [`unknown message: ${event.messageType}`];
    case "pause":
    case "resume":
    case "updated":
    case "closed":
      return [event.type];
    case "pong":
    case "timeout":
    case "connected":
    case "connection-ended":
    case "retry":
    case "catch-up":
    case "throttled":
    case "playback":
      return [];
  }
}

function seconds(samples: number): string {
  return (samples / SAMPLE_RATE).toFixed(1);
}
