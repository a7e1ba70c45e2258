/**
 * What may be done to a call while it runs: by keys, by a scenario, by a test.
 *
 * Imports nothing.
 */

/**
 * A call that runs. Each method tells whether that was possible at this moment; nothing throws, and
 * what is not possible (a digit before the call is open, say) changes nothing.
 */
export interface CallControl {
  /** Begins the client's own pause: hold, or a secure flow. */
  pause(): boolean;
  /** Ends the client's own pause. */
  resume(): boolean;
  /** Changes the language. */
  update(language: string): boolean;
  /** Sends a digit that the caller pressed: `0` to `9`, `*`, `#`, `A` to `D`. */
  dtmf(digit: string): boolean;
  /** Leaves so much audio out, as a client does whose network is too slow; `discarded` reports it. */
  discard(seconds: number): boolean;
  /** Reports an error to the server. */
  error(code: number, message: string): boolean;
  /** Stops reading from the connection for so long: what the server sends has to wait. */
  stall(seconds: number): boolean;
  /** Drops the connection without a goodbye, as a network failure does. */
  drop(): boolean;
  /** Resets the connection (TCP RST). */
  reset(): boolean;
  /** Ends the call by `close`. */
  close(reason?: "end" | "error" | "disconnect" | "reconnect"): boolean;
}
