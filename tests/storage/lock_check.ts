/** Whether a recording is being written. */

/** Whether somebody else has the lock of a recording. */
export async function isLocked({ location }: { readonly location: string }): Promise<boolean> {
  using file = await Deno.open(`${location}.jsonl`, { write: true });
  return !await file.tryLock(true);
}
