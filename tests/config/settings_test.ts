import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { SERVER_SESSION_LIMITS } from "../../lib/protocol/mod.ts";
import { SETTING_NAMES, type SettingName, SettingsError } from "../../lib/config/settings.ts";
import { parse, problemsOf } from "../helpers/settings.ts";

const SECRET = "c2VjcmV0LXRoYXQtbXVzdC1ub3QtbGVhaw==";

Deno.test("settings: every default, when no variable is set", () => {
  assertEquals(parse({}), {
    host: "127.0.0.1",
    port: 8000,
    audiohookPath: "/api/v1/audiohook/ws",
    audiohookKeys: new Map(),
    publicAuthority: undefined,
    tlsFiles: undefined,
    dataDir: "./data",
    logLevel: "info",
    logFormat: "json",
    authFailureDelayMs: 500,
    clientAddressHeader: undefined,
    storage: {
      recordings: "on",
      objects: undefined,
      keepsUploaded: true,
      syncSeconds: 10,
      minFreeBytes: 500_000_000,
      retentionDays: 0,
      kvUrl: undefined,
      indexPersonalData: false,
      adminToken: undefined,
    },
    maxAuthFailuresPerMinute: 30,
    maxSessions: 5000,
    maxBufferedBytes: 4_194_304,
    sessionLimits: {
      maxTextBytes: 65_535,
      maxJsonDepth: 64,
      maxAudioFrameBytes: 64_000,
      receivedTextRate: { perSecond: 20, burst: 600 },
      receivedCharacterRate: { perSecond: 16_384, burst: 491_520 },
      receivedAudioRate: { perSecond: 500, burst: 15_000 },
      maxAudioAheadMs: 60_000,
      openTimeoutMs: 10_000,
      closeTimeoutMs: 5_000,
      hangupTimeoutMs: 5_000,
      silenceTimeoutMs: 60_000,
    },
  });
});

Deno.test("settings: the limits of a session are the library's own by default", () => {
  assertEquals({ ...SERVER_SESSION_LIMITS, ...parse({}).sessionLimits }, SERVER_SESSION_LIMITS);
});

Deno.test("settings: an empty variable counts as not set", () => {
  const empty = Object.fromEntries(SETTING_NAMES.map((name) => [name, ""]));
  assertEquals(parse(empty), parse({}));
});

Deno.test("settings: LOG_FORMAT is pretty when standard output is a terminal, unless it is set", () => {
  assertEquals(parse({}, { stdoutIsTerminal: true }).logFormat, "pretty");
  assertEquals(parse({ LOG_FORMAT: "json" }, { stdoutIsTerminal: true }).logFormat, "json");
  assertEquals(parse({ LOG_FORMAT: "pretty" }).logFormat, "pretty");
});

