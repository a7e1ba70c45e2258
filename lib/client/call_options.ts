/**
 * The options of `deno task call`: what they are, which go together, and what each may be.
 *
 * Imports its neighbours, the configuration, and the protocol's bounds.
 */
import { loadSettings } from "../config/load_settings.ts";
import {
  type AudioChannel,
  type AudioFormat,
  CLIENT_PARAMETERS,
  languageSchema,
  MAX_CUSTOM_CONFIG_BYTES,
  NIL_UUID,
  type OpenParameters,
  SAMPLE_RATE,
} from "../protocol/mod.ts";
import { CallAudio } from "./call_audio.ts";
import {
  parseOptions,
  readFile,
  readJson,
  readNumber,
  readShortText,
  readSpeed,
  readUuid,
  readWav,
  readWholeNumber,
  readWord,
} from "./option_values.ts";
import { MAX_SCENARIO_BYTES, parseScenario, ScenarioError, type ScenarioStep } from "./scenario.ts";
import {
  readServerOptions,
  SERVER_OPTIONS,
  type ServerOptions,
  UsageError,
} from "./server_options.ts";

/** A call that somebody wants. */
export interface CallOptions extends ServerOptions {
  readonly audio: CallAudio;
  readonly open: OpenParameters;
  readonly sessionId: string;
  readonly isProbe: boolean;
  readonly speed: number;
  readonly format: AudioFormat;
  readonly frameSamples: number;
  readonly historySeconds: number;
  readonly maxRetries: number;
  readonly scenario: readonly ScenarioStep[];
  /** Path of a file that is to be made. */
  readonly saveAudio: string | undefined;
  readonly showsMessages: boolean;
  readonly isJson: boolean;
}

/** Of JSON with as much space between its parts as anybody may want. */
const MAX_JSON_FILE_BYTES = 1_000_000;
/** A message has 64,000 bytes at most (protocol section 1), and there is an envelope. */
const MAX_OPEN_BYTES = 63_500;
const MAX_NUMBER_CHARACTERS = 128;
const DEFAULT_TONE_HZ = "440";

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const OPTIONS = {
  ...SERVER_OPTIONS,
  wav: text,
  tone: text,
  probe: flag,
  retries: text,
  duration: text,
  speed: text,
  format: text,
  channels: text,
  "frame-ms": text,
  history: text,
  "save-audio": text,
  language: text,
  "supported-languages": flag,
  "custom-config": text,
  "input-variables": text,
  org: text,
  conversation: text,
  session: text,
  ani: text,
  dnis: text,
  scenario: text,
  messages: flag,
  json: flag,
  help: { ...flag, short: "h" },
} as const;

type Values = ReturnType<typeof parse>;

/** What means nothing to a call that is over at once, and says nothing of anybody. */
const NOT_FOR_PROBES = [
  "wav",
  "tone",
  "duration",
  "speed",
  "frame-ms",
  "history",
  "save-audio",
  "conversation",
  "ani",
  "dnis",
  "scenario",
] as const satisfies (keyof typeof OPTIONS)[];

/**
 * Reads the options, and the files that they name.
 *
 * @returns `undefined` if only help is wanted.
 * @throws {UsageError} If one is wrong; the message says what is right.
 * @throws {WavFormatError} If the file of `--wav` is of another kind.
 * @throws {SettingsError | CredentialsError} If the defaults can't be read.
 */
export async function readCallOptions(args: readonly string[]): Promise<CallOptions | undefined> {
  const values = parse(args);
  if (values.help) return undefined;
  checkCombination(values);
  const format = readWord("--format", values.format ?? "PCMU", ["PCMU", "L16"]);
  const frameMs = readWholeNumber("--frame-ms", values["frame-ms"] ?? "100", 1, 1000);
  const numbers = {
    speed: readSpeed("--speed", values.speed ?? "1"),
    frameSamples: frameMs * SAMPLE_RATE / 1000,
    historySeconds: readNumber("--history", values.history ?? "0", 0, 30),
    maxRetries: readWholeNumber("--retries", values.retries ?? "5", 0, 5),
  };
  const sessionId = readUuid("--session", values.session);
  const server = await readServerOptions(values, await loadSettings());
  const audio = await readAudio(values, format);
  return {
    ...server,
    ...numbers,
    audio,
    open: await readOpen(values, audio, format),
    sessionId,
    isProbe: values.probe === true,
    format,
    scenario: await readScenario(values.scenario, audio, numbers.historySeconds),
    saveAudio: values["save-audio"],
    showsMessages: values.messages === true,
    isJson: values.json === true,
  };
}

function parse(args: readonly string[]) {
  return parseOptions({ args: withToneValue(args), options: OPTIONS }).values;
}

/** The value of `--tone` may be left out, which the parser does not know. */
function withToneValue(args: readonly string[]): string[] {
  return args.flatMap((arg, index) => {
    const next = args[index + 1];
    if (arg !== "--tone" || (next !== undefined && !next.startsWith("-"))) return [arg];
    return [`--tone=${DEFAULT_TONE_HZ}`];
  });
}

