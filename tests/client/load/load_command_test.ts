import {
  assert,
  assertEquals,
  assertExists,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { filesBelow, TemporaryFolder } from "../../helpers/program.ts";
import { checked, KEY, load, LoadedServer, resultOf, SECRET, startLoad } from "./load_process.ts";

const isLinux = Deno.build.os === "linux";

Deno.test({
  name: "load: 50 sessions are recorded exactly, and the numbers add up",
  ignore: !isLinux,
  async fn() {
    await using server = await LoadedServer.start();
    const ended = await load([
      ...[...server.options, "--sessions", "50", "--rate", "100", "--duration", "5"],
      ...["--verify", server.recordings, "--pid", String(server.pid), "--json"],
    ]);
    const result = resultOf(ended);
    assertEquals(ended.code, 0, ended.output);
    const { sessions, sent, times, verify, server: use, client } = result;
    assertEquals([sessions.started, sessions.opened, sessions.well], [50, 50, 50]);
    assertEquals([result.isGood, result.stopped, result.violations], [true, null, {}]);
    const { exact, different, missing } = verify ?? {};
    assertEquals([exact, different, missing], [50, 0, 0]);
    // Real time: 5 s, and what this machine skips when it is busy.
    assertEquals(sent.frames + sent.framesSkipped, 50 * 50);
    assertEquals(sent.bytes, sent.frames * 1600);
    assertEquals(sent.audioSeconds, sent.frames / 10);
    assertEquals(times.connect.count, 50);
    assertGreaterOrEqual(times.pong.count, 100);
    assertExists(times.pong.p50Ms);
    assertGreater(times.pong.p50Ms, 0);
    assertExists(use);
    assertGreater(use.cpuSeconds, 0);
    assertLess(use.cpuSeconds, result.wallSeconds * 16);
    assertGreater(use.idleKb, 10_000);
    assertGreaterOrEqual(use.highestKb, use.idleKb);
    assertLess(use.highestKb, 10_000_000);
    assertEquals([use.pid, use.isGone], [server.pid, false]);
    assertGreater(client.cpuSeconds, 0);
    const perMinute = client.cpuSeconds / result.sessionMinutes;
    assertEquals(client.cpuSecondsPerSessionMinute, perMinute);
    assertMatch(ended.stderr, /\d+ open/);
  },
});

Deno.test({
  name: "load: what is broken on purpose is counted apart, and harms nobody else",
  async fn() {
    await using server = await LoadedServer.start();
    const ended = await load([
      ...[...server.options, "--sessions", "40", "--rate", "200", "--duration", "4"],
      ...["--drop", "20%", "--reset", "20", "--stall", "20%", "--seed", "5", "--json"],
      ...["--verify", server.recordings, "--channels", "external", "--frame-ms", "20"],
      ...["--ping-interval", "0.5"],
    ]);
    const { sessions, faults, verify, sent, seed } = resultOf(ended);
    assertEquals(ended.code, 0, ended.output);
    assertEquals([sessions.started, sessions.failed, sessions.cancelled], [40, 0, 0]);
    for (const count of [faults.drop, faults.reset, faults.stall]) assertGreater(count, 0);
    assertExists(verify);
    assertEquals([verify.different, verify.missing, verify.cutDifferent], [0, 0, 0]);
    assertEquals(verify.exact, sessions.well + faults.stallsEndedWell);
    assertEquals(sent.bytes, sent.frames * 160);
    assertEquals(seed, 5);
  },
});

Deno.test("load: a recording that is not there is a failure", async () => {
  await using server = await LoadedServer.start();
  await using folder = await TemporaryFolder.make();
  const ended = await load([
    ...[...server.options, "--sessions", "3", "--duration", "1", "--json"],
    ...["--verify", folder.path],
  ]);
  assertEquals(ended.code, 1, ended.output);
  const { verify, isGood, sessions } = resultOf(ended);
  assertEquals([sessions.well, verify?.exact, verify?.missing, isGood], [3, 0, 3, false]);
});

Deno.test("load: sessions that ended are replaced for as long as it is wanted", async () => {
  await using server = await LoadedServer.start();
  const ended = await load([
    ...[...server.options, "--sessions", "5", "--duration", "0.5", "--hold", "3", "--json"],
  ]);
  const { sessions } = resultOf(ended);
  assertEquals(ended.code, 0, ended.output);
  assertGreaterOrEqual(sessions.well, 10);
  assertEquals([sessions.well, sessions.mostOpen], [sessions.started, 5]);
});

Deno.test("load: a server that is killed in mid-run ends the run, and is told", async () => {
  await using server = await LoadedServer.start();
  await using folder = await TemporaryFolder.make();
  await using program = startLoad(folder.path, [
    ...[...server.options, "--sessions", "30", "--rate", "100", "--duration", "60", "--json"],
    ...isLinux ? ["--pid", String(server.pid)] : [],
  ]);
  await program.waitFor(/ 30 open/);
  server.program.kill("SIGKILL");
  const ended = checked(await program.ended(30_000));
  assertEquals(ended.code, 1, ended.output);
  const result = resultOf(ended);
  assertEquals(result.sessions.failed, 30);
  assertEquals(result.failures["lost 1006"]?.count, 30, ended.output);
  if (isLinux) assertEquals(result.server?.isGone, true);
});

Deno.test("load: a listener that never answers ends the run at the first tries", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const ended = await load([
    ...["--url", `ws://127.0.0.1:${listener.addr.port}/`, "--key", KEY],
    ...["--sessions", "2000", "--rate", "1000", "--json"],
  ]);
  assertEquals(ended.code, 1, ended.output);
  const result = resultOf(ended);
  assertEquals(result.stopped?.by, "refused");
  assertEquals(result.sessions.started, 10);
  assertEquals(result.failures["unreachable ETIMEDOUT"]?.count, 10);
});

