/**
 * Keys of recordings in a bucket: `<prefix>/<day>/<name>` and an extension, as files have it.
 *
 * Imports its neighbours.
 */
import { isDay, isRecordingName, type RecordingPlace } from "../recording_id.ts";
import { checkPrefix } from "./s3_address.ts";

/**
 * What a recording that has ended may consist of, in the order of its upload. The messages come
 * first: all recordings have some, none those of another, so whoever stores them has the place. The
 * metadata comes last: where they are, all else is.
 */
export const RECORDING_EXTENSIONS = [".jsonl", ".wav", ".hold", ".json"] as const;

/** Of a file or object of a recording. */
export type RecordingExtension = typeof RECORDING_EXTENSIONS[number];

/** Those that tell one recording from another. A hold says the same of any, and is set in any place. */
export const IDENTIFYING_EXTENSIONS = [".jsonl", ".wav", ".json"] as const;

/** Of a file or object by which a recording is known. */
export type IdentifyingExtension = typeof IDENTIFYING_EXTENSIONS[number];

/** What each is, for whoever fetches it otherwise. */
export const CONTENT_TYPES = {
  ".wav": "audio/wav",
  ".jsonl": "application/jsonl",
  ".hold": "application/json",
  ".json": "application/json",
} as const satisfies Record<RecordingExtension, string>;

/** What the key of a segment of a recording that is being made has after the name. */
export const SEGMENTS = ".part/";

/** A key, taken apart. */
export interface RecordingKey extends RecordingPlace {
  /** All that follows the name: an extension, or {@link SEGMENTS} and more. */
  readonly rest: string;
}

/** Makes keys, and takes them apart. */
export class RecordingKeys {
  /** What all of them begin with: nothing, or a prefix and a slash. */
  readonly root: string;

  /** @throws {S3PlaceError} If it can be no prefix. */
  constructor(prefix: string) {
    this.root = checkPrefix(prefix) === "" ? "" : `${prefix}/`;
  }

  /** What the keys of a recording begin with; so may those of another one of its session. */
  base({ day, name }: RecordingPlace): string {
    return `${this.root}${day}/${name}`;
  }

  /** Key of an object of a recording. */
  of(place: RecordingPlace, extension: RecordingExtension): string {
    return this.base(place) + extension;
  }

  /** Takes a key apart; `undefined` if it is none of a recording. */
  parse(key: string): RecordingKey | undefined {
    if (!key.startsWith(this.root)) return undefined;
    const [, day = "", name = "", rest = ""] =
      /^([\d-]{10})\/([\da-f-]{36}(?:\.[\da-f-]{1,36})?)(\.[a-z].*)$/
        .exec(key.slice(this.root.length)) ?? [];
    return isDay(day) && isRecordingName(name) ? { day, name, rest } : undefined;
  }
}
