/**
 * The last line of defence of a process that holds many calls.
 */
import { getLogger } from "@logtape/logtape";

const log = getLogger(["audiohook", "defects"]);

let isLogging = false;

/**
 * From now on, rejections and errors that nobody handled are logged with their cause, and do not
 * end the process: a defect in one place must not end the calls of all others. The runtime itself
 * has some: a client can make Deno's WebSocket fail by a text of over 512 MiB. Once is enough; again, it does
 * nothing.
 *
 * @example In a program of your own
 * ```ts
 * import { logDefects } from "@audiohook/server";
 *
 * logDefects();
 * ```
 */
export function logDefects(): void {
  if (isLogging) return;
  isLogging = true;
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.fatal("Defect: a rejection that nobody handled", { error: event.reason });
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    log.fatal("Defect: an error that nobody handled", { error: event.error });
  });
}