Deno.test("load: who is refused is told why, and tries no more", async () => {
  await using server = await LoadedServer.start();
  const ended = await load([
    ...["--url", server.url.href, "--key", KEY, "--secret", btoa("another secret of this length")],
    ...["--sessions", "500", "--rate", "1000"],
  ]);
  assertEquals(ended.code, 1, ended.output);
  assertMatch(ended.stdout, /Stopped: None of the first 10 connected: refused 401/);
  assertMatch(ended.stdout, /10 x refused 401\. Are the key and the secret/);
});

Deno.test("load: a server that is full refuses some, and the others go on", async () => {
  await using server = await LoadedServer.start({ MAX_SESSIONS: "4" });
  const ended = await load([
    ...[...server.options, "--sessions", "10", "--rate", "100", "--duration", "3", "--json"],
  ]);
  assertEquals(ended.code, 1, ended.output);
  const { sessions, failures } = resultOf(ended);
  assertEquals([sessions.well, failures["refused 503"]?.count], [4, 6], ended.output);
});

Deno.test({
  name: "load: Ctrl-C closes all sessions properly, and prints the table",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using server = await LoadedServer.start();
    await using folder = await TemporaryFolder.make();
    await using program = startLoad(folder.path, [
      ...[...server.options, "--sessions", "30", "--rate", "100", "--duration", "600"],
      ...["--verify", server.recordings],
    ]);
    await program.waitFor(/ 30 open/);
    program.kill("SIGINT");
    const { code, stdout, output } = checked(await program.ended(30_000));
    assertEquals(code, 0, output);
    assertMatch(stdout, /Stopped: It was told to stop/);
    assertMatch(stdout, /30 started, 30 opened, .* 30 ended well, 0 failed/);
    assertMatch(stdout, /Recordings: 30 exact, 0 different, 0 missing/);
    for (const name of ["connect", "open -> opened", "ping -> pong", "close -> closed"]) {
      assertStringIncludes(stdout, `\n${name} `);
    }
    const json = (await filesBelow(server.recordings)).filter((path) => path.endsWith(".json"));
    assertEquals(json.length, 30);
    for (const path of json) {
      const text = await Deno.readTextFile(`${server.recordings}/${path}`);
      assertEquals(JSON.parse(text).isComplete, true);
    }
  },
});

