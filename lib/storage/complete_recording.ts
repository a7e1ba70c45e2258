/**
 * Completes one recording whose server was killed, so that it is what a recorder would have left,
 * but for what had not been written.
 *
 * The program may be killed here, too, after any step. So the metadata comes first: made of what is
 * left, written beside, and synced, before anything else is touched; whoever goes on later finds
 * and keeps it. The audio is then repaired in place, in steps that may be repeated. The renames have
 * the recorder's order: the `.json` is last, and says that the recording has ended.
 *
 * The message log is only read: a torn last line stays as it is. Imports its neighbours.
 */
import { join } from "node:path";
import type { WavFormat } from "../audio/mod.ts";
import { FILE_MODE } from "./file_modes.ts";
import { summarizeMessageLog } from "./message_log_summary.ts";
import {
  AUDIO_HEAD_BYTES,
  BLOCK_BYTES,
  finishAudio,
  inspectAudio,
  type PartialAudio,
} from "./partial_audio.ts";
import { keptMetadata, recoveredMetadata, wavFormatOf } from "./recovered_metadata.ts";
import { type RecordingPlace, sessionOf } from "./recording_id.ts";
import { type RecordingMetadata, recordingMetadataSchema } from "./recording_metadata.ts";
import {
  readAt,
  type RecoveryDisk,
  type RecoveryFile,
  statIfThere,
  writeAt,
} from "./recovery_disk.ts";

/** A thousand gaps are a tenth of that. */
const MAX_METADATA_BYTES = 4 * 1024 * 1024;

/** What became of a recording. */
export type Completion =
  /** It has ended now. */
  | { readonly how: "recovered"; readonly metadata: RecordingMetadata }
  /** It had ended, or was removed, before anything was done. */
  | { readonly how: "ended" }
  /** Somebody writes it. */
  | { readonly how: "being_made" }
  /** Files without a byte in them, which were removed unless they are too young. */
  | { readonly how: "empty" }
  /** It is as it was; `why` is for people. */
  | { readonly how: "impossible"; readonly why: string };

/** What {@link completeRecording} needs. */
export interface CompletionOptions {
  readonly disk: RecoveryDisk;
  /** The present time, milliseconds since 1970. */
  readonly nowMs: number;
  /** Empty files that were written to since then may be those of a recording that just begins. */
  readonly emptyBeforeMs: number;
}

/**
 * Completes a recording that has not ended, unless somebody writes it.
 *
 * @param folder Path of the folder that has a folder for each day.
 * @throws What the disk says. What was done so far does no harm, and it may be tried again.
 */
export async function completeRecording(
  folder: string,
  place: RecordingPlace,
  options: CompletionOptions,
): Promise<Completion> {
  const { disk, emptyBeforeMs } = options;
  const location = join(folder, place.day, place.name);
  const path = `${location}.jsonl`;
  const before = await statIfThere(disk, path);
  if (before !== undefined && !before.isFile) return notAFile(".jsonl");
  const hasContent = before !== undefined && before.size > 0;
  if (!hasContent && !await hasAudio(disk, location)) {
    if (before === undefined) return { how: "ended" };
    // Its recorder may be about to lock it, and must not find it locked.
    if (!isOlder(before, emptyBeforeMs)) return { how: "empty" };
  }
  // One that is lost is made: it is what is locked.
  const create = before === undefined;
  const messages = await disk.open(path, { read: true, write: true, create, mode: FILE_MODE });
  try {
    if (!messages.tryLockSync(true)) return { how: "being_made" };
    return await new LockedRecording(location, place, messages, options).complete();
  } finally {
    messages.close();
  }
}

async function hasAudio(disk: RecoveryDisk, location: string): Promise<boolean> {
  const files = [`${location}.wav.part`, `${location}.wav`].map((path) => statIfThere(disk, path));
  return (await Promise.all(files)).some((info) => info !== undefined);
}

