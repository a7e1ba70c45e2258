/**
 * The settings of the server: their names, what each may be, and their defaults.
 *
 * `.env.example` and README's table say the same for people. `load_settings.ts` does the I/O.
 * Must not import: anything of lib outside this folder.
 */
import { z } from "zod";
import { apiKeysSchema } from "./api_keys.ts";
import { describeFailure } from "./describe_failure.ts";
import { LIMIT_NAMES, LIMIT_SCHEMAS, sessionLimits } from "./limit_settings.ts";
import { STORAGE_NAMES, STORAGE_SCHEMAS, storageSettings } from "./storage_settings.ts";
import { wholeNumber } from "./whole_number.ts";

/** The names of all environment variables that are read; no other one is. */
export const SETTING_NAMES = [
  "HOST",
  "PORT",
  "AUDIOHOOK_PATH",
  "AUDIOHOOK_KEYS",
  "AUDIOHOOK_KEYS_FILE",
  "PUBLIC_AUTHORITY",
  "TLS_CERT_FILE",
  "TLS_KEY_FILE",
  "DATA_DIR",
  "LOG_LEVEL",
  "LOG_FORMAT",
  "AUTH_FAILURE_DELAY_MS",
  "CLIENT_ADDRESS_HEADER",
  ...STORAGE_NAMES,
  ...LIMIT_NAMES,
] as const;

/** One of {@link SETTING_NAMES}. */
export type SettingName = typeof SETTING_NAMES[number];

/** The levels of `LOG_LEVEL`, from the most to the least talkative. */
export const LOG_LEVELS = ["trace", "debug", "info", "warning", "error", "fatal"] as const;

/** The forms of `LOG_FORMAT`. */
export const LOG_FORMATS = ["pretty", "json"] as const;

const SECRETS: readonly SettingName[] = [
  "ADMIN_TOKEN",
  // It may have a password, though it must not.
  "KV_URL",
  "S3_ACCESS_KEY_ID",
  "S3_SECRET_ACCESS_KEY",
];

/** Thrown when the settings cannot be used. The message has one line for each problem. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
  /** One line for each problem. Names the variable, never has a key or a secret. */
  readonly problems: readonly string[];

  /** @param problems One line for each problem, at least one. */
  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** What {@link parseSettings} asks of the world outside the variables. */
export interface Surroundings {
  /** Reads the file that `AUDIOHOOK_KEYS_FILE` names. What it throws becomes a problem. */
  readonly readTextFile: (path: string) => string;
  /** Whether standard output is a terminal. Decides the default of `LOG_FORMAT`. */
  readonly stdoutIsTerminal: boolean;
  /** Whether this is Deno Deploy. Decides the defaults of `DATA_DIR` and `HOST`. */
  readonly isDenoDeploy?: boolean;
}

/** Value of `DATA_DIR` where no disk lasts. */
const NO_DATA_DIR = "none";

