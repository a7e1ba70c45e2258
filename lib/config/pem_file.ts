/**
 * A PEM file that a setting names: its parts, or an error that says what the file is instead.
 *
 * No message made here repeats what is in the file.
 * Must not import: anything of lib outside this folder.
 */
import { describeFailure } from "./describe_failure.ts";
import { SettingsError } from "./settings.ts";

/** Far more than any chain has: a wrong path, such as that of a recording, must not fill memory. */
const MAX_BYTES = 1024 * 1024;

/** A part of a PEM file. */
export interface PemBlock {
  /** What it is, such as `CERTIFICATE`. */
  readonly label: string;
  /** From `-----BEGIN` to `-----END`, with a line feed at the end. */
  readonly text: string;
}

/**
 * Reads a PEM file. What is between its blocks, such as remarks of OpenSSL, is left out.
 *
 * @param name The setting, for messages.
 * @returns At least one block.
 * @throws {SettingsError} If the file cannot be read, or is no PEM.
 */
export async function readPemFile(name: string, path: string): Promise<PemBlock[]> {
  if (path.includes("-----BEGIN")) {
    // Not repeated, because it may be the key itself.
    throw new SettingsError([
      `Cannot read ${name}: expected the path of a file, got what belongs into the file`,
    ]);
  }
  const bytes = await readBounded(name, path);
  // Does not look behind the next "-----": the time it takes grows with the file, not faster.
  const pattern = /-----BEGIN ([A-Z0-9 ]+)-----\s[^-]*(?:-(?!----)[^-]*)*-----END \1-----/g;
  const blocks = [...new TextDecoder().decode(bytes).matchAll(pattern)]
    .map(([text, label = ""]) => ({ label, text: `${text}\n` }));
  if (blocks.length > 0) return blocks;
  throw new SettingsError([
    `Cannot parse ${name} (${JSON.stringify(path)}): expected PEM, which is text with lines ` +
    `"-----BEGIN …-----" and "-----END …-----", got ${whatItIs(bytes)}`,
  ]);
}

async function readBounded(name: string, path: string): Promise<Uint8Array> {
  const buffer = new Uint8Array(MAX_BYTES + 1);
  let length = 0;
  try {
    using file = await Deno.open(path);
    while (length < buffer.length) {
      const count = await file.read(buffer.subarray(length));
      if (count === null) break;
      length += count;
    }
  } catch (error) {
    throw new SettingsError([
      `Cannot read ${name}: expected the path of a readable file, ` +
      `got ${JSON.stringify(path)} (${describeFailure(error)})`,
    ]);
  }
  if (length <= MAX_BYTES) return buffer.subarray(0, length);
  throw new SettingsError([
    `Cannot read ${name}: expected a PEM file of at most ${MAX_BYTES} bytes, ` +
    `got ${JSON.stringify(path)}, which is larger`,
  ]);
}

function whatItIs(bytes: Uint8Array): string {
  if (bytes.length === 0) return "an empty file";
  // A SEQUENCE, which DER begins with.
  if (bytes[0] !== 0x30) return "something else, or only a part of it";
  return "binary data. Convert a certificate by: openssl x509 -inform der -in FILE -out NEW; " +
    "a key by: openssl pkey -inform der -in FILE -out NEW; " +
    "a file whose name ends in .p12 or .pfx by: openssl pkcs12 -nodes -in FILE -out NEW";
}
