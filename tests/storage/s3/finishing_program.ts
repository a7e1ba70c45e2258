/**
 * A program that records a short call to an S3 server, and ends it. Argument: the server.
 */
import { createWavHeader } from "../../../lib/audio/mod.ts";
import { S3Client, S3RecordingStore } from "../../../lib/storage/s3/mod.ts";
import { noise } from "../../helpers/wav_check.ts";
import { BUCKET, CREDENTIALS } from "./object_server.ts";

const SESSION = "30b0e395-84d3-4570-ac13-9a62d8f514c0";
const FORMAT = { encoding: "PCMU", channelCount: 2, rate: 8000 } as const;
const [endpoint = ""] = Deno.args;
const client = new S3Client({ endpoint, bucket: BUCKET }, CREDENTIALS);
const files = await new S3RecordingStore({ client, prefix: "calls" }).create("2026-01-31", SESSION);
Deno.stdout.writeSync(new TextEncoder().encode(`begun ${files.id}\n`));
const audio = noise(64_000);
const call = {
  version: 1,
  sessionId: SESSION,
  organizationId: SESSION,
  conversationId: SESSION,
  participant: { id: SESSION, ani: "+1", aniName: "", dnis: "+2" },
  media: { format: "PCMU", channels: ["external", "internal"], rate: 8000 },
  startedAt: "2026-01-31T10:00:00.000Z",
};
const line = JSON.stringify({ time: call.startedAt, position: "PT0S", call });
const lineBytes = new TextEncoder().encode(`${line}\n`);
const header = createWavHeader(FORMAT, audio.length);
await files.writeAudio(0, createWavHeader(FORMAT, Infinity));
await Promise.all([files.writeAudio(header.length, audio), files.writeMessages(0, lineBytes)]);
await files.finish({
  audio: { header, rest: { offset: header.length + audio.length, bytes: new Uint8Array() } },
  messages: { offset: lineBytes.length, bytes: new TextEncoder().encode("{}\n") },
  metadata: "{}",
});
await files.close();
Deno.stdout.writeSync(new TextEncoder().encode("finished\n"));