Deno.test("settings: every variable that is set is used", () => {
  assertEquals(
    parse({
      HOST: "0.0.0.0",
      PORT: "0",
      AUDIOHOOK_PATH: "/hook/",
      AUDIOHOOK_KEYS: `{"key":"${SECRET}","unsigned==":""}`,
      PUBLIC_AUTHORITY: "Audiohook.Example.COM:443",
      TLS_CERT_FILE: "fullchain.pem",
      TLS_KEY_FILE: "privkey.pem",
      DATA_DIR: "/var/lib/audiohook",
      LOG_LEVEL: "trace",
      LOG_FORMAT: "pretty",
      AUTH_FAILURE_DELAY_MS: "10000",
      CLIENT_ADDRESS_HEADER: "CF-Connecting-IP",
      RECORDINGS: "off",
      S3_ENDPOINT: "https://s3.example.com",
      S3_REGION: "auto",
      S3_ACCESS_KEY_ID: "key",
      S3_SECRET_ACCESS_KEY: "secret",
      S3_KEEP_LOCAL: "off",
      SYNC_SECONDS: "0",
      MIN_FREE_MB: "2",
      RETENTION_DAYS: "90",
      KV_URL: "https://api.deno.com/databases/0/connect",
      INDEX_PERSONAL_DATA: "on",
      ADMIN_TOKEN: "a-token-of-32-characters-at-least",
      MAX_SESSIONS: "1",
      MAX_AUTH_FAILURES_PER_MINUTE: "0",
      MAX_TEXT_BYTES: "1000",
      MAX_JSON_DEPTH: "8",
      MAX_AUDIO_FRAME_BYTES: "1600",
      MAX_MESSAGES_PER_SECOND: "7",
      MAX_CHARACTERS_PER_SECOND: "1000",
      MAX_AUDIO_FRAMES_PER_SECOND: "50",
      MAX_AUDIO_AHEAD_SECONDS: "31",
      MAX_BUFFERED_BYTES: "65536",
      OPEN_TIMEOUT_MS: "101",
      CLOSE_TIMEOUT_MS: "102",
      HANGUP_TIMEOUT_MS: "103",
      SILENCE_TIMEOUT_MS: "104",
    }),
    {
      host: "0.0.0.0",
      port: 0,
      audiohookPath: "/hook",
      audiohookKeys: new Map([["key", SECRET], ["unsigned==", ""]]),
      publicAuthority: "audiohook.example.com",
      tlsFiles: { certFile: "fullchain.pem", keyFile: "privkey.pem" },
      dataDir: "/var/lib/audiohook",
      logLevel: "trace",
      logFormat: "pretty",
      authFailureDelayMs: 10_000,
      clientAddressHeader: "CF-Connecting-IP",
      storage: {
        recordings: "off",
        objects: undefined,
        keepsUploaded: false,
        syncSeconds: 0,
        minFreeBytes: 2_000_000,
        retentionDays: 90,
        kvUrl: "https://api.deno.com/databases/0/connect",
        indexPersonalData: true,
        adminToken: "a-token-of-32-characters-at-least",
      },
      maxAuthFailuresPerMinute: 0,
      maxSessions: 1,
      maxBufferedBytes: 65_536,
      sessionLimits: {
        maxTextBytes: 1000,
        maxJsonDepth: 8,
        maxAudioFrameBytes: 1600,
        receivedTextRate: { perSecond: 7, burst: 210 },
        receivedCharacterRate: { perSecond: 1000, burst: 30_000 },
        receivedAudioRate: { perSecond: 50, burst: 1500 },
        maxAudioAheadMs: 31_000,
        openTimeoutMs: 101,
        closeTimeoutMs: 102,
        hangupTimeoutMs: 103,
        silenceTimeoutMs: 104,
      },
    },
  );
});

Deno.test("settings: good values at the edges are taken", () => {
  for (const host of ["localhost", "::", "::1", "fe80::1", "my_host-1.example.com"]) {
    assertEquals(parse({ HOST: host }).host, host);
  }
  assertEquals(parse({ PORT: "65535" }).port, 65_535);
  assertEquals(parse({ AUDIOHOOK_PATH: "/a/%C3%A4//" }).audiohookPath, "/a/%C3%A4");
  assertEquals(parse({ AUDIOHOOK_PATH: "/healthz/ws" }).audiohookPath, "/healthz/ws");
  for (const authority of ["example.com", "example.com:8443", "localhost:8000", "[::1]:8000"]) {
    assertEquals(parse({ PUBLIC_AUTHORITY: authority }).publicAuthority, authority);
  }
  for (const level of ["trace", "debug", "info", "warning", "error", "fatal"]) {
    assertEquals(parse({ LOG_LEVEL: level }).logLevel, level);
  }
  assertEquals(parse({ AUTH_FAILURE_DELAY_MS: "0" }).authFailureDelayMs, 0);
});

const BAD_VALUES: readonly { name: SettingName; values: readonly string[]; message: string }[] = [
  {
    name: "HOST",
    values: ["local host", "http://localhost", "localhost:8000", "[::1]", "::g", "a/b"],
    message: "expected a host name or an IP address, without a port",
  },
  {
    name: "PORT",
    values: ["65536", "-1", "80.5", "1e3", "0x50", "http", " 80", "99999999999999999999"],
    message: "expected a whole number from 0 to 65535",
  },
  {
    name: "AUDIOHOOK_PATH",
    values: [
      "api",
      "/",
      "//",
      "/a?b=c",
      "/a?",
      "/a#b",
      "/a b",
      "/a\tb",
      "/ä",
      "/a/../b",
      "/healthz",
      "/metrics",
      "/api",
      "/api/recordings",
      "/api/recordings/audiohook",
      "/api/openapi.json",
      "/healthz/",
      "https://example.com/a",
    ],
    message:
      "expected a path such as /api/v1/audiohook/ws, without a query, and not one that the server " +
      "has already: /, /healthz, /metrics, /api, /api/recordings, /api/openapi.json",
  },
  {
    name: "PUBLIC_AUTHORITY",
    values: [
      "https://example.com",
      "example.com/",
      "example.com/path",
      "example.com?a",
      "me@example.com",
      "example.com:",
      "example.com:https",
      "example.com:65536",
      "exa mple.com",
      "::1",
      "[::1",
      ":8000",
    ],
    message: "expected host or host:port, without a scheme or a path",
  },
  {
    name: "LOG_LEVEL",
    values: ["INFO", "warn", "verbose"],
    message: "expected one of trace, debug, info, warning, error, fatal",
  },
  {
    name: "LOG_FORMAT",
    values: ["JSON", "text"],
    message: "expected one of pretty, json",
  },
  {
    name: "AUTH_FAILURE_DELAY_MS",
    values: ["10001", "-1", "0.5", "500ms"],
    message: "expected a whole number from 0 to 10000",
  },
  {
    name: "CLIENT_ADDRESS_HEADER",
    values: ["X Forwarded For", " X-Real-IP", "X-Real-IP:", "X_Real_IP", "Ä", "x".repeat(65)],
    message: "expected the name of a header, such as X-Forwarded-For",
  },
];

