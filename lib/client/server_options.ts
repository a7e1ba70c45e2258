/**
 * The options of the command line tools that name a server: `--url`, `--key`, `--secret`.
 *
 * What is left out comes from the settings, so that a server on this machine needs none of them.
 * Imports the configuration, and what a key is from the protocol.
 */
import { readCredentials } from "../config/credentials.ts";
import type { Settings } from "../config/settings.ts";
import { isApiKey } from "../protocol/mod.ts";

/** The options are wrong; the message says what is right, for a person and without a stack. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** How `node:util` parses these options. */
export const SERVER_OPTIONS = {
  url: { type: "string" },
  key: { type: "string" },
  secret: { type: "string" },
} as const;

/** The values of {@link SERVER_OPTIONS}, as they were given. */
export interface ServerOptionValues {
  readonly url?: string;
  readonly key?: string;
  readonly secret?: string;
}

/** A server, and as whom it is called. */
export interface ServerOptions {
  /** `ws:` or `wss:`. */
  readonly url: URL;
  readonly apiKey: string;
  /** Empty: the request is not signed. */
  readonly clientSecret: Uint8Array;
}

/** For the help of each tool. */
export const SERVER_OPTIONS_HELP =
  `  --url URL       The server, ws: or wss:. Default: the one that .env or the environment
                  configures, on this machine. DENO_CERT=FILE in the environment
                  names a PEM file of more authorities to trust
  --key KEY       API key. Default: the server's first, or the one that it made
  --secret BASE64 Client secret, to sign the request. Default: that of the key, if known;
                  without one the request is not signed`;

/**
 * Reads the options that name a server.
 *
 * @param values What was given.
 * @param settings Where the rest comes from.
 * @throws {UsageError} If one is wrong, or there is no key at all.
 * @throws {CredentialsError} If the credentials that the server made cannot be read.
 */
export async function readServerOptions(
  values: ServerOptionValues,
  settings: Settings,
): Promise<ServerOptions> {
  return {
    url: values.url === undefined ? ownAddress(settings) : readUrl(values.url),
    ...await readKey(values, settings),
  };
}

/** The server on this machine. */
function ownAddress(settings: Settings): URL {
  const anyHost = settings.host === "0.0.0.0" || settings.host === "::";
  const host = anyHost ? "127.0.0.1" : settings.host;
  const authority = `${host.includes(":") ? `[${host}]` : host}:${settings.port}`;
  const scheme = settings.tlsFiles === undefined ? "ws" : "wss";
  return new URL(`${scheme}://${authority}${settings.audiohookPath}`);
}

function readUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !["ws:", "wss:"].includes(url.protocol) || url.href.includes("#")) {
    throw new UsageError("Expected an address after --url, such as ws://127.0.0.1:8000/path");
  }
  return url;
}

async function readKey(
  { key, secret }: ServerOptionValues,
  settings: Settings,
): Promise<Omit<ServerOptions, "url">> {
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
  if (known.size === 0 && settings.dataDir !== undefined) {
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
