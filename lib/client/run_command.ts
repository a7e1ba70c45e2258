/**
 * What the command line tools do alike with options that are wrong.
 *
 * Imports its neighbours, and the errors of the configuration and of the audio room.
 */
import { WavFormatError } from "../audio/mod.ts";
import { CredentialsError } from "../config/credentials.ts";
import { SettingsError } from "../config/settings.ts";
import { writeText } from "../config/text_output.ts";
import { UsageError } from "./server_options.ts";

const FAULTS_OF_THE_USER = [UsageError, WavFormatError, SettingsError, CredentialsError];

/**
 * Runs a command. What its user did wrong is a line on standard error.
 *
 * @returns Its exit code; 2 if its options, or the settings that they default to, are wrong.
 */
export async function runCommand(command: () => Promise<number>): Promise<number> {
  try {
    return await command();
  } catch (error) {
    if (!FAULTS_OF_THE_USER.some((fault) => error instanceof fault)) throw error;
    writeText(Deno.stderr, `${(error as Error).message}\n`);
    return 2;
  }
}
