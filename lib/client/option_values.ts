/**
 * Reads the values of options of the command line tools: each function takes the option's name for
 * its message, and throws a {@link UsageError} that says what is right.
 *
 * Imports zod's types, the neighbours, the configuration and the protocol.
 */
import { parseArgs, type ParseArgsConfig } from "node:util";
import type { z } from "zod";
import { describeFailure } from "../config/describe_failure.ts";
import { isUuid } from "../protocol/mod.ts";
import { CallAudio } from "./call_audio.ts";
import { UsageError } from "./server_options.ts";

const MAX_WAV_BYTES = 256 * 1024 * 1024;

/**
 * What was given; by `node:util`, whose errors are about the options. Of an option that is given
 * twice, it would take the last one without a word.
 *
 * @param lists Options that take several values with commas in between.
 */
export function parseOptions<const T extends ParseArgsConfig>(
  config: T,
  lists: readonly string[] = [],
): ReturnType<typeof parseArgs<T>> {
  const repeated = repeatedOption(config);
  if (repeated !== undefined) {
    const how = lists.includes(repeated) ? ", with commas between its values" : "";
    throw new UsageError(`Expected --${repeated} once${how}; see --help`);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${why.replaceAll("\n", " ")}; see --help`);
  }
}

/** The first option that is given for the second time. */
function repeatedOption(config: ParseArgsConfig): string | undefined {
  // Not strict: what is wrong besides is told by its own error.
  const { tokens } = parseArgs({ ...config, strict: false, tokens: true });
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    if (seen.has(token.name)) return token.name;
    seen.add(token.name);
  }
  return undefined;
}

/** What may be left out. */
export function readOptional<T>(
  value: string | undefined,
  read: (value: string) => T,
): T | undefined {
  return value === undefined ? undefined : read(value);
}

/** One of a few words. */
export function readWord<T extends string>(
  option: string,
  value: string,
  words: readonly T[],
): T {
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  const list = `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  throw new UsageError(`Expected ${list} after ${option}`);
}

/** A decimal number within bounds. */
export function readNumber(option: string, value: string, min: number, max: number): number {
  const found = /^\d{1,10}(\.\d{1,10})?$/.test(value) ? Number(value) : NaN;
  if (found >= min && found <= max) return found;
  throw new UsageError(`Expected a number from ${min} to ${max} after ${option}`);
}

/** A whole number within bounds. */
export function readWholeNumber(option: string, value: string, min: number, max: number): number {
  const found = /^\d{1,10}$/.test(value) ? Number(value) : NaN;
  if (found >= min && found <= max) return found;
  throw new UsageError(`Expected a whole number from ${min} to ${max} after ${option}`);
}

/** How many times as fast as real time. */
export function readSpeed(option: string, value: string): number {
  const found = Number(value);
  if (value.trim() !== "" && found > 0 && found <= 10_000) return found;
  throw new UsageError(`Expected a number greater than 0 and at most 10000 after ${option}`);
}

/** A UUID of any version; a random one if nothing was given. */
export function readUuid(option: string, value: string | undefined): string {
  if (value === undefined) return crypto.randomUUID();
  if (isUuid(value)) return value;
  throw new UsageError(
    `Expected a UUID such as 6b2f0a5e-3f5c-4d1c-9f0e-2a7c1b9d8e4f after ${option}`,
  );
}

/** A text of at most so many characters; empty if nothing was given. */
export function readShortText(
  option: string,
  value: string | undefined,
  maxCharacters: number,
): string {
  const found = value ?? "";
  if (found.length <= maxCharacters) return found;
  throw new UsageError(`Expected at most ${maxCharacters} characters after ${option}`);
}

/**
 * JSON: the value itself, or `@` and the path of a file.
 *
 * @param expected What is right, such as `a JSON object`.
 */
export async function readJson<T>(
  option: string,
  value: string,
  { schema, expected, maxFileBytes }: {
    readonly schema: z.ZodType<T>;
    readonly expected: string;
    readonly maxFileBytes: number;
  },
): Promise<T> {
  const text = value.startsWith("@")
    ? new TextDecoder().decode(await readFile(option, value.slice(1), maxFileBytes))
    : value;
  const parsed = schema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new UsageError(`Expected ${expected}, or @FILE with one, after ${option}`);
}

/**
 * The audio of a WAV file.
 *
 * @throws {WavFormatError} If it is of another kind.
 */
export async function readWav(option: string, path: string): Promise<CallAudio> {
  return CallAudio.fromWav(await readFile(option, path, MAX_WAV_BYTES));
}

/** All of a file, or of a pipe, of at most so many bytes. */
export async function readFile(
  option: string,
  path: string,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const found = await readAtMost(path, maxBytes).catch((error) => {
    throw new UsageError(
      `Expected the path of a file after ${option}, got ${path} (${describeFailure(error)})`,
    );
  });
  if (found !== undefined) return found;
  throw new UsageError(
    `Expected a file of at most ${maxBytes} bytes after ${option}, ${path} has more`,
  );
}

/** `undefined` if there is more: a device has no end, and no size that tells. */
async function readAtMost(
  path: string,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  using file = await Deno.open(path);
  const { isFile, size } = await file.stat();
  if (isFile && size > maxBytes) return undefined;
  let bytes = new Uint8Array(isFile ? size + 1 : 65_536);
  let length = 0;
  for (;;) {
    const read = await file.read(bytes.subarray(length));
    if (read === null) return bytes.subarray(0, length);
    length += read;
    if (length > maxBytes) return undefined;
    if (length < bytes.length) continue;
    const larger = new Uint8Array(Math.min(2 * length, maxBytes + 1));
    larger.set(bytes);
    bytes = larger;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
