/**
 * What the index of recordings keeps of each of them, and under which keys.
 *
 * The record itself is at `[…, "recording", id]`. Beside it there are references without a value,
 * whose last two parts are the time of its start and its id: a range scan backwards gives the newest
 * first. All of it is below a part that says how the index was built: one that was built with
 * another key or another format is not seen, and does not get in the way.
 *
 * Imports node:, zod and its neighbours.
 */
import { createHash, createHmac } from "node:crypto";
import { z } from "zod";
import {
  type IndexedRecording,
  recordingEntrySchema,
  type RecordingFilter,
} from "./recording_index.ts";

/** Version of keys and values. */
const FORMAT_VERSION = 1;
/** First part of all keys: others may use the same database. */
export const KEY_ROOT = "audiohook";
/** Where it is kept how the index was built. */
export const FORMAT_KEY: Deno.KvKey = [KEY_ROOT, "format"];
/** Longest text of a record, in characters: nothing that a client sends may be too long for it. */
const MAX_TEXT_CHARS = 256;
/** Longest text within a key; of a longer one, the hash. */
const MAX_TERM_BYTES = 128;
const MAX_CHANNELS = 16;
/** Before which, and after which, no recording was started. */
const NEVER_MS = Infinity;

/** Schema of how an index was built. */
export const indexFormatSchema = z.object({
  version: z.number(),
  /** Whether participants are in it as they are, or hidden by the key. */
  participants: z.enum(["plain", "hidden"]),
  /** Says whether the key is the same, without telling it; empty if it does not matter. */
  keyHash: z.string(),
});

/** How an index was built. */
export type IndexFormat = z.infer<typeof indexFormatSchema>;

/** How the index that is in a database was built: as this one, otherwise, or there is none. */
export type FormatComparison =
  | { readonly kind: "same" | "none" }
  /** The difference is for people. */
  | { readonly kind: "other"; readonly difference: string };

/** Schema of what is kept of a recording. */
export const keptRecordingSchema = z.object({
  entry: recordingEntrySchema,
  /** What its participant can be found by. */
  terms: z.array(z.string()),
});

/** What is kept of a recording. */
export type KeptRecording = z.infer<typeof keptRecordingSchema>;

/** How recordings are kept. */
export interface IndexKeysOptions {
  /** Hides participants; of `loadOrCreateIndexKey`. */
  readonly key: Uint8Array;
  /** Whether participants are in the index as they are; false by default. */
  readonly indexPersonalData?: boolean;
}

/** Makes records and keys. */
export class IndexKeys {
  /** How the index is built. */
  readonly format: IndexFormat;
  /** Second part of all keys, which differs for another format. */
  readonly generation: string;
  readonly #key: Uint8Array;

  constructor({ key, indexPersonalData = false }: IndexKeysOptions) {
    this.#key = key;
    this.format = {
      version: FORMAT_VERSION,
      participants: indexPersonalData ? "plain" : "hidden",
      keyHash: indexPersonalData ? "" : this.#hmac("format", ""),
    };
    this.generation = createHash("sha256").update(JSON.stringify(this.format)).digest("hex")
      .slice(0, 8);
  }

  /** Compares how another index was built. */
  compare({ version, participants, keyHash }: IndexFormat): FormatComparison {
    if (version !== this.format.version) {
      return { kind: "other", difference: `by another version (${version})` };
    }
    if (participants !== this.format.participants) {
      const what = participants === "plain" ? "with" : "without";
      return { kind: "other", difference: `${what} personal data` };
    }
    if (keyHash !== this.format.keyHash) return { kind: "other", difference: "with another key" };
    return { kind: "same" };
  }

