/**
 * How recordings end, in short.
 */
import type { RecordingEnding } from "../../lib/storage/mod.ts";

/** The end of a recording whose parts are written already, but for what is given. */
export function endingOf(given: {
  /** With it, there is audio. */
  readonly header?: Uint8Array;
  readonly rest?: RecordingEnding["messages"];
  readonly messages?: RecordingEnding["messages"];
  readonly metadata?: string;
} = {}): RecordingEnding {
  const nothing = { offset: 0, bytes: new Uint8Array() };
  const { header, rest = nothing, messages = nothing, metadata = "{}" } = given;
  return { audio: header && { header, rest }, messages, metadata };
}
