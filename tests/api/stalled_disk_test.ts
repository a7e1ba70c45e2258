/**
 * What is answered while the disk neither answers nor fails: the real API over real files, on a disk
 * that stalls.
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "node:path";
import { API_LIMITS, type ApiLimits } from "../../lib/api/mod.ts";
import { ADMIN_TOKEN } from "../helpers/api_server.ts";
import { until, within } from "../helpers/deadline.ts";
import { Program, ROOT, taskFlags, TemporaryFolder } from "../helpers/program.ts";
import {
  type MadeAudio,
  type MadeRecording,
  makeRecording,
  wavFile,
} from "../helpers/recordings.ts";
import { StalledDisk } from "../helpers/stalled_disk.ts";
import { noise } from "../helpers/wav_check.ts";
import { WireClient } from "../helpers/wire_client.ts";

const AUDIO: MadeAudio = { format: "PCMU", channels: ["external", "internal"], data: noise(1000) };
/** Much less than by default, and still enough for a disk that works. */
const QUICK: Partial<ApiLimits> = { readTimeoutMs: 1_000, changeTimeoutMs: 1_500 };
const MANY_BYTES = 64 * 1024 * 1024;

/** A server on a disk that can stall, with recordings. */
class Scene implements AsyncDisposable {
  readonly disk: StalledDisk;
  readonly ids: readonly string[];
  readonly #program: Program;
  readonly #port: number;
  readonly #pid: string;

  private constructor(
    disk: StalledDisk,
    ids: readonly string[],
    program: Program,
    place: { readonly port: number; readonly pid: string },
  ) {
    this.disk = disk;
    this.ids = ids;
    this.#program = program;
    this.#port = place.port;
    this.#pid = place.pid;
  }

  static async start(
    disk: StalledDisk,
    folder: string,
    recordings: readonly MadeRecording[],
    limits: Partial<ApiLimits>,
  ): Promise<Scene> {
    const script = join(ROOT, "tests/api/api_program.ts");
    const program = new Program({
      args: ["run", ...taskFlags("start"), script, folder, JSON.stringify(limits)],
      cwd: folder,
      env: disk.env,
    });
    const [, port = "", pid = ""] = await program.waitFor(/port (\d+) process (\d+)/);
    const ids = recordings.map(({ id }) => id);
    const scene = new Scene(disk, ids, program, { port: Number(port), pid });
    await until(async () => {
      const { recordings } = await (await scene.fetch("/api/recordings")).json();
      return recordings?.length === ids.length;
    }, "the index");
    return scene;
  }

  get output(): string {
    return this.#program.output;
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = {
      "authorization": `Bearer ${ADMIN_TOKEN}`,
      "content-type": "application/json",
    };
    const url = `http://127.0.0.1:${this.#port}${path}`;
    return await within(fetch(url, { ...init, headers }), `${init.method ?? "GET"} ${path}`);
  }

  /** The status of an answer, and the error's code and message. */
  async ask(path: string, method = "GET") {
    const body = method === "PUT" ? JSON.stringify({ reason: "Case 4711" }) : undefined;
    const response = await this.fetch(path, { method, body });
    const text = await response.text();
    const isError = response.status >= 400;
    return {
      status: response.status,
      retryAfter: response.headers.get("retry-after"),
      code: isError ? JSON.parse(text).error.code : undefined,
      message: isError ? JSON.parse(text).error.message : undefined,
    };
  }

