import { assert, assertEquals, assertGreater } from "@std/assert";
import { relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { filesBelow, Program, ROOT, TemporaryFolder } from "./helpers/program.ts";

/** One file that imports another one, or a package. */
interface Edge {
  /** Path from the root of the repository. */
  readonly from: string;
  /** The same, or a package: `npm:zod`, `node:path`. */
  readonly to: string;
}

/** One file of lib. */
interface Source {
  readonly path: string;
  readonly text: string;
}

/** What a room may import; what is not listed, it may not. */
interface Room {
  /** Paths of files, folders (with a slash at the end), and packages. */
  readonly mayImport: readonly string[];
  /** What its sources must not say, comments aside. */
  readonly mustNotSay?: RegExp;
}

const STD = ["npm:deno-std", "npm:@logtape/logtape"];

/** Whatever does I/O, waits, or knows the time. */
const IMPURE =
  /\bDeno\s*\.|["']node:|\bset(Timeout|Interval|Immediate)\b|\bqueueMicrotask\b|\bDate\s*\.\s*now\b|\bnew Date\b|\bperformance\s*\.|\bconsole\s*\.|\bfetch\s*\(|\bnew WebSocket\b/;

/** Whatever opens a connection, or waits for one. */
const SOCKETS =
  /\bWebSocket\b|\bfetch\s*\(|\bDeno\s*\.\s*(serve|listen|listenTls|connect|connectTls|upgradeWebSocket)\b/;

/** The table of architecture.md, section "Rooms". */
const ROOMS: Readonly<Record<string, Room>> = {
  protocol: {
    mayImport: ["lib/protocol/", "npm:zod", "npm:structured-headers"],
    mustNotSay: IMPURE,
  },
  audio: { mayImport: ["lib/audio/"], mustNotSay: IMPURE },
  storage: {
    // Of the protocol, the shapes of what is kept.
    mayImport: [
      "lib/storage/",
      "lib/protocol/",
      "lib/audio/",
      "npm:aws4fetch",
      "npm:zod",
      "node:",
      ...STD,
    ],
    mustNotSay: /\b(Server|Client)Session\b/,
  },
  app: {
    // Of the storage, the interfaces.
    mayImport: [
      "lib/app/",
      "lib/protocol/",
      "lib/audio/",
      "lib/storage/recording_index.ts",
      "lib/storage/recording_log.ts",
      "lib/storage/recording_metadata.ts",
      "lib/storage/recording_store.ts",
      "npm:zod",
      "node:",
      ...STD,
    ],
    mustNotSay: SOCKETS,
  },
  server: {
    // No concrete app, no store: they are handed in.
    mayImport: [
      "lib/server/",
      "lib/protocol/",
      "lib/app/app.ts",
      "lib/app/audio_frame.ts",
      "lib/app/deadline.ts",
      "npm:zod",
      "node:",
      ...STD,
    ],
  },
  client: {
    // The configuration, for the defaults of its command lines.
    mayImport: [
      "lib/client/",
      "lib/protocol/",
      "lib/audio/",
      "lib/config/",
      "npm:ws",
      "npm:@types/ws",
      "npm:zod",
      "node:",
      ...STD,
    ],
  },
  api: {
    // Of the storage, the interfaces: places are handed in.
    mayImport: [
      "lib/api/",
      "lib/audio/",
      "lib/protocol/",
      "lib/storage/recording_archive.ts",
      "lib/storage/recording_id.ts",
      "lib/storage/recording_index.ts",
      "lib/storage/recording_metadata.ts",
      "npm:zod",
      "node:",
      ...STD,
    ],
    mustNotSay: SOCKETS,
  },
  // The protocol's word for what an API key is; and how a file is written that is nobody else's.
  config: {
    mayImport: [
      "lib/config/",
      "lib/protocol/keyring.ts",
      "lib/storage/private_file.ts",
      "npm:zod",
      "node:",
      ...STD,
    ],
  },
};

/** Parts of main.ts: like that, they import everything, and are imported by it alone. */
const PROGRAM = "lib/program/";

/** Files of lib that are in no room. */
const FACES = ["lib/mod.ts", "lib/std.d.ts"];

const MAX_LINES = 400;

/** Names that say nothing of what is in a file. */
const NAMELESS = /(^|\/)(utils?|common|types?|helpers?|misc)\.ts$/;

/** Every breach of the rules of architecture.md. */
function violations(edges: readonly Edge[], sources: readonly Source[]): string[] {
  const found: string[] = [];
  for (const { from, to } of edges) {
    if (to === "main.ts") found.push(`${from} imports main.ts`);
    const isPart = to.startsWith(PROGRAM);
    if (isPart && from !== "main.ts" && !from.startsWith(PROGRAM)) {
      found.push(`${from} imports ${to}`);
    }
    const name = roomOf(from);
    const room = name === undefined ? undefined : ROOMS[name];
    if (room === undefined) continue;
    if (!room.mayImport.some((allowed) => isWithin(to, allowed))) {
      found.push(`${from} imports ${to}`);
    }
  }
  for (const { path, text } of sources) {
    const name = roomOf(path);
    if (name === undefined && !FACES.includes(path)) found.push(`${path} is in no room`);
    const room = name === undefined ? undefined : ROOMS[name];
    if (name !== undefined && room === undefined && !path.startsWith(PROGRAM)) {
      found.push(`${path} is in an unknown room`);
    }
    const said = room?.mustNotSay?.exec(withoutComments(text));
    if (said) found.push(`${path} says ${said[0]}`);
    const lines = text.trimEnd().split("\n").length;
    if (lines > MAX_LINES) found.push(`${path} has ${lines} lines`);
    if (NAMELESS.test(path)) found.push(`${path} has a name that says nothing`);
    if (path.startsWith("lib/server/") && path !== "lib/server/connection.ts") {
      const touched = /\bsocket\s*\.\s*\w+/.exec(withoutComments(text));
      if (touched) found.push(`${path} touches a socket: ${touched[0]}`);
    }
    if (!path.endsWith(".d.ts") && !/^\/\*\*/.test(text)) {
      found.push(`${path} does not begin with what it is for`);
    }
  }
  return found;
}

function roomOf(path: string): string | undefined {
  return /^lib\/([^/]+)\//.exec(path)?.[1];
}

function isWithin(path: string, allowed: string): boolean {
  if (allowed.endsWith("/") || allowed === "node:") return path.startsWith(allowed);
  return path === allowed;
}

/** Without comments; strings stay. */
function withoutComments(source: string): string {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;
  return source.replace(token, (text) => /^\/[/*]/.test(text) ? " " : text);
}

interface Dependency {
  readonly code?: { readonly specifier?: string };
  readonly type?: { readonly specifier?: string };
}

interface Graph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly Dependency[];
  }[];
}

/** What a module and all that it needs import, as Deno sees it. */
async function importsOf(path: string): Promise<{ edges: Edge[]; files: string[] }> {
  await using program = new Program({
    args: ["info", "--json", "--config", `${ROOT}/deno.json`, path],
    cwd: ROOT,
  });
  const { code, stdout, stderr } = await program.ended(60_000);
  assertEquals(code, 0, stderr);
  const graph: Graph = JSON.parse(stdout);
  const edges: Edge[] = [];
  const files: string[] = [];
  for (const { specifier, error, dependencies = [] } of graph.modules) {
    assertEquals(error, undefined);
    const from = nameOf(specifier);
    files.push(from);
    if (!from.startsWith("lib/") && from !== "main.ts") continue;
    // Deno adds the ambient types of deno.json to every graph: nobody imports them.
    if (from === "lib/std.d.ts") continue;
    for (const { code, type } of dependencies) {
      for (const to of [code?.specifier, type?.specifier]) {
        if (to !== undefined) edges.push({ from, to: nameOf(to) });
      }
    }
  }
  return { edges, files };
}

/** `lib/app/app.ts`, `npm:zod`, `node:path`. */
function nameOf(specifier: string): string {
  if (specifier.startsWith("file:")) return relative(ROOT, fileURLToPath(specifier));
  return specifier.replace(/^(npm|jsr):\/?((?:@[^/@]+\/)?[^/@]+).*$/, "$1:$2");
}

async function sourcesOfLib(): Promise<Source[]> {
  const paths = (await filesBelow(`${ROOT}/lib`)).map((path) => `lib/${path}`);
  return await Promise.all(
    paths.filter((path) => path.endsWith(".ts")).map(async (path) => ({
      path,
      text: await Deno.readTextFile(`${ROOT}/${path}`),
    })),
  );
}

Deno.test("layout: every file of lib keeps the rules of the house", async () => {
  const sources = await sourcesOfLib();
  const { edges, files } = await importsOf(`${ROOT}/main.ts`);
  assertGreater(files.length, 30);
  assertGreater(edges.length, 100);
  const rest = sources.map(({ path }) => path)
    .filter((path) => !files.includes(path) && path.endsWith(".ts") && !path.endsWith(".d.ts"));
  // What main.ts does not reach: the commands and faces for others.
  await using folder = await TemporaryFolder.make();
  const all = folder.join("all.ts");
  await Deno.writeTextFile(
    all,
    rest.map((path) => `import ${JSON.stringify(pathToFileURL(`${ROOT}/${path}`))};\n`).join(""),
  );
  const others = await importsOf(all);
  for (const path of rest) assert(others.files.includes(path), path);
  assertEquals(violations([...edges, ...others.edges], sources), []);
});

Deno.test("layout: no test has main.ts as a module either", async () => {
  for (const path of await filesBelow(`${ROOT}/tests`)) {
    if (!path.endsWith(".ts")) continue;
    const text = await Deno.readTextFile(`${ROOT}/tests/${path}`);
    assertEquals(/from "(\.\.\/)+main\.ts"/.test(text), false, path);
  }
});

Deno.test("layout: the packages are those that were chosen", async () => {
  const { edges } = await importsOf(`${ROOT}/main.ts`);
  const packages = new Set(edges.map(({ to }) => to).filter((to) => /^(npm|jsr|https?):/.test(to)));
  assertEquals([...packages].sort(), [
    "npm:@logtape/logtape",
    "npm:@types/ws",
    "npm:aws4fetch",
    "npm:deno-std",
    "npm:structured-headers",
    "npm:ws",
    "npm:zod",
  ]);
});

/** What the rules must find, or they are worth nothing. */
const MADE_UP: readonly [edge: readonly [from: string, to: string], isAllowed: boolean][] = [
  [["lib/protocol/codec.ts", "lib/protocol/duration.ts"], true],
  [["lib/protocol/codec.ts", "npm:zod"], true],
  [["lib/protocol/signature.ts", "npm:structured-headers"], true],
  [["lib/protocol/codec.ts", "lib/audio/mod.ts"], false],
  [["lib/protocol/codec.ts", "node:crypto"], false],
  [["lib/protocol/codec.ts", "npm:@logtape/logtape"], false],
  [["lib/audio/wav.ts", "lib/audio/mulaw.ts"], true],
  [["lib/audio/wav.ts", "npm:zod"], false],
  [["lib/audio/wav.ts", "lib/protocol/media.ts"], false],
  [["lib/storage/file_recording_store.ts", "node:path"], true],
  [["lib/storage/file_recording_store.ts", "lib/protocol/mod.ts"], true],
  [["lib/storage/file_recording_store.ts", "lib/app/recorder.ts"], false],
  [["lib/storage/file_recording_store.ts", "lib/server/server.ts"], false],
  [["lib/storage/s3/s3_requests.ts", "npm:aws4fetch"], true],
  [["lib/app/recorder.ts", "npm:aws4fetch"], false],
  [["lib/app/recorder.ts", "lib/storage/recording_store.ts"], true],
  [["lib/app/recorder.ts", "lib/protocol/mod.ts"], true],
  [["lib/app/recorder.ts", "lib/storage/file_recording_store.ts"], false],
  [["lib/app/recorder.ts", "lib/server/connection.ts"], false],
  [["lib/server/server.ts", "lib/app/app.ts"], true],
  [["lib/server/server.ts", "lib/app/audio_frame.ts"], true],
  [["lib/server/server.ts", "lib/app/recorder.ts"], false],
  [["lib/server/server.ts", "lib/app/mod.ts"], false],
  [["lib/server/server.ts", "lib/storage/recording_store.ts"], false],
  [["lib/server/server.ts", "lib/config/settings.ts"], false],
  [["lib/client/place_call.ts", "lib/protocol/mod.ts"], true],
  [["lib/client/place_call.ts", "lib/server/server.ts"], false],
  [["lib/client/place_call.ts", "lib/app/recorder.ts"], false],
  [["lib/config/settings.ts", "npm:zod"], true],
  [["lib/config/settings.ts", "lib/protocol/mod.ts"], false],
  [["lib/mod.ts", "lib/server/mod.ts"], true],
  [["lib/mod.ts", "main.ts"], false],
  [["main.ts", "lib/storage/mod.ts"], true],
];

Deno.test("layout: the rules find what is against them, and nothing else", () => {
  for (const [[from, to], isAllowed] of MADE_UP) {
    const found = violations([{ from, to }], []);
    assertEquals(found, isAllowed ? [] : [`${from} imports ${to}`]);
  }
});

Deno.test("layout: the rules find words that a pure room must not say, comments aside", () => {
  const words = [
    "Deno.readFile",
    'import "node:path"',
    "setTimeout(f)",
    "setInterval(f)",
    "Date.now()",
    "new Date()",
    "performance.now()",
    "console.log()",
  ];
  for (const word of words) {
    for (const path of ["lib/protocol/x.ts", "lib/audio/x.ts"]) {
      assertEquals(
        violations([], [{ path, text: `/** X. */\nconst a = "//"; ${word};` }]).length,
        1,
      );
      const commented = `/** Not ${word}. */\nconst a = 1; // ${word}\n/* ${word}\n */`;
      assertEquals(violations([], [{ path, text: commented }]), []);
    }
  }
  const socket = "/** X. */\nnew WebSocket(url);";
  assertEquals(violations([], [{ path: "lib/app/x.ts", text: socket }]).length, 1);
  const send = "/** X. */\nsocket.send(frame);";
  assertEquals(violations([], [{ path: "lib/server/x.ts", text: send }]).length, 1);
  assertEquals(violations([], [{ path: "lib/server/connection.ts", text: send }]), []);
});

Deno.test("layout: the rules find long files, and names and places that say nothing", () => {
  const text = "/** X. */\n";
  const long = { path: "lib/app/long.ts", text: text + "x\n".repeat(MAX_LINES) };
  assertEquals(violations([], [long]), [`lib/app/long.ts has ${MAX_LINES + 1} lines`]);
  for (const name of ["utils", "common", "types"]) {
    assertEquals(violations([], [{ path: `lib/app/${name}.ts`, text }]).length, 1, name);
  }
  assertEquals(violations([], [{ path: "lib/stray.ts", text }]), ["lib/stray.ts is in no room"]);
  assertEquals(violations([], [{ path: "lib/attic/x.ts", text }]).length, 1);
  assertEquals(violations([], [{ path: "lib/app/x.ts", text: "export {};" }]).length, 1);
});
