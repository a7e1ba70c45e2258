/**
 * Our server with a part of what it does, to see what each part costs. The argument says how much:
 * `protocol` (no app has the calls), or `recorder` (what is recorded goes nowhere). Prints its port.
 */
import { Recorder } from "../../lib/app/mod.ts";
import { Keyring } from "../../lib/protocol/mod.ts";
import { startServer } from "../../lib/server/mod.ts";
import type { RecordingStore } from "../../lib/storage/mod.ts";
import { API_KEY, SECRET } from "../helpers/wire_client.ts";
import { printLine } from "./table.ts";

const NOWHERE: RecordingStore = {
  create: (_, sessionId) =>
    Promise.resolve({
      location: sessionId,
      writeAudio: () => Promise.resolve(),
      finishAudio: () => Promise.resolve(),
      writeMessages: () => Promise.resolve(),
      writeMetadata: () => Promise.resolve(),
      hurry: () => {},
      close: () => {},
    }),
};

const server = startServer({
  keyring: await Keyring.create(new Map([[API_KEY, SECRET]])),
  apps: Deno.args[0] === "recorder" ? [new Recorder(NOWHERE)] : [],
});
printLine(String(server.addr.port));
