/**
 * Certificates for tests of TLS, made when they are needed: an authority, others below it, and servers'
 * certificates that they sign. No private key is kept anywhere.
 *
 * Writes the few structures of X.509 (RFC 5280) that this takes, rather than to need `openssl` or a
 * package with twenty others. Knows nothing of lib.
 */

/** The kinds of key that certificates are made for; `EC` is the curve P-256. */
export type KeyKind = "RSA" | "EC" | "P-384" | "P-521" | "Ed25519";

/** A certificate and its private key, both as PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate is to be; what is absent is as it should be. */
export interface CertificateWish {
  readonly kind?: KeyKind;
  /** Milliseconds from now; a day ago unless given. */
  readonly fromMs?: number;
  /** Milliseconds from now; in a day unless given. */
  readonly toMs?: number;
  /** Version 1 of X.509, as older commands of OpenSSL make it: without extensions. */
  readonly isVersion1?: boolean;
}

const DAY_MS = 24 * 60 * 60 * 1000;

const RSA = {
  name: "RSASSA-PKCS1-v1_5",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: "SHA-256",
};
const EC = { name: "ECDSA", namedCurve: "P-256" };
const ALGORITHMS: Readonly<Record<KeyKind, RsaHashedKeyGenParams | EcKeyGenParams | Algorithm>> = {
  RSA,
  EC,
  "P-384": { ...EC, namedCurve: "P-384" },
  "P-521": { ...EC, namedCurve: "P-521" },
  Ed25519: { name: "Ed25519" },
};

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const UTF8_STRING = 0x0C;
const UTC_TIME = 0x17;

const OID = {
  commonName: [0x55, 0x04, 0x03],
  basicConstraints: [0x55, 0x1D, 0x13],
  subjectAltName: [0x55, 0x1D, 0x11],
  sha256WithRsa: [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0B],
  ecdsaWithSha256: [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02],
};

/** Signs certificates. */
export class CertificateAuthority {
  /** Its own certificate, as PEM: what a client has to trust. */
  readonly cert: string;
  readonly #name: string;
  readonly #keys: CryptoKeyPair;

  private constructor(name: string, keys: CryptoKeyPair, cert: string) {
    this.#name = name;
    this.#keys = keys;
    this.cert = cert;
  }

  /** An authority that signed itself. */
  static async create(name = "Test root"): Promise<CertificateAuthority> {
    const keys = await generateKeys("EC");
    const cert = await certificate({
      subject: name,
      keys,
      issuer: name,
      signer: keys,
      isAuthority: true,
    });
    return new CertificateAuthority(name, keys, cert);
  }

