import { assertEquals, assertGreaterOrEqual, assertMatch } from "@std/assert";
import { CallAudio } from "../lib/client/call_audio.ts";
import { placeCall } from "../lib/client/place_call.ts";
import * as library from "../lib/mod.ts";
import { CALL_WAV, Program, ROOT, TemporaryFolder } from "./helpers/program.ts";

/** What others build on, by what it is. */
const PUBLIC_FACE: Readonly<Record<string, "class" | "function" | "object" | "value">> = {
  // The server.
  startServer: "function",
  DEFAULT_PATH: "value",
  // Apps.
  AudioFrame: "class",
  Recorder: "class",
  recordingMetadataSchema: "object",
  FileRecordingStore: "class",
  // Signatures.
  Keyring: "class",
  MemoryNonceStore: "class",
  createSignature: "function",
  verifySignature: "function",
  // The protocol.
  ServerSession: "class",
  ClientSession: "class",
  LocalProtocolError: "class",
  RemoteProtocolError: "class",
  decodeClientText: "function",
  decodeServerText: "function",
  encodeText: "function",
  parseDuration: "function",
  formatDuration: "function",
  isSupportedMedia: "function",
  CLIENT_PARAMETERS: "object",
  SERVER_PARAMETERS: "object",
};

Deno.test("library: lib/mod.ts has the public face", () => {
  const names: Record<string, unknown> = { ...library };
  const kinds: Record<string, string> = {};
  for (const [name, kind] of Object.entries(PUBLIC_FACE)) {
    const value = names[name];
    if (value === undefined) kinds[name] = "missing";
    else if (kind === "value") kinds[name] = "value";
    else if (kind === "object") kinds[name] = typeof value;
    else kinds[name] = /^class\b/.test(String(value)) ? "class" : typeof value;
  }
  assertEquals(kinds, { ...PUBLIC_FACE });
});

/** What a user of the library would write. */
const PROGRAM = `
import {
  type App,
  type Call,
  type CallHandler,
  Keyring,
  type Media,
  startServer,
} from "@audiohook/server";

class Counter implements App {
  readonly name = "counter";
  readonly supportedLanguages = ["en-US", "de"];
  open(call: Call): CallHandler {
    let samples = 0;
    let loudest = 0;
    return {
      opened(media: Media | undefined) {
        call.sendEvent({ type: "counting", data: { channels: media?.channels } });
      },
      audio(frame) {
        samples += frame.samples;
        for (const sample of frame.linear()) loudest = Math.max(loudest, sample);
      },
      close(end) {
        call.sendEvent({ type: "counted", data: { samples, loudest } });
        console.log(JSON.stringify({ samples, loudest, end }));
      },
    };
  }
}

const keyring = await Keyring.create(new Map([["library-key", new Uint8Array(32).fill(7)]]));
const server = startServer({ keyring, apps: [new Counter()], path: "/calls" });
console.log("port " + server.addr.port);
Deno.addSignalListener("SIGTERM", async () => {
  await server.shutdown();
  Deno.exit(0);
});
`;

Deno.test("library: a program outside of the project starts a server with an app of its own", async () => {
  await using folder = await TemporaryFolder.make();
  await Deno.writeTextFile(folder.join("server.ts"), PROGRAM);
  await using program = new Program({
    args: [
      "run",
      "--check",
      "--no-lock",
      "--no-prompt",
      "--allow-net=127.0.0.1",
      `--config=${ROOT}/deno.json`,
      "server.ts",
    ],
    cwd: folder.path,
  });
  // It is type checked first.
  const [, port = ""] = await program.waitFor(/^port (\d+)$/m, 60_000);
  const audio = CallAudio.fromWav(await Deno.readFile(CALL_WAV));
  const organizationId = crypto.randomUUID();
  const entities: { type: string; data: unknown }[] = [];
  const languages: unknown[] = [];
  const outcome = await placeCall({
    request: {
      url: new URL(`ws://127.0.0.1:${port}/calls/connector-7?x=y`),
      organizationId,
      sessionId: crypto.randomUUID(),
      correlationId: crypto.randomUUID(),
      apiKey: "library-key",
      clientSecret: new Uint8Array(32).fill(7),
    },
    audio,
    open: {
      organizationId,
      conversationId: crypto.randomUUID(),
      participant: { id: crypto.randomUUID(), ani: "", aniName: "", dnis: "" },
      media: audio.offers("PCMU").map((offer) => ({ ...offer, channels: [...offer.channels] })),
      supportedLanguages: true,
    },
    speed: 100,
    onEvent(event) {
      if (event.type === "event") {
        entities.push(...event.entities.map(({ type, data }) => ({ type, data })));
      }
      if (event.type === "opened") languages.push(event.parameters.supportedLanguages);
    },
  });
  assertEquals(outcome.failure, undefined);
  assertEquals(languages, [["en-US", "de"]]);
  const [, line = ""] = await program.waitFor(/^(\{.*\})$/m);
  const counted = JSON.parse(line);
  assertEquals(counted.samples, 344_070);
  assertGreaterOrEqual(counted.loudest, 1000);
  assertEquals(counted.end, { how: "closed", reason: "end" });
  assertEquals(entities, [
    { type: "counting", data: { channels: ["external", "internal"] } },
    { type: "counted", data: { samples: counted.samples, loudest: counted.loudest } },
  ]);
  const { code, stderr } = await program.stop();
  assertEquals(code, 0, stderr);
});

Deno.test("library: an app that asks for what the state does not allow gets a LocalProtocolError", async () => {
  await using folder = await TemporaryFolder.make();
  await Deno.writeTextFile(
    folder.join("refused.ts"),
    `import { ClientSession, LocalProtocolError } from "@audiohook/server";
try {
  new ClientSession({ id: crypto.randomUUID() }).pause();
} catch (error) {
  console.log(error instanceof LocalProtocolError, (error as Error).message);
}
`,
  );
  await using program = new Program({
    args: ["run", "--no-lock", "--no-prompt", `--config=${ROOT}/deno.json`, "refused.ts"],
    cwd: folder.path,
  });
  // Without any permission: the protocol needs none.
  const { code, stdout, stderr } = await program.ended();
  assertEquals(code, 0, stderr);
  assertMatch(stdout, /^true .*paused.*idle/);
});
