/**
 * The user's or the system's wish that the program stops.
 *
 * Must not import: anything of lib outside this folder.
 */

/**
 * Ctrl-C reaches a program twice that `deno task` or `npx` started: from the terminal, and passed on
 * by its parent. Only a later one is the user's second wish.
 */
const SAME_WISH_MS = 1000;

/**
 * Calls back at the first signal to stop. A second one, at least a second later, ends the program
 * at once.
 */
export function listenForStopSignals(onStop: (signal: Deno.Signal) => void): void {
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM"];
  let stoppedMs: number | undefined;
  for (const signal of signals) {
    Deno.addSignalListener(signal, () => {
      const nowMs = performance.now();
      if (stoppedMs === undefined) {
        stoppedMs = nowMs;
        onStop(signal);
      } else if (nowMs - stoppedMs >= SAME_WISH_MS) {
        Deno.exit(130);
      }
    });
  }
}
