/**
 * Keys that are pressed while a call runs: puts the terminal into a mode that hands over each key,
 * and back.
 *
 * Imports nothing.
 */

/** What a key asks for. */
export type CallKey =
  | { readonly does: "pause" | "resume" | "close" | "help" | "interrupt" }
  | { readonly does: "dtmf"; readonly digit: string };

/** For people. */
export const KEYS_HELP = "p pause, r resume, 0-9 * # digits, q close, ? these keys";

const LETTERS: Readonly<Record<string, CallKey>> = {
  p: { does: "pause" },
  r: { does: "resume" },
  q: { does: "close" },
  "?": { does: "help" },
  // Where the terminal makes no signal of it.
  "\x03": { does: "interrupt" },
};

/** The keys in what was typed; those that mean nothing are left out. */
export function keysIn(typed: string): CallKey[] {
  // Arrows and function keys begin with it, and have digits in them.
  if (typed.startsWith("\x1b")) return [];
  return Array.from(typed).flatMap((character) => {
    if (/[0-9*#]/.test(character)) return [{ does: "dtmf", digit: character }];
    return LETTERS[character.toLowerCase()] ?? [];
  });
}

/** Signals that end the program, and what they make of it; SIGINT and SIGTERM close the call. */
const LAST_SIGNALS = { SIGHUP: 129, SIGQUIT: 131 } as const;

/** The keyboard of a call; the terminal is as before once it is disposed of. */
export class CallKeys implements Disposable {
  readonly #onKey: (key: CallKey) => void;
  readonly #restore = () => setRaw(false);
  readonly #signals: [signal: Deno.Signal, listener: () => void][] = [];
  #isOver = false;

  private constructor(onKey: (key: CallKey) => void) {
    this.#onKey = onKey;
    // However the program ends: by Deno.exit, too.
    globalThis.addEventListener("unload", this.#restore);
    if (Deno.build.os !== "windows") {
      for (const [signal, code] of Object.entries(LAST_SIGNALS)) {
        this.#listen(signal as Deno.Signal, () => Deno.exit(code));
      }
      // After Ctrl-Z and fg, the shell has put its own mode back.
      this.#listen("SIGCONT", () => setRaw(true));
    }
    void this.#read();
  }

  /**
   * Begins to read keys.
   *
   * @returns `undefined` if standard input is no terminal: nothing is read.
   */
  static listen(onKey: (key: CallKey) => void): CallKeys | undefined {
    if (!Deno.stdin.isTerminal() || !setRaw(true)) return undefined;
    return new CallKeys(onKey);
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const [signal, listener] of this.#signals) Deno.removeSignalListener(signal, listener);
    globalThis.removeEventListener("unload", this.#restore);
    setRaw(false);
  }

  #listen(signal: Deno.Signal, listener: () => void): void {
    this.#signals.push([signal, listener]);
    Deno.addSignalListener(signal, listener);
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(256);
    const decoder = new TextDecoder();
    while (!this.#isOver) {
      // A terminal that is gone fails: there are no more keys.
      const length = await Deno.stdin.read(buffer).catch(() => null);
      if (length === null || this.#isOver) return;
      for (const key of keysIn(decoder.decode(buffer.subarray(0, length), { stream: true }))) {
        this.#onKey(key);
      }
    }
  }
}

/** @returns Whether the terminal let it happen. */
function setRaw(isRaw: boolean): boolean {
  try {
    // With `cbreak`, Ctrl-C and Ctrl-Z stay what they are; Windows does not have it.
    Deno.stdin.setRaw(isRaw, { cbreak: isRaw && Deno.build.os !== "windows" });
    return true;
  } catch {
    return false;
  }
}
