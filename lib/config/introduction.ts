/**
 * What a new server tells of itself: where it is reached, and the credentials that it has made.
 *
 * Must not import: anything of lib outside this folder.
 */
import type { Settings } from "./settings.ts";

/** Credentials that were just made. */
export interface MadeCredentials {
  readonly apiKey: string;
  /** Base64. */
  readonly clientSecret: string;
  /** File that they are kept in. */
  readonly path: string;
}

/** An admin token that was just made. */
export interface MadeToken {
  readonly token: string;
  /** File that it is kept in. */
  readonly path: string | undefined;
}

/**
 * The text for a person who has to enter the credentials in Genesys Cloud.
 *
 * @param url Where the server listens.
 */
export function introduction(settings: Settings, url: URL, made: MadeCredentials): string {
  const { publicAuthority, audiohookPath, tlsFiles } = settings;
  const isAnyAddress = url.hostname === "0.0.0.0" || url.hostname === "[::]";
  // Without TLS there is a proxy, at the port that Genesys Cloud demands.
  const publicPort = tlsFiles === undefined || url.port === "" ? "" : `:${url.port}`;
  const authority = publicAuthority ?? (isAnyAddress ? `<public name>${publicPort}` : undefined);
  const uri = authority === undefined ? url.href : `wss://${authority}${audiohookPath}`;
  return `
New credentials were made, because none are configured. Paste these into the
AudioHook integration of Genesys Cloud:

  Connection URI   ${uri}
  API Key          ${made.apiKey}
  Client Secret    ${made.clientSecret}

They are kept in ${made.path}. Genesys Cloud connects by wss: only, at port
443 of a public name: see README, "Connecting Genesys Cloud".
`;
}

/**
 * The text for a person who wants to hear the recordings.
 *
 * @param url Where the server listens.
 */
export function adminIntroduction({ protocol, host }: URL, made: MadeToken): string {
  const base = `${protocol === "wss:" ? "https:" : "http:"}//${host}`;
  return `
An admin token was made, because none is configured. Who has it may find, hear
and remove recordings, by ${base}/api/recordings:

  Authorization    Bearer ${made.token}

It is kept in ${made.path}.
`;
}

/** Where clients on this machine reach the endpoint. */
export function urlOf(host: string, port: number, { audiohookPath, tlsFiles }: Settings): URL {
  const scheme = tlsFiles === undefined ? "ws" : "wss";
  return new URL(`${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}${audiohookPath}`);
}
