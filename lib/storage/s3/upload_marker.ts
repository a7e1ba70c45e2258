/**
 * What an upload leaves beside a recording: `.s3` when all of it is in object storage, verified;
 * and until then `.s3.upload`, by which it can go on after a restart, or be undone if the recording
 * was removed meanwhile, without touching another one's objects.
 *
 * Imports zod and its neighbours.
 */
import { getLogger } from "@logtape/logtape";
import { z } from "zod";
import { writeDurably } from "../durable_file.ts";
import { readIfThere, removeIfThere, statIfThere } from "./if_there.ts";
import { IDENTIFYING_EXTENSIONS } from "./recording_keys.ts";

const log = getLogger(["audiohook", "upload"]);

const sizeBytes = z.number().int().nonnegative();
const sha256 = z.string().regex(/^[\da-f]{64}$/);

/** Schema of what is known of one object. */
export const uploadedFileSchema = z.object({
  sizeBytes,
  sha256,
  /** As the server gave it. */
  etag: z.string(),
  /** By what it is known that the server has these bytes. */
  verifiedBy: z.enum(["etag", "reading"]),
});

const file = uploadedFileSchema.optional();

/** Schema of a marker. */
export const uploadMarkerSchema = z.object({
  version: z.literal(1),
  /** When all was verified. */
  uploadedAt: z.iso.datetime(),
  /** Where it is, for people. */
  location: z.string(),
  files: z.strictObject({ ".wav": file, ".jsonl": file, ".hold": file, ".json": file }),
});

/** Schema of what is known of a file that is being uploaded by parts. */
export const begunPartsSchema = z.object({
  key: z.string(),
  uploadId: z.string(),
  sizeBytes,
  sha256,
});

/** Schema of what an upload sends. */
export const notedObjectSchema = z.object({
  extension: z.enum(IDENTIFYING_EXTENSIONS),
  sizeBytes,
  sha256,
  /** That most servers give it. */
  etag: z.string(),
});

/** Schema of what is known of an upload that is under way. */
export const uploadStateSchema = z.object({
  version: z.literal(1),
  /** By which the objects of this recording are known, beside those of another one. */
  objects: z.array(notedObjectSchema).default([]),
  parts: begunPartsSchema.optional(),
});

/** What is known of one object. */
export type UploadedFile = z.infer<typeof uploadedFileSchema>;
/** What is known of a recording that was uploaded. */
export type UploadMarker = z.infer<typeof uploadMarkerSchema>;
/** What is known of a file that is being uploaded by parts. */
export type BegunParts = z.infer<typeof begunPartsSchema>;

/** What an upload sends, noted before it is sent. */
export type NotedObject = z.infer<typeof notedObjectSchema>;

/** Extension of a marker. */
export const MARKER = ".s3";
/** Extension of a state. */
export const STATE = ".s3.upload";

type UploadState = z.infer<typeof uploadStateSchema>;

/** Reads a small file of JSON; `undefined` if there is none, or none of this kind. */
export async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * The state of the upload of one recording, in a file. Where it can't be written, on a full disk
 * perhaps, an upload goes on without it, all the more since it may make room: after a restart it
 * begins anew, and parts that are left are ended when they are old.
 */
export class UploadStateFile {
  readonly #path: string;
  /** What could not be written, perhaps: a recording may be removed in the midst of its upload. */
  #last: UploadState | undefined;

  /** @param location Of the recording: a path without extension. */
  constructor(location: string) {
    this.#path = location + STATE;
  }

  /** Whether an upload has begun that was not noted as done. */
  async hasBegun(): Promise<boolean> {
    return this.#last !== undefined || await statIfThere(this.#path) !== undefined;
  }

  /** An upload begins, or goes on, and sends these. */
  async begin(objects: readonly NotedObject[]): Promise<void> {
    const state = await this.#read();
    const isNoted = await this.hasBegun() &&
      JSON.stringify(state.objects) === JSON.stringify(objects);
    if (!isNoted) await this.#write({ ...state, objects: [...objects] });
  }

  /** What was sent, or is. */
  async objects(): Promise<readonly NotedObject[]> {
    return (await this.#read()).objects;
  }

  /** The file that is being uploaded by parts. */
  async parts(): Promise<BegunParts | undefined> {
    return (await this.#read()).parts;
  }

  /** A file is being uploaded by parts; or, `undefined`, it is done. */
  async setParts(parts: BegunParts | undefined): Promise<void> {
    const state = await this.#read();
    if (parts !== undefined || state.parts !== undefined) await this.#write({ ...state, parts });
  }

  /** The upload is done, or undone. */
  async remove(): Promise<void> {
    await removeIfThere(this.#path);
    this.#last = undefined;
  }

  async #read(): Promise<UploadState> {
    return this.#last ?? await readJson(this.#path, uploadStateSchema) ??
      { version: 1, objects: [] };
  }

  async #write(state: UploadState): Promise<void> {
    this.#last = state;
    try {
      await writeDurably(this.#path, JSON.stringify(state) + "\n");
    } catch (error) {
      log.debug("Cannot note the state of an upload: {error}", { error });
    }
  }
}
