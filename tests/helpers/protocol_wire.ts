/**
 * Wire messages for tests of the protocol, written down from the protocol's description and not
 * from the implementation: examples of every message, a checker of what is sent, and both peers as
 * plain counters of messages.
 */
import { assert, assertEquals } from "@std/assert";
import type {
  ClientSession,
  ClientSessionEvent,
  ServerSession,
  ServerSessionEvent,
} from "../../lib/protocol/mod.ts";

export const SESSION_ID = "0f1c6f4e-53a1-4a8b-9c55-0d3c7e4a1b22";
export const ORGANIZATION_ID = "d7934305-0972-4844-938e-9060eef73d05";
export const OTHER_UUID = "9a1e7c5a-4f1b-1d2e-8f00-3c2b1a098765";
export const NIL = "00000000-0000-0000-0000-000000000000";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** A text frame, parsed. */
export interface WireMessage {
  version: string;
  id: string;
  type: string;
  seq: number;
  serverseq?: number;
  clientseq?: number;
  position?: string;
  parameters: JsonObject;
}

export const STEREO: JsonObject = {
  type: "audio",
  format: "PCMU",
  channels: ["external", "internal"],
  rate: 8000,
};
export const EXTERNAL: JsonObject = {
  type: "audio",
  format: "PCMU",
  channels: ["external"],
  rate: 8000,
};
export const INTERNAL: JsonObject = {
  type: "audio",
  format: "PCMU",
  channels: ["internal"],
  rate: 8000,
};
export const L16: JsonObject = {
  type: "audio",
  format: "L16",
  channels: ["external"],
  rate: 8000,
};

/** Parameters of `open` with what section 5 requires, and what is given. */
export function openParameters(more: JsonObject = {}): JsonObject {
  return {
    organizationId: ORGANIZATION_ID,
    conversationId: "090eaa2f-72fa-480a-83e0-8667ff89c0ec",
    participant: {
      id: "883efee8-3d6c-4537-b500-6d7ca4b92fa0",
      ani: "+15551234567",
      aniName: "Jo Doe",
      dnis: "+18005550100",
    },
    media: [STEREO, EXTERNAL, INTERNAL],
    language: "en-US",
    ...more,
  };
}

/** A `transcript` entity as in section 12. */
export function transcriptEntity(text: string): JsonObject {
  return {
    type: "transcript",
    data: {
      id: OTHER_UUID,
      channelId: 0,
      isFinal: true,
      offset: "PT1.5S",
      duration: "PT0.75S",
      alternatives: [{
        confidence: 0.9,
        languages: ["en-US"],
        interpretations: [{
          type: "display",
          transcript: text,
          tokens: [{
            type: "word",
            value: text,
            confidence: 0.5,
            offset: "PT1.5S",
            duration: "PT0.25S",
            language: "en-US",
          }],
        }],
      }],
    },
  };
}

/** An `agentassist` entity as in section 12. */
export function agentAssistEntity(): JsonObject {
  return {
    type: "agentassist",
    data: {
      id: OTHER_UUID,
      utterances: [{
        id: SESSION_ID,
        position: "PT1S",
        duration: "PT0.5S",
        text: "hello",
        language: "en-US",
        confidence: 1,
        channel: "internal",
        isFinal: true,
      }],
      suggestions: [
        {
          type: "faq",
          id: SESSION_ID,
          confidence: 0,
          position: "PT2S",
          question: "How?",
          answer: "So.",
        },
        {
          type: "article",
          id: OTHER_UUID,
          confidence: 0.25,
          position: "PT2S",
          title: "On it",
          excerpts: ["one", "two"],
          documentUri: "https://example.com/",
          metadata: { source: "wiki" },
        },
      ],
    },
  };
}

/** How section 5 describes a parameter: what is there must be there. */
export interface ParameterSpec {
  readonly required: readonly string[];
  readonly full: JsonObject;
}

/** Every client message of section 5, with all of its parameters. */
export const CLIENT_MESSAGES: Readonly<Record<string, ParameterSpec>> = {
  open: {
    required: ["organizationId", "conversationId", "participant", "media"],
    full: openParameters({
      supportedLanguages: true,
      continuedSessions: [{ id: OTHER_UUID, serverseq: 3, clientseq: 17 }],
      customConfig: { anything: [1, { goes: null }] },
      inputVariables: { topic: "billing" },
    }),
  },
  ping: { required: [], full: { rtt: "PT0.0231S" } },
  paused: { required: [], full: {} },
  resumed: { required: ["start", "discarded"], full: { start: "PT1S", discarded: "PT2.5S" } },
  discarded: { required: ["start", "discarded"], full: { start: "PT0S", discarded: "PT2.5S" } },
  update: { required: ["language"], full: { language: "es-419" } },
  close: { required: ["reason"], full: { reason: "end" } },
  error: {
    required: ["code", "message"],
    full: { code: 429, message: "Rate limit exceeded", retryAfter: "PT2S" },
  },
  dtmf: { required: ["digit"], full: { digit: "7" } },
  playback_started: { required: [], full: {} },
  playback_completed: { required: [], full: {} },
};