  /** An authority that this one signed. */
  async authority(name = "Test intermediate"): Promise<CertificateAuthority> {
    const keys = await generateKeys("EC");
    const cert = await certificate({ ...this.#asIssuer(), subject: name, keys, isAuthority: true });
    return new CertificateAuthority(name, keys, cert);
  }

  /** A certificate of a server that is `localhost` and 127.0.0.1. */
  async issue({ kind = "EC", ...wish }: CertificateWish = {}): Promise<Issued> {
    const keys = await generateKeys(kind);
    const subject = "Test server";
    const cert = await certificate({ ...this.#asIssuer(), ...wish, subject, keys });
    return { cert, key: await pemOfKey(keys.privateKey) };
  }

  #asIssuer(): { issuer: string; signer: CryptoKeyPair } {
    return { issuer: this.#name, signer: this.#keys };
  }
}

/** A server's certificate that nobody but itself signed. */
export async function selfSigned(): Promise<Issued> {
  const keys = await generateKeys("EC");
  const name = "Test server";
  const cert = await certificate({ subject: name, keys, issuer: name, signer: keys });
  return { cert, key: await pemOfKey(keys.privateKey) };
}

/** Bytes as PEM. */
export function pem(label: string, bytes: Uint8Array): string {
  const lines = bytes.toBase64().match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

/** The bytes of PEM's only block. */
export function derOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromBase64(text.replaceAll(/-----.*-----/g, ""));
}

interface Content {
  readonly subject: string;
  readonly keys: CryptoKeyPair;
  readonly issuer: string;
  readonly signer: CryptoKeyPair;
  readonly isAuthority?: boolean;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly isVersion1?: boolean;
}

async function certificate(content: Content): Promise<string> {
  const { subject, keys, issuer, signer, isAuthority = false } = content;
  const { fromMs = -DAY_MS, toMs = DAY_MS, isVersion1 = false } = content;
  const algorithm = algorithmOf(signer.privateKey);
  const serial = crypto.getRandomValues(new Uint8Array(16));
  // Positive, and without a leading zero.
  serial[0] = 1;
  const toBeSigned = der(
    SEQUENCE,
    isVersion1 ? [] : der(0xA0, der(INTEGER, [2])), // version 3
    der(INTEGER, serial),
    algorithm,
    nameOf(issuer),
    der(SEQUENCE, time(fromMs), time(toMs)),
    nameOf(subject),
    new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey)),
    isVersion1
      ? []
      : der(0xA3, der(SEQUENCE, isAuthority ? authorityExtension() : serverExtension())),
  );
  const signature = await sign(signer.privateKey, toBeSigned);
  return pem("CERTIFICATE", der(SEQUENCE, toBeSigned, algorithm, der(BIT_STRING, [0], signature)));
}

/** Basic constraints, critical: it may sign certificates. */
function authorityExtension(): Uint8Array {
  const value = der(SEQUENCE, der(0x01, [0xFF]));
  const isCritical = der(0x01, [0xFF]);
  return der(
    SEQUENCE,
    der(0x06, OID.basicConstraints),
    isCritical,
    der(OCTET_STRING, value),
  );
}

/** Subject alternative names: the only ones that count. */
function serverExtension(): Uint8Array {
  const dnsName = der(0x82, new TextEncoder().encode("localhost"));
  const ipAddress = der(0x87, [127, 0, 0, 1]);
  return der(
    SEQUENCE,
    der(0x06, OID.subjectAltName),
    der(OCTET_STRING, der(SEQUENCE, dnsName, ipAddress)),
  );
}

function nameOf(commonName: string): Uint8Array {
  const value = der(UTF8_STRING, new TextEncoder().encode(commonName));
  return der(SEQUENCE, der(SET, der(SEQUENCE, der(0x06, OID.commonName), value)));
}

function time(offsetMs: number): Uint8Array {
  const digits = new Date(Date.now() + offsetMs).toISOString().replaceAll(/\D/g, "").slice(2, 14);
  return der(UTC_TIME, new TextEncoder().encode(`${digits}Z`));
}

function algorithmOf(key: CryptoKey): Uint8Array {
  return key.algorithm.name === EC.name
    ? der(SEQUENCE, der(0x06, OID.ecdsaWithSha256))
    : der(SEQUENCE, der(0x06, OID.sha256WithRsa), der(0x05));
}

async function sign(key: CryptoKey, data: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const name = key.algorithm.name;
  const signature = new Uint8Array(await crypto.subtle.sign({ name, hash: "SHA-256" }, key, data));
  if (name !== EC.name) return signature;
  // WebCrypto gives the two numbers side by side, X.509 has them as integers.
  const half = signature.length / 2;
  return der(
    SEQUENCE,
    der(INTEGER, unsigned(signature.subarray(0, half))),
    der(INTEGER, unsigned(signature.subarray(half))),
  );
}

/** The content of an INTEGER: as short as possible, and not negative. */
function unsigned(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0);
  const short = bytes.subarray(start < 0 ? bytes.length - 1 : start);
  return (short[0] ?? 0) < 0x80 ? short : new Uint8Array([0, ...short]);
}

async function generateKeys(kind: KeyKind): Promise<CryptoKeyPair> {
  const usages: KeyUsage[] = ["sign", "verify"];
  return await crypto.subtle.generateKey(ALGORITHMS[kind], true, usages) as CryptoKeyPair;
}

async function pemOfKey(key: CryptoKey): Promise<string> {
  return pem("PRIVATE KEY", new Uint8Array(await crypto.subtle.exportKey("pkcs8", key)));
}

/** Tag, length, content. */
function der(
  tag: number,
  ...contents: readonly (Uint8Array | readonly number[])[]
): Uint8Array<ArrayBuffer> {
  const content = contents.flatMap((part) => [...part]);
  const { length } = content;
  const lengthBytes = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : [0x82, length >> 8, length & 0xFF];
  return new Uint8Array([tag, ...lengthBytes, ...content]);
}
