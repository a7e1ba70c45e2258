/**
 * The two independent pauses, as the server knows them (protocol section 8).
 *
 * The client answers each of our requests, in order: `pause` by `paused`, `resume` by `resumed`,
 * or by `paused` if its own pause holds. Its own pauses are announced by the same two messages,
 * unprompted, and may cross a request of ours. So the requests that are not answered yet are kept,
 * and each message is either the answer to the oldest, or news. Imports nothing.
 */

/** What is paused, by whom, and which of our requests are still open. */
export class ServerPauses {
  #byServer = false;
  #byClient = false;
  #flowing = true;
  #unanswered: ("pause" | "resume")[] = [];
  /** How many `pause` were taken as answered since audio flowed, or a `resume` was answered. */
  #answeredPauses = 0;

  /** Our pause: what we asked for last. */
  get byServer(): boolean {
    return this.#byServer;
  }

  /** The client's own pause, as far as it told us. It may end it unnoticed while ours holds. */
  get byClient(): boolean {
    return this.#byClient;
  }

  /** Whether audio may come: what the client said last. It follows a request with some delay. */
  get flowing(): boolean {
    return this.#flowing;
  }

  /** We sent `pause`. */
  requestPause(): void {
    this.#byServer = true;
    this.#unanswered.push("pause");
  }

  /** We sent `resume`. */
  requestResume(): void {
    this.#byServer = false;
    this.#unanswered.push("resume");
  }

  /** We sent `opened` with `startPaused`: no audio comes before `resumed`. */
  startPaused(): void {
    this.requestPause();
    this.#flowing = false;
  }

  /** The client sent `paused`. */
  paused(): void {
    this.#flowing = false;
    const request = this.#unanswered.shift();
    if (request === "pause") {
      this.#answeredPauses++;
    } else {
      // Unprompted, or in place of `resumed`: the client's own pause holds.
      this.#byClient = true;
      this.#answeredPauses = 0;
    }
  }

  /** The client sent `resumed`. */
  resumed(): void {
    this.#flowing = true;
    this.#byClient = false;
    if (this.#unanswered[0] === "resume") {
      this.#unanswered.shift();
    } else {
      // It crossed our `pause`: after that, audio would not flow. So what we took for the answers
      // to it told of the client's own pause, which ended here; the answers are still to come.
      for (; this.#answeredPauses > 0; this.#answeredPauses--) this.#unanswered.unshift("pause");
    }
    this.#answeredPauses = 0;
  }
}