function checkCombination(values: Values): void {
  const isGiven = (name: keyof typeof OPTIONS) => values[name] !== undefined;
  if (values.probe) {
    const wrong = NOT_FOR_PROBES.find(isGiven);
    if (wrong !== undefined) throw new UsageError(`Expected --probe without --${wrong}`);
  } else if (isGiven("wav") === isGiven("tone")) {
    throw new UsageError(
      isGiven("wav")
        ? "Expected --wav or --tone, not both"
        : "Expected --wav FILE, --tone or --probe; see --help",
    );
  }
  if (isGiven("duration") && !isGiven("tone")) {
    throw new UsageError("Expected --duration together with --tone; a file has its own length");
  }
  if (isGiven("save-audio") && (values.channels ?? "external") !== "external") {
    throw new UsageError(
      "Expected --save-audio with --channels external: only there, the server sends audio",
    );
  }
}

async function readAudio(values: Values, format: AudioFormat): Promise<CallAudio> {
  if (values.wav !== undefined) return await readWav("--wav", values.wav);
  const frequencyHz = readNumber("--tone", values.tone ?? DEFAULT_TONE_HZ, 1, 3900);
  const durationSeconds = readNumber("--duration", values.duration ?? "10", 0.001, 3600);
  return CallAudio.tone(frequencyHz, durationSeconds, format);
}

async function readOpen(
  values: Values,
  audio: CallAudio,
  format: AudioFormat,
): Promise<OpenParameters> {
  const isProbe = values.probe === true;
  const language = values.language ?? "en-US";
  if (!languageSchema.safeParse(language).success) {
    throw new UsageError("Expected a language tag such as en-US after --language");
  }
  const open: OpenParameters = {
    organizationId: readUuid("--org", values.org),
    conversationId: isProbe ? NIL_UUID : readUuid("--conversation", values.conversation),
    participant: {
      id: isProbe ? NIL_UUID : crypto.randomUUID(),
      ani: readShortText("--ani", values.ani, MAX_NUMBER_CHARACTERS),
      aniName: "",
      dnis: readShortText("--dnis", values.dnis, MAX_NUMBER_CHARACTERS),
    },
    media: audio.offers(format, readChannels(values, audio)),
    language,
    ...values["supported-languages"] ? { supportedLanguages: true } : {},
    ...await readObjects(values),
  };
  if (new TextEncoder().encode(JSON.stringify(open)).length > MAX_OPEN_BYTES) {
    throw new UsageError(
      `Expected --custom-config and --input-variables to have at most ${MAX_OPEN_BYTES} bytes ` +
        "together with the rest of the message",
    );
  }
  return open;
}

async function readObjects(
  values: Values,
): Promise<Pick<OpenParameters, "customConfig" | "inputVariables">> {
  const { customConfig, inputVariables } = CLIENT_PARAMETERS.open.shape;
  const config = values["custom-config"];
  const variables = values["input-variables"];
  return {
    ...config === undefined ? {} : {
      customConfig: await readJson("--custom-config", config, {
        schema: customConfig.unwrap(),
        expected: `a JSON object of at most ${MAX_CUSTOM_CONFIG_BYTES} bytes`,
        maxFileBytes: MAX_JSON_FILE_BYTES,
      }),
    },
    ...variables === undefined ? {} : {
      inputVariables: await readJson("--input-variables", variables, {
        schema: inputVariables.unwrap(),
        expected: "a JSON object whose values are texts",
        maxFileBytes: MAX_JSON_FILE_BYTES,
      }),
    },
  };
}

function readChannels(values: Values, audio: CallAudio): readonly AudioChannel[] {
  const fallback = values["save-audio"] === undefined ? undefined : "external";
  const given = values.channels ?? fallback;
  if (given === undefined) return audio.channels;
  const word = readWord("--channels", given, ["external", "internal", "both"]);
  const wanted: AudioChannel[] = word === "both" ? ["external", "internal"] : [word];
  if (wanted.every((channel) => audio.channels.includes(channel))) return wanted;
  throw new UsageError(
    "Expected external after --channels: the file is mono, and has no internal channel",
  );
}

async function readScenario(
  path: string | undefined,
  audio: CallAudio,
  historySeconds: number,
): Promise<readonly ScenarioStep[]> {
  if (path === undefined) return [];
  const bytes = await readFile("--scenario", path, MAX_SCENARIO_BYTES);
  let steps: readonly ScenarioStep[];
  try {
    steps = parseScenario(new TextDecoder().decode(bytes));
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error;
    throw new UsageError(`Cannot use ${path}, named after --scenario. ${error.message}`);
  }
  // What is sent at once takes no time of the call.
  const seconds = audio.samples / SAMPLE_RATE - historySeconds;
  const late = steps.findIndex((step) => step.at >= seconds);
  if (late < 0) return steps;
  throw new UsageError(
    `Cannot use ${path}, named after --scenario. Step ${late + 1}: expected "at" to be less than ` +
      `${Math.max(0, seconds).toFixed(1)}, when the audio ends`,
  );
}