const EXTENSIONS = [
  ".json",
  ".json.part",
  ".jsonl",
  ".wav",
  ".wav.part",
  ".hold",
  ".s3",
  ".removed",
] as const;

/** What there is of a recording. */
type Left = Readonly<Record<(typeof EXTENSIONS)[number], Deno.FileInfo | undefined>>;

/** A recording that nobody else writes as long as its message log is open. */
class LockedRecording {
  readonly #location: string;
  readonly #place: RecordingPlace;
  readonly #sessionId: string;
  readonly #messages: RecoveryFile;
  readonly #options: CompletionOptions;
  readonly #disk: RecoveryDisk;

  constructor(
    location: string,
    place: RecordingPlace,
    messages: RecoveryFile,
    options: CompletionOptions,
  ) {
    this.#location = location;
    this.#place = place;
    this.#sessionId = sessionOf(place.name);
    this.#messages = messages;
    this.#options = options;
    this.#disk = options.disk;
  }

  async complete(): Promise<Completion> {
    const left = await this.#look();
    // It may have ended, or its removal may have begun, since its folder was read.
    const hasEnded = [".json", ".s3", ".removed"] as const;
    if (hasEnded.some((extension) => left[extension] !== undefined)) return { how: "ended" };
    if (left[".jsonl"] === undefined) return { how: "ended" };
    for (const extension of EXTENSIONS) {
      if (left[extension]?.isFile === false) return notAFile(extension);
    }
    if (left[".wav"] !== undefined && left[".wav.part"] !== undefined) {
      const why = "there are both a .wav and a .wav.part, and one of them must be moved elsewhere";
      return { how: "impossible", why };
    }
    const info = left[".wav"] ?? left[".wav.part"];
    const path = this.#location + (left[".wav"] === undefined ? ".wav.part" : ".wav");
    const file = info && await this.#disk.open(path, { read: true, write: true });
    try {
      return await this.#completeAudio(left, info, path, file);
    } finally {
      file?.close();
    }
  }

