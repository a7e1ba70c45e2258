/**
 * Errors that nobody caught: they would end the process. Here they fail the one test that made them,
 * and not the whole file.
 */
import { assertEquals } from "@std/assert";

/** Make it by `using defects = watchDefects()`, first of all in a test. */
export function watchDefects(): Disposable {
  const defects: string[] = [];
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    defects.push(`unhandled rejection: ${Deno.inspect(event.reason)}`);
  };
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    defects.push(`uncaught error: ${Deno.inspect(event.error)}`);
  };
  globalThis.addEventListener("unhandledrejection", onRejection);
  globalThis.addEventListener("error", onError);
  return {
    [Symbol.dispose]() {
      globalThis.removeEventListener("unhandledrejection", onRejection);
      globalThis.removeEventListener("error", onError);
      assertEquals(defects, [], "errors that would end the process");
    },
  };
}
