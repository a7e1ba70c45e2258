/**
 * What Linux knows of a process: its memory, its time on the processors, its limits.
 *
 * Deno gives /proc to nobody but those who may do anything, so `cat` reads it. Imports nothing.
 */

/** What a process uses. */
export interface ProcessUsage {
  /** Memory that is in RAM (RSS), in KB of 1,024 bytes. */
  readonly rssKb: number;
  /** Time of all threads on all processors since it began. */
  readonly cpuSeconds: number;
}

/** Of `utime` and `stime` in proc(5); the same on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

/**
 * Reads what a process uses.
 *
 * @returns `gone`: there is no such process (any more); `unreadable`: nothing can be said of it.
 */
export async function readProcessUsage(
  pid: number,
): Promise<ProcessUsage | "gone" | "unreadable"> {
  const text = await readProc([`/proc/${pid}/stat`, `/proc/${pid}/status`]);
  if (text === undefined) return "unreadable";
  const stat = /^\d+ \(.*\) (.*)$/m.exec(text)?.[1]?.split(" ");
  const rss = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1];
  // What has just ended, and was not waited for, has no memory.
  if (stat === undefined || rss === undefined) return "gone";
  // The name of the program is in parentheses, and may have spaces: proc(5) counts it as 2.
  const field = (number: number) => Number(stat[number - 3]);
  return { rssKb: Number(rss), cpuSeconds: (field(14) + field(15)) / TICKS_PER_SECOND };
}

/** How many files, connections among them, this program may have open; `undefined`: not known. */
export async function readOpenFilesLimit(): Promise<number | undefined> {
  // Its child has the same limits. Deno itself raises the soft one to the hard one.
  const text = await readProc(["/proc/self/limits"]);
  const limit = /^Max open files\s+(\d+)/m.exec(text ?? "")?.[1];
  return limit === undefined ? undefined : Number(limit);
}

/** What the files have, as far as they are there; `undefined` if they cannot be read at all. */
async function readProc(paths: string[]): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  try {
    const command = new Deno.Command("cat", { args: paths, stdin: "null", stderr: "null" });
    const { stdout } = await command.output();
    return new TextDecoder().decode(stdout);
  } catch {
    // There is no `cat`, no permission to run it, or no file descriptor left.
    return undefined;
  }
}
