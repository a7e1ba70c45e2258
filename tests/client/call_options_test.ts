import { assert, assertEquals, assertExists, assertMatch, assertRejects } from "@std/assert";
import { type CallOptions, readCallOptions } from "../../lib/client/call_options.ts";
import { UsageError } from "../../lib/client/server_options.ts";
import { CALL_WAV, filesBelow, ROOT, TemporaryFolder } from "../helpers/program.ts";
import { runIn, UNSIGNED, WavOnDisk } from "./call_program.ts";
import { SECRET, SIGNED_KEY } from "./recording_server.ts";
import { someMulaw, wavFile } from "./wav_files.ts";

const SERVER = { "--url": "ws://127.0.0.1:9/", "--key": SIGNED_KEY, "--secret": SECRET };
const UUID = "6b2f0a5e-3f5c-4d1c-9f0e-2a7c1b9d8e4f";

/** Reads options, and those of a server unless they are among them. */
async function read(...args: string[]): Promise<CallOptions> {
  const server = Object.entries(SERVER).filter(([name]) => !args.includes(name)).flat();
  const options = await readCallOptions([...server, ...args]);
  assertExists(options);
  return options;
}

/** Options that are wrong beside a server's, and what the message says. */
const WRONG: [args: string[], says: RegExp][] = [
  [[], /--wav FILE, --tone or --probe; see --help/],
  [["--wav", CALL_WAV, "--tone"], /--wav or --tone, not both/],
  [["--wav", CALL_WAV, "--tone", "500"], /--wav or --tone, not both/],
  [["--wav", CALL_WAV, "--duration", "3"], /--duration together with --tone/],
  [["--probe", "--wav", CALL_WAV], /--probe without --wav/],
  [["--probe", "--tone"], /--probe without --tone/],
  [["--probe", "--duration", "3"], /--probe without --duration/],
  [["--probe", "--scenario", "x"], /--probe without --scenario/],
  [["--probe", "--save-audio", "x"], /--probe without --save-audio/],
  [["--probe", "--conversation", UUID], /--probe without --conversation/],
  [["--probe", "--ani", "1"], /--probe without --ani/],
  [["--tone", "--save-audio", "x", "--channels", "both"], /--save-audio with --channels external/],
  [["--tone", "loud"], /number from 1 to 3900 after --tone/],
  [["--tone=0"], /number from 1 to 3900 after --tone/],
  [["--tone", "4000"], /number from 1 to 3900 after --tone/],
  [["--tone", "--duration", "0"], /number from 0.001 to 3600 after --duration/],
  [["--tone", "--duration", "3601"], /number from 0.001 to 3600 after --duration/],
  [["--tone", "--duration", "1e3"], /number from 0.001 to 3600 after --duration/],
  [["--tone", "--speed", "fast"], /greater than 0 and at most 10000 after --speed/],
  [["--tone", "--speed", "0"], /after --speed/],
  [["--tone", "--speed=-1"], /after --speed/],
  [["--tone", "--speed", "Infinity"], /after --speed/],
  [["--tone", "--speed", ""], /after --speed/],
  [["--tone", "--format", "MP3"], /PCMU or L16 after --format/],
  [["--tone", "--channels", "left"], /external, internal or both after --channels/],
  [["--tone", "--frame-ms", "0"], /whole number from 1 to 1000 after --frame-ms/],
  [["--tone", "--frame-ms", "2.5"], /whole number from 1 to 1000 after --frame-ms/],
  [["--tone", "--frame-ms", "1001"], /whole number from 1 to 1000 after --frame-ms/],
  [["--tone", "--history", "31"], /number from 0 to 30 after --history/],
  [["--tone", "--history", "long"], /number from 0 to 30 after --history/],
  [["--tone", "--retries", "6"], /whole number from 0 to 5 after --retries/],
  [["--tone", "--retries", "-1"], /--retries/],
  [["--tone", "--language", "no language"], /language tag such as en-US after --language/],
  [["--tone", "--org", "me"], /UUID such as .* after --org/],
  [["--tone", "--conversation", ""], /UUID such as .* after --conversation/],
  [["--tone", "--session", `${UUID}0`], /UUID such as .* after --session/],
  [["--tone", "--ani", "1".repeat(129)], /at most 128 characters after --ani/],
  [["--tone", "--dnis", "1".repeat(129)], /at most 128 characters after --dnis/],
  [["--tone", "--custom-config", "{"], /JSON object .*60000 bytes.*@FILE.* after --custom-config/],
  [["--tone", "--custom-config", "[1]"], /after --custom-config/],
  [["--tone", "--custom-config", `{"a": "${"x".repeat(60_000)}"}`], /60000 bytes/],
  [["--tone", "--custom-config", "@/nowhere.json"], /--custom-config, got \/nowhere.json/],
  [["--tone", "--input-variables", `{"a": 1}`], /values are texts.* after --input-variables/],
  [["--tone", "--input-variables", "no JSON"], /values are texts.* after --input-variables/],
  [["--tone", "--input-variables", `{"a": "${"x".repeat(64_000)}"}`], /63500 bytes together/],
  [["--tone", "--scenario", "/nowhere.json"], /--scenario, got \/nowhere.json \(not found\)/],
  [["--wav", "/nowhere.wav"], /--wav, got \/nowhere.wav \(not found\)/],
  [["--wav", "/"], /--wav, got \/ \(is a folder\)/],
  [["--tone", "--nonsense"], /--nonsense.*see --help/],
  [["--tone", "--json=yes"], /--json.*see --help/],
  [["--tone", "440", "stray"], /stray.*see --help/],
  [["--tone", "--wav"], /--wav.*see --help/],
  [["--tone", "--tone", "500"], /^Expected --tone once; see --help$/],
  [["--tone", "--speed", "2", "--speed=3"], /^Expected --speed once; see --help$/],
  [["--probe", "--key", "one", "--key", "other"], /^Expected --key once; see --help$/],
  [["-h", "--help"], /^Expected --help once; see --help$/],
  [["--tone", "--url", "not an address"], /after --url/],
  [["--tone", "--url", "https://127.0.0.1/"], /after --url/],
  [["--tone", "--url", "ws://127.0.0.1/#part"], /after --url/],
  [["--tone", "--key", "ключ"], /after --key/],
  [["--tone", "--secret", "no base64!"], /base64 after --secret/],
];

