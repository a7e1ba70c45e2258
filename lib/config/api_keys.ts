/**
 * API keys and client secrets as an operator writes them down (protocol.md, sections 2 and 3).
 *
 * No message made here repeats a key or a secret: they end up in terminals and logs.
 * Imports what an API key is from the protocol, and nothing else in lib.
 */
import { z } from "zod";
import { apiKeyPattern, isApiKey, maxApiKeyLength } from "../protocol/keyring.ts";

/** An API key, the value of the `X-API-KEY` header: 1 to 256 characters. */
export const apiKeySchema = z.string().refine(isApiKey);

/**
 * A client secret: base64 of the standard or the URL alphabet, padded or not. Comes out in the
 * standard alphabet with padding. The empty string stays empty: its API key signs nothing.
 */
export const clientSecretSchema = z.string().transform((text, context) => {
  const bytes = decodeBase64(text);
  if (bytes === undefined) {
    context.addIssue({ code: "custom", message: "expected base64" });
    return z.NEVER;
  }
  return bytes.toBase64();
});

/**
 * The text of `AUDIOHOOK_KEYS` or of the keys file: a JSON object of API key to client secret.
 * Comes out as a map of API key to base64 client secret, with at least one entry.
 */
export const apiKeysSchema = z.string().transform((text, context): ReadonlyMap<string, string> => {
  const entries = jsonObjectEntries(text);
  const problem = entries === undefined
    ? "expected a JSON object of API key to base64 secret"
    : problemOf(entries);
  if (entries === undefined || problem !== undefined) {
    context.addIssue({ code: "custom", message: problem });
    return z.NEVER;
  }
  // A map, not a record: `__proto__` is a valid API key, and zod's records drop it.
  return new Map(entries.map(([key, secret]) => [key, clientSecretSchema.parse(secret)]));
});

function problemOf(entries: [string, unknown][]): string | undefined {
  if (entries.length === 0) {
    return "expected at least one API key (leave the variable out to have one made)";
  }
  // Counted, not named: a number would mislead, since JSON.parse reorders keys that look like
  // integers.
  const badKeys = entries.filter(([key]) => !apiKeySchema.safeParse(key).success).length;
  const badSecrets = entries.filter(([, secret]) => !clientSecretSchema.safeParse(secret).success)
    .length;
  const problems: string[] = [];
  if (badKeys > 0) {
    problems.push(
      `expected API keys of at most ${maxApiKeyLength} characters that match ` +
        `${apiKeyPattern.source}; ${badKeys} of ${entries.length} do not`,
    );
  }
  if (badSecrets > 0) {
    problems.push(
      `expected secrets in base64 ("" = unsigned requests are allowed); ` +
        `${badSecrets} of ${entries.length} are not`,
    );
  }
  return problems.length === 0 ? undefined : problems.join("; ");
}

function jsonObjectEntries(text: string): [string, unknown][] | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
    return Object.entries(parsed);
  } catch {
    // The SyntaxError quotes the text, and with it a secret.
    return undefined;
  }
}

function decodeBase64(text: string): Uint8Array | undefined {
  // `fromBase64` skips white space, which a secret never has.
  if (!/^(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}$/.test(text)) return undefined;
  try {
    return Uint8Array.fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return undefined;
  }
}
