/**
 * A program that recovers the recordings of the folder that its argument names on a disk that is as
 * good as full: it may write no file beyond a few hundred bytes. It prints what it did.
 */
import { recoverRecordings } from "../../lib/storage/recover_recordings.ts";

const MAX_FILE_BYTES = 300;

const [folder = ""] = Deno.args;
const args = ["--pid", String(Deno.pid), `--fsize=${MAX_FILE_BYTES}:unlimited`];
const { success } = await new Deno.Command("prlimit", { args }).output();
if (!success) throw new Error("prlimit failed");
const result = await recoverRecordings(folder);
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(result)));
