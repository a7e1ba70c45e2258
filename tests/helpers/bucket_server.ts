/**
 * The program with recordings in object storage: its settings, and how its API is asked.
 */
import { BUCKET, CREDENTIALS, type ObjectServer } from "../storage/s3/object_server.ts";
import type { Program } from "./program.ts";
import { API_KEY, SECRET } from "./wire_client.ts";

const TOKEN = "a-token-of-at-least-32-characters";

/** Settings, to which more may be added. */
export function bucketEnv(
  objects: ObjectServer,
  more: Record<string, string> = {},
): Record<string, string> {
  return {
    PORT: "0",
    AUDIOHOOK_KEYS: JSON.stringify({ [API_KEY]: SECRET.toBase64() }),
    ADMIN_TOKEN: TOKEN,
    RECORDINGS: `s3://${BUCKET}/all`,
    S3_ENDPOINT: objects.url,
    S3_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
    S3_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    ...more,
  };
}

/** Asks the API; a body is JSON. */
export async function ask(
  server: Program,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const { host } = await server.url();
  const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
  return await fetch(`http://${host}${path}`, { ...init, headers });
}