  /** A call is answered: its signature is checked by the threads that do file operations. */
  async call(): Promise<void> {
    const addr: Deno.NetAddr = { transport: "tcp", hostname: "127.0.0.1", port: this.#port };
    await using client = await WireClient.connect({ addr });
    await client.open();
    await client.close();
  }

  /** Lines of the log whose message begins so. */
  lines(beginning: string): string[] {
    return this.output.split("\n").filter((line) => line.includes(`"message":"${beginning}`));
  }

  /** Recordings' files that the server has open. */
  async openFiles(): Promise<string[]> {
    // Deno itself may not look there without all permissions.
    const args = ["-l", `/proc/${this.#pid}/fd`];
    const { stdout } = await new Deno.Command("ls", { args }).output();
    const lines = new TextDecoder().decode(stdout).split("\n");
    assert(lines.length > 5, "it has no files at all");
    return lines.filter((line) => line.includes("/recordings/"));
  }

  async closed(): Promise<void> {
    await until(async () => (await this.openFiles()).length === 0, "end of all files");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}

function testDisk(
  name: string,
  { audio = [AUDIO], file, limits = QUICK }: {
    readonly audio?: readonly MadeAudio[];
    readonly file?: Uint8Array;
    readonly limits?: Partial<ApiLimits>;
  },
  run: (scene: Scene) => Promise<void>,
): void {
  Deno.test(`stalled disk: ${name}`, async () => {
    await using folder = await TemporaryFolder.make();
    const disk = await StalledDisk.make(folder.path);
    if (typeof disk === "string") {
      // deno-lint-ignore no-console -- whoever runs the tests has to know
      console.log(`skipped: no disk can be made to stall, because ${disk}`);
      return;
    }
    const recordings: MadeRecording[] = [];
    for (const one of audio) {
      const wish = { audio: one, ...(file === undefined ? {} : { file }) };
      const recording = await makeRecording(folder.join("recordings"), wish);
      if (file !== undefined) await Deno.truncate(`${recording.path}.wav`, 58 + MANY_BYTES);
      recordings.push(recording);
    }
    await using scene = await Scene.start(disk, folder.path, recordings, limits);
    await run(scene);
  });
}

const REQUESTS: readonly (readonly [method: string, path: string])[] = [
  ["GET", ""],
  ["GET", "/audio"],
  ["GET", "/audio?format=pcm16"],
  ["GET", "/messages"],
  ["GET", "/peaks"],
  ["PUT", "/hold"],
  ["DELETE", "/hold"],
  ["DELETE", ""],
];

for (const [method, path] of REQUESTS) {
  testDisk(`${method} …${path} is answered 503, and as ever when it goes on`, {}, async (scene) => {
    const target = `/api/recordings/${scene.ids[0]}${path}`;
    if (target.endsWith("/hold")) {
      assertEquals((await scene.ask(target, "PUT")).status, 200);
    }
    await scene.disk.stall();
    const { status, retryAfter, code, message } = await scene.ask(target, method);
    assertEquals([status, retryAfter, code], [503, "5", "storage_timeout"]);
    // PUT looks at the hold that there is first, and gets no further.
    const expected = method === "GET"
      ? "Storage does not answer: try again later"
      : method === "PUT"
      ? "Storage does not answer: nothing was changed, try again later"
      : "Storage does not answer: the change may still be made, " +
        "so see whether it was before you try again";
    assertEquals(message, expected);
    assertEquals(scene.lines("Cannot answer").length, 1, scene.output);
    // What does not need the disk is there.
    assertEquals((await scene.ask("/api/recordings")).status, 200);
    assertEquals((await scene.ask("/healthz")).status, 200);
    assertEquals((await scene.ask("/metrics")).status, 200);
    await scene.disk.goOn();
    // What was to be removed is, meanwhile or by now.
    const good = path !== "" || method === "GET" ? [200, 204] : [204, 404];
    await until(
      async () => good.includes((await scene.ask(target, method)).status),
      "an answer as ever",
    );
    await scene.closed();
    assertEquals(/"level":"(FATAL|fatal)"|Defect/.test(scene.output), false, scene.output);
  });
}

testDisk("a change waits for the one that hangs, or is refused, and then is not made", {
  audio: [AUDIO, AUDIO],
}, async (scene) => {
  const [first = "", second = ""] = scene.ids.map((id) => `/api/recordings/${id}`);
  await scene.disk.stall("rename");
  // The one that came first has renamed its hold, but for the disk.
  const answer = await scene.ask(`${first}/hold`, "PUT");
  assertEquals([answer.status, answer.code], [503, "storage_timeout"]);
  assertMatch(answer.message, /the change may still be made/);
  const refused = await scene.ask(second, "DELETE");
  assertEquals([refused.status, refused.code], [503, "storage_timeout"]);
  assertMatch(refused.message, /nothing was changed/);
  // Recordings are read all the while.
  assertEquals((await scene.ask(second)).status, 200);
  await scene.disk.goOn();
  await until(async () => {
    const { legalHold } = await (await scene.fetch(first)).json();
    return legalHold?.reason === "Case 4711";
  }, "the hold that was late");
  assertEquals((await scene.ask(second)).status, 200);
  // The change that was late goes on for a moment.
  await until(async () => (await scene.ask(second, "DELETE")).status === 204, "a removal");
});

const LONG = { audio: [AUDIO], file: wavFile(AUDIO, MANY_BYTES) };

for (const query of ["", "?format=pcm16"]) {
  testDisk(
    `a body (${query}) that it stalls in is broken off, and said so once`,
    LONG,
    async (scene) => {
      const target = `/api/recordings/${scene.ids[0]}/audio${query}`;
      const response = await scene.fetch(target);
      assertEquals(response.status, 200);
      const reader = response.body?.getReader();
      await reader?.read();
      await scene.disk.stall("read");
      await assertRejects(() =>
        within(
          (async () => {
            while (!(await reader?.read())?.done);
          })(),
          "end of the body",
        )
      );
      const lines = scene.lines("Sending");
      assertEquals(lines.length, 1, scene.output);
      assertMatch(lines[0] ?? "", /did not answer within 1 s/);
      await scene.disk.goOn();
      await scene.closed();
      const again = await scene.fetch(target, { method: "HEAD" });
      assertEquals(again.status, 200);
    },
  );
}

testDisk("an outline that it stalls in leaves its place to others", {
  ...LONG,
  limits: { ...QUICK, maxPeaksRunning: 1, maxPeaksWaiting: 0 },
}, async (scene) => {
  const target = `/api/recordings/${scene.ids[0]}/peaks`;
  await scene.disk.stall("read");
  assertEquals((await scene.ask(target)).code, "storage_timeout");
  assertEquals((await scene.ask(target)).code, "storage_timeout", "it is not busy");
  await scene.disk.goOn();
  assertEquals((await scene.ask(target)).status, 200);
  await scene.closed();
});

testDisk("whatever is asked of it, calls are answered, and no file is left open", {
  audio: Array.from({ length: 3 }, () => AUDIO),
}, async (scene) => {
  for (const call of ["open", "read"] as const) {
    await scene.disk.stall(call);
    // More than the threads that Deno has, and than those that wait for a turn.
    const paths = ["/peaks", "/audio", "/audio?channel=internal"];
    // Messages are not read before their answer begins.
    if (call === "open") paths.push("/messages", "");
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => {
        const id = scene.ids[n % scene.ids.length];
        return scene.ask(`/api/recordings/${id}${paths[n % paths.length]}`);
      }),
    );
    for (const { status, retryAfter } of answers) {
      assertEquals([status, retryAfter], [503, "5"]);
    }
    const codes = new Set(answers.map(({ code }) => code));
    assert(codes.has("storage_timeout"), [...codes].join());
    await scene.call();
    assertEquals((await scene.ask("/healthz")).status, 200);
    assertEquals((await scene.ask("/metrics")).status, 200);
    assertEquals((await scene.ask("/api/recordings")).status, 200);
    // All that may hang does: who comes now is not even heard.
    const { code } = await scene.ask(`/api/recordings/${scene.ids[0]}/audio`);
    assertEquals(code, "storage_timeout");
    assertMatch(scene.lines("Cannot answer").at(-1) ?? "", /was not asked/);
    await scene.disk.goOn();
    await until(
      async () => (await scene.ask(`/api/recordings/${scene.ids[0]}`)).status === 200,
      "an answer after all",
    );
    await scene.closed();
  }
});

Deno.test("stalled disk: of the deadlines, the inner ones come first", () => {
  const { readTimeoutMs, changeTimeoutMs, answerTimeoutMs, bodyTimeoutMs } = API_LIMITS;
  // The index: 5 s; the lock of the audit log: 10 s.
  assert(readTimeoutMs > 5_000 && changeTimeoutMs > 10_000);
  // PUT waits for its body, looks for a hold, and sets one.
  assert(answerTimeoutMs >= bodyTimeoutMs + readTimeoutMs + changeTimeoutMs);
});
