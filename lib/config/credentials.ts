/**
 * The credentials that are made on the first start, when the operator has configured none, so
 * that a new server is never open to everyone.
 *
 * Of lib outside this folder, it imports how a private file is written.
 */
import { join } from "node:path";
import { z } from "zod";
import { writePrivateFile } from "../storage/private_file.ts";
import { apiKeySchema, clientSecretSchema } from "./api_keys.ts";
import { describeFailure } from "./describe_failure.ts";

const FILE_NAME = "credentials.json";
// Hexadecimal, not base64: a key that begins with "-" would look like a flag in a command line.
const API_KEY_BYTES = 16;
const CLIENT_SECRET_BYTES = 32;

const credentialsSchema = z.object({
  /** API key for `X-API-KEY`. */
  apiKey: apiKeySchema,
  /** Client secret, base64, never empty. */
  clientSecret: clientSecretSchema.refine((secret) => secret !== ""),
});

/** What both sides of a connection know. */
export type Credentials = Readonly<z.output<typeof credentialsSchema>>;

/** Thrown when the credentials can neither be read nor made. Says what to do about it. */
export class CredentialsError extends Error {
  override readonly name = "CredentialsError";
}

/**
 * Reads the credentials that a server keeps in its data folder.
 *
 * @param dataDir The `DATA_DIR` setting.
 * @returns Undefined if none were made so far.
 * @throws {CredentialsError} If the file cannot be read or is broken.
 */
export async function readCredentials(dataDir: string): Promise<Credentials | undefined> {
  const path = credentialsPath(dataDir);
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new CredentialsError(
      `Cannot read ${path}: ${describeFailure(error)}. ` +
        `Make it readable, or set AUDIOHOOK_KEYS to use other credentials`,
      { cause: error },
    );
  }
  const parsed = credentialsSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  // Without the cause: a parser's message may quote the secret.
  throw new CredentialsError(
    `Cannot parse ${path}: expected a JSON object with "apiKey" and "clientSecret" (base64). ` +
      `Restore the file, or delete it to have new credentials made ` +
      `(and enter those in Genesys Cloud)`,
  );
}

/**
 * Reads the credentials in the data folder, or makes them if there are none: a random API key and
 * a random secret, in a file that only its owner may read.
 *
 * Of several processes that start at once, one makes the credentials and all return them.
 *
 * @param dataDir The `DATA_DIR` setting. Made if it does not exist.
 * @returns The credentials, and whether this call made them.
 * @throws {CredentialsError} If the file is broken, or can be neither read nor written.
 */
export async function loadOrCreateCredentials(
  dataDir: string,
): Promise<Credentials & { readonly created: boolean }> {
  const found = await readCredentials(dataDir);
  if (found !== undefined) return { ...found, created: false };

  const made: Credentials = {
    apiKey: randomBytes(API_KEY_BYTES).toHex(),
    clientSecret: randomBytes(CLIENT_SECRET_BYTES).toBase64(),
  };
  if (await writeIfAbsent(dataDir, made)) return { ...made, created: true };

  // Another process was faster.
  const theirs = await readCredentials(dataDir);
  if (theirs !== undefined) return { ...theirs, created: false };
  throw new CredentialsError(
    `Cannot read ${credentialsPath(dataDir)}: it was removed while the server started. ` +
      `Start the server again`,
  );
}

/** False if there is one already. */
async function writeIfAbsent(dataDir: string, credentials: Credentials): Promise<boolean> {
  const path = credentialsPath(dataDir);
  try {
    return await writePrivateFile(dataDir, path, JSON.stringify(credentials, null, 2) + "\n");
  } catch (error) {
    throw new CredentialsError(
      `Cannot write ${path}: ${describeFailure(error)}. ` +
        `Make DATA_DIR a writable folder, or set AUDIOHOOK_KEYS`,
      { cause: error },
    );
  }
}

function credentialsPath(dataDir: string): string {
  return join(dataDir, FILE_NAME);
}

function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
