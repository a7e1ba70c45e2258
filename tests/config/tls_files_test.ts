import {
  assert,
  assertEquals,
  assertFalse,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { configureLogging } from "../../lib/config/logging.ts";
import { SettingsError } from "../../lib/config/settings.ts";
import { loadTlsFiles, type TlsFiles } from "../../lib/config/tls_files.ts";
import {
  CertificateAuthority,
  derOf,
  type Issued,
  type KeyKind,
  pem,
  selfSigned,
} from "../helpers/certificates.ts";
import { TempDir } from "../helpers/temp_dir.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const root = await CertificateAuthority.create();
const intermediate = await root.authority();

/** What a public authority hands out: a certificate with its chain. */
async function issue(kind: KeyKind = "EC"): Promise<Issued> {
  const { cert, key } = await intermediate.issue({ kind });
  return { cert: cert + intermediate.cert, key };
}

const good = await issue();
const other = await issue();

type Content = string | Uint8Array;

/** Loads two files with these contents. */
async function load(cert: Content, key: Content): Promise<{ files: TlsFiles; log: string }> {
  await using folder = await TempDir.create();
  const write = (name: string, content: Content) =>
    Deno.writeFile(
      join(folder.path, name),
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
  await write("cert.pem", cert);
  await write("key.pem", key);
  let log = "";
  configureLogging({ level: "trace", format: "pretty" }, (line) => log += line);
  try {
    const files = await loadTlsFiles(join(folder.path, "cert.pem"), join(folder.path, "key.pem"));
    return { files, log };
  } finally {
    configureLogging({ level: "error", format: "json" }, () => {});
  }
}

/** Why they are refused. Never has anything of a key. */
async function problems(cert: Content, key: Content): Promise<readonly string[]> {
  const error = await assertRejects(() => load(cert, key), SettingsError);
  for (const secret of [good.key, other.key].flatMap((text) => text.split("\n").slice(1, -2))) {
    assertFalse(error.message.includes(secret), error.message);
  }
  return error.problems;
}

async function problem(cert: Content, key: Content): Promise<string> {
  const all = await problems(cert, key);
  assertEquals(all.length, 1, all.join("\n"));
  return all[0] ?? "";
}

const KINDS: readonly KeyKind[] = ["EC", "P-384", "P-521", "Ed25519", "RSA"];

for (const kind of KINDS) {
  Deno.test(`TLS files: a certificate for ${kind}, its chain and its key are taken as they are`, async () => {
    const { cert, key } = await issue(kind);
    assertEquals(await load(cert, key), { files: { cert, key }, log: "" });
  });
}

Deno.test("TLS files: keys in the older forms of OpenSSL are taken", async () => {
  const rsa = await issue("RSA");
  for (const [{ cert, key }, type] of [[rsa, "pkcs1"], [good, "sec1"]] as const) {
    const older = String(createPrivateKey(key).export({ type, format: "pem" }));
    assertMatch(older, /^-----BEGIN (RSA|EC) PRIVATE KEY-----/);
    assertEquals((await load(cert, older)).files, { cert, key: older });
  }
  const parameters = pem("EC PARAMETERS", new Uint8Array([6, 1, 0]));
  assertEquals((await load(good.cert, parameters + good.key)).files, good);
});

Deno.test("TLS files: remarks, both in one file, Windows lines and a byte order mark are taken", async () => {
  const remarks = good.cert.replaceAll("-----BEGIN", "Bag Attributes\n  name: x\n-----BEGIN");
  assertEquals((await load(remarks, good.key)).files, good);
  const both = good.key + good.cert;
  assertEquals((await load(both, both)).files, good);
  const windows = (text: string) => `\uFEFF${text.replaceAll("\n", "\r\n")}`;
  const { files } = await load(windows(good.cert), windows(good.key));
  assertEquals(files.cert.replaceAll("\r", ""), good.cert);
  assertEquals(files.key.replaceAll("\r", ""), good.key);
});

Deno.test("TLS files: a missing file, and a folder, are said with the path", async () => {
  await using folder = await TempDir.create();
  const missing = join(folder.path, "no.pem");
  const error = await assertRejects(() => loadTlsFiles(missing, folder.path), SettingsError);
  const expected = "expected the path of a readable file, got";
  assertEquals(error.problems, [
    `Cannot read TLS_CERT_FILE: ${expected} ${JSON.stringify(missing)} (not found)`,
    `Cannot read TLS_KEY_FILE: ${expected} ${JSON.stringify(folder.path)} (is a folder)`,
  ]);
});

Deno.test("TLS files: a file that may not be read is said with the path", async () => {
  await using folder = await TempDir.create();
  const [cert, key] = [join(folder.path, "cert.pem"), join(folder.path, "key.pem")];
  await Deno.writeTextFile(cert, good.cert);
  await Deno.writeTextFile(key, good.key, { mode: 0o000 });
  // Nothing is forbidden to root, or on Windows.
  if (await Deno.readTextFile(key).then(() => true, () => false)) return;
  const error = await assertRejects(() => loadTlsFiles(cert, key), SettingsError);
  assertStringIncludes(error.message, `TLS_KEY_FILE`);
  assertStringIncludes(error.message, `${JSON.stringify(key)} (permission denied)`);
});

Deno.test("TLS files: the content instead of a path is refused, and not repeated", async () => {
  const error = await assertRejects(() => loadTlsFiles(good.cert, good.key), SettingsError);
  assertEquals(error.problems, [
    "Cannot read TLS_CERT_FILE: expected the path of a file, got what belongs into the file",
    "Cannot read TLS_KEY_FILE: expected the path of a file, got what belongs into the file",
  ]);
});

Deno.test("TLS files: what is no PEM is told what it is", async () => {
  for (
    const [content, says] of [
      ["", /an empty file/],
      ["hello", /something else/],
      [good.key.slice(0, 120), /only a part of it/],
      [derOf(good.key), /binary data.*openssl pkey -inform der/],
    ] as const
  ) {
    const message = await problem(good.cert, content);
    assertMatch(message, /^Cannot parse TLS_KEY_FILE \(".*key\.pem"\): expected PEM/);
    assertMatch(message, says);
  }
  const der = await problem(derOf((await intermediate.issue()).cert), good.key);
  assertMatch(der, /^Cannot parse TLS_CERT_FILE .*binary data.*openssl x509 -inform der/);
});

Deno.test("TLS files: a file of over a MiB is not read to its end", async () => {
  const large = await problem(good.cert, " ".repeat(1024 * 1024 - good.key.length + 1) + good.key);
  assertMatch(large, /^Cannot read TLS_KEY_FILE: .*at most 1048576 bytes.*key\.pem.*larger/);
  const fits = " ".repeat(1024 * 1024 - good.key.length) + good.key;
  assertEquals((await load(good.cert, fits)).files, good);
});

Deno.test("TLS files: swapped files are recognised", async () => {
  const [first = "", second = ""] = await problems(good.key, good.cert);
  assertMatch(
    first,
    /^Cannot use TLS_CERT_FILE .*expected a certificate, got PRIVATE KEY.*swapped/,
  );
  assertMatch(
    second,
    /^Cannot use TLS_KEY_FILE .*expected a private key, got CERTIFICATE.*swapped/,
  );
});

Deno.test("TLS files: other PEM is called by its name", async () => {
  const request = pem("CERTIFICATE REQUEST", new Uint8Array(100));
  assertMatch(
    await problem(request, good.key),
    /expected a certificate, got CERTIFICATE REQUEST$/,
  );
  const publicKey = pem("PUBLIC KEY", new Uint8Array(100));
  assertMatch(await problem(good.cert, publicKey), /expected a private key, got PUBLIC KEY$/);
});

Deno.test("TLS files: broken PEM is said, and not repeated", async () => {
  const brokenCert = pem("CERTIFICATE", derOf(other.cert.slice(0, 400)));
  assertMatch(
    await problem(good.cert + brokenCert, good.key),
    /^Cannot parse TLS_CERT_FILE .*certificate 3 in it is broken/,
  );
  const brokenKey = pem("PRIVATE KEY", derOf(good.key).slice(0, 60));
  assertMatch(await problem(good.cert, brokenKey), /^Cannot parse TLS_KEY_FILE .*is broken/);
});

Deno.test("TLS files: an encrypted key is refused, with how to decrypt it", async () => {
  const encrypted = String(
    createPrivateKey(good.key).export({
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "secret",
    }),
  );
  assertStringIncludes(encrypted, "BEGIN ENCRYPTED PRIVATE KEY");
  const older = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n" +
    "DEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
  for (const key of [encrypted, older]) {
    const message = await problem(good.cert, key);
    assertMatch(message, /^Cannot use TLS_KEY_FILE .*without a passphrase.*openssl pkey/);
  }
});

Deno.test("TLS files: a key of another certificate is refused", async () => {
  const rsa = await issue("RSA");
  for (const { key } of [other, rsa]) {
    const message = await problem(good.cert, key);
    assertMatch(message, /^Cannot use TLS_KEY_FILE .*key of the certificate in TLS_CERT_FILE/);
    assertMatch(message, /made together$/);
  }
});

Deno.test("TLS files: a chain in the wrong order is refused, with what to do", async () => {
  const { cert, key } = await intermediate.issue();
  assertMatch(await problem(intermediate.cert + cert, key), /put that one first$/);
});

Deno.test("TLS files: a kind of key that Deno cannot serve with is refused", async () => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const curve = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
  for (const { privateKey } of [rsa, curve]) {
    const key = String(privateKey.export({ type: "pkcs8", format: "pem" }));
    assertMatch(await problem(good.cert, key), /^Cannot use TLS_KEY_FILE .*P-256.*another kind/);
  }
});

Deno.test("TLS files: problems of both files are told at once", async () => {
  assertEquals((await problems("", "")).length, 2);
});

for (const kind of KINDS) {
  Deno.test(`TLS files: what is taken for ${kind} can be served`, async () => {
    const { cert, key } = await issue(kind);
    const { files } = await load(cert, key);
    const serve = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    await using server = Deno.serve({ ...serve, ...files }, () => new Response("served"));
    using client = Deno.createHttpClient({ caCerts: [root.cert] });
    const response = await fetch(`https://127.0.0.1:${server.addr.port}`, { client });
    assertEquals(await response.text(), "served");
  });
}

interface Doubt {
  readonly what: string;
  /** Its beginning and its end, from now. Two days apart: neither can be taken for the other. */
  readonly days: readonly [from: number, to: number];
  /** Warns with the time of one of them. */
  readonly says?: RegExp;
  readonly tells?: "validFrom" | "validTo";
}

const DOUBTS: readonly Doubt[] = [
  {
    what: "expired",
    days: [-3, -1],
    says: /expired at (\d{4}-\S*Z): Genesys Cloud will not connect.*restart the server/,
    tells: "validTo",
  },
  {
    what: "not valid yet",
    days: [1, 3],
    says: /valid only from (\d{4}-\S*Z) on: Genesys Cloud will not connect before.*clock/,
    tells: "validFrom",
  },
  { what: "valid", days: [-1, 1] },
];

for (const { what, days: [from, to], says, tells } of DOUBTS) {
  Deno.test(`TLS files: a certificate that is ${what} is ${says ? "a warning" : "none"}, and taken`, async () => {
    const { cert, key } = await intermediate.issue({ fromMs: from * DAY_MS, toMs: to * DAY_MS });
    const chain = cert + intermediate.cert;
    const { files, log } = await load(chain, key);
    assertEquals(files, { cert: chain, key });
    if (says === undefined || tells === undefined) return assertEquals(log, "");
    assertEquals(log.trimEnd().split("\n").length, 1);
    assertMatch(log, says);
    assertMatch(log, /WRN|warning/i);
    assertStringIncludes(log, "cert.pem");
    const time = Date.parse(new X509Certificate(cert)[tells]);
    assertEquals(says.exec(log)?.[1], new Date(time).toISOString());
  });
}

Deno.test("TLS files: a self-signed one, and a chain that is absent or another's, are warnings", async () => {
  const alone = await selfSigned();
  assertMatch((await load(alone.cert, alone.key)).log, /is self-signed.*public authority/);
  const { cert, key } = await intermediate.issue();
  assertMatch((await load(cert, key)).log, /without its chain.*fullchain\.pem/);
  assertMatch((await load(cert + root.cert, key)).log, /second certificate.*in order/);
  assertEquals((await load(cert + intermediate.cert + root.cert, key)).log, "");
  assert(!(await load(cert, key)).log.includes(key));
});