for (const { name, values, message } of BAD_VALUES) {
  Deno.test(`settings: a bad ${name} is refused with its name, what it should be, what it is`, () => {
    for (const value of values) {
      assertEquals(
        problemsOf({ [name]: value }),
        [`Cannot parse ${name}: ${message}, got ${JSON.stringify(value)}`],
      );
    }
  });
}

Deno.test("settings: a long bad value is cut off, and stays on one line", () => {
  const [problem = ""] = problemsOf({ LOG_LEVEL: "a\nb".repeat(1000) });
  assert(problem.length < 300);
  assertEquals(problem.includes("\n"), false);
});

Deno.test("settings: AUDIOHOOK_KEYS that is no JSON object is refused", () => {
  for (const text of ["key", "null", "[]", "5", `"${SECRET}"`, `{"key":"${SECRET}"`, " "]) {
    assertEquals(problemsOf({ AUDIOHOOK_KEYS: text }), [
      "Cannot parse AUDIOHOOK_KEYS: expected a JSON object of API key to base64 secret",
    ]);
  }
});

Deno.test("settings: AUDIOHOOK_KEYS without any key is refused, so that it does not pass unnoticed", () => {
  assertEquals(problemsOf({ AUDIOHOOK_KEYS: "{}" }), [
    "Cannot parse AUDIOHOOK_KEYS: expected at least one API key " +
    "(leave the variable out to have one made)",
  ]);
});

Deno.test("settings: a bad API key is refused and not repeated", () => {
  for (const key of ["", "white space", "key===", "=", "a=b", "käy", "a".repeat(257)]) {
    assertEquals(problemsOf({ AUDIOHOOK_KEYS: JSON.stringify({ good: "", [key]: SECRET }) }), [
      "Cannot parse AUDIOHOOK_KEYS: expected API keys of at most 256 characters that match " +
      "^[a-zA-Z0-9+/_-]+={0,2}$; 1 of 2 do not",
    ]);
  }
});

Deno.test("settings: a bad secret is refused and not repeated", () => {
  for (const secret of ["no base64!", "c2Vj cmV0", "c2Vjcm=", "A", "=", "+-", 5, null, {}, [""]]) {
    assertEquals(problemsOf({ AUDIOHOOK_KEYS: JSON.stringify({ good: "", key: secret }) }), [
      "Cannot parse AUDIOHOOK_KEYS: expected secrets in base64 " +
      '("" = unsigned requests are allowed); 1 of 2 are not',
    ]);
  }
});

Deno.test("settings: bad API keys and bad secrets are reported in one line", () => {
  const [problem = "", ...others] = problemsOf({ AUDIOHOOK_KEYS: '{"a b":"?","c":"!"}' });
  assertEquals(others, []);
  assertStringIncludes(problem, "1 of 2 do not");
  assertStringIncludes(problem, "2 of 2 are not");
});

Deno.test("settings: secrets of both base64 alphabets, padded or not, come out alike", () => {
  const keys = '{"a":"+/+/+w==","b":"-_-_-w","c":"-_-_-w==","d":"+/+/+w"}';
  const { audiohookKeys } = parse({ AUDIOHOOK_KEYS: keys });
  assertEquals([...audiohookKeys.values()], Array(4).fill("+/+/+w=="));
});

Deno.test("settings: an API key named like a property of all objects is an ordinary key", () => {
  const { audiohookKeys } = parse({
    AUDIOHOOK_KEYS: `{"__proto__":"${SECRET}","constructor":"","toString":"aGk="}`,
  });
  assertEquals([...audiohookKeys], [
    ["__proto__", SECRET],
    ["constructor", ""],
    ["toString", "aGk="],
  ]);
  assertEquals(({} as Record<string, unknown>)[SECRET], undefined);
});

Deno.test("settings: an API key of 256 characters is taken", () => {
  const key = "a".repeat(256);
  assert(parse({ AUDIOHOOK_KEYS: JSON.stringify({ [key]: "" }) }).audiohookKeys.has(key));
});

