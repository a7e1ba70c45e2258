/**
 * The admin token, which whoever uses the HTTP API has to know: configured, or made on the first
 * start, so that a new server's recordings are never open to everyone.
 *
 * Of lib outside this folder, it imports how a private file is written.
 */
import { join } from "node:path";
import { z } from "zod";
import { CredentialsError } from "./credentials.ts";
import { describeFailure } from "./describe_failure.ts";
import { writePrivateFile } from "../storage/private_file.ts";

const FILE_NAME = "admin_token.json";
const TOKEN_BYTES = 32;

/**
 * Schema of an admin token, as `ADMIN_TOKEN` may say it: what can follow `Bearer` (RFC 6750, section
 * 2.1), and too much of it to be guessed.
 */
export const adminTokenSchema: z.ZodString = z.string().regex(
  /^(?=.{32,256}$)[A-Za-z0-9._~+/-]+=*$/,
  { error: "expected 32 to 256 letters, digits, and - . _ ~ + / (such as openssl rand -hex 32)" },
);

const fileSchema = z.object({ adminToken: adminTokenSchema });

/** An admin token, and where it comes from. */
export interface AdminToken {
  readonly token: string;
  /** Path of the file that it is kept in; `undefined` if it was configured. */
  readonly path: string | undefined;
  /** Whether it was made just now. */
  readonly created: boolean;
}

/**
 * The admin token: the configured one; else that of the data folder, which is made if there is
 * none, in a file that only its owner may read.
 *
 * Of several processes that start at once, one makes the token and all return it.
 *
 * @param dataDir The `DATA_DIR` setting. Made if it does not exist.
 * @param configured The `ADMIN_TOKEN` setting, checked; `undefined` if it is not set.
 * @throws {CredentialsError} If the file is broken, or can be neither read nor written. Says what to
 * do about it.
 */
export async function loadOrCreateAdminToken(
  dataDir: string,
  configured?: string,
): Promise<AdminToken> {
  if (configured !== undefined) return { token: configured, path: undefined, created: false };
  const path = join(dataDir, FILE_NAME);
  const found = await readToken(path);
  if (found !== undefined) return { token: found, path, created: false };

  const bytes = crypto.getRandomValues(new Uint8Array(TOKEN_BYTES));
  const made = bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  if (await makeFile(dataDir, path, made)) return { token: made, path, created: true };

  // Another process was faster.
  const theirs = await readToken(path);
  if (theirs !== undefined) return { token: theirs, path, created: false };
  throw new CredentialsError(
    `Cannot read ${path}: it was removed while the server started. Start the server again`,
  );
}

async function makeFile(dataDir: string, path: string, adminToken: string): Promise<boolean> {
  try {
    return await writePrivateFile(dataDir, path, `${JSON.stringify({ adminToken }, null, 2)}\n`);
  } catch (error) {
    throw new CredentialsError(
      `Cannot write ${path}: ${describeFailure(error)}. ` +
        `Make DATA_DIR a writable folder, or set ADMIN_TOKEN`,
      { cause: error },
    );
  }
}

async function readToken(path: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new CredentialsError(
      `Cannot read ${path}: ${describeFailure(error)}. Make it readable, or set ADMIN_TOKEN`,
      { cause: error },
    );
  }
  const parsed = fileSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data.adminToken;
  // Without the cause: a parser's message may quote the token.
  throw new CredentialsError(
    `Cannot parse ${path}: expected a JSON object with "adminToken" (32 to 256 characters). ` +
      `Restore the file, or delete it to have a new token made`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
