/**
 * Who may connect, written by hand from section 3 of the protocol, on WebCrypto. Uses nothing of
 * lib, so that whoever checks and who is checked can't share a misreading. Every rule is a method,
 * which a fault may replace.
 */
import {
  type InnerList,
  isInnerList,
  parseDictionary,
  serializeInnerList,
} from "structured-headers";

/** A connection request. */
export interface ConnectionRequest {
  /** Path and query, as sent. */
  readonly target: string;
  /** By lower-case names; several headers of one name are joined by `,`. */
  readonly headers: ReadonlyMap<string, string>;
  /** Names of the headers as sent. */
  readonly names: readonly string[];
  readonly nowSeconds: number;
}

/** A signature that is one, right or wrong. */
export interface Signed {
  readonly components: readonly string[];
  readonly keyid: unknown;
  readonly nonce: unknown;
  readonly alg: unknown;
  /** NaN if it is missing. */
  readonly created: number;
  /** Infinity if it is missing. */
  readonly expires: number;
  /** Names of all parameters. */
  readonly parameters: readonly string[];
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What the last line of the base says. */
  readonly params: string;
}

/** What every signature has to cover. */
export const REQUIRED: readonly string[] = [
  "@request-target",
  "@authority",
  "audiohook-organization-id",
  "audiohook-session-id",
  "audiohook-correlation-id",
  "x-api-key",
];
const PARAMETERS = ["keyid", "nonce", "alg", "created", "expires"];
const SKEW_SECONDS = 3;
const MAX_AGE_SECONDS = 10;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Verifies connection requests. */
export class GoodVerifier {
  readonly secrets: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  readonly #nonces = new Set<unknown>();

  /** @param secrets Secrets of the API keys; an empty one: this key signs nothing. */
  constructor(secrets: ReadonlyMap<string, Uint8Array<ArrayBuffer>>) {
    this.secrets = secrets;
  }

  /** Whether a request may become a connection. */
  async accepts(request: ConnectionRequest): Promise<boolean> {
    const { headers } = request;
    const key = headers.get("x-api-key") ?? "";
    if (!/^[a-zA-Z0-9+/_-]+={0,2}$/.test(key)) return false;
    for (const name of ["organization", "session", "correlation"]) {
      if (!UUID.test(headers.get(`audiohook-${name}-id`) ?? "")) return false;
    }
    const secret = this.secretOf(key);
    if (secret === undefined) return false;
    if (secret.length === 0) return true;
    if (!headers.has("signature") && !headers.has("signature-input")) return this.acceptsUnsigned();
    const signed = this.parse(headers);
    return signed !== undefined &&
      this.knowsParameters(signed) &&
      this.coversOnce(signed) &&
      this.isOfKey(signed, key) &&
      this.hasNonce(signed) &&
      this.isOfAlgorithm(signed) &&
      this.coversEnough(signed) &&
      this.isTimely(signed, request.nowSeconds) &&
      await this.matches(signed, request, secret) &&
      this.isNew(signed);
  }

  protected secretOf(key: string): Uint8Array<ArrayBuffer> | undefined {
    return this.secrets.get(key);
  }

  protected acceptsUnsigned(): boolean {
    return false;
  }

  /** Whether there may be several signatures, of which the first counts. */
  protected takesSeveral(): boolean {
    return false;
  }

  protected knowsParameters({ parameters }: Signed): boolean {
    return parameters.every((name) => PARAMETERS.includes(name));
  }

  protected coversOnce({ components }: Signed): boolean {
    return new Set(components).size === components.length;
  }

  protected isOfKey({ keyid }: Signed, key: string): boolean {
    return keyid === key;
  }

  protected hasNonce({ nonce }: Signed): boolean {
    return typeof nonce === "string" && /^[A-Za-z0-9+/_-]{22,}={0,2}$/.test(nonce);
  }

  protected isOfAlgorithm({ alg }: Signed): boolean {
    return alg === undefined || alg === "hmac-sha256";
  }

  protected coversEnough({ components }: Signed): boolean {
    return REQUIRED.every((name) => components.includes(name));
  }

  protected isTimely({ created, expires }: Signed, now: number): boolean {
    return created <= now + SKEW_SECONDS && created >= now - MAX_AGE_SECONDS - SKEW_SECONDS &&
      expires >= now - SKEW_SECONDS;
  }

  protected async matches(
    signed: Signed,
    request: ConnectionRequest,
    secret: Uint8Array<ArrayBuffer>,
  ): Promise<boolean> {
    const expected = await this.signature(signed, request, secret);
    if (expected === undefined || signed.bytes.length !== expected.length) return false;
    let difference = 0;
    for (const [index, byte] of expected.entries()) difference |= byte ^ (signed.bytes[index] ?? 0);
    return difference === 0;
  }

  /** For good: no run of a test outlives a nonce. */
  protected isNew({ nonce }: Signed): boolean {
    if (this.#nonces.has(nonce)) return false;
    this.#nonces.add(nonce);
    return true;
  }

  /** What the signature should be; `undefined` if it covers what is not there. */
  protected async signature(
    { components, params }: Signed,
    { target, headers }: ConnectionRequest,
    secret: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const lines: string[] = [];
    for (const name of components) {
      const value = this.valueOf(name, target, headers);
      if (value === undefined) return undefined;
      lines.push(`"${name}": ${value}`);
    }
    lines.push(`"@signature-params": ${params}`);
    const hmac = { name: "HMAC", hash: "SHA-256" };
    const key = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"]);
    const base = new TextEncoder().encode(lines.join("\n"));
    return new Uint8Array(await crypto.subtle.sign("HMAC", key, base));
  }

  protected valueOf(
    name: string,
    target: string,
    headers: ReadonlyMap<string, string>,
  ): string | undefined {
    if (name === "@request-target") return target;
    if (name === "@authority") return headers.get("host")?.toLowerCase().replace(/:(80|443)$/, "");
    return headers.get(name)?.trim();
  }

  /** The only signature of a request; `undefined` if there is none, or another one, or it is no signature. */
  protected parse(headers: ReadonlyMap<string, string>): Signed | undefined {
    try {
      const [input, ...otherInputs] = parseDictionary(headers.get("signature-input") ?? "");
      const [signature, ...others] = parseDictionary(headers.get("signature") ?? "");
      if (input === undefined || signature === undefined || input[0] !== signature[0]) return;
      if ((otherInputs.length > 0 || others.length > 0) && !this.takesSeveral()) return;
      if (!isInnerList(input[1])) return;
      const bytes = signature[1][0];
      return bytes instanceof ArrayBuffer ? read(input[1], new Uint8Array(bytes)) : undefined;
    } catch {
      return undefined;
    }
  }
}

function read(list: InnerList, bytes: Uint8Array<ArrayBuffer>): Signed | undefined {
  const [items, parameters] = list;
  const components = items.map(([name]) => String(name));
  if (items.some(([, ofComponent]) => ofComponent.size > 0)) return undefined;
  const created = parameters.get("created") ?? NaN;
  const expires = parameters.get("expires") ?? Infinity;
  if (typeof created !== "number" || typeof expires !== "number") return undefined;
  const [keyid, nonce, alg] = ["keyid", "nonce", "alg"].map((name) => parameters.get(name));
  const params = serializeInnerList(list);
  const names = [...parameters.keys()];
  return { components, keyid, nonce, alg, created, expires, parameters: names, bytes, params };
}
