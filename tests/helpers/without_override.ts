/**
 * Deno as somebody whom the modes of files bind. Who runs tests in a container is often the superuser,
 * who may read whatever is there, unless this is taken away.
 *
 * Must not import: anything of lib.
 */

const CAPABILITIES = "-dac_override,-dac_read_search";

/** How a process is started that can be kept from files. */
export interface BoundCommand {
  readonly executable: string;
  /** What comes before Deno's own arguments. */
  readonly args: readonly string[];
}

/** `undefined` where nobody can be bound: on Windows, or for want of `setpriv`. */
export async function withoutOverride(): Promise<BoundCommand | undefined> {
  if (Deno.build.os === "windows") return undefined;
  const deno = Deno.execPath();
  if (!await mayReadAnything()) return { executable: deno, args: [] };
  const args = [`--bounding-set=${CAPABILITIES}`, `--inh-caps=${CAPABILITIES}`];
  const trial = new Deno.Command("setpriv", { args: [...args, "true"], stdout: "null" });
  try {
    const { success } = await trial.output();
    return success ? { executable: "setpriv", args: [...args, deno] } : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function mayReadAnything(): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.chmod(folder, 0o000);
    return await Array.fromAsync(Deno.readDir(folder)).then(() => true, () => false);
  } finally {
    await Deno.remove(folder);
  }
}
