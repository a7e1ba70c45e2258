/**
 * The program: puts the parts together, configuration → storage → apps → server.
 *
 * The only place where that happens. Must not be imported.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { Recorder } from "./lib/app/recorder.ts";
import { runDemo } from "./lib/client/demo.ts";
import { CredentialsError, loadOrCreateCredentials } from "./lib/config/credentials.ts";
import { loadSettings } from "./lib/config/load_settings.ts";
import { configureLogging } from "./lib/config/logging.ts";
import { type Settings, SettingsError } from "./lib/config/settings.ts";
import { Keyring } from "./lib/protocol/mod.ts";
import { withDeadline } from "./lib/server/deadline.ts";
import { type AudioHookServer, startServer } from "./lib/server/mod.ts";
import { FileRecordingStore } from "./lib/storage/mod.ts";

const USAGE = `Usage: audiohook-server          starts the server
       audiohook-server demo     starts it on a free port, places a call, and ends

It is configured by environment variables and a file .env: see .env.example.`;

/** How long recordings may take to be written when the server stops. */
const RECORDINGS_TIMEOUT_MS = 10_000;

const log = getLogger(["audiohook", "main"]);

/** A server, and all that has to be waited for when it stops. */
interface Running {
  readonly server: AudioHookServer;
  /** Where clients on this machine reach it. */
  readonly url: URL;
  readonly recordingsDir: string;
  stop(): Promise<void>;
}

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  if (rest.length > 0 || (command !== undefined && command !== "demo")) {
    print(command === "--help" ? Deno.stdout : Deno.stderr, USAGE);
    return command === "--help" ? 0 : 2;
  }
  try {
    const settings = await loadSettings();
    const isDemo = command === "demo";
    // In the demo, the server's own story would hide the call's.
    const level = isDemo && settings.logLevel === "info" ? "warning" : settings.logLevel;
    configureLogging({ level, format: settings.logFormat });
    reportDefects();
    return isDemo ? await demo(settings) : await serve(settings);
  } catch (error) {
    const message = explain(error);
    if (message === undefined) throw error;
    print(Deno.stderr, message);
    return 1;
  }
}

/** Runs until it is told to stop. */
async function serve(settings: Settings): Promise<number> {
  const { keys, created } = await loadKeys(settings);
  const running = await start(settings, keys);
  const uri = settings.publicAuthority === undefined
    ? running.url.href
    : `wss://${settings.publicAuthority}${settings.audiohookPath}`;
  if (created !== undefined) {
    // Not by the log: keys never are in it.
    const out = settings.logFormat === "pretty" ? Deno.stdout : Deno.stderr;
    print(out, introduction(uri, created.apiKey, created.clientSecret, created.path));
  }
  log.info("Listening for AudioHook on {uri}; recordings go to {folder}", {
    uri,
    folder: running.recordingsDir,
  });
  const signal = await stopSignal();
  log.info("Stopping because of {signal}", { signal });
  await running.stop();
  log.info("Stopped");
  return 0;
}

/** Starts on a free port, places a call, and ends. */
async function demo(settings: Settings): Promise<number> {
  const { keys } = await loadKeys(settings);
  const [first] = keys;
  if (first === undefined) return 1;
  const [apiKey, clientSecret] = first;
  const local = { ...settings, host: "127.0.0.1", port: 0, publicAuthority: undefined };
  const running = await start(local, keys);
  const isSame = await runDemo({
    url: running.url,
    apiKey,
    clientSecret: Uint8Array.fromBase64(clientSecret),
    recordingsDir: running.recordingsDir,
    wav: join(import.meta.dirname ?? ".", "tests", "testdata", "call.wav"),
  });
  await running.stop();
  return isSame ? 0 : 1;
}

/** Storage → apps → server. */
async function start(settings: Settings, keys: ReadonlyMap<string, string>): Promise<Running> {
  const recordingsDir = join(settings.dataDir, "recordings");
  const recorder = new Recorder(new FileRecordingStore(recordingsDir));
  const secrets = new Map(
    [...keys].map(([apiKey, secret]) => [apiKey, Uint8Array.fromBase64(secret)]),
  );
  const server = startServer({
    hostname: settings.host,
    port: settings.port,
    path: settings.audiohookPath,
    keyring: await Keyring.create(secrets),
    apps: [recorder],
    publicAuthority: settings.publicAuthority,
    authFailureDelayMs: settings.authFailureDelayMs,
  });
  const { hostname, port } = server.addr;
  const authority = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
  return {
    server,
    url: new URL(`ws://${authority}${settings.audiohookPath}`),
    recordingsDir,
    async stop() {
      await server.shutdown();
      await withDeadline(recorder.finished(), RECORDINGS_TIMEOUT_MS);
    },
  };
}

interface Keys {
  /** API key to base64 client secret. */
  readonly keys: ReadonlyMap<string, string>;
  /** The credentials that were just made, and where they are kept. */
  readonly created?: {
    readonly apiKey: string;
    readonly clientSecret: string;
    readonly path: string;
  };
}

/** The configured keys, or those that the first start made. */
async function loadKeys({ audiohookKeys, dataDir }: Settings): Promise<Keys> {
  if (audiohookKeys.size > 0) return { keys: audiohookKeys };
  const { apiKey, clientSecret, created } = await loadOrCreateCredentials(dataDir);
  const path = join(dataDir, "credentials.json");
  return {
    keys: new Map([[apiKey, clientSecret]]),
    ...(created ? { created: { apiKey, clientSecret, path } } : {}),
  };
}

function introduction(uri: string, apiKey: string, clientSecret: string, path: string): string {
  return `
New credentials were made, because none are configured. Paste these into the
AudioHook integration of Genesys Cloud:

  Connection URI   ${uri}
  API Key          ${apiKey}
  Client Secret    ${clientSecret}

They are kept in ${path}. Genesys Cloud connects by wss: only, at port
443 of a public name: see README, "Connecting Genesys Cloud".
`;
}

/** Waits for the user's or the system's wish to stop; a second one ends the program at once. */
function stopSignal(): Promise<Deno.Signal> {
  const signals: Deno.Signal[] = Deno.build.os === "windows"
    ? ["SIGINT", "SIGBREAK"]
    : ["SIGINT", "SIGTERM"];
  return new Promise((resolve) => {
    let isStopping = false;
    for (const signal of signals) {
      Deno.addSignalListener(signal, () => {
        if (isStopping) Deno.exit(130);
        isStopping = true;
        resolve(signal);
      });
    }
  });
}

/** A defect in one place must not end the calls of all others. */
function reportDefects(): void {
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.fatal("Defect: a rejection that nobody handled", { error: event.reason });
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    log.fatal("Defect: an error that nobody handled", { error: event.error });
  });
}

/** What a user can do about an error; `undefined` if it is a defect. */
function explain(error: unknown): string | undefined {
  if (error instanceof SettingsError || error instanceof CredentialsError) return error.message;
  if (error instanceof Deno.errors.AddrInUse) {
    return "Cannot listen: the port is in use. Set PORT to another one, or 0 for any free one";
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return "Cannot listen: HOST is not an address of this machine";
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return `Cannot listen: ${error.message}. Set PORT to one that this user may use`;
  }
  return undefined;
}

function print(to: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  to.writeSync(new TextEncoder().encode(`${text}\n`));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
