/**
 * The end of a message about a file that cannot be read or written.
 *
 * Must not import: anything else in lib.
 */

/** A few words on why an operation on a file failed, without the path: the message has it. */
export function describeFailure(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "not found";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.IsADirectory) return "is a folder";
  if (error instanceof Deno.errors.NotADirectory) return "a file is in the place of its folder";
  if (error instanceof Deno.errors.NotCapable) return "Deno was started without that permission";
  // Deno appends the number of the error, the system call and the path.
  return error instanceof Error ? error.message.replace(/ \(os error.*$/s, "") : String(error);
}
