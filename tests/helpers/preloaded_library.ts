/**
 * A library between a program and the system, built of C for a test.
 */
import { join } from "node:path";

/** A library that was built. */
export interface PreloadedLibrary {
  /** To be named in `LD_PRELOAD`. */
  readonly path: string;
}

/**
 * Builds it.
 *
 * @param folder Where source and library are put.
 * @param name Of their files, without extensions.
 * @returns The reason if that can't be done here.
 */
export async function buildPreloadedLibrary(
  folder: string,
  name: string,
  source: string,
): Promise<PreloadedLibrary | string> {
  if (Deno.build.os !== "linux") return "it takes Linux";
  const sourcePath = join(folder, `${name}.c`);
  const path = join(folder, `${name}.so`);
  await Deno.writeTextFile(sourcePath, source);
  try {
    const args = ["-shared", "-fPIC", "-O1", "-o", path, sourcePath, "-ldl"];
    const { success, stderr } = await new Deno.Command("cc", { args }).output();
    if (!success) return `cc cannot build it: ${new TextDecoder().decode(stderr)}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "there is no C compiler (cc)";
    throw error;
  }
  return { path };
}
