/**
 * The API keys that may connect, with their secrets as keys ready for verification.
 *
 * Serves section 3 of `protocol.md`. Imports nothing; randomness and key import are WebCrypto's.
 */

/** Longest API key, in characters. [ours] */
export const maxApiKeyLength = 256;
/** What an API key consists of. */
export const apiKeyPattern: RegExp = /^[a-zA-Z0-9+/_-]+={0,2}$/;

/**
 * Whether a text can be an API key, that is the value of `X-API-KEY`: up to 256 characters of
 * base64 or base64url (`protocol.md`, section 2).
 */
export function isApiKey(text: string): boolean {
  return text.length <= maxApiKeyLength && apiKeyPattern.test(text);
}

/**
 * What the keyring knows of an API key:
 *
 * - `signed`: requests with it are signed; `key` verifies them
 * - `unsigned`: its secret is empty, requests with it are not signed
 * - `unknown`: not in the keyring; `key` is a random one, for a computation that takes as long
 */
export type KeyringEntry =
  | { readonly kind: "signed"; readonly key: CryptoKey }
  | { readonly kind: "unsigned" }
  | { readonly kind: "unknown"; readonly key: CryptoKey };

/** The API keys of a deployment. Immutable: for other keys, create another keyring. */
export class Keyring {
  // A Map, because `__proto__` and `constructor` are valid API keys.
  readonly #entries: ReadonlyMap<string, KeyringEntry>;
  readonly #unknown: KeyringEntry;
  /** A random key, for a computation in place of one that is not needed. */
  readonly decoy: CryptoKey;

  private constructor(entries: ReadonlyMap<string, KeyringEntry>, decoy: CryptoKey) {
    this.#entries = entries;
    this.decoy = decoy;
    this.#unknown = { kind: "unknown", key: decoy };
  }

  /**
   * Imports the secrets, once for all requests.
   *
   * @param secrets from API key to the secret's bytes (decoded from base64). An empty secret lets
   * unsigned requests with that key pass.
   */
  static async create(secrets: ReadonlyMap<string, Uint8Array>): Promise<Keyring> {
    const entries = new Map<string, KeyringEntry>();
    let decoyLength: number | undefined;
    for (const [apiKey, secret] of secrets) {
      if (secret.byteLength === 0) {
        entries.set(apiKey, { kind: "unsigned" });
        continue;
      }
      decoyLength ??= secret.byteLength;
      entries.set(apiKey, { kind: "signed", key: await importSecret(secret) });
    }
    // As long as a real secret, since HMAC takes longer with longer ones. 65,536 bytes are the most
    // that getRandomValues gives at once.
    const decoy = crypto.getRandomValues(new Uint8Array(Math.min(decoyLength ?? 32, 65_536)));
    return new Keyring(entries, await importSecret(decoy));
  }

  /** What is known of an API key. Never fails: an unknown key gets an entry too. */
  lookup(apiKey: string): KeyringEntry {
    return this.#entries.get(apiKey) ?? this.#unknown;
  }
}

function importSecret(secret: Uint8Array): Promise<CryptoKey> {
  // The copy narrows the type: WebCrypto takes no bytes in shared memory.
  const bytes = new Uint8Array(secret);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [
    "verify",
  ]);
}