Deno.test("call options: what is wrong is named, and told what is right", async () => {
  for (const [args, says] of WRONG) {
    const what = args.join(" ").slice(0, 100);
    const { message } = await assertRejects(() => read(...args), UsageError, "", what);
    assertMatch(message, says, what);
    assert(!message.includes("\n"), message);
    assert(!message.includes(SECRET), message);
  }
});

Deno.test("call options: the defaults", async () => {
  const { open, audio, ...options } = await read("--tone");
  assertEquals(audio.samples, 80_000);
  assertEquals([options.speed, options.frameSamples, options.historySeconds], [1, 800, 0]);
  assertEquals([options.maxRetries, options.isProbe, options.scenario], [5, false, []]);
  assertEquals(open.media.map(({ channels }) => channels), [
    ["external", "internal"],
    ["external"],
    ["internal"],
  ]);
  assertEquals(open.participant.ani + open.participant.aniName + open.participant.dnis, "");
  assertEquals(open.language, "en-US");
  for (const absent of ["supportedLanguages", "customConfig", "inputVariables"]) {
    assert(!(absent in open), absent);
  }
});

Deno.test("call options: everything that open can say", async () => {
  await using folder = await TemporaryFolder.make();
  await Deno.writeTextFile(folder.join("c.json"), ` {"nested": {"list": [1, null]}} `);
  const { open, sessionId } = await read(
    ...["--tone", "1000", "--duration=0.5", "--supported-languages", "--language", "es-419"],
    ...["--custom-config", `@${folder.join("c.json")}`, "--input-variables", `{"name": "x"}`],
    ...["--org", UUID, "--conversation", UUID, "--session", UUID, "--ani", "+491", "--dnis", "+2"],
    ...["--channels", "internal", "--format", "L16"],
  );
  const { participant, ...rest } = open;
  assertEquals([participant.ani, participant.aniName, participant.dnis], ["+491", "", "+2"]);
  assertEquals(sessionId, UUID);
  assertEquals(rest, {
    organizationId: UUID,
    conversationId: UUID,
    media: [{ type: "audio", format: "L16", channels: ["internal"], rate: 8000 }],
    language: "es-419",
    supportedLanguages: true,
    customConfig: { nested: { list: [1, null] } },
    inputVariables: { name: "x" },
  });
});

Deno.test("call options: --tone with and without its value", async () => {
  for (const args of [["--tone"], ["--tone", "440"], ["--tone=440"]]) {
    for (const after of [[], ["--duration", "10"]]) {
      assertEquals((await read(...args, ...after)).audio.samples, 80_000, args.join(" "));
    }
  }
});

Deno.test("call options: a probe has nil UUIDs and says nothing of anybody", async () => {
  const { open, isProbe } = await read("--probe");
  const NIL = "00000000-0000-0000-0000-000000000000";
  assertEquals(isProbe, true);
  assertEquals(open.conversationId, NIL);
  assertEquals(open.participant, { id: NIL, ani: "", aniName: "", dnis: "" });
});

Deno.test("call options: --save-audio offers the external channel alone", async () => {
  const { open } = await read("--tone", "--save-audio", "/tmp/never-made.wav");
  assertEquals(open.media.map(({ channels }) => channels), [["external"]]);
});

Deno.test("call options: a mono file has no internal channel", async () => {
  await using wav = await WavOnDisk.write(wavFile("PCMU", 1, someMulaw(800)));
  for (const channels of ["internal", "both"]) {
    await assertRejects(
      () => read("--wav", wav.path, "--channels", channels),
      UsageError,
      "Expected external after --channels",
    );
  }
  await read("--wav", wav.path, "--channels", "external");
});

