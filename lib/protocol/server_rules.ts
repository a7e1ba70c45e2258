/**
 * What a client holds against a server's messages, beyond their shape: which section says when a
 * type is allowed, and what the entities of an `event` must be (protocol sections 6 to 16).
 *
 * Imports nothing but its neighbours.
 */
import { entitySchema, type EventEntity } from "./entities.ts";
import { bytesPerSampleFrame, MAX_AUDIO_FRAME_BYTES, type Media, takesPlayback } from "./media.ts";
import { RemoteProtocolError } from "./protocol_error.ts";
import { describeProblem } from "./schema_problem.ts";
import type { ServerMessageType } from "./server_messages.ts";

/** A rule that the server broke. */
export interface BrokenRule {
  /** Section of protocol.md, such as `4` or `6.3`. */
  readonly section: string;
  /** What was wrong; no value that the server sent. */
  readonly info: string;
}

const SECTIONS: Readonly<Record<ServerMessageType | "audio", string>> = {
  opened: "6",
  pause: "8",
  resume: "8",
  updated: "10",
  pong: "11",
  event: "12",
  closed: "13",
  disconnect: "14",
  audio: "15",
  reconnect: "16",
};

/** The section that says when a message, or a binary frame (`audio`), is allowed. */
export function sectionOf(type: string): string | undefined {
  return Object.hasOwn(SECTIONS, type) ? SECTIONS[type as ServerMessageType] : undefined;
}

/** What may still come after `disconnect`. */
const AFTER_DISCONNECT: readonly string[] = ["event", "pong", "closed"];

/** Whether a message, or a binary frame (`audio`), may follow `disconnect` (section 14). */
export function mayFollowDisconnect(type: string): boolean {
  return AFTER_DISCONNECT.includes(type);
}

/** What is an answer, or the end, and must never wait for its turn. */
const UNPACED: readonly string[] = ["opened", "pong", "disconnect", "closed"];

/** Whether a server can pace a type of message, so that too many are its fault (section 12). */
export function isPaced(type: string): boolean {
  return !UNPACED.includes(type);
}

/**
 * Makes sure that a binary frame of the server can be played (section 15).
 *
 * @param media What the session selected, if it is open.
 * @throws {RemoteProtocolError} If not.
 */
export function checkPlayed(
  frame: Uint8Array,
  media: Media | undefined,
): asserts media is Media {
  const section = "15";
  if (!takesPlayback(media)) {
    throw new RemoteProtocolError("Unexpected audio", { code: 415, section });
  }
  if (frame.length > MAX_AUDIO_FRAME_BYTES) {
    throw new RemoteProtocolError("Audio frame is too large", { code: 413, section });
  }
  if (frame.length % bytesPerSampleFrame(media) !== 0) {
    throw new RemoteProtocolError("Audio frame has part of a sample", { section });
  }
}

/** So that one message of thousands of entities is not reported as often. */
const MAX_REPORTED_ENTITIES = 3;

/** Entities that only a bot sends. */
const BOT_ENTITIES: readonly string[] = ["bot_turn_response", "barge_in"];

/**
 * What is wrong with the data of entities.
 *
 * @returns A rule for each of the first entities that break one.
 */
export function brokenByEntities(entities: readonly EventEntity[]): BrokenRule[] {
  const broken: BrokenRule[] = [];
  for (const [index, entity] of entities.entries()) {
    const { error } = entitySchema.safeParse(entity);
    if (error === undefined) continue;
    const section = BOT_ENTITIES.includes(entity.type) ? "15" : "12";
    // A type that has a schema: not the server's own words.
    const info = `Invalid "${entity.type}" entity ${index}: ${describeProblem(error)}`;
    broken.push({ section, info });
    if (broken.length === MAX_REPORTED_ENTITIES) break;
  }
  return broken;
}