const settingsSchema = z.object(
  {
    HOST: z.string().refine(isHost, expected("a host name or an IP address, without a port"))
      .prefault("127.0.0.1"),
    PORT: wholeNumber(0, 65_535).prefault("8000"),
    AUDIOHOOK_PATH: z.string().transform((path) => path.replace(/\/+$/, "")).refine(
      isAudiohookPath,
      expected(
        "a path such as /api/v1/audiohook/ws, without a query, and not one that the server has " +
          "already: /, /healthz, /metrics, /api, /api/recordings, /api/openapi.json",
      ),
    ).prefault("/api/v1/audiohook/ws"),
    AUDIOHOOK_KEYS: apiKeysSchema.optional(),
    AUDIOHOOK_KEYS_FILE: z.string().optional(),
    PUBLIC_AUTHORITY: z.string().transform((text, context) => {
      const authority = parseAuthority(text);
      if (authority !== undefined) return authority;
      context.addIssue({
        code: "custom",
        message: "expected host or host:port, without a scheme or a path",
      });
      return z.NEVER;
    }).optional(),
    TLS_CERT_FILE: z.string().optional(),
    TLS_KEY_FILE: z.string().optional(),
    DATA_DIR: z.string().prefault("./data"),
    LOG_LEVEL: z.enum(LOG_LEVELS, expected(`one of ${LOG_LEVELS.join(", ")}`)).prefault("info"),
    LOG_FORMAT: z.enum(LOG_FORMATS, expected(`one of ${LOG_FORMATS.join(", ")}`)),
    AUTH_FAILURE_DELAY_MS: wholeNumber(0, 10_000).prefault("500"),
    CLIENT_ADDRESS_HEADER: z.string().regex(
      /^[A-Za-z0-9-]{1,64}$/,
      expected("the name of a header, such as X-Forwarded-For"),
    ).optional(),
    ...STORAGE_SCHEMAS,
    ...LIMIT_SCHEMAS,
  } satisfies Record<SettingName, z.ZodType>,
).transform((values) => ({
  /** Host name or IP address to listen on. */
  host: values.HOST,
  /** TCP port to listen on; 0 = any free one. */
  port: values.PORT,
  /** Path of the AudioHook endpoint: begins with a slash, does not end in one. */
  audiohookPath: values.AUDIOHOOK_PATH,
  /**
   * API key to base64 client secret (standard alphabet, padded; "" = unsigned requests are
   * allowed). Empty when none is configured.
   */
  audiohookKeys: values.AUDIOHOOK_KEYS ?? new Map<string, string>(),
  /** What takes the place of `Host` in the signature: host[:port], lower case, without `:443`. */
  publicAuthority: values.PUBLIC_AUTHORITY,
  /** Paths of the PEM files for TLS; undefined: the server speaks plain HTTP. */
  tlsFiles: values.TLS_CERT_FILE !== undefined && values.TLS_KEY_FILE !== undefined
    ? { certFile: values.TLS_CERT_FILE, keyFile: values.TLS_KEY_FILE }
    : undefined,
  /** Folder for everything that is kept; undefined: no disk lasts. */
  dataDir: values.DATA_DIR === NO_DATA_DIR ? undefined : values.DATA_DIR,
  /** Lowest level that is logged. */
  logLevel: values.LOG_LEVEL,
  /** Form of the log lines. */
  logFormat: values.LOG_FORMAT,
  /** How long a refused connection request waits for its answer, at least. */
  authFailureDelayMs: values.AUTH_FAILURE_DELAY_MS,
  /** Header in which a proxy says who it speaks for. */
  clientAddressHeader: values.CLIENT_ADDRESS_HEADER,
  /** What is kept, where, and for how long. */
  storage: storageSettings(values),
  /** Failed authentications of one address in a minute; 0 = any number. */
  maxAuthFailuresPerMinute: values.MAX_AUTH_FAILURES_PER_MINUTE,
  /** Connections at a time. */
  maxSessions: values.MAX_SESSIONS,
  /** What may wait for a client that doesn't read. */
  maxBufferedBytes: values.MAX_BUFFERED_BYTES,
  /** Sizes, rates and times of one session. */
  sessionLimits: sessionLimits(values),
}));

/** The settings, checked and with their defaults. */
export type Settings = Readonly<z.output<typeof settingsSchema>>;

/**
 * Checks the variables and fills in the defaults. A variable that is empty counts as not set.
 *
 * @param variables The value of a variable, or undefined if it is not set.
 * @throws {SettingsError} Names every problem, not only the first.
 */
