/**
 * The command that places calls, as a process of its own.
 */
import { assertEquals, assertFalse } from "@std/assert";
import { type Ended, filesBelow, hasStack, Program, TemporaryFolder } from "../helpers/program.ts";
import { SECRET, SIGNED_KEY, UNSIGNED_KEY } from "./recording_server.ts";

/** Options for a key with a secret, and for one without. */
export const SIGNED = ["--key", SIGNED_KEY, "--secret", SECRET];
export const UNSIGNED = ["--key", UNSIGNED_KEY];

/** Runs the command to its end, in an empty folder, which it must leave empty. */
export async function run(args: string[], env: Record<string, string> = {}): Promise<Ended> {
  await using folder = await TemporaryFolder.make();
  const ended = await runIn(folder.path, args, env);
  assertEquals(await filesBelow(folder.path), []);
  return ended;
}

/** Runs the command to its end. It must print neither a stack nor the secret. */
export async function runIn(
  folder: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  await using program = Program.call(folder, args, env);
  const ended = await program.ended(30_000);
  assertFalse(hasStack(ended.output), ended.output);
  assertFalse(ended.output.includes(SECRET), ended.output);
  return ended;
}

/** One line of `--json`. */
// deno-lint-ignore no-explicit-any
export type JsonLine = any;

/** What `--json` printed: every line has to be one object. */
export function jsonLines(stdout: string): JsonLine[] {
  return stdout.trimEnd().split("\n").map((line) => {
    const value: JsonLine = JSON.parse(line);
    assertEquals(typeof value.type, "string", line);
    return value;
  });
}

/** A WAV file on disk, for as long as a test needs it. */
export class WavOnDisk implements AsyncDisposable {
  readonly path: string;
  readonly #folder: TemporaryFolder;

  private constructor(folder: TemporaryFolder) {
    this.#folder = folder;
    this.path = folder.join("said.wav");
  }

  static async write(bytes: Uint8Array): Promise<WavOnDisk> {
    const wav = new WavOnDisk(await TemporaryFolder.make());
    await Deno.writeFile(wav.path, bytes);
    return wav;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#folder[Symbol.asyncDispose]();
  }
}
