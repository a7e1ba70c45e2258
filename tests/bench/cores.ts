/**
 * On which core a process runs, so that the client of a measurement takes no time from the server.
 *
 * Must not import: anything of lib.
 */

/** The core of servers that are measured alone on it. */
export const SERVER_CORE = 0;
/** The core of all that measures them. */
export const CLIENT_CORE = 1;

/** A program and its arguments. */
export type CommandLine = readonly [program: string, ...args: string[]];

/** Whether processes can be bound to cores here: it takes two cores, and `taskset` (Linux). */
export async function canPin(): Promise<boolean> {
  try {
    const command = new Deno.Command("taskset", {
      args: ["-c", `${SERVER_CORE},${CLIENT_CORE}`, "taskset", "-c", String(CLIENT_CORE), "true"],
      stdout: "null",
      stderr: "null",
    });
    return (await command.output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A command that runs on one core from its start; unchanged where that is not possible. */
export async function onCore(core: number, command: CommandLine): Promise<CommandLine> {
  return await canPin() ? ["taskset", "-c", String(core), ...command] : command;
}
