/**
 * Settings from variables that a test writes down.
 */
import { assertThrows } from "@std/assert";
import {
  parseSettings,
  type SettingName,
  type Settings,
  SettingsError,
  type Surroundings,
} from "../../lib/config/settings.ts";

/** Variables that are set; all others are not. */
export type Variables = Partial<Record<SettingName, string>>;

/** The settings; no file can be read unless a test says so. */
export function parse(variables: Variables, surroundings: Partial<Surroundings> = {}): Settings {
  const values = new Map(Object.entries(variables));
  return parseSettings((name) => values.get(name), {
    readTextFile: (path) => {
      throw new Deno.errors.NotFound(`unexpected read of ${path}`);
    },
    stdoutIsTerminal: false,
    ...surroundings,
  });
}

/** What is wrong with variables that cannot be used. */
export function problemsOf(
  variables: Variables,
  surroundings: Partial<Surroundings> = {},
): readonly string[] {
  return assertThrows(() => parse(variables, surroundings), SettingsError).problems;
}