Deno.test("call options: a scenario must fit into the call, and into its bound", async () => {
  await using folder = await TemporaryFolder.make();
  const path = folder.join("steps.json");
  const readWith = async (text: string, ...args: string[]) => {
    await Deno.writeTextFile(path, text);
    return await read("--tone", "--scenario", path, ...args);
  };
  const steps = (...at: number[]) =>
    JSON.stringify({ steps: at.map((at) => ({ at, do: "pause" })) });
  assertEquals((await readWith(steps(0, 9.9))).scenario.length, 2);
  const cases: [text: string, args: string[], says: RegExp][] = [
    [steps(0, 10), [], /steps\.json.*Step 2: expected "at" to be less than 10\.0/],
    [steps(0, 6), ["--history", "4"], /Step 2: expected "at" to be less than 6\.0/],
    [steps(3, 2), [], /steps\.json.*Step 2: expected "at" to be at least 3/],
    ["{}", [], /steps\.json.*"steps": expected a list/],
    [" ".repeat(1_000_001), [], /at most 1000000 bytes after --scenario, .*steps\.json has more/],
  ];
  for (const [text, args, says] of cases) {
    const { message } = await assertRejects(() => readWith(text, ...args), UsageError);
    assertMatch(message, says);
  }
});

Deno.test("call options: no file that they name is taken for another one", async () => {
  await using folder = await TemporaryFolder.make();
  await Deno.writeFile(folder.join("large.wav"), new Uint8Array());
  // Has no blocks on the disk.
  await Deno.truncate(folder.join("large.wav"), 256 * 1024 * 1024 + 1);
  const { message } = await assertRejects(
    () => read("--wav", folder.join("large.wav")),
    UsageError,
  );
  assertMatch(message, /at most 268435456 bytes after --wav, .*large\.wav has more/);
});

Deno.test("call command: wrong options end it with 2, a line on stderr, and no file", async () => {
  await using folder = await TemporaryFolder.make();
  await Deno.writeTextFile(folder.join("mine"), "mine");
  const cases: [args: string[], says: RegExp][] = [
    [[], /^Expected --wav FILE, --tone or --probe; see --help\n$/],
    // No key is known.
    [["--tone"], /^No API key: /],
    [["--tone", "--secret", SECRET], /^Expected --key together with --secret\n$/],
    [[...UNSIGNED, "--tone", "--json", "--speed", "x"], /--speed\n$/],
    [[...UNSIGNED, "--tone", "--save-audio", "mine"], /--save-audio, got mine .*is there already/],
    [[...UNSIGNED, "--tone", "--save-audio", "no/such"], /--save-audio, got no\/such \(not found/],
    [[...UNSIGNED, "--tone", "--save-audio", "new.wav", "--scenario", "none"], /--scenario/],
    [[...UNSIGNED, "--wav", "mine", "--save-audio", "new.wav"], /8 kHz/],
  ];
  await Promise.all(cases.map(async ([args, says]) => {
    const { code, stdout, stderr } = await runIn(folder.path, args);
    assertEquals([code, stdout], [2, ""], stderr);
    assertMatch(stderr, says);
  }));
  assertEquals(await filesBelow(folder.path), ["mine"]);
  assertEquals(await Deno.readTextFile(folder.join("mine")), "mine");
});

Deno.test("call command: --help tells all options, keys, exit codes, and a scenario", async () => {
  await using folder = await TemporaryFolder.make();
  const { code, stdout } = await runIn(folder.path, ["--help"]);
  assertEquals(code, 0);
  const options = "wav tone probe url key secret retries duration speed format channels frame-ms " +
    "history save-audio language supported-languages custom-config input-variables org " +
    "conversation session ani dnis scenario messages json help";
  for (const option of options.split(" ")) assertMatch(stdout, new RegExp(`--${option}\\b`));
  for (const part of [/Keys.*p pause/, /Exit codes: 0/, /Ctrl-C/, /DENO_CERT/]) {
    assertMatch(stdout, part);
  }
  for (const line of stdout.split("\n")) assert(line.length <= 100, line);
  // Its example is a scenario.
  const [example] = /\{"steps": \[[^]*?\n {2}\]\}/.exec(stdout) ?? [];
  assertExists(example);
  await Deno.writeTextFile(folder.join("steps.json"), example);
  const { scenario } = await read("--tone", "--scenario", folder.join("steps.json"));
  assertEquals(scenario.length, 8);
});

Deno.test("call command: the scenario of the README is one", async () => {
  const readme = await Deno.readTextFile(`${ROOT}/README.md`);
  const [, example] = /```json\n(\{\s+"steps": [^]*?)```/.exec(readme) ?? [];
  assertExists(example);
  await using folder = await TemporaryFolder.make();
  await Deno.writeTextFile(folder.join("steps.json"), example);
  const { scenario } = await read("--tone", "--scenario", folder.join("steps.json"));
  assertEquals(scenario.length, 5);
});