export function parseSettings(
  variables: (name: string) => string | undefined,
  { readTextFile, stdoutIsTerminal, isDenoDeploy = false }: Surroundings,
): Settings {
  const values: Partial<Record<SettingName, string>> = {};
  for (const name of SETTING_NAMES) {
    const value = variables(name);
    if (value !== undefined && value !== "") values[name] = value;
  }
  values.LOG_FORMAT ??= stdoutIsTerminal ? "pretty" : "json";
  if (isDenoDeploy) {
    values.DATA_DIR ??= NO_DATA_DIR;
    // Its proxy is in front of it.
    values.HOST ??= "0.0.0.0";
  }

  const problems: string[] = [];
  let keysName = "AUDIOHOOK_KEYS";
  const keysFile = values.AUDIOHOOK_KEYS_FILE;
  if (keysFile !== undefined && values.AUDIOHOOK_KEYS !== undefined) {
    problems.push(
      "Cannot use both AUDIOHOOK_KEYS and AUDIOHOOK_KEYS_FILE: expected at most one of them",
    );
  } else if (keysFile?.trimStart().startsWith("{")) {
    // Not repeated, because it is most likely the keys themselves.
    problems.push(
      "Cannot read AUDIOHOOK_KEYS_FILE: expected the path of a file, got JSON " +
        "(which belongs in AUDIOHOOK_KEYS)",
    );
  } else if (keysFile !== undefined) {
    keysName = `AUDIOHOOK_KEYS_FILE (${quote(keysFile)})`;
    try {
      values.AUDIOHOOK_KEYS = readTextFile(keysFile);
    } catch (error) {
      problems.push(
        `Cannot read AUDIOHOOK_KEYS_FILE: expected the path of a readable file, ` +
          `got ${quote(keysFile)} (${describeFailure(error)})`,
      );
    }
  }

  if ((values.TLS_CERT_FILE === undefined) !== (values.TLS_KEY_FILE === undefined)) {
    const [set, missing] = values.TLS_KEY_FILE === undefined
      ? ["TLS_CERT_FILE", "TLS_KEY_FILE"]
      : ["TLS_KEY_FILE", "TLS_CERT_FILE"];
    problems.push(
      `Cannot use ${set} without ${missing}: expected both for TLS, or neither ` +
        `where a proxy does TLS`,
    );
  }

  if (values.RECORDINGS?.startsWith("s3:")) {
    for (const name of ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"] as const) {
      if (values[name] !== undefined) continue;
      problems.push(`Cannot use RECORDINGS ${quote(values.RECORDINGS)} without ${name}`);
    }
  }

  if (values.DATA_DIR === NO_DATA_DIR) problems.push(...problemsWithoutDisk(values));

  const parsed = settingsSchema.safeParse(values);
  for (const { path, message } of parsed.error?.issues ?? []) {
    const name = SETTING_NAMES.find((name) => name === path[0]);
    if (name === undefined || name === "AUDIOHOOK_KEYS") {
      problems.push(`Cannot parse ${keysName}: ${message}`);
    } else {
      // What is to be secret is not repeated.
      const got = SECRETS.includes(name) ? "" : `, got ${quote(values[name] ?? "")}`;
      problems.push(`Cannot parse ${name}: ${message}${got}`);
    }
  }
  if (!parsed.success || problems.length > 0) throw new SettingsError(problems);
  return parsed.data;
}

/** Without a lasting disk, what a server otherwise makes or keeps has to be given. */
function problemsWithoutDisk(values: Partial<Record<SettingName, string>>): string[] {
  const { RECORDINGS: recordings = "files", AUDIOHOOK_KEYS: keys, ADMIN_TOKEN: token } = values;
  const problems: string[] = [];
  const reason = `DATA_DIR is ${NO_DATA_DIR}, so that nothing can be kept on a disk`;
  if (recordings === "files") {
    problems.push(
      `Cannot use RECORDINGS "files": expected s3://bucket/prefix, or off (${reason})`,
    );
  }
  if (keys === undefined) problems.push(`Cannot do without AUDIOHOOK_KEYS (${reason})`);
  if (recordings !== "off" && token === undefined) {
    problems.push(`Cannot do without ADMIN_TOKEN (${reason})`);
  }
  return problems;
}

function expected(what: string): { error: string } {
  return { error: `expected ${what}` };
}

/** Paths below the endpoint's are the endpoint's, too. */
const TAKEN_PATHS = /^\/(?:healthz|metrics|api|api\/recordings(?:\/.*)?|api\/openapi\.json)$/;

function isHost(text: string): boolean {
  return /^[A-Za-z0-9._-]+$/.test(text) || z.ipv6().safeParse(text).success;
}

function isAudiohookPath(path: string): boolean {
  if (!path.startsWith("/") || TAKEN_PATHS.test(path)) return false;
  // Compared with the path of a request, so it has to look as it does there: no query, nothing
  // left to encode, no "..".
  return URL.parse(`http://localhost${path}`)?.pathname === path;
}

function parseAuthority(text: string): string | undefined {
  if (!/^(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@\\:[\]]+)(?::\d{1,5})?$/.test(text)) return undefined;
  return URL.parse(`https://${text}`)?.host;
}

/** Quoted, on one line, and not endless. */
function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
