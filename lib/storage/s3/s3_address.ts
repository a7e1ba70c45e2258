/**
 * Where a bucket is: addresses of its objects, path-style (`https://host/bucket/key`) or
 * virtual-host (`https://bucket.host/key`).
 *
 * Imports nothing.
 */

/** Keys that need no encoding, neither in addresses nor in signatures, nor in XML. */
const KEY = /^[\w.-]+(?:\/[\w.-]+)*$/;
const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
const REGION = /^[a-z0-9-]{1,64}$/;
/** S3 has 1024 bytes; what follows the prefix has fewer than 128. */
const MAX_PREFIX_CHARS = 512;

/** Where a bucket is, as people say it. */
export interface S3Place {
  /**
   * The server: `http` or `https`, host, perhaps a port. By default that of AWS in the region. For
   * R2 `https://<account>.r2.cloudflarestorage.com`, for Google `https://storage.googleapis.com`.
   */
  readonly endpoint?: string;
  /** Such as `eu-central-1`; `auto` for R2 and Google. By default `us-east-1`, as MinIO has it. */
  readonly region?: string;
  readonly bucket: string;
  /** By default `virtual-host` for AWS, and `path` for all others, which all of them can. */
  readonly addressing?: "path" | "virtual-host";
}

/** Thrown for a place that can be none; the message says what is right. */
export class S3PlaceError extends Error {
  override readonly name = "S3PlaceError";
}

/** Makes addresses of a bucket's objects. */
export class S3Address {
  readonly region: string;
  readonly bucket: string;
  readonly #base: string;

  /** @throws {S3PlaceError} If the place can be none. */
  constructor({ endpoint, region = "us-east-1", bucket, addressing }: S3Place) {
    if (!REGION.test(region)) {
      throw new S3PlaceError("Expected a region such as eu-central-1, or auto");
    }
    if (!BUCKET.test(bucket)) {
      const expected = "3 to 63 small letters, digits, hyphens and dots";
      throw new S3PlaceError(`Expected the name of a bucket: ${expected}`);
    }
    this.region = region;
    this.bucket = bucket;
    const url = endpointUrl(endpoint ?? `https://s3.${region}.amazonaws.com`);
    const isAws = /\.amazonaws\.com(\.cn)?$/.test(url.hostname);
    // A certificate for *.host is not good for names with a dot more.
    const style = addressing ?? (isAws && !bucket.includes(".") ? "virtual-host" : "path");
    if (style === "path") {
      this.#base = `${url.origin}/${bucket}`;
    } else {
      const hostname = `${bucket}.${url.hostname}`;
      url.hostname = hostname;
      // A host that is an address of numbers stays as it is.
      if (url.hostname !== hostname) {
        throw new S3PlaceError("Expected an endpoint with a name for virtual-host addresses");
      }
      this.#base = url.origin;
    }
  }

  /**
   * Address of an object, or of the bucket.
   *
   * @param query Unencoded.
   * @throws {S3PlaceError} If the key has characters that keys here do not have.
   */
  url(key?: string, query: Readonly<Record<string, string>> = {}): URL {
    if (key !== undefined) checkKey(key);
    const url = new URL(key === undefined ? this.#base : `${this.#base}/${key}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }
}

/**
 * Checks the prefix of keys: `recordings`, or `some/folder`; or nothing.
 *
 * @throws {S3PlaceError} If it is none.
 */
export function checkPrefix(prefix: string): string {
  if (prefix.length > MAX_PREFIX_CHARS || (prefix !== "" && !isKey(prefix))) {
    const expected = "letters, digits, . _ - and /, with no / at its ends";
    throw new S3PlaceError(`Expected a prefix of keys of ${expected}`);
  }
  return prefix;
}

function checkKey(key: string): void {
  if (!isKey(key)) throw new S3PlaceError(`Expected a key of letters, digits, . _ - and /`);
}

function isKey(text: string): boolean {
  return KEY.test(text) && !text.split("/").some((part) => part === "." || part === "..");
}

function endpointUrl(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === "/" &&
    url.search === "" && url.hash === "" && url.username === "" && url.password === "";
  if (!isPlain) {
    throw new S3PlaceError("Expected an endpoint such as https://s3.example.com, without a path");
  }
  return url;
}