Deno.test({
  name: "load: Ctrl-C ends it in time, even if the server hangs",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using server = await LoadedServer.start();
    await using folder = await TemporaryFolder.make();
    await using program = startLoad(folder.path, [
      ...[...server.options, "--sessions", "10", "--rate", "100", "--duration", "600", "--json"],
    ]);
    await program.waitFor(/ 10 open/);
    server.program.kill("SIGSTOP");
    program.kill("SIGINT");
    const ended = checked(await program.ended(35_000));
    assertEquals(ended.code, 1, ended.output);
    const { sessions, stopped } = resultOf(ended);
    assertEquals([sessions.failed, stopped?.by], [10, "signal"], ended.output);
  },
});

Deno.test("load: wrong options end with 2, and say what is right", async () => {
  await using folder = await TemporaryFolder.make();
  const file = folder.join("file");
  await Deno.writeTextFile(file, "no audio");
  const cases: readonly (readonly [RegExp, ...string[]])[] = [
    [/from 1 to 50000 after --sessions/, "--sessions", "0"],
    [/whole number .* --sessions/, "--sessions", "1.5"],
    [/from 0\.01 to 10000 after --rate/, "--rate", "0"],
    [/after --rate/, "--rate", "1e3"],
    [/from 20 to 1000 after --frame-ms/, "--frame-ms", "10"],
    [/after --duration/, "--duration=-1"],
    [/after --hold/, "--hold", "x"],
    [/after --ping-interval/, "--ping-interval", "0"],
    [/both or external after --channels/, "--channels", "internal"],
    [/from 0 to 100 after --drop/, "--drop", "101%"],
    [/100 % for --drop, --stall and --reset/, "--drop", "50", "--stall", "30", "--reset", "21"],
    [/after --seed/, "--seed", "4294967296"],
    [/after --pid/, "--pid", isLinux ? "2147483647" : "1"],
    [/folder of recordings after --verify.*not found/, "--verify", folder.join("none")],
    [/folder of recordings after --verify.*is a file/, "--verify", file],
    [/path of a file after --wav/, "--wav", folder.join("none.wav")],
    [/WAV/, "--wav", file],
    [/ws:\/\/127\.0\.0\.1:8000/, "--url", "http://127.0.0.1/"],
    [/--key together with --secret/, "--secret", SECRET],
    [/No API key/],
    [/--sesions.*see --help/, "--sesions", "5"],
    [/see --help/, "stray"],
    [/^Expected --sessions once; see --help\n$/, "--sessions", "5", "--rate", "1", "--sessions=6"],
  ];
  for (const [expected, ...args] of cases) {
    const { code, stdout, stderr, output } = await load(args);
    assertEquals([code, stdout], [2, ""], `${args}: ${output}`);
    assertMatch(stderr, expected, args.join(" "));
  }
});

Deno.test("load: --help names every option", async () => {
  const { code, stdout, stderr } = await load(["--help"]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals((await load(["-h"])).stdout, stdout);
  for (
    const option of [
      ...["url", "key", "secret", "sessions", "rate", "duration", "hold", "frame-ms"],
      ...["ping-interval", "wav", "channels", "pid", "verify", "drop", "reset", "stall"],
      ...["seed", "json", "help"],
    ]
  ) assert(stdout.includes(`\n  --${option} `), option);
});

Deno.test({
  name: "load: too few open files are a warning before, and a failure with a hint after",
  ignore: !isLinux,
  async fn() {
    await using server = await LoadedServer.start();
    const limited = ["-c", 'ulimit -n 100; exec "$@"', "sh"];
    const ended = await load(
      [...server.options, "--sessions", "150", "--rate", "300", "--duration", "3", "--json"],
      limited,
    );
    assertEquals(ended.code, 1, ended.output);
    const result = resultOf(ended);
    assertMatch(ended.stderr, /Warning: This shell allows 100 open files/);
    assertMatch(result.warnings[0] ?? "", /100 open files/);
    const { well, failed } = result.sessions;
    assertEquals(result.failures["unreachable EMFILE"]?.count, failed, ended.output);
    assertEquals(well + failed, 150);
    assertGreater(well, 10);
  },
});
