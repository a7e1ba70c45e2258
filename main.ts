/**
 * The program: puts the parts together, configuration → storage → apps → server.
 *
 * The only place where that happens. Must not be imported.
 */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import { createApi, type FailedTries, type Metric } from "./lib/api/mod.ts";
import { Recorder } from "./lib/app/recorder.ts";
import { loadOrCreateAdminToken } from "./lib/config/admin_token.ts";
import { CredentialsError, loadOrCreateCredentials } from "./lib/config/credentials.ts";
import { adminIntroduction, introduction, urlOf } from "./lib/config/introduction.ts";
import type { ObjectStorageSettings } from "./lib/config/storage_settings.ts";
import { loadSettings } from "./lib/config/load_settings.ts";
import { describeFailure } from "./lib/config/describe_failure.ts";
import { configureLogging } from "./lib/config/logging.ts";
import { type Settings, SettingsError } from "./lib/config/settings.ts";
import { listenForStopSignals } from "./lib/config/stop_signals.ts";
import { loadTlsFiles, type TlsFiles } from "./lib/config/tls_files.ts";
import { writeText } from "./lib/config/text_output.ts";
import { Keyring } from "./lib/protocol/mod.ts";
import { withDeadline } from "./lib/app/deadline.ts";
import {
  type AudioHookServer,
  FailureLimiter,
  type HealthReport,
  logDefects,
  startServer,
} from "./lib/server/mod.ts";
import {
  FileRecordingStore,
  IndexKeyError,
  type ObjectStorage,
  type RebuildCounts,
  RecordingLibrary,
  type RecordingLibraryOptions,
} from "./lib/storage/mod.ts";
import { S3Client, S3PlaceError } from "./lib/storage/s3/mod.ts";

const USAGE = `Usage: audiohook-server          starts the server
       audiohook-server demo     starts it on a free port, places a call, and ends
       audiohook-server reindex  builds the index of recordings anew, from their files

It is configured by environment variables and a file .env: see .env.example.`;

const COMMANDS: readonly string[] = ["demo", "reindex"];

/** How long recordings may take to be written when the server stops. */
const RECORDINGS_TIMEOUT_MS = 10_000;

/** A disk that is busy with one thing for so long has stalled. */
const STALLED_SECONDS = 5;
/** How long rebuilding the index may take to stop. */
const REINDEX_STOP_TIMEOUT_MS = 1_000;

const log = getLogger(["audiohook", "main"]);

/** A server, and all that has to be waited for when it stops. */
interface Running {
  /** Where clients on this machine reach it. */
  readonly url: URL;
  readonly library: RecordingLibrary;
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
    if (command === "reindex") return await reindex(settings);
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
  const recordingsDir = await makeRecordingsDir(settings);
  const { keys, created } = await loadKeys(settings);
  const admin = await loadOrCreateAdminToken(settings.dataDir, settings.storage.adminToken);
  // Not by the log: keys never are in it.
  const out = settings.logFormat === "pretty" ? Deno.stdout : Deno.stderr;
  const introduce = (url: URL) => {
    if (created !== undefined) print(out, introduction(settings, url, created));
    if (admin.created) print(out, adminIntroduction(url, admin));
  };
  let running: Running;
  try {
    running = await start(settings, recordingsDir, keys, { tls, adminToken: admin.token });
  } catch (error) {
    // The next start finds the credentials, and takes them for known.
    introduce(urlOf(settings.host, settings.port, settings));
    throw error;
  }
  introduce(running.url);
  running.library.start();
  const url = running.url.href;
  if (settings.storage.recordings === "off") {
    log.info("Listening for AudioHook on {url}; no call is recorded (RECORDINGS=off)", { url });
  } else {
    log.info("Listening for AudioHook on {url}; recordings go to {folder}", {
      url,
      folder: recordingsDir,
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
  const recordingsDir = await makeRecordingsDir(settings);
  const { keys } = await loadKeys(settings);
  const [first] = keys;
  if (first === undefined) throw new SettingsError(["Expected at least one key in AUDIOHOOK_KEYS"]);
  const [apiKey, clientSecret] = first;
  const local: Settings = {
    ...settings,
    // There is nothing else to show.
    storage: { ...settings.storage, recordings: "on", objects: undefined },
    host: "127.0.0.1",
    port: 0,
    publicAuthority: undefined,
    tlsFiles: undefined,
  };
  const controller = new AbortController();
  listenForStopSignals(() => controller.abort());
  const running = await start(local, recordingsDir, keys);
  try {
    const isSame = await runDemo({
      url: running.url,
      apiKey,
      clientSecret: Uint8Array.fromBase64(clientSecret),
      recordingsDir,
      wav: join(import.meta.dirname ?? ".", "tests", "testdata", "call.wav"),
      signal: controller.signal,
    });
    return isSame ? 0 : 1;
  } finally {
    await running.stop();
  }
}

/** The folder for recordings; there is no use in a server that can't write any. */
async function makeRecordingsDir({ dataDir }: Settings): Promise<string> {
  const folder = join(dataDir, "recordings");
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o750 });
    await Deno.remove(await Deno.makeTempFile({ dir: folder }));
  } catch (error) {
    throw new SettingsError([
      `Cannot use DATA_DIR: expected a folder that can be written, ` +
      `got ${JSON.stringify(dataDir)} (${describeFailure(error)})`,
    ]);
  }
  return folder;
}

