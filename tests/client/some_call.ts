/** A call with what every test of it needs and none is about. */
import { CallAudio } from "../../lib/client/call_audio.ts";
import type { CallControl } from "../../lib/client/call_control.ts";
import type { CallEvent } from "../../lib/client/call_event.ts";
import { type CallOutcome, placeCall, type PlaceCallOptions } from "../../lib/client/place_call.ts";
import type { OpenParameters } from "../../lib/protocol/mod.ts";
import { within } from "../helpers/deadline.ts";
import { someMulaw, wavFile } from "./wav_files.ts";

/** What differs. */
export interface SomeCallOptions extends Partial<Omit<PlaceCallOptions, "audio" | "request">> {
  /** Length; 1 s unless given. */
  readonly seconds?: number;
  /** 2 unless given; one is that of a bot's session. */
  readonly channels?: 1 | 2;
  readonly apiKey?: string;
  readonly clientSecret?: Uint8Array;
  readonly sessionId?: string;
  /** Parameters of `open`, in place of others. */
  readonly openMore?: Partial<OpenParameters>;
}

/** A call that was placed, and what was told of it. */
export interface SomeCall {
  readonly outcome: Promise<CallOutcome>;
  readonly control: CallControl;
  readonly events: CallEvent[];
  /** Text messages, in the order of the wire. */
  // deno-lint-ignore no-explicit-any
  readonly messages: { readonly from: string; readonly type: string; readonly parameters: any }[];
  /** What is said. */
  readonly data: Uint8Array;
}

/** Events of one type. */
export function eventsOf<T extends CallEvent["type"]>(
  call: SomeCall,
  type: T,
): Extract<CallEvent, { readonly type: T }>[] {
  return call.events.filter((event): event is Extract<CallEvent, { type: T }> =>
    event.type === type
  );
}

/** Places a call that is awaited for at most half a minute. */
export function startCall(url: URL, options: SomeCallOptions = {}): SomeCall {
  const { seconds = 1, channels = 2, apiKey = "unsigned-key", clientSecret, ...rest } = options;
  const data = someMulaw(Math.round(seconds * 8000) * channels);
  const audio = CallAudio.fromWav(wavFile("PCMU", channels, data));
  const organizationId = crypto.randomUUID();
  const events: CallEvent[] = [];
  const messages: SomeCall["messages"] = [];
  let control: CallControl | undefined;
  const outcome = placeCall({
    request: {
      url,
      organizationId,
      sessionId: options.sessionId ?? crypto.randomUUID(),
      correlationId: crypto.randomUUID(),
      apiKey,
      clientSecret,
    },
    open: {
      organizationId,
      conversationId: crypto.randomUUID(),
      participant: { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "" },
      media: audio.offers("PCMU"),
      ...options.openMore,
    },
    speed: 100,
    backoffMs: () => 5,
    ...rest,
    audio,
    onControl(handed) {
      control = handed;
      options.onControl?.(handed);
    },
    onEvent(event) {
      events.push(event);
      options.onEvent?.(event);
    },
    onMessage(from, text) {
      options.onMessage?.(from, text);
      try {
        messages.push({ from, ...JSON.parse(text) });
      } catch {
        // A server may say anything.
      }
    },
  });
  if (control === undefined) throw new Error("No control was handed out");
  return { outcome: within(outcome, "end of the call", 30_000), control, events, messages, data };
}
