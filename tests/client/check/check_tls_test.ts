/**
 * The command over TLS, by the flags of its task: nothing needs more there than without.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { CertificateAuthority } from "../../helpers/certificates.ts";
import { Program, ROOT, taskFlags, TemporaryFolder } from "../../helpers/program.ts";
import { SECRET, SIGNED_KEY } from "../recording_server.ts";

Deno.test("check command: over wss:, every case is tried, and our own server passes", async () => {
  await using folder = await TemporaryFolder.make();
  const authority = await CertificateAuthority.create();
  const { cert, key } = await authority.issue();
  await Deno.writeTextFile(folder.join("fullchain.pem"), cert);
  await Deno.writeTextFile(folder.join("privkey.pem"), key, { mode: 0o600 });
  await Deno.writeTextFile(folder.join("ca.pem"), authority.cert);
  await using server = Program.server(folder.path, {
    TLS_CERT_FILE: "fullchain.pem",
    TLS_KEY_FILE: "privkey.pem",
    AUDIOHOOK_KEYS: JSON.stringify({ [SIGNED_KEY]: SECRET }),
    AUTH_FAILURE_DELAY_MS: "20",
    MAX_AUTH_FAILURES_PER_MINUTE: "0",
  });
  const url = await server.url();
  assertEquals(url.protocol, "wss:");
  const command = join(ROOT, "lib/client/check/check_command.ts");
  await using program = new Program({
    args: [
      ...["run", ...taskFlags("check"), command, url.href, "--json"],
      ...["--key", SIGNED_KEY, "--secret", SECRET],
    ],
    cwd: folder.path,
    env: { DENO_CERT: folder.join("ca.pem") },
  });
  const { code, stdout, stderr } = await program.ended(120_000);
  assertEquals(stderr, "");
  const { problem, summary, results } = JSON.parse(stdout) as {
    readonly problem?: string;
    readonly summary: Readonly<Record<string, number>>;
    readonly results: readonly Readonly<Record<"name" | "verdict" | "seen", string>>[];
  };
  assertEquals(problem, undefined);
  assertEquals(
    results.filter(({ verdict }) => verdict !== "pass").map(({ name, seen }) => `${name}: ${seen}`),
    ["pause.client-pause-outlives-server-resume: The server did not pause the session"],
  );
  assertEquals({ ...summary, pass: 0 }, { pass: 0, fail: 0, advice: 0, skip: 1, defect: 0 });
  assertEquals(code, 0);
  const alike = results.find(({ name }) => name === "auth.refusals-look-alike");
  assertMatch(alike?.seen ?? "", /^HTTP 401 .* each time$/);
});
