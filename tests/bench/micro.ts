/**
 * What runs for each frame and for each message, piece by piece, each with a baseline: what the
 * machine would take for it at the least.
 */
import { measure } from "./measure.ts";
import { audioGroups } from "./micro_audio.ts";
import { frameGroup } from "./micro_frames.ts";
import { messageGroups } from "./micro_messages.ts";
import { signatureGroup } from "./micro_signature.ts";

await measure(await frameGroup());
for (const group of await audioGroups()) await measure(group);
for (const group of messageGroups()) await measure(group);
await measure(await signatureGroup());
