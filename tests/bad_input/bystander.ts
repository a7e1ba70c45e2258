/**
 * A session that has nothing to do with the bad input: a recorded call that must go on as if it
 * were alone.
 */
import { assertEquals } from "@std/assert";
import type { TestServer } from "../helpers/test_server.ts";
import { assertWav, concat, noise } from "../helpers/wav_check.ts";
import { RawSession } from "./raw_session.ts";

/** Make it by `await using bystander = await Bystander.call(server)`. */
export class Bystander implements AsyncDisposable {
  readonly #session: RawSession;
  readonly #audio: Uint8Array[] = [];

  private constructor(session: RawSession) {
    this.#session = session;
  }

  /** In the middle of a call, with some audio behind it. */
  static async call(server: TestServer): Promise<Bystander> {
    const bystander = new Bystander(await RawSession.connect(server));
    await bystander.#session.open();
    await bystander.goOn();
    return bystander;
  }

  get id(): string {
    return this.#session.id;
  }

  /** Sends more audio; its pings are answered, and the server says nothing else. */
  async goOn(): Promise<void> {
    const audio = noise(1600, 7 + this.#audio.length);
    this.#audio.push(audio);
    await this.#session.sendAudio(audio);
    await this.#session.ping();
  }

  /** Ends the call as a good client does. */
  async close(): Promise<void> {
    await this.goOn();
    await this.#session.close();
  }

  /** Each byte is there, and nothing else. All calls must have ended. */
  async checkRecording(server: TestServer): Promise<void> {
    const { wav, metadata } = await server.recording(this.id);
    assertWav(wav, { format: "PCMU", channels: 2, data: concat(...this.#audio) });
    assertEquals(metadata.isComplete, true);
    assertEquals(metadata.gaps, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]();
  }
}
