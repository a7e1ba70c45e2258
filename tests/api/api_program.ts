/**
 * A program that serves calls and recordings, with the deadlines that a test wants. Its arguments:
 * the data folder, and limits of the API as JSON. It says on which port it listens, and who it is.
 */
import { join } from "node:path";
import { configureLogging } from "../../lib/config/logging.ts";
import { Keyring } from "../../lib/protocol/keyring.ts";
import { startServer } from "../../lib/server/mod.ts";
import { DiskBackend, loadOrCreateIndexKey, RecordingLibrary } from "../../lib/storage/mod.ts";
import { apiOf } from "../helpers/api_server.ts";
import { API_KEY, SECRET } from "../helpers/wire_client.ts";

const [dataDir = "", limits = "{}"] = Deno.args;
configureLogging({ level: "info", format: "json" });
const library = new RecordingLibrary({
  backend: new DiskBackend({ dataDir, recordingsDir: join(dataDir, "recordings") }),
  index: {
    place: { kind: "file", path: join(dataDir, "index.kv") },
    key: await loadOrCreateIndexKey(dataDir),
  },
});
library.start();
const server = startServer({
  keyring: await Keyring.create(new Map([[API_KEY, SECRET]])),
  apps: [],
  routes: apiOf(library, { limits: JSON.parse(limits), metrics: () => [] }),
});
const text = `port ${server.addr.port} process ${Deno.pid}\n`;
Deno.stdout.writeSync(new TextEncoder().encode(text));