/** Every server message of section 5, with all of its parameters. */
export const SERVER_MESSAGES: Readonly<Record<string, ParameterSpec>> = {
  opened: {
    required: ["media"],
    full: {
      media: [STEREO],
      startPaused: true,
      discardTo: "PT12.5S",
      supportedLanguages: ["en-US", "es"],
    },
  },
  pong: { required: [], full: {} },
  pause: { required: [], full: {} },
  resume: { required: [], full: {} },
  updated: { required: [], full: {} },
  event: { required: ["entities"], full: { entities: [transcriptEntity("hello")] } },
  disconnect: {
    required: ["reason"],
    full: { reason: "completed", info: "Done", outputVariables: { answer: "42" } },
  },
  reconnect: { required: [], full: { info: "Maintenance" } },
  closed: { required: [], full: { outputVariables: { answer: "42" } } },
};

/** A client's text frame. */
export function clientMessage(
  type: string,
  parameters: JsonObject,
  envelope: Partial<WireMessage> = {},
): JsonObject {
  return {
    version: "2",
    id: SESSION_ID,
    type,
    seq: 1,
    serverseq: 0,
    position: "PT0S",
    parameters,
    ...envelope as JsonObject,
  };
}

/** A server's text frame. */
export function serverMessage(
  type: string,
  parameters: JsonObject,
  envelope: Partial<WireMessage> = {},
): JsonObject {
  return {
    version: "2",
    id: SESSION_ID,
    type,
    seq: 1,
    clientseq: 0,
    parameters,
    ...envelope as JsonObject,
  };
}

const DURATION = /^PT(0|[1-9]\d*)(\.\d{1,9})?S$/;

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function assertStringMap(value: unknown): void {
  assert(isObject(value) && Object.values(value).every((entry) => typeof entry === "string"));
}

/** Checks the parameters of a message that one of our sessions sent, after section 5. */
function assertSentParameters(from: "client" | "server", message: WireMessage): void {
  const spec = (from === "client" ? CLIENT_MESSAGES : SERVER_MESSAGES)[message.type];
  assert(spec !== undefined, `sent a message of the unknown type ${message.type}`);
  const { parameters } = message;
  for (const key of spec.required) {
    assert(Object.hasOwn(parameters, key), `${message.type} was sent without ${key}`);
  }
  for (const [key, value] of Object.entries(parameters)) {
    assert(Object.hasOwn(spec.full, key), `${message.type} was sent with ${key}`);
    const what = `${message.type}.${key}: ${JSON.stringify(value)}`;
    if (["rtt", "start", "discarded", "retryAfter", "discardTo"].includes(key)) {
      assert(typeof value === "string" && DURATION.test(value), what);
    }
    if (["info", "message", "digit", "language"].includes(key)) {
      assert(typeof value === "string", what);
    }
    if (key === "outputVariables") assertStringMap(value);
    if (key === "entities") assert(Array.isArray(value) && value.length > 0, what);
    if (key === "startPaused") assert(typeof value === "boolean", what);
    if (key === "reason") {
      const reasons = message.type === "close"
        ? ["end", "error", "disconnect", "reconnect"]
        : ["completed", "unauthorized", "error", "rejected"];
      assert(reasons.includes(String(value)), what);
    }
    if (key === "media" && from === "server") {
      assert(Array.isArray(value) && value.length <= 1, what);
    }
    if (key === "supportedLanguages" && from === "server") {
      assert(Array.isArray(value) && value.every((tag) => typeof tag === "string"), what);
    }
    if (key === "code") assert(typeof value === "number" && value >= 400 && value <= 9999, what);
  }
}

/** Reads a text frame that one of our sessions sent, and checks it after sections 1, 4 and 5. */
export function parseSent(from: "client" | "server", text: string, id = SESSION_ID): WireMessage {
  assert(new TextEncoder().encode(text).length <= 64_000, "sent more than 64,000 bytes");
  const message = JSON.parse(text) as WireMessage;
  const keys = from === "client"
    ? ["version", "id", "type", "seq", "serverseq", "position", "parameters"]
    : ["version", "id", "type", "seq", "clientseq", "parameters"];
  assertEquals(Object.keys(message).toSorted(), keys.toSorted());
  assertEquals(message.version, "2");
  assertEquals(message.id, id);
  assert(Number.isInteger(message.seq) && message.seq >= 1);
  const acknowledged = from === "client" ? message.serverseq : message.clientseq;
  assert(Number.isInteger(acknowledged) && Number(acknowledged) >= 0);
  if (from === "client") assert(DURATION.test(message.position ?? ""), message.position);
  assert(isObject(message.parameters), "parameters are always present");
  assertSentParameters(from, message);
  return message;
}