Deno.test("settings: AUDIOHOOK_KEYS_FILE names a file with the keys", () => {
  const read: string[] = [];
  const { audiohookKeys } = parse({ AUDIOHOOK_KEYS_FILE: "/run/keys.json" }, {
    readTextFile: (path) => {
      read.push(path);
      return `{ "key": "${SECRET}" }\n`;
    },
  });
  assertEquals(audiohookKeys, new Map([["key", SECRET]]));
  assertEquals(read, ["/run/keys.json"]);
});

Deno.test("settings: a keys file that cannot be read is named", () => {
  assertEquals(problemsOf({ AUDIOHOOK_KEYS_FILE: "/run/keys.json" }), [
    "Cannot read AUDIOHOOK_KEYS_FILE: expected the path of a readable file, " +
    'got "/run/keys.json" (not found)',
  ]);
});

Deno.test("settings: a keys file with anything else in it is named, its content is not repeated", () => {
  for (const text of [SECRET, ""]) {
    assertEquals(
      problemsOf({ AUDIOHOOK_KEYS_FILE: "/run/keys.json" }, { readTextFile: () => text }),
      [
        'Cannot parse AUDIOHOOK_KEYS_FILE ("/run/keys.json"): ' +
        "expected a JSON object of API key to base64 secret",
      ],
    );
  }
});

Deno.test("settings: keys in AUDIOHOOK_KEYS_FILE in place of a path are refused and not repeated", () => {
  assertEquals(problemsOf({ AUDIOHOOK_KEYS_FILE: ` {"key":"${SECRET}"}` }), [
    "Cannot read AUDIOHOOK_KEYS_FILE: expected the path of a file, got JSON " +
    "(which belongs in AUDIOHOOK_KEYS)",
  ]);
});

Deno.test("settings: both AUDIOHOOK_KEYS and AUDIOHOOK_KEYS_FILE are refused", () => {
  const both = "Cannot use both AUDIOHOOK_KEYS and AUDIOHOOK_KEYS_FILE: " +
    "expected at most one of them";
  assertEquals(
    problemsOf({ AUDIOHOOK_KEYS: '{"a":""}', AUDIOHOOK_KEYS_FILE: "keys.json" }),
    [both],
  );
  assertEquals(problemsOf({ AUDIOHOOK_KEYS: "?", AUDIOHOOK_KEYS_FILE: "keys.json" }), [
    both,
    "Cannot parse AUDIOHOOK_KEYS: expected a JSON object of API key to base64 secret",
  ]);
});

Deno.test("settings: one of TLS_CERT_FILE and TLS_KEY_FILE alone is refused, and names the other", () => {
  const rest = "expected both for TLS, or neither where a proxy does TLS";
  assertEquals(
    problemsOf({ TLS_CERT_FILE: "fullchain.pem" }),
    [`Cannot use TLS_CERT_FILE without TLS_KEY_FILE: ${rest}`],
  );
  assertEquals(
    problemsOf({ TLS_KEY_FILE: "privkey.pem", TLS_CERT_FILE: "" }),
    [`Cannot use TLS_KEY_FILE without TLS_CERT_FILE: ${rest}`],
  );
});

Deno.test("settings: all problems are reported together, one line each", () => {
  const error = assertThrows(
    () =>
      parse({
        HOST: "a b",
        PORT: "x",
        AUDIOHOOK_PATH: "x",
        AUDIOHOOK_KEYS: "x",
        AUDIOHOOK_KEYS_FILE: "x",
        PUBLIC_AUTHORITY: "/",
        LOG_LEVEL: "x",
        LOG_FORMAT: "x",
        AUTH_FAILURE_DELAY_MS: "x",
      }),
    SettingsError,
  );
  assertEquals(error.problems.length, 9);
  assertEquals(error.message.split("\n"), [...error.problems]);
  assertEquals(error.name, "SettingsError");
});

Deno.test("settings: property: any keys give a map or an error that does not repeat them", () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.dictionary(fc.base64String({ minLength: 8 }), fc.string({ minLength: 8 })).map((object) =>
      JSON.stringify(object)
    ),
  );
  fc.assert(fc.property(text, (keys) => {
    const marked = `${keys}${SECRET}`;
    for (const value of [keys, marked, JSON.stringify({ [SECRET]: keys, key: marked })]) {
      try {
        parse({ AUDIOHOOK_KEYS: value });
      } catch (error) {
        assert(error instanceof SettingsError);
        assertEquals(error.message.includes(SECRET), false);
        assert(error.message.startsWith("Cannot parse AUDIOHOOK_KEYS: expected "));
      }
    }
  }));
});
