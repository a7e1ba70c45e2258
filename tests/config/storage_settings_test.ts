import { assert, assertEquals, assertMatch } from "@std/assert";
import type { SettingName } from "../../lib/config/settings.ts";
import { parse, problemsOf } from "../helpers/settings.ts";

/** What is refused, and what the message says of it. */
const REFUSED: readonly (readonly [name: SettingName, values: readonly string[], says: string])[] =
  [
    [
      "RECORDINGS",
      ["on", "Files", "./recordings", "s3:/bucket", "s3://B", "s3://bucket/../x", "s3://bucket/a/"],
      "expected files, off, or s3://bucket or s3://bucket/prefix",
    ],
    [
      "S3_ENDPOINT",
      ["s3.example.com", "ftp://a"],
      "expected an address such as https://s3.example.com, without a path",
    ],
    ["S3_REGION", ["EU", "a b"], "expected a region such as eu-central-1, or auto"],
    ["SYNC_SECONDS", ["-1", "3601", "0.5"], "expected a whole number from 0 to 3600"],
    ["MIN_FREE_MB", ["-1", "1000000001", "5GB"], "expected a whole number from 0 to 1000000000"],
    ["RETENTION_DAYS", ["-1", "36501", "30d"], "expected a whole number from 0 to 36500"],
    ["S3_KEEP_LOCAL", ["no", "false", "OFF"], "expected on or off"],
    ["INDEX_PERSONAL_DATA", ["true", "1", "ON"], "expected on or off"],
  ];

for (const [name, values, says] of REFUSED) {
  Deno.test(`settings: a bad ${name} is refused with its name, and what it should be`, () => {
    for (const value of values) {
      const problem = problemsOf({ [name]: value }).at(-1);
      assertEquals(problem, `Cannot parse ${name}: ${says}, got "${value}"`);
    }
  });
}

Deno.test("settings: a bad ADMIN_TOKEN is refused, and not repeated", () => {
  for (
    const value of ["31-letters-are-not-enough-for-it", "with spaces ".repeat(4), "ü".repeat(40)]
  ) {
    const [problem = ""] = problemsOf({ ADMIN_TOKEN: value.slice(0, 31) + value.slice(32) });
    assertMatch(problem, /^Cannot parse ADMIN_TOKEN: expected 32 to 256 letters/);
    assert(!problem.includes(value.slice(0, 8)), problem);
  }
});

Deno.test("settings: a bad KV_URL is refused, and not repeated", () => {
  for (const value of ["index.kv", "file:///index.kv", "https://me:secret@kv.example.com"]) {
    assertEquals(problemsOf({ KV_URL: value }), [
      "Cannot parse KV_URL: expected an https: or http: address of a Deno KV, without a user's name",
    ]);
  }
});

Deno.test("settings: by default, calls are recorded to files, and kept", () => {
  assertEquals(parse({}).storage, {
    recordings: "on",
    objects: undefined,
    keepsUploaded: true,
    syncSeconds: 10,
    minFreeBytes: 500_000_000,
    retentionDays: 0,
    kvUrl: undefined,
    indexPersonalData: false,
    adminToken: undefined,
  });
});

Deno.test("settings: recordings go to object storage, with its keys", () => {
  const keys = { S3_ACCESS_KEY_ID: "key", S3_SECRET_ACCESS_KEY: "secret" };
  const defaults = { endpoint: undefined, region: undefined };
  const secrets = { accessKeyId: "key", secretAccessKey: "secret" };
  for (
    const [RECORDINGS, bucket, prefix] of [
      ["s3://calls", "calls", "recordings"],
      ["s3://calls/", "calls", "recordings"],
      ["s3://my.calls/a/b.c", "my.calls", "a/b.c"],
    ] as const
  ) {
    const { recordings, objects } = parse({ RECORDINGS, ...keys }).storage;
    assertEquals([recordings, objects], ["on", { bucket, prefix, ...defaults, ...secrets }]);
  }
  assertEquals(problemsOf({ RECORDINGS: "s3://calls" }), [
    'Cannot use RECORDINGS "s3://calls" without S3_ACCESS_KEY_ID',
    'Cannot use RECORDINGS "s3://calls" without S3_SECRET_ACCESS_KEY',
  ]);
  const [problem = ""] = problemsOf({ ...keys, S3_SECRET_ACCESS_KEY: "a secret" });
  assertEquals(
    problem,
    "Cannot parse S3_SECRET_ACCESS_KEY: expected printable ASCII characters, without spaces",
  );
});

const ENOUGH_WITHOUT_DISK = {
  DATA_DIR: "none",
  AUDIOHOOK_KEYS: '{"key":"c2VjcmV0"}',
  ADMIN_TOKEN: "a-token-of-32-characters-at-least",
  RECORDINGS: "s3://calls",
  S3_ACCESS_KEY_ID: "key",
  S3_SECRET_ACCESS_KEY: "secret",
};

Deno.test("settings: without a lasting disk, what would be made and kept there has to be given", () => {
  const reason = "(DATA_DIR is none, so that nothing can be kept on a disk)";
  assertEquals(problemsOf({ DATA_DIR: "none" }), [
    `Cannot use RECORDINGS "files": expected s3://bucket/prefix, or off ${reason}`,
    `Cannot do without AUDIOHOOK_KEYS ${reason}`,
    `Cannot do without ADMIN_TOKEN ${reason}`,
  ]);
  const { dataDir, storage } = parse(ENOUGH_WITHOUT_DISK);
  assertEquals([dataDir, storage.objects?.bucket], [undefined, "calls"]);
  const { AUDIOHOOK_KEYS } = ENOUGH_WITHOUT_DISK;
  assertEquals(parse({ DATA_DIR: "none", RECORDINGS: "off", AUDIOHOOK_KEYS }).dataDir, undefined);
});

Deno.test("settings: on Deno Deploy, no disk lasts, and its proxy reaches the server", () => {
  const onDeploy = { isDenoDeploy: true };
  const { DATA_DIR: _, ...rest } = ENOUGH_WITHOUT_DISK;
  const { dataDir, host } = parse(rest, onDeploy);
  assertEquals([dataDir, host], [undefined, "0.0.0.0"]);
  const set = parse({ DATA_DIR: "/data", HOST: "::1" }, onDeploy);
  assertEquals([set.dataDir, set.host], ["/data", "::1"]);
});
