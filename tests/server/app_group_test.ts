/**
 * The apps of one session by themselves: no sockets, and a call that nobody asks for anything.
 */
import { assertEquals, assertStrictEquals } from "@std/assert";
import type { Call, CallEnd } from "../../lib/app/app.ts";
import { AudioFrame } from "../../lib/app/audio_frame.ts";
import { APP_TIMEOUTS, AppGroup } from "../../lib/server/app_group.ts";
import { within } from "../helpers/deadline.ts";
import { TestApp } from "../helpers/test_app.ts";

Deno.test("app group: an app that closes the group while it closes does not close anything twice", async () => {
  const end: CallEnd = { how: "lost" };
  let isFirst = true;
  let again: ReturnType<AppGroup["close"]> | undefined;
  const apps = [
    new TestApp({
      close: () => {
        if (isFirst) {
          isFirst = false;
          again = group.close(end);
        }
        return { outputVariables: { first: "1" } };
      },
    }),
    new TestApp({ close: () => ({ outputVariables: { second: "2" } }) }),
  ];
  const group = new AppGroup(apps, APP_TIMEOUTS, crypto.randomUUID());
  await group.open({} as Call);
  const closing = group.close(end);
  const [answer, answerAgain] = await within(Promise.all([closing, again]), "end of the apps");
  assertEquals(apps.map((app) => app.count("close")), [1, 1]);
  assertEquals(answer, { first: "1", second: "2" });
  assertStrictEquals(answerAgain, answer);
  assertStrictEquals(await group.close(end), answer, "nor does it later");
});

Deno.test("app group: of two apps with one handler, which fails, both are left out", async () => {
  let calls = 0;
  const handler = {
    audio() {
      calls++;
      throw new Error("It can't hear");
    },
  };
  const apps = ["one", "other"].map((name) => ({ name, open: () => handler }));
  const group = new AppGroup(apps, APP_TIMEOUTS, crypto.randomUUID());
  await group.open({} as Call);
  const media = { type: "audio", format: "PCMU", channels: ["external"], rate: 8000 } as const;
  for (let i = 0; i < 5; i++) group.audio(new AudioFrame(new Uint8Array(80), i * 80, media));
  assertEquals(calls, 2);
  await group.close({ how: "lost" });
});
