/**
 * Whose recording a file is, by its name: our server names it by the session, alone or with eight
 * random digits behind it.
 *
 * Imports nothing.
 */

/** Identifier of the session whose audio a file of this name is; `undefined` if it is none's. */
export function recordedSession(fileName: string): string | undefined {
  return /^([\da-f-]{36})(?:\.[\da-f]{8})?\.wav$/.exec(fileName)?.[1];
}
