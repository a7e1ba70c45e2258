/**
 * Turns: one after the other, for each key.
 */
import { assertEquals, assertRejects } from "@std/assert";
import { Turns } from "../../lib/storage/turns.ts";
import { within } from "../helpers/deadline.ts";

Deno.test("turns: those of a key come in order and never overlap, others don't wait", async () => {
  const turns = new Turns();
  const events: string[] = [];
  const gates = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
  const all = gates.map((gate, n) =>
    turns.run("a", async () => {
      events.push(`begin ${n}`);
      await gate.promise;
      events.push(`end ${n}`);
      return n;
    })
  );
  gates[2]?.resolve();
  gates[1]?.resolve();
  assertEquals(await within(turns.run("b", () => Promise.resolve("b")), "another key"), "b");
  assertEquals(events, ["begin 0"]);
  gates[0]?.resolve();
  assertEquals(await Promise.all(all), [0, 1, 2]);
  assertEquals(events, [0, 1, 2].flatMap((n) => [`begin ${n}`, `end ${n}`]));
  assertEquals(turns.size, 0);
});

Deno.test("turns: one that fails does not keep the next", async () => {
  const turns = new Turns();
  const failing = turns.run("a", () => Promise.reject(new Error("no")));
  const throwing = turns.run("a", () => {
    throw new Error("no");
  });
  const last = turns.run("a", () => Promise.resolve(1));
  await assertRejects(() => failing, Error, "no");
  await assertRejects(() => throwing, Error, "no");
  assertEquals(await last, 1);
  assertEquals(turns.size, 0);
});
