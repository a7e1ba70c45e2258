/**
 * A program that writes a recording, as far as recovery can tell: it holds the lock on the file
 * that its argument names, until it is killed.
 */
const [path = ""] = Deno.args;
using file = Deno.openSync(path, { write: true });
Deno.stdout.writeSync(new TextEncoder().encode(file.tryLockSync(true) ? "locked\n" : "in use\n"));
await new Promise((resolve) => setTimeout(resolve, 60_000));
