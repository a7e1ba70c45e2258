/**
 * What a client session sends: messages, each with the position of the stream, and audio; what was
 * left out of it is reported before more of it follows (protocol sections 4 and 7 to 9).
 *
 * Imports nothing but its neighbours.
 */
import type { ClientMessage } from "./client_messages.ts";
import type { ClientStream } from "./client_stream.ts";
import { samplesToDuration } from "./duration.ts";
import { SAMPLE_RATE } from "./media.ts";
import type { MessageExchange } from "./message_exchange.ts";

/** Frames on their way to the server. */
export class ClientOutbox {
  readonly #exchange: MessageExchange<"client">;
  readonly #stream: ClientStream;
  #output: (string | Uint8Array)[] = [];

  /**
   * @param exchange Numbers the messages, and knows what the state allows.
   * @param stream Knows the position, and what was left out.
   */
  constructor(exchange: MessageExchange<"client">, stream: ClientStream) {
    this.#exchange = exchange;
    this.#stream = stream;
  }

  /** Takes what has to be sent, in this order: strings as text frames, bytes as binary ones. */
  take(): readonly (string | Uint8Array)[] {
    const output = this.#output;
    if (output.length > 0) this.#output = [];
    return output;
  }

  /**
   * Sends a message.
   *
   * @throws {LocalProtocolError} See {@link MessageExchange.send}.
   */
  send(message: ClientMessage): void {
    const position = samplesToDuration(this.#stream.positionSamples, SAMPLE_RATE);
    this.#output.push(this.#exchange.send(message, position));
  }

  /**
   * Sends a frame, or leaves it out: during a pause, and before what the server wants.
   *
   * @returns Whether it was sent.
   * @throws {LocalProtocolError} See {@link ClientStream.samplesOf}.
   */
  sendAudio(frame: Uint8Array): boolean {
    const samples = this.#stream.samplesOf(frame);
    if (!this.#stream.wants(samples)) {
      this.#stream.lose(samples);
      return false;
    }
    this.sendDiscarded();
    this.#stream.advance(samples);
    this.#output.push(frame);
    return true;
  }

  /** Reports what was left out, if anything was and no pause holds: then, `resumed` will do it. */
  sendDiscarded(): void {
    if (!this.#stream.hasLost || !this.#stream.flowing) return;
    this.send({ type: "discarded", parameters: this.#stream.takeLost() });
  }

  /** Tells that audio flows again, and what was left out. */
  sendResumed(): void {
    this.send({ type: "resumed", parameters: this.#stream.takeLost() });
  }
}
