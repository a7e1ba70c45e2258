/**
 * Reads the settings from where an operator leaves them: the environment, `.env`, the keys file.
 *
 * Must not import: anything of lib outside this folder.
 */
import { parseEnv } from "node:util";
import { describeFailure } from "./describe_failure.ts";
import { parseSettings, type Settings, SettingsError } from "./settings.ts";

/** Where {@link loadSettings} looks; the defaults are the real places. */
export interface SettingsSource {
  /** Path of the file with more variables. It need not exist. */
  readonly envFile?: string;
  /** The value of an environment variable, or undefined if it is not set. */
  readonly variables?: (name: string) => string | undefined;
  /** Whether standard output is a terminal. */
  readonly stdoutIsTerminal?: boolean;
}

/**
 * Reads and checks the settings: environment variables, then `.env` in the working folder for
 * those that are not set (or are empty).
 *
 * `.env` is read here rather than by `deno --env-file`, so that the compiled binary does it too.
 * Each variable is asked for by its name: the permission to read the environment covers no more.
 *
 * @throws {SettingsError} Names every problem.
 * @example
 * ```ts
 * const settings = await loadSettings();
 * settings.port; // 8000, unless PORT says otherwise
 * ```
 */
export async function loadSettings({
  envFile = ".env",
  variables = (name) => Deno.env.get(name),
  stdoutIsTerminal = Deno.stdout.isTerminal(),
}: SettingsSource = {}): Promise<Settings> {
  const fromFile = await readEnvFile(envFile);
  return parseSettings((name) => variables(name) || fromFile[name], {
    readTextFile: (path) => decode(Deno.readFileSync(path)),
    stdoutIsTerminal,
    isDenoDeploy: isOnDenoDeploy(variables),
  });
}

/** Whether the program runs on Deno Deploy, which says so by a variable. */
export function isOnDenoDeploy(
  variables: (name: string) => string | undefined = (name) => Deno.env.get(name),
): boolean {
  return Boolean(variables("DENO_DEPLOYMENT_ID"));
}

async function readEnvFile(path: string): Promise<NodeJS.Dict<string>> {
  try {
    return parseEnv(decode(await Deno.readFile(path)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return {};
    throw new SettingsError([`Cannot read ${path}: ${describeFailure(error)}`]);
  }
}

/** Unlike `Deno.readTextFile`, drops the byte order mark that some editors put first. */
function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