/** Brings the index in line with the files. */
async function reindex(settings: Settings): Promise<number> {
  const recordingsDir = await makeRecordingsDir(settings);
  const controller = new AbortController();
  const { signal } = controller;
  const tooLate = Promise.withResolvers<undefined>();
  listenForStopSignals(() => {
    controller.abort();
    // A database that does not answer keeps nobody from stopping.
    setTimeout(() => tooLate.resolve(undefined), REINDEX_STOP_TIMEOUT_MS);
  });
  const options = libraryOptions(settings, recordingsDir);
  let counts: RebuildCounts | undefined;
  try {
    counts = await Promise.race([
      RecordingLibrary.reindex(options, { signal }),
      tooLate.promise,
    ]);
  } catch (error) {
    if (error instanceof IndexKeyError) throw error;
    if (!signal.aborted) {
      const { kvUrl } = settings.storage;
      print(
        Deno.stderr,
        `Cannot build the index anew (${
          error instanceof Error ? error.message : String(error)
        }): ` +
          (kvUrl === undefined
            ? "expected DATA_DIR to be readable and writable, with room on its disk"
            : "expected a Deno KV at KV_URL, and its token in DENO_KV_ACCESS_TOKEN"),
      );
      return 1;
    }
  }
  if (counts === undefined) {
    print(Deno.stderr, "Stopped: the index is not complete. Start it again, or the server");
    return 1;
  }
  const { recordings, written, removed, beingMade, unreadable } = counts;
  print(
    Deno.stdout,
    `The index has ${recordings} recordings: ${written} entries written, ${removed} removed. ` +
      `${beingMade} recordings have not ended; the metadata of ${unreadable} cannot be read.`,
  );
  return unreadable === 0 ? 0 : 1;
}

function libraryOptions(
  { dataDir, storage }: Settings,
  recordingsDir: string,
): RecordingLibraryOptions {
  const { kvUrl, indexPersonalData, minFreeBytes, retentionDays, objects } = storage;
  const space = { minFreeBytes, retentionDays, objects: objects && objectStorage(objects) };
  return { dataDir, recordingsDir, kvUrl, indexPersonalData, ...space };
}

