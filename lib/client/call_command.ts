/**
 * `deno task call`: places a call at an AudioHook server, from the command line.
 *
 * Imports its neighbours, the protocol, and the configuration for its defaults.
 */
import { parseArgs } from "node:util";
import { WavFormatError } from "../audio/mod.ts";
import { CredentialsError, readCredentials } from "../config/credentials.ts";
import { describeFailure } from "../config/describe_failure.ts";
import { loadSettings } from "../config/load_settings.ts";
import { type Settings, SettingsError } from "../config/settings.ts";
import { listenForStopSignals } from "../config/stop_signals.ts";
import { writeText } from "../config/text_output.ts";
import { type AudioFormat, isApiKey } from "../protocol/mod.ts";
import { CallAudio } from "./call_audio.ts";
import { reportCall } from "./report_call.ts";

const HELP = `Places a call at an AudioHook server, as Genesys Cloud would.

Usage: deno task call --wav FILE [options]

  --wav FILE      What is said: 8 kHz µ-law or 16-bit PCM, mono (the external channel)
                  or stereo (external, internal)
  --url URL       The server, ws: or wss:. Default: the one that .env or the environment
                  configures, on this machine. DENO_CERT=FILE in the environment
                  names a PEM file of more authorities to trust
  --key KEY       API key. Default: the server's first, or the one that it made
  --secret BASE64 Client secret, to sign the request. Default: that of the key, if known;
                  without one the request is not signed
  --speed N       How much faster than real time. Default: 1
  --format F      What is offered: PCMU or L16. Default: PCMU
  --help          This text

Ends with 0 if the session ended with "closed", 1 if not, 2 if the options are wrong.
Ctrl-C closes the call properly; a second one, a second later, ends it at once.`;

/** The options are wrong; the message says what is right. */
class UsageError extends Error {}

interface CallOptions {
  readonly wav: string;
  readonly url: URL;
  readonly apiKey: string;
  readonly clientSecret: Uint8Array;
  readonly speed: number;
  readonly format: AudioFormat;
}

/**
 * Runs the command.
 *
 * @returns The exit code.
 */
export async function callCommand(args: readonly string[]): Promise<number> {
  try {
    const options = await readOptions(args);
    if (options === undefined) {
      writeText(Deno.stdout, `${HELP}\n`);
      return 0;
    }
    const audio = CallAudio.fromWav(await readFile(options.wav));
    const controller = new AbortController();
    listenForStopSignals(() => controller.abort());
    const { outcome } = await reportCall({ ...options, audio, signal: controller.signal });
    return outcome.failure === undefined ? 0 : 1;
  } catch (error) {
    if (
      error instanceof UsageError || error instanceof WavFormatError ||
      error instanceof SettingsError || error instanceof CredentialsError
    ) {
      writeText(Deno.stderr, `${error.message}\n`);
      return 2;
    }
    throw error;
  }
}

async function readOptions(args: readonly string[]): Promise<CallOptions | undefined> {
  const values = parse(args);
  if (values.help) return undefined;
  if (values.wav === undefined) throw new UsageError("Expected --wav FILE; see --help");
  const settings = await loadSettings();
  const speed = Number(values.speed ?? "1");
  if (!(speed > 0 && speed <= 10_000)) {
    throw new UsageError("Expected a number greater than 0 and at most 10000 after --speed");
  }
  const format = values.format ?? "PCMU";
  if (format !== "PCMU" && format !== "L16") {
    throw new UsageError("Expected PCMU or L16 after --format");
  }
  return {
    wav: values.wav,
    url: readUrl(values.url, settings),
    ...await readKey(values.key, values.secret, settings),
    speed,
    format,
  };
}

function parse(args: readonly string[]): Partial<Record<string, string>> & { help?: boolean } {
  const string = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        wav: string,
        url: string,
        key: string,
        secret: string,
        speed: string,
        format: string,
        help: { type: "boolean" },
      },
    }).values as Partial<Record<string, string>> & { help?: boolean };
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}; see --help`);
  }
}

function readUrl(text: string | undefined, settings: Settings): URL {
  if (text === undefined) {
    const anyHost = settings.host === "0.0.0.0" || settings.host === "::";
    const host = anyHost ? "127.0.0.1" : settings.host;
    const authority = `${host.includes(":") ? `[${host}]` : host}:${settings.port}`;
    const scheme = settings.tlsFiles === undefined ? "ws" : "wss";
    return new URL(`${scheme}://${authority}${settings.audiohookPath}`);
  }
  const url = URL.parse(text);
  if (url === null || !["ws:", "wss:"].includes(url.protocol) || url.href.includes("#")) {
    throw new UsageError("Expected an address after --url, such as ws://127.0.0.1:8000/path");
  }
  return url;
}

async function readKey(
  key: string | undefined,
  secret: string | undefined,
  settings: Settings,
): Promise<Pick<CallOptions, "apiKey" | "clientSecret">> {
  if (secret !== undefined && key === undefined) {
    throw new UsageError("Expected --key together with --secret");
  }
  if (key !== undefined && !isApiKey(key)) {
    throw new UsageError("Expected letters, digits, +, /, _ and - after --key");
  }
  if (secret !== undefined && key !== undefined) {
    return { apiKey: key, clientSecret: decodeSecret(secret) };
  }
  const known = new Map(settings.audiohookKeys);
  if (known.size === 0) {
    const made = await readCredentials(settings.dataDir);
    if (made !== undefined) known.set(made.apiKey, made.clientSecret);
  }
  const [first] = known.keys();
  const apiKey = key ?? first;
  if (apiKey === undefined) {
    throw new UsageError(
      "No API key: start the server once, which makes one, or give --key and --secret",
    );
  }
  return { apiKey, clientSecret: decodeSecret(known.get(apiKey) ?? "") };
}

function decodeSecret(base64: string): Uint8Array {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    throw new UsageError("Expected base64 after --secret");
  }
}

async function readFile(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new UsageError(
      `Expected the path of a WAV file after --wav, got ${path} (${describeFailure(error)})`,
    );
  }
}

if (import.meta.main) Deno.exit(await callCommand(Deno.args));
