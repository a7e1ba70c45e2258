/**
 * The certificate and the private key for TLS, read from the files that `TLS_CERT_FILE` and
 * `TLS_KEY_FILE` name, and checked, so that what is wrong with them is said at the start and in words,
 * and not by clients that fail to connect.
 *
 * No message made here repeats what is in the files.
 * Must not import: anything of lib outside this folder.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { getLogger } from "@logtape/logtape";
import { describeFailure } from "./describe_failure.ts";
import { type PemBlock, readPemFile } from "./pem_file.ts";
import { SettingsError } from "./settings.ts";

const log = getLogger(["audiohook", "config"]);

/** A certificate with its chain, and its key, as PEM. */
export interface TlsFiles {
  /** The server's certificate, then those that issued it. */
  readonly cert: string;
  /** The private key, not encrypted. */
  readonly key: string;
}

const CERTIFICATE_LABEL = "CERTIFICATE";
const KEY_LABELS = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
const ENCRYPTED_KEY_LABEL = "ENCRYPTED PRIVATE KEY";

/** The names of OpenSSL: prime256v1 is P-256. */
const CURVES = ["prime256v1", "secp384r1", "secp521r1"];
const [MIN_RSA_BITS, MAX_RSA_BITS] = [2048, 8192];

/** One of the two settings. */
interface TlsFile {
  readonly name: "TLS_CERT_FILE" | "TLS_KEY_FILE";
  readonly path: string;
}

/**
 * Reads and checks the two files.
 *
 * A certificate that clients will not trust (out of its time, self-signed, without its chain) is a
 * warning in the log: a server that does not start would help nobody.
 *
 * @throws {SettingsError} If the server cannot start with them. Names every problem.
 */
export async function loadTlsFiles(certFile: string, keyFile: string): Promise<TlsFiles> {
  const certSetting: TlsFile = { name: "TLS_CERT_FILE", path: certFile };
  const keySetting: TlsFile = { name: "TLS_KEY_FILE", path: keyFile };
  const problems: string[] = [];
  const chain = await readChain(certSetting).catch(noteIn(problems));
  const key = await readKey(keySetting).catch(noteIn(problems));
  if (chain === undefined || key === undefined) throw new SettingsError(problems);
  const [leaf] = chain;
  if (!belongs(key.object, leaf)) {
    const isLater = chain.some((certificate) => belongs(key.object, certificate));
    throw new SettingsError([
      `Cannot use ${describe(keySetting)}: expected the private key of the certificate in ` +
      `${describe(certSetting)}, got another one. ` +
      (isLater
        ? "It belongs to a later certificate of the file: put that one first"
        : "Use the two files that were made together"),
    ]);
  }
  const files = { cert: chain.map(({ text }) => text).join(""), key: key.text };
  tryOut(files);
  warnOfDoubts(chain, certFile);
  return files;
}

/** What Deno does not like is told here, not as an address that can't be listened on. */
function tryOut(files: TlsFiles): void {
  try {
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...files }).close();
  } catch (error) {
    throw new SettingsError([
      "Cannot use TLS_CERT_FILE and TLS_KEY_FILE: expected a certificate of version 3, as public " +
      `authorities make them, and its key (${describeFailure(error)})`,
    ]);
  }
}

interface ChainLink {
  readonly certificate: X509Certificate;
  readonly text: string;
}

async function readChain(file: TlsFile): Promise<[ChainLink, ...ChainLink[]]> {
  const blocks = await readPemFile(file.name, file.path);
  const [first, ...rest] = blocks.filter(({ label }) => label === CERTIFICATE_LABEL);
  if (first === undefined) throw wrongContent(file, blocks);
  const parse = ({ text }: PemBlock, index: number): ChainLink => {
    try {
      return { certificate: new X509Certificate(text), text };
    } catch {
      throw new SettingsError([
        `Cannot parse ${describe(file)}: certificate ${index + 1} in it is broken. ` +
        "Copy the file again from where it was made",
      ]);
    }
  };
  return [parse(first, 0), ...rest.map((block, index) => parse(block, index + 1))];
}

interface PrivateKey {
  readonly object: KeyObject;
  readonly text: string;
}

