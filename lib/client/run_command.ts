/**
 * What the command line tools do alike with options that are wrong, and with reports that get lost.
 *
 * Imports its neighbours, and the errors of the configuration and of the audio room.
 */
import { WavFormatError } from "../audio/mod.ts";
import { CredentialsError } from "../config/credentials.ts";
import { SettingsError } from "../config/settings.ts";
import { writeText } from "../config/text_output.ts";
import { ReportOutput } from "./report_output.ts";
import { UsageError } from "./server_options.ts";

const FAULTS_OF_THE_USER = [UsageError, WavFormatError, SettingsError, CredentialsError];

/**
 * Runs a command. What its user did wrong is a line on standard error.
 *
 * @param command Writes its report to what it is given.
 * @returns Its exit code; 2 if its options, or the settings that they default to, are wrong; not 0
 * if its report could not be written.
 */
export async function runCommand(
  command: (output: ReportOutput) => Promise<number>,
): Promise<number> {
  const output = new ReportOutput();
  try {
    return output.exitCode(await command(output));
  } catch (error) {
    if (!FAULTS_OF_THE_USER.some((fault) => error instanceof fault)) throw error;
    writeText(Deno.stderr, `${(error as Error).message}\n`);
    return 2;
  }
}
