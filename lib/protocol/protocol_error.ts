/**
 * The two kinds of protocol error: ours, and theirs.
 *
 * Imports nothing.
 */

/**
 * We tried something that the protocol does not allow: a message in the wrong state, a frame that
 * is too large. Nothing was sent, and the session goes on as before.
 */
export class LocalProtocolError extends Error {
  /** For telling the error from others. */
  override readonly name = "LocalProtocolError";
}

/** What the server says when it ends a session (protocol section 14). */
export type DisconnectReason = "completed" | "unauthorized" | "error" | "rejected";

/** The peer broke the protocol. */
export class RemoteProtocolError extends Error {
  /** For telling the error from others. */
  override readonly name = "RemoteProtocolError";
  /** Reason for the `disconnect` that answers it. */
  readonly reason: DisconnectReason;
  /** Error code of the same fault, for a client that reports it (protocol section 5). */
  readonly code: number;
  /** Reason of a `close` that was at fault: no other one will come. */
  readonly closeReason: string | undefined;
  /** Whether a `closed` was at fault: no other one will come. */
  readonly isClosed: boolean;
  /** Section of protocol.md that it breaks, such as `4` or `6.3`, of a server's faults. */
  readonly section: string | undefined;

  /**
   * @param info What was wrong. It goes to the peer and into logs on both sides: no values that
   * the peer sent, no personal data.
   * @param options `reason` is `error` and `code` 400 unless given.
   */
  constructor(
    info: string,
    options: {
      reason?: DisconnectReason;
      code?: number;
      closeReason?: string;
      isClosed?: boolean;
      section?: string;
    } = {},
  ) {
    super(info);
    this.reason = options.reason ?? "error";
    this.code = options.code ?? 400;
    this.closeReason = options.closeReason;
    this.isClosed = options.isClosed ?? false;
    this.section = options.section;
  }
}