function objectStorage(settings: ObjectStorageSettings): ObjectStorage {
  const { endpoint, region, bucket, prefix, ...credentials } = settings;
  try {
    const client = new S3Client({ endpoint, region, bucket }, credentials);
    return { client, prefix };
  } catch (error) {
    if (!(error instanceof S3PlaceError)) throw error;
    throw new SettingsError([`Cannot use RECORDINGS with S3_ENDPOINT: ${error.message}`]);
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
  recordingsDir: string,
  keys: ReadonlyMap<string, string>,
  { tls, adminToken }: ServedParts = {},
): Promise<Running> {
  const { syncSeconds, recordings } = settings.storage;
  await using stack = new AsyncDisposableStack();
  const library = stack.use(
    await RecordingLibrary.open(libraryOptions(settings, recordingsDir)),
  );
  const store = stack.use(new FileRecordingStore(recordingsDir, { syncSeconds }));
  const recorder = new Recorder(store, {
    mayBegin: () => library.mayBegin,
    onBegun: (recording) => library.begun(recording),
    onEnded: (id, metadata) => library.ended(id, metadata),
  });
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
      apps: recordings === "off" ? [] : [recorder],
      routes: adminToken === undefined ? undefined : createApi({
        archive: library.archive,
        index: library.index,
        adminToken,
        failedTries: failedTries(settings),
        remove: (id) => library.remove(id),
        metrics: () => metricsOf(server, recorder, store, library),
      }),
      health: () => healthOf(recorder, store, library),
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
    library,
    async stop() {
      await server.shutdown();
      const finished = recorder.finished().then(() => true);
      if (!await withDeadline(finished, RECORDINGS_TIMEOUT_MS)) {
        log.error("Recordings were not written within {seconds} s: they stay as they are", {
          seconds: RECORDINGS_TIMEOUT_MS / 1000,
        });
      }
      await withDeadline(parts.disposeAsync(), RECORDINGS_TIMEOUT_MS);
    },
  };
}

/** Wrong admin tokens of one address: as many as may be of other failures. */
function failedTries({ maxAuthFailuresPerMinute }: Settings): FailedTries {
  const limiter = new FailureLimiter({ perMinute: maxAuthFailuresPerMinute });
  return {
    waitSeconds: (address) =>
      limiter.isExhausted(address, performance.now()) ? limiter.retryAfterSeconds : 0,
    fail: (address) => limiter.fail(address, performance.now()),
  };
}

function healthOf(
  { status }: Recorder,
  { status: { busySeconds } }: FileRecordingStore,
  library: RecordingLibrary,
): HealthReport {
  const { failing, recordings, lastFailureCode = "see the log" } = status;
  const problems = [
    ...(failing === 0
      ? []
      : [`recordings cannot be written (${lastFailureCode}): ${failing} of ${recordings}`]),
    ...(busySeconds < STALLED_SECONDS ? [] : ["the disk has stalled: recordings wait in memory"]),
    ...library.problems,
  ];
  return { status: problems.length === 0 ? "ok" : "degraded", problems };
}

function metricsOf(
  server: AudioHookServer,
  { status }: Recorder,
  { status: { busySeconds, unsyncedSeconds } }: FileRecordingStore,
  library: RecordingLibrary,
): Metric[] {
  const gauge = (name: string, help: string, value: number | undefined): Metric => {
    return { name: `audiohook_${name}`, help, type: "gauge", value };
  };
  const counter = (name: string, help: string, value: number): Metric => {
    return { name: `audiohook_${name}_total`, help, type: "counter", value };
  };
  return [
    gauge("sessions", "Sessions that have not ended.", server.connectionCount),
    gauge("sockets", "WebSockets that are open.", server.socketCount),
    gauge("recordings", "Recordings that are being made.", status.recordings),
    gauge("recordings_failing", "Of these, those that cannot be written.", status.failing),
    counter("recordings_given_up", "Recordings that were given up.", status.givenUp),
    counter("calls_not_recorded", "Calls for which there was no room.", status.notRecorded),
    gauge("disk_busy_seconds", "How long the disk has been busy with one thing.", busySeconds),
    gauge(
      "unsynced_seconds",
      "Age of the oldest audio that a power cut would lose.",
      unsyncedSeconds,
    ),
    gauge("disk_free_bytes", "Free bytes of the recordings' disk.", library.freeBytes),
    gauge("uploads_waiting", "Recordings that wait to be uploaded.", library.waitingForUpload),
    gauge("index_waiting", "Changes that wait for the index.", library.waitingForIndex),
  ];
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

function print(to: typeof Deno.stdout | typeof Deno.stderr, text: string): void {
  writeText(to, `${text}\n`);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
