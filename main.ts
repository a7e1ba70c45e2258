/**
 * The program: puts the parts together, configuration → storage → apps → server.
 *
 * The only place where that happens. Must not be imported.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { createApi, type FailedTries } from "./lib/api/mod.ts";
import { Recorder } from "./lib/app/recorder.ts";
import { type AdminToken, loadOrCreateAdminToken } from "./lib/config/admin_token.ts";
import { CredentialsError, loadOrCreateCredentials } from "./lib/config/credentials.ts";
import { adminIntroduction, introduction, urlOf } from "./lib/config/introduction.ts";
import { loadSettings } from "./lib/config/load_settings.ts";
import { describeFailure } from "./lib/config/describe_failure.ts";
import { configureLogging } from "./lib/config/logging.ts";
import { type Settings, SettingsError } from "./lib/config/settings.ts";
import { listenForStopSignals } from "./lib/config/stop_signals.ts";
import { loadTlsFiles, type TlsFiles } from "./lib/config/tls_files.ts";
import { writeText } from "./lib/config/text_output.ts";
import { Keyring } from "./lib/protocol/mod.ts";
import { withDeadline } from "./lib/app/deadline.ts";
import { type AudioHookServer, FailureLimiter, logDefects, startServer } from "./lib/server/mod.ts";
import { healthReport } from "./lib/program/health_report.ts";
import {
  openStorage,
  recordingsFolder,
  recordingsPlace,
  type Storage,
} from "./lib/program/open_storage.ts";
import { runReindex } from "./lib/program/reindex_command.ts";
import { serverMetrics } from "./lib/program/server_metrics.ts";
import { IndexKeyError } from "./lib/storage/mod.ts";

const USAGE = `Usage: audiohook-server          starts the server
       audiohook-server demo     starts it on a free port, places a call, and ends
       audiohook-server reindex  builds the index of recordings anew, from their files

It is configured by environment variables and a file .env: see .env.example.`;

const COMMANDS: readonly string[] = ["demo", "reindex"];

/** How long recordings may take to be written when the server stops. */
const RECORDINGS_TIMEOUT_MS = 15_000;
/** And how long the rest may take. */
const DISPOSE_TIMEOUT_MS = 10_000;

const log = getLogger(["audiohook", "main"]);

/** A server, and all that has to be waited for when it stops. */
interface Running {
  /** Where clients on this machine reach it. */
  readonly url: URL;
  stop(): Promise<void>;
}

async function main(args: readonly string[]): Promise<number> {
  const [command, ...rest] = args;
  if (rest.length > 0 || (command !== undefined && !COMMANDS.includes(command))) {
    print(command === "--help" ? Deno.stdout : Deno.stderr, USAGE);
    return command === "--help" ? 0 : 2;
  }
  try {
    const settings = await loadSettings();
    // With a command, the server's own story would hide the command's.
    const isQuiet = command !== undefined && settings.logLevel === "info";
    const level = isQuiet ? "warning" : settings.logLevel;
    configureLogging({ level, format: settings.logFormat });
    logDefects();
    if (command === "reindex") return await runReindex(settings);
    return command === "demo" ? await demo(settings) : await serve(settings);
  } catch (error) {
    const isExpected = error instanceof SettingsError || error instanceof CredentialsError ||
      error instanceof IndexKeyError;
    print(Deno.stderr, isExpected ? error.message : Deno.inspect(error));
    return 1;
  }
}

/** Runs until it is told to stop. */
async function serve(settings: Settings): Promise<number> {
  // Before anybody can know that there is something to stop.
  const { promise: stopSignal, resolve: onStopSignal } = Promise.withResolvers<Deno.Signal>();
  listenForStopSignals(onStopSignal);
  const { tlsFiles } = settings;
  const tls = tlsFiles && await loadTlsFiles(tlsFiles.certFile, tlsFiles.keyFile);
  const storage = await openStorage(settings);
  const { keys, created } = await loadKeys(settings);
  const admin = await loadAdminToken(settings);
  // Not by the log: keys never are in it.
  const out = settings.logFormat === "pretty" ? Deno.stdout : Deno.stderr;
  const introduce = (url: URL) => {
    if (created !== undefined) print(out, introduction(settings, url, created));
    if (admin?.created) print(out, adminIntroduction(url, admin));
  };
  let running: Running;
  try {
    running = await start(settings, keys, storage, { tls, adminToken: admin?.token });
  } catch (error) {
    // The next start finds the credentials, and takes them for known.
    introduce(urlOf(settings.host, settings.port, settings));
    throw error;
  }
  introduce(running.url);
  storage?.library.start();
  const url = running.url.href;
  if (settings.storage.recordings === "off") {
    log.info("Listening for AudioHook on {url}; no call is recorded (RECORDINGS=off)", { url });
  } else {
    log.info("Listening for AudioHook on {url}; recordings go to {place}", {
      url,
      place: recordingsPlace(settings),
    });
  }
  const signal = await stopSignal;
  log.info("Stopping because of {signal}", { signal });
  await running.stop();
  log.info("Stopped");
  return 0;
}