/** Frames of one direction; every text frame was checked, and numbered without a gap. */
export type SentFrame = WireMessage | Uint8Array;

/** Tells messages from audio. */
export function isMessage(frame: SentFrame): frame is WireMessage {
  return !(frame instanceof Uint8Array);
}

/** Checks what a session sends, frame by frame. */
export class SentFrames {
  readonly #from: "client" | "server";
  readonly #id: string;
  seq = 0;

  constructor(from: "client" | "server", id = SESSION_ID) {
    this.#from = from;
    this.#id = id;
  }

  read(frames: readonly (string | Uint8Array)[]): SentFrame[] {
    return frames.map((frame) => {
      if (typeof frame !== "string") {
        assert(frame.length > 0 && frame.length <= 64_000);
        return frame;
      }
      const message = parseSent(this.#from, frame, this.#id);
      assertEquals(message.seq, this.seq + 1, "seq has a gap");
      this.seq++;
      return message;
    });
  }
}

/** What a client on the wire is: a counter of its own messages and of the server's. */
export class WireClient {
  readonly session: ServerSession;
  readonly #sent: SentFrames;
  seq = 0;
  serverseq = 0;
  position = "PT0S";
  nowMs = 0;

  constructor(session: ServerSession) {
    this.session = session;
    this.#sent = new SentFrames("server");
  }

  /** Sends a message, with the next `seq` and all that was received acknowledged. */
  send(type: string, parameters: JsonObject = {}, envelope: Partial<WireMessage> = {}): void {
    this.seq = envelope.seq ?? this.seq + 1;
    const message = clientMessage(type, parameters, {
      seq: this.seq,
      serverseq: this.serverseq,
      position: this.position,
      ...envelope,
    });
    this.session.receiveText(JSON.stringify(message), this.nowMs);
  }

  /** Sends so many bytes of audio; returns their position in samples, or -1. */
  audio(frame: number | Uint8Array): number {
    const bytes = typeof frame === "number" ? new Uint8Array(frame).fill(0xff) : frame;
    return this.session.receiveAudio(bytes, this.nowMs);
  }

  /** Receives all that the server has sent. */
  receive(): SentFrame[] {
    const frames = this.#sent.read(this.session.takeOutput());
    this.serverseq = this.#sent.seq;
    return frames;
  }

  /** Receives, and returns only type names; binary frames are `audio`. */
  receiveTypes(): string[] {
    return this.receive().map((frame) => isMessage(frame) ? frame.type : "audio");
  }

  /** Receives exactly one message. */
  receiveOne(type: string): WireMessage {
    const frames = this.receive();
    assertEquals(frames.map((frame) => isMessage(frame) ? frame.type : "audio"), [type]);
    const [message] = frames;
    assert(message !== undefined && isMessage(message));
    return message;
  }

  /** What the server's application is told. */
  events(): readonly ServerSessionEvent[] {
    return this.session.takeEvents();
  }

  eventTypes(): string[] {
    return this.events().map((event) => event.type);
  }

  /** Ticks at every deadline up to a time. */
  advanceTo(nowMs: number): void {
    for (let turns = 0; this.session.deadlineMs <= nowMs; turns++) {
      assert(turns < 10_000, "deadlineMs does not move on");
      this.nowMs = Math.max(this.nowMs, this.session.deadlineMs);
      this.session.tick(this.nowMs);
    }
    this.nowMs = nowMs;
  }
}

/** What a server on the wire is: a counter of its own messages and of the client's. */
export class WireServer {
  readonly session: ClientSession;
  readonly #sent: SentFrames;
  seq = 0;
  clientseq = 0;
  nowMs = 0;

  constructor(session: ClientSession) {
    this.session = session;
    this.#sent = new SentFrames("client");
  }

  send(type: string, parameters: JsonObject = {}, envelope: Partial<WireMessage> = {}): void {
    this.seq = envelope.seq ?? this.seq + 1;
    const message = serverMessage(type, parameters, {
      seq: this.seq,
      clientseq: this.clientseq,
      ...envelope,
    });
    this.session.receiveText(JSON.stringify(message), this.nowMs);
  }

  receive(): SentFrame[] {
    const frames = this.#sent.read(this.session.takeOutput());
    this.clientseq = this.#sent.seq;
    return frames;
  }

  receiveTypes(): string[] {
    return this.receive().map((frame) => isMessage(frame) ? frame.type : "audio");
  }

  receiveOne(type: string): WireMessage {
    const frames = this.receive();
    assertEquals(frames.map((frame) => isMessage(frame) ? frame.type : "audio"), [type]);
    const [message] = frames;
    assert(message !== undefined && isMessage(message));
    return message;
  }

  events(): readonly ClientSessionEvent[] {
    return this.session.takeEvents();
  }

  eventTypes(): string[] {
    return this.events().map((event) => event.type);
  }
}
