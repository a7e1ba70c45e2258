/**
 * A program that records a short call to an S3 server, and ends it. Argument: the server.
 */
import { createWavHeader } from "../../../lib/audio/mod.ts";
import { S3Client, S3RecordingStore } from "../../../lib/storage/s3/mod.ts";
import { noise } from "../../helpers/wav_check.ts";
import { BUCKET, CREDENTIALS } from "./object_server.ts";
import { DAY, endingOf, FIRST_LINE, FORMAT, SESSION } from "./some_recording.ts";

const [endpoint = ""] = Deno.args;
const client = new S3Client({ endpoint, bucket: BUCKET }, CREDENTIALS);
const files = await new S3RecordingStore({ client, prefix: "calls" }).create(DAY, SESSION);
Deno.stdout.writeSync(new TextEncoder().encode(`begun ${files.id}\n`));
const audio = noise(64_000);
const header = createWavHeader(FORMAT, Infinity);
await files.writeAudio(0, header);
await Promise.all([files.writeAudio(header.length, audio), files.writeMessages(0, FIRST_LINE)]);
await files.finish(endingOf(audio));
await files.close();
Deno.stdout.writeSync(new TextEncoder().encode("finished\n"));
