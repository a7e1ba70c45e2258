/**
 * The program with TLS_CERT_FILE and TLS_KEY_FILE, started by the flags of its task, and called by
 * the command that places calls.
 */
import {
  assert,
  assertEquals,
  assertFalse,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { CertificateAuthority, type Issued } from "./helpers/certificates.ts";
import {
  assertSameBytes,
  CALL_WAV,
  filesBelow,
  hasStack,
  Program,
  TemporaryFolder,
  wavData,
} from "./helpers/program.ts";
import { RawSocket } from "./helpers/raw_socket.ts";

const KEY = "test-key/of+main_tls_test==";
const SECRET = "bWFpbi10bHMtdGVzdC1zZWNyZXQtbWFpbi10bHMtdGVzdA==";
const TLS = { TLS_CERT_FILE: "fullchain.pem", TLS_KEY_FILE: "privkey.pem" };
const ENV = {
  ...TLS,
  AUDIOHOOK_KEYS: JSON.stringify({ [KEY]: SECRET }),
  ADMIN_TOKEN: "a-token-of-at-least-32-characters",
};

const root = await CertificateAuthority.create();
const intermediate = await root.authority();
const { cert, key } = await intermediate.issue();
const issued: Issued = { cert: cert + intermediate.cert, key };

/** A working folder with the two files, and `ca.pem`, which clients trust. */
async function folderWith({ cert, key }: Issued): Promise<TemporaryFolder> {
  const folder = await TemporaryFolder.make();
  await Deno.writeTextFile(folder.join(TLS.TLS_CERT_FILE), cert);
  await Deno.writeTextFile(folder.join(TLS.TLS_KEY_FILE), key, { mode: 0o600 });
  await Deno.writeTextFile(folder.join("ca.pem"), root.cert);
  return folder;
}

async function onlyRecording(folder: TemporaryFolder): Promise<string> {
  const files = (await filesBelow(folder.join("data"))).filter((path) => path.endsWith(".wav"));
  assertEquals(files.length, 1, files.join());
  return folder.join("data", files[0] ?? "");
}

Deno.test("main with TLS: a call by wss:, to a name with a port, is recorded exactly", async () => {
  await using folder = await folderWith(issued);
  await using server = Program.server(folder.path, ENV);
  const url = await server.url();
  assertEquals([url.protocol, url.hostname], ["wss:", "127.0.0.1"]);
  url.hostname = "localhost";
  const args = ["--wav", CALL_WAV, "--speed", "200", "--url", url.href];
  await using caller = Program.call(
    folder.path,
    [...args, "--key", KEY, "--secret", SECRET],
    { DENO_CERT: folder.join("ca.pem") },
  );
  const { code, output } = await caller.ended();
  assertEquals(code, 0, output);
  const stopped = await server.stop();
  assertEquals([stopped.code, stopped.stderr], [0, ""]);
  assertFalse(/warning|WRN/i.test(stopped.stdout), stopped.stdout);
  assertSameBytes(await wavData(await onlyRecording(folder)), await wavData(CALL_WAV));
});

Deno.test("main with TLS: a caller that does not know the authority is told so", async () => {
  await using folder = await folderWith(issued);
  await using server = Program.server(folder.path, ENV);
  const { href } = await server.url();
  await using caller = Program.call(
    folder.path,
    ["--wav", CALL_WAV, "--url", href, "--key", KEY, "--secret", SECRET],
  );
  const { code, output } = await caller.ended();
  assertEquals(code, 1, output);
  assertMatch(output, /certificate.*DENO_CERT/s);
  assertFalse(hasStack(output), output);
  assertEquals((await server.stop()).code, 0);
});

Deno.test("main with TLS: call finds the server by its settings", async () => {
  await using folder = await folderWith(issued);
  await using server = Program.server(folder.path, ENV);
  const { port } = await server.url();
  await using caller = Program.call(folder.path, ["--wav", CALL_WAV, "--speed", "200"], {
    ...ENV,
    PORT: port,
    DENO_CERT: folder.join("ca.pem"),
  });
  const { code, output } = await caller.ended();
  assertEquals(code, 0, output);
  assertEquals((await server.stop()).code, 0);
  assertSameBytes(await wavData(await onlyRecording(folder)), await wavData(CALL_WAV));
});

Deno.test("main with TLS: SIGTERM asks a running call to go elsewhere, and waits for no handshake", async () => {
  await using folder = await folderWith(issued);
  await using server = Program.server(folder.path, ENV);
  const url = await server.url();
  await using socket = await RawSocket.connect(Number(url.port));
  await socket.write(new Uint8Array([22, 3, 1, 2, 0, 1]));
  await using caller = Program.call(
    folder.path,
    [
      ...["--wav", CALL_WAV, "--speed", "2", "--retries", "0"],
      ...["--url", url.href, "--key", KEY, "--secret", SECRET],
    ],
    { DENO_CERT: folder.join("ca.pem") },
  );
  await caller.waitFor(/opened: PCMU/);
  const startMs = performance.now();
  const { code } = await server.stop();
  assertEquals(code, 0);
  assertLess(performance.now() - startMs, 10_000);
  const ended = await caller.ended();
  assertEquals(ended.code, 1, ended.output);
  assertMatch(ended.output, /disconnect: .*"error"/);
  assertMatch(ended.output, /Failed: The server ended the session by "disconnect" with "error"/);
  const said = await wavData(CALL_WAV);
  const recorded = await wavData(await onlyRecording(folder));
  assertLess(recorded.length, said.length);
  assertSameBytes(recorded, said.subarray(0, recorded.length));
});

Deno.test("main with TLS: the first start prints the wss: address to paste", async () => {
  await using folder = await folderWith(issued);
  await using server = Program.server(folder.path, { ...TLS, HOST: "0.0.0.0" });
  const { port } = await server.url();
  const { output } = await server.stop();
  assertMatch(
    output,
    new RegExp(`Connection URI   wss://<public name>:${port}/api/v1/audiohook/ws\n`),
  );
});

Deno.test("main with TLS: port 443 is left out of the address to paste", async () => {
  await using folder = await folderWith(issued);
  // An address that no machine has: it fails to listen, and prints the address all the same.
  await using server = Program.server(folder.path, { ...TLS, HOST: "203.0.113.7", PORT: "443" });
  const { code, output } = await server.ended();
  assertEquals(code, 1, output);
  assertStringIncludes(output, "Connection URI   wss://203.0.113.7/api/v1/audiohook/ws\n");
});

Deno.test("main with TLS: files that cannot be used end the start with 1, and are named", async () => {
  await using folder = await folderWith(issued);
  const old = await intermediate.issue({ isVersion1: true });
  await Deno.writeTextFile(folder.join("old.pem"), old.cert + intermediate.cert + old.key);
  const bad = [
    [{ TLS_CERT_FILE: TLS.TLS_CERT_FILE }, /TLS_CERT_FILE without TLS_KEY_FILE/],
    [{ ...TLS, TLS_CERT_FILE: "no/such.pem" }, /TLS_CERT_FILE: .*"no\/such.pem" \(not found\)/],
    [{ TLS_CERT_FILE: TLS.TLS_KEY_FILE, TLS_KEY_FILE: TLS.TLS_CERT_FILE }, /swapped/],
    [{ TLS_CERT_FILE: "old.pem", TLS_KEY_FILE: "old.pem" }, /TLS_CERT_FILE.*version 3/],
  ] as const;
  for (const [env, says] of bad) {
    await using server = Program.server(folder.path, env);
    const { code, stderr, output } = await server.ended();
    assertEquals(code, 1, output);
    assertMatch(stderr, says);
    assertFalse(output.includes("PORT"), output);
    assertFalse(hasStack(output), output);
    assertFalse(output.includes(key.slice(40, 80)) || output.includes(old.key.slice(40, 80)));
  }
});

Deno.test("main with TLS: an expired certificate is a warning, and the server starts", async () => {
  const { cert, key } = await intermediate.issue({ fromMs: -2000, toMs: -1000 });
  await using folder = await folderWith({ cert: cert + intermediate.cert, key });
  await using server = Program.server(folder.path, ENV);
  await server.url();
  const { code, stdout } = await server.stop();
  assertEquals(code, 0);
  const records = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  const warnings = records.filter(({ level }) => level === "WARN" || level === "WARNING");
  assertEquals(warnings.length, 1, stdout);
  assertStringIncludes(warnings[0].message, "expired");
});

Deno.test("main with TLS: the demo is as without", async () => {
  await using folder = await TemporaryFolder.make();
  // The files need not even be there.
  await using demo = Program.server(folder.path, TLS, ["demo"]);
  const { code, output } = await demo.ended(60_000);
  assertEquals(code, 0, output);
  assert(output.includes("ws://127.0.0.1:"), output);
});