async function readKey(file: TlsFile): Promise<PrivateKey> {
  const blocks = await readPemFile(file.name, file.path);
  const block = blocks.find(({ label }) => KEY_LABELS.includes(label));
  const isEncrypted = block === undefined
    ? blocks.some(({ label }) => label === ENCRYPTED_KEY_LABEL)
    : block.text.includes("Proc-Type: 4,ENCRYPTED");
  if (isEncrypted) {
    throw new SettingsError([
      `Cannot use ${describe(file)}: expected a key without a passphrase, got an encrypted one. ` +
      "Decrypt it by: openssl pkey -in FILE -out NEW, and let nobody but the server read that",
    ]);
  }
  if (block === undefined) throw wrongContent(file, blocks);
  let object: KeyObject;
  try {
    object = createPrivateKey(block.text);
  } catch {
    // Without the cause: it might quote the key.
    throw new SettingsError([
      `Cannot parse ${describe(file)}: the private key in it is broken. ` +
      "Copy the file again from where it was made",
    ]);
  }
  if (!isUsable(object)) {
    throw new SettingsError([
      `Cannot use ${describe(file)}: expected a key for RSA (${MIN_RSA_BITS} to ${MAX_RSA_BITS} ` +
      "bits), ECDSA (P-256, P-384, P-521) or Ed25519, got another kind. " +
      "Have a certificate made for such a key",
    ]);
  }
  return { object, text: block.text };
}

/** Whether Deno can serve with it. If it can't, `Deno.serve` says no more than that it failed. */
function isUsable({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  switch (asymmetricKeyType) {
    case "rsa": {
      const bits = asymmetricKeyDetails?.modulusLength ?? 0;
      return bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS;
    }
    case "ec":
      return CURVES.includes(asymmetricKeyDetails?.namedCurve ?? "");
    default:
      return asymmetricKeyType === "ed25519";
  }
}

function belongs(key: KeyObject, { certificate }: ChainLink): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    // A certificate for a kind of key that Deno does not know.
    return false;
  }
}

/** Says what the server can live with, but clients most likely can't. */
function warnOfDoubts([leaf, issuer]: readonly [ChainLink, ...ChainLink[]], path: string): void {
  const { certificate } = leaf;
  const nowMs = Date.now();
  const validFrom = new Date(certificate.validFrom);
  const validTo = new Date(certificate.validTo);
  if (nowMs > validTo.getTime()) {
    log.warning(
      "The certificate in {path} expired at {validTo}: Genesys Cloud will not connect. " +
        "Renew it, and restart the server",
      { path, validTo: validTo.toISOString() },
    );
  } else if (nowMs < validFrom.getTime()) {
    log.warning(
      "The certificate in {path} is valid only from {validFrom} on: Genesys Cloud will not " +
        "connect before. Check the clock of this machine",
      { path, validFrom: validFrom.toISOString() },
    );
  }
  if (certificate.checkIssued(certificate)) {
    log.warning(
      "The certificate in {path} is self-signed: Genesys Cloud will not connect. " +
        "Use one of a public authority",
      { path },
    );
  } else if (issuer === undefined) {
    log.warning(
      "The certificate in {path} comes without its chain: clients that do not know who issued it, " +
        "most likely Genesys Cloud too, will not connect. Use the file that has both, which is " +
        "often named fullchain.pem",
      { path },
    );
  } else if (!certificate.checkIssued(issuer.certificate)) {
    log.warning(
      "The second certificate in {path} is not of the issuer of the first: clients will most " +
        "likely not connect. Put the chain in order, each before its issuer",
      { path },
    );
  }
}

function wrongContent(file: TlsFile, blocks: readonly PemBlock[]): SettingsError {
  const isCert = file.name === "TLS_CERT_FILE";
  const expected = isCert ? "a certificate" : "a private key";
  const labels = [...new Set(blocks.map(({ label }) => label))];
  const isSwapped = isCert
    ? labels.some((label) => label.endsWith("PRIVATE KEY"))
    : labels.includes(CERTIFICATE_LABEL);
  return new SettingsError([
    `Cannot use ${describe(file)}: expected ${expected}, got ${labels.join(", ")}` +
    (isSwapped ? ". Are TLS_CERT_FILE and TLS_KEY_FILE swapped?" : ""),
  ]);
}

function describe({ name, path }: TlsFile): string {
  return `${name} (${JSON.stringify(path)})`;
}

/** Collects the problems of both files, so that both are told at once. */
function noteIn(problems: string[]): (error: unknown) => undefined {
  return (error) => {
    if (!(error instanceof SettingsError)) throw error;
    problems.push(...error.problems);
  };
}