/** Starts on a free port, places a call, and ends. Without TLS: no certificate is for 127.0.0.1. */
async function demo(settings: Settings): Promise<number> {
  // Not loaded with the server: the client needs packages that the server does not.
  const { runDemo } = await import("./lib/client/demo.ts");
  const { dataDir } = settings;
  if (dataDir === undefined) {
    throw new SettingsError([
      "Cannot show a recording without a disk: expected DATA_DIR, a folder",
    ]);
  }
  const local: Settings = {
    ...settings,
    // There is nothing else to show.
    storage: { ...settings.storage, recordings: "on", objects: undefined },
    host: "127.0.0.1",
    port: 0,
    publicAuthority: undefined,
    tlsFiles: undefined,
  };
  const storage = await openStorage(local);
  const { keys } = await loadKeys(local);
  const [first] = keys;
  if (first === undefined) throw new SettingsError(["Expected at least one key in AUDIOHOOK_KEYS"]);
  const [apiKey, clientSecret] = first;
  const controller = new AbortController();
  listenForStopSignals(() => controller.abort());
  const running = await start(local, keys, storage);
  try {
    const isSame = await runDemo({
      url: running.url,
      apiKey,
      clientSecret: Uint8Array.fromBase64(clientSecret),
      recordingsDir: recordingsFolder(dataDir),
      wav: join(import.meta.dirname ?? ".", "tests", "testdata", "call.wav"),
      signal: controller.signal,
    });
    return isSame ? 0 : 1;
  } finally {
    await running.stop();
  }
}

/** What only a server has that goes on. */
interface ServedParts {
  readonly tls?: TlsFiles;
  /** Without one, there is no HTTP API. */
  readonly adminToken?: string;
}

/** Storage → apps → server. */
async function start(
  settings: Settings,
  keys: ReadonlyMap<string, string>,
  storage: Storage | undefined,
  { tls, adminToken }: ServedParts = {},
): Promise<Running> {
  await using stack = new AsyncDisposableStack();
  if (storage !== undefined) stack.use(storage.library);
  const recorder = storage && recorderOf(storage);
  const secrets = new Map(
    [...keys].map(([apiKey, secret]) => [apiKey, Uint8Array.fromBase64(secret)]),
  );
  const keyring = await Keyring.create(secrets);
  let server: AudioHookServer;
  try {
    server = startServer({
      hostname: settings.host,
      port: settings.port,
      path: settings.audiohookPath,
      keyring,
      apps: recorder && settings.storage.recordings === "on" ? [recorder] : [],
      routes: storage && recorder && adminToken !== undefined
        ? createApi({
          archive: storage.library.archive,
          index: storage.library.index,
          adminToken,
          failedTries: failedTries(settings),
          remove: (id) => storage.library.remove(id),
          metrics: () => serverMetrics({ server, recorder, storage }),
        })
        : undefined,
      health: () => healthReport(recorder?.status, storage?.library.problems),
      publicAuthority: settings.publicAuthority,
      tls,
      authFailureDelayMs: settings.authFailureDelayMs,
      maxAuthFailuresPerMinute: settings.maxAuthFailuresPerMinute,
      clientAddressHeader: settings.clientAddressHeader,
      maxSessions: settings.maxSessions,
      maxBufferedBytes: settings.maxBufferedBytes,
      sessionLimits: settings.sessionLimits,
    });
  } catch (error) {
    throw new SettingsError([
      `Cannot listen on HOST ${settings.host}, PORT ${settings.port}: expected an address of this ` +
      `machine and a port that is free (${describeFailure(error)})`,
    ]);
  }
  const parts = stack.move();
  return {
    url: urlOf(server.addr.hostname, server.addr.port, settings),
    async stop() {
      await server.shutdown();
      const finished = Promise.resolve(recorder?.finished()).then(() => true);
      if (!await withDeadline(finished, RECORDINGS_TIMEOUT_MS)) {
        log.error("{count} recordings were not written within {seconds} s: {consequence}", {
          count: recorder?.status.recordings,
          seconds: RECORDINGS_TIMEOUT_MS / 1000,
          consequence: settings.dataDir === undefined
            ? "of these, what waits in memory is lost; what was stored is completed by another instance"
            : "they stay as they are, and are completed by the next start",
        });
      }
      await withDeadline(parts.disposeAsync(), DISPOSE_TIMEOUT_MS);
    },
  };
}

function recorderOf({ backend, library }: Storage): Recorder {
  return new Recorder(backend.store, {
    mayBegin: () => backend.mayBegin,
    onBegun: (recording) => library.begun(recording),
    onEnded: (id, metadata) => library.ended(id, metadata),
    onGivenUp: (id) => library.givenUp(id),
  });
}

/** Wrong admin tokens of one address: as many as may be of other failures. */
function failedTries({ maxAuthFailuresPerMinute }: Settings): FailedTries {
  const limiter = new FailureLimiter({ perMinute: maxAuthFailuresPerMinute });
  return {
    retryAfterSeconds: limiter.retryAfterSeconds,
    fail: (address) => limiter.fail(address, performance.now()),
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
  // Without a disk, there are some: they are asked for when the settings are read.
  if (audiohookKeys.size > 0 || dataDir === undefined) return { keys: audiohookKeys };
  const { apiKey, clientSecret, created } = await loadOrCreateCredentials(dataDir);
  const path = join(dataDir, "credentials.json");
  return {
    keys: new Map([[apiKey, clientSecret]]),
    ...(created ? { created: { apiKey, clientSecret, path } } : {}),
  };
}

/** Who has it may use the API; `undefined` where nothing is recorded, and nothing can be kept. */
async function loadAdminToken({ dataDir, storage }: Settings): Promise<AdminToken | undefined> {
  const { adminToken: token } = storage;
  if (dataDir !== undefined) return await loadOrCreateAdminToken(dataDir, token);
  return token === undefined ? undefined : { token, path: undefined, created: false };
}

function print(to: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  writeText(to, `${text}\n`);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
