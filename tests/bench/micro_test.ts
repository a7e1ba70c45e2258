import { tryOut } from "./measure.ts";
import { audioGroups } from "./micro_audio.ts";
import { frameGroup } from "./micro_frames.ts";
import { messageGroups } from "./micro_messages.ts";
import { signatureGroup } from "./micro_signature.ts";

Deno.test("micro: each frame is accepted and recorded as the benchmark counts it", async () => {
  await tryOut(await frameGroup());
});

Deno.test("micro: what is measured of audio gives the samples that it should", async () => {
  for (const group of await audioGroups()) await tryOut(group);
});

Deno.test("micro: what is measured of messages reads and writes what it should", async () => {
  for (const group of messageGroups()) await tryOut(group);
});

Deno.test("micro: the signature is that of the HMAC which it is compared with", async () => {
  await tryOut(await signatureGroup());
});
