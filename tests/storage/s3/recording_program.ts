/**
 * A program that records to an S3 server, and does not come to its end. Argument: the server.
 */
import { createWavHeader } from "../../../lib/audio/mod.ts";
import { S3Client, S3RecordingStore } from "../../../lib/storage/s3/mod.ts";
import { S3RecordingFiles } from "../../../lib/storage/s3/s3_recording_files.ts";
import { noise } from "../../helpers/wav_check.ts";
import { BUCKET, CREDENTIALS } from "./object_server.ts";
import { DAY, FIRST_LINE, FORMAT, SESSION } from "./some_recording.ts";

const [endpoint = ""] = Deno.args;
const client = new S3Client({ endpoint, bucket: BUCKET }, CREDENTIALS);
const store = new S3RecordingStore({ client, prefix: "calls" });
const files = await store.create(DAY, SESSION);
if (!(files instanceof S3RecordingFiles)) throw new Error("These are other files");

const header = createWavHeader(FORMAT, Infinity);
const audio = noise(3 * 1024 * 1024);
await files.writeAudio(0, header);
await files.writeMessages(0, FIRST_LINE);
for (let at = 0; at < audio.length; at += 16_000) {
  await files.writeAudio(header.length + at, audio.subarray(at, at + 16_000));
}
await files.flush();
// Half a sample of both channels more, and what nobody will see.
await files.writeAudio(header.length + audio.length, noise(1));
await files.flush();
await files.writeAudio(header.length + audio.length + 1, noise(5000));
Deno.stdout.writeSync(new TextEncoder().encode(`written ${files.id}\n`));
