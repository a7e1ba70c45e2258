/**
 * What went over the wire during a case: bounded, and without secrets.
 *
 * Imports types of its neighbours only.
 */
import type { TranscriptLine } from "./check_report.ts";

const MAX_LINES = 300;
const MAX_TEXT_CHARACTERS = 600;
/** Shorter words are in any text by chance. */
const MIN_SECRET_CHARACTERS = 4;

/** The record of one case. */
export class Transcript {
  readonly #startedMs = performance.now();
  readonly #secrets: readonly string[];
  readonly #lines: TranscriptLine[] = [];
  #droppedLines = 0;
  /** Frames of audio in a row, which make one line. */
  #audio: { frames: number; bytes: number } | undefined;

  /** @param secrets Words that are never written. */
  constructor(secrets: readonly string[]) {
    this.#secrets = secrets.filter((word) => word.length >= MIN_SECRET_CHARACTERS);
  }

  /** Since the case began, in milliseconds. */
  get elapsedMs(): number {
    return Math.round(performance.now() - this.#startedMs);
  }

  /** The lines so far. */
  get lines(): readonly TranscriptLine[] {
    if (this.#droppedLines === 0) return [...this.#lines];
    return [...this.#lines, {
      atMs: this.elapsedMs,
      connection: 0,
      direction: "note",
      text: `${this.#droppedLines} more lines were not kept`,
    }];
  }

  /** Writes a line. */
  add(connection: number, direction: TranscriptLine["direction"], text: string): void {
    this.#audio = undefined;
    this.#push({ atMs: this.elapsedMs, connection, direction, text: this.redact(shorten(text)) });
  }

  /** Writes a frame of audio; several in a row make one line. */
  addAudio(connection: number, direction: "sent" | "received", bytes: number): void {
    const last = this.#lines.at(-1);
    const before = this.#audio;
    if (
      before !== undefined && last?.connection === connection && last.direction === direction
    ) {
      const audio = { frames: before.frames + 1, bytes: before.bytes + bytes };
      this.#audio = audio;
      const text = `${audio.frames} frames of audio, ${audio.bytes} bytes`;
      this.#lines[this.#lines.length - 1] = { ...last, text };
      return;
    }
    this.add(connection, direction, `a frame of audio, ${bytes} bytes`);
    this.#audio = { frames: 1, bytes };
  }

  /** Leaves the secrets out of a text. */
  redact(text: string): string {
    return this.#secrets.reduce((rest, word) => rest.replaceAll(word, "[API key]"), text);
  }

  #push(line: TranscriptLine): void {
    if (this.#lines.length < MAX_LINES) this.#lines.push(line);
    else this.#droppedLines++;
  }
}

function shorten(text: string): string {
  if (text.length <= MAX_TEXT_CHARACTERS) return text;
  // A copy: a part of a string would keep the whole of it in memory.
  const bytes = new TextEncoder().encode(text.slice(0, MAX_TEXT_CHARACTERS));
  return `${new TextDecoder().decode(bytes)}… (${text.length} characters)`;
}