  async #completeAudio(
    left: Left,
    info: Deno.FileInfo | undefined,
    path: string,
    file: RecoveryFile | undefined,
  ): Promise<Completion> {
    const audio = await this.#inspect(file);
    if (audio.what === "foreign") return { how: "impossible", why: audio.why };
    if (audio.what === "empty") {
      if (left[".jsonl"]?.size === 0) return await this.#removeEmpty(left);
      if (info !== undefined) {
        const why = "its audio file is empty, and its message log does not say what audio it is";
        return { how: "impossible", why };
      }
    }
    const usable = audio.what === "usable" ? audio : undefined;
    const metadata = await this.#keptMetadata(left, usable) ??
      await this.#newMetadata(info ?? left[".jsonl"], usable);
    if (metadata === undefined) {
      return { how: "impossible", why: "its message log has no line that can be understood" };
    }
    if (usable !== undefined) {
      if (file !== undefined) await finishAudio(file, usable);
      else await this.#makeAudio(path, usable);
    }
    await this.#messages.syncData();
    if (path.endsWith(".part") && usable !== undefined) {
      await this.#disk.rename(path, `${this.#location}.wav`);
    }
    await this.#disk.rename(`${this.#location}.json.part`, `${this.#location}.json`);
    return { how: "recovered", metadata };
  }

  async #look(): Promise<Left> {
    const entries = EXTENSIONS.map(async (extension) =>
      [extension, await statIfThere(this.#disk, this.#location + extension)] as const
    );
    return Object.fromEntries(await Promise.all(entries)) as Left;
  }

  /** What audio there is, or should be. */
  async #inspect(file: RecoveryFile | undefined): Promise<PartialAudio> {
    const head = file === undefined ? new Uint8Array() : await readAt(file, 0, AUDIO_HEAD_BYTES);
    const fileBytes = file === undefined ? 0 : (await file.stat()).size;
    const endsWithBlock = file !== undefined && fileBytes > 0 && fileBytes % BLOCK_BYTES === 0;
    const lastBlock = endsWithBlock
      ? await readAt(file, fileBytes - BLOCK_BYTES, BLOCK_BYTES)
      : new Uint8Array();
    const found = inspectAudio(head, fileBytes, undefined, lastBlock);
    if (found.what === "usable") return found;
    // Rarely: the header is lost, or there was no time to write one.
    const { call } = await summarizeMessageLog(this.#messages, this.#sessionId, 0);
    return inspectAudio(head, fileBytes, wavFormatOf(call?.media ?? null), lastBlock);
  }

  /** A recording with audio has an audio file, even if nothing of it was written. */
  async #makeAudio(path: string, audio: PartialAudio & { readonly what: "usable" }): Promise<void> {
    const options = { read: true, write: true, createNew: true, mode: FILE_MODE };
    const file = await this.#disk.open(path, options);
    try {
      await finishAudio(file, audio);
    } finally {
      file.close();
    }
  }

  /** Metadata that a recorder, or a recovery, had no time to rename. */
  async #keptMetadata(
    left: Left,
    audio: { readonly format: WavFormat; readonly samples: number } | undefined,
  ): Promise<RecordingMetadata | undefined> {
    if (left[".json.part"] === undefined) return undefined;
    const options = { read: true, write: true };
    const part = await this.#disk.open(`${this.#location}.json.part`, options);
    try {
      const { size } = await part.stat();
      const bytes = await readAt(part, 0, Math.min(size, MAX_METADATA_BYTES));
      const kept = keptMetadata(new TextDecoder().decode(bytes), this.#sessionId, audio);
      if (kept !== undefined) await part.syncData();
      return kept;
    } finally {
      part.close();
    }
  }

  /** Makes and writes metadata; `undefined` if nothing at all is known. */
  async #newMetadata(
    times: Deno.FileInfo | undefined,
    audio: { readonly format: WavFormat; readonly samples: number } | undefined,
  ): Promise<RecordingMetadata | undefined> {
    const log = await summarizeMessageLog(this.#messages, this.#sessionId, audio?.samples ?? 0);
    if (audio === undefined && log.firstTimeMs === undefined) return undefined;
    const remains = {
      place: this.#place,
      log,
      audio,
      bornMs: times?.birthtime?.getTime(),
      modifiedMs: times?.mtime?.getTime(),
    };
    // What is kept has to be readable: better none than metadata that is not.
    const metadata = recordingMetadataSchema.parse(
      recoveredMetadata(remains, this.#options.nowMs),
    );
    const part = await this.#disk.open(`${this.#location}.json.part`, {
      write: true,
      create: true,
      truncate: true,
      mode: FILE_MODE,
    });
    try {
      await writeAt(part, 0, new TextEncoder().encode(JSON.stringify(metadata, null, 2) + "\n"));
      await part.syncData();
    } finally {
      part.close();
    }
    return metadata;
  }

  /** Removes files without a byte, if that is all that there is. */
  async #removeEmpty(left: Left): Promise<Completion> {
    const { ".jsonl": messages, ".wav.part": audio, ...others } = left;
    const isAll = Object.values(others).every((info) => info === undefined);
    const { emptyBeforeMs } = this.#options;
    const mayGo = (info: Deno.FileInfo | undefined) =>
      info === undefined || (info.size === 0 && isOlder(info, emptyBeforeMs));
    if (isAll && mayGo(messages) && mayGo(audio)) {
      if (audio !== undefined) await this.#disk.remove(`${this.#location}.wav.part`);
      await this.#disk.remove(`${this.#location}.jsonl`);
    }
    return { how: "empty" };
  }
}

function notAFile(extension: string): Completion {
  return { how: "impossible", why: `its ${extension} is not a regular file` };
}

function isOlder({ mtime }: Deno.FileInfo, thanMs: number): boolean {
  return mtime !== null && mtime.getTime() < thanMs;
}