  /**
   * What is kept of a recording: no text is too long, and the participant is hidden if need be.
   *
   * @throws {z.ZodError} If it is none.
   */
  keep(recording: IndexedRecording): KeptRecording {
    const { participant, language, ...rest } = recording;
    const { id, ani, aniName, dnis } = participant;
    const { media, duration, closeReason } = rest;
    return keptRecordingSchema.parse({
      entry: {
        ...rest,
        ...this.format.participants === "plain" && {
          participant: { id, ani: cut(ani), aniName: cut(aniName), dnis: cut(dnis) },
        },
        ...language !== undefined && { language: cut(language) },
        media: media && { ...media, channels: media.channels.slice(0, MAX_CHANNELS) },
        duration: duration && cut(duration),
        closeReason: closeReason && cut(closeReason),
      },
      terms: [...new Set([id, ani, dnis].map((text) => this.#term(text)))],
    });
  }

  /** Key of a record. */
  recording(id: string): Deno.KvKey {
    return this.#below("recording", id);
  }

  /** Keys of the references to a record. */
  references({ entry, terms }: KeptRecording): Deno.KvKey[] {
    const { id, state, conversationId, organizationId } = entry;
    const place = [Date.parse(entry.startedAt), id];
    return [
      this.#below("time", ...place),
      this.#below("conversation", conversationId.toLowerCase(), ...place),
      this.#below("organization", organizationId.toLowerCase(), ...place),
      ...terms.map((term) => this.#below("participant", term, ...place)),
      // Nearly all are finished: to have those in order of time is enough.
      ...state === "finished" ? [] : [this.#below("state", state, ...place)],
    ];
  }

  /**
   * What keys begin with that refer to what is looked for. There may be several ways to it, each of
   * which leads to all that is looked for, and to more.
   */
  ways({ conversationId, organizationId, participant, state }: RecordingFilter): Deno.KvKey[] {
    const ways: Deno.KvKey[] = [];
    if (conversationId !== undefined) {
      ways.push(this.#below("conversation", conversationId.toLowerCase()));
    }
    if (participant !== undefined) ways.push(this.#below("participant", this.#term(participant)));
    if (organizationId !== undefined) {
      ways.push(this.#below("organization", organizationId.toLowerCase()));
    }
    if (state !== undefined && state !== "finished") ways.push(this.#below("state", state));
    return ways.length > 0 ? ways : [this.#below("time")];
  }

  /** The keys below a beginning that are within the times of a filter. */
  range(
    beginning: Deno.KvKey,
    { fromMs, toMs }: RecordingFilter,
  ): { readonly start: Deno.KvKey; readonly end: Deno.KvKey } {
    return {
      start: [...beginning, fromMs ?? -NEVER_MS],
      end: [...beginning, toMs ?? NEVER_MS],
    };
  }

  /** Whether a record is what a filter looks for. */
  isWanted({ entry, terms }: KeptRecording, filter: RecordingFilter): boolean {
    const { fromMs = -NEVER_MS, toMs = NEVER_MS, participant, state } = filter;
    const startedMs = Date.parse(entry.startedAt);
    return fromMs <= startedMs && startedMs < toMs &&
      isSameId(entry.conversationId, filter.conversationId) &&
      isSameId(entry.organizationId, filter.organizationId) &&
      (state === undefined || state === entry.state) &&
      (participant === undefined || terms.includes(this.#term(participant)));
  }

  /** What nobody can make who does not have the key. */
  seal(text: string): Uint8Array {
    return createHmac("sha256", this.#key).update(`cursor\n${text}`).digest();
  }

  /** The participant is looked for by it: whether it's an id or a number makes no difference. */
  #term(text: string): string {
    if (this.format.participants === "hidden") return this.#hmac("participant", text);
    if (new TextEncoder().encode(text).length <= MAX_TERM_BYTES) return `=${text}`;
    return `#${createHash("sha256").update(text).digest("base64url")}`;
  }

  #hmac(what: string, text: string): string {
    return createHmac("sha256", this.#key).update(`${what}\n${text}`).digest("base64url");
  }

  #below(...parts: Deno.KvKeyPart[]): Deno.KvKey {
    return [KEY_ROOT, this.generation, ...parts];
  }
}

function cut(text: string): string {
  return text.slice(0, MAX_TEXT_CHARS).toWellFormed();
}

function isSameId(id: string, wanted: string | undefined): boolean {
  return wanted === undefined || id.toLowerCase() === wanted.toLowerCase();
}
