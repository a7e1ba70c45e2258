import { assertEquals } from "@std/assert";
import { BotPlayer } from "../../lib/client/bot_player.ts";

Deno.test("bot player: it begins once, and completes when all is played", () => {
  const player = new BotPlayer(8);
  assertEquals(player.deadlineMs, Infinity);
  assertEquals(player.hasCompleted(1e9), false);
  assertEquals(player.add(0, 0), false);
  assertEquals(player.add(800, 1000), true);
  assertEquals(player.add(800, 1050), false);
  assertEquals(player.deadlineMs, 1200);
  assertEquals(player.hasCompleted(1199), false);
  assertEquals(player.hasCompleted(1200), true);
  assertEquals(player.hasCompleted(1300), false);
  assertEquals(player.add(8, 1300), true);
  assertEquals(player.deadlineMs, 1301);
});

Deno.test("bot player: what comes late is played from then on", () => {
  const player = new BotPlayer(8);
  player.add(8, 0);
  assertEquals(player.add(80, 500), false);
  assertEquals(player.deadlineMs, 510);
});

Deno.test("bot player: an interruption completes at once, and only what plays", () => {
  const player = new BotPlayer(8);
  player.drop(5);
  assertEquals(player.hasCompleted(5), false);
  player.add(8000, 10);
  player.drop(20);
  assertEquals(player.hasCompleted(20), true);
  assertEquals(player.add(8, 30), true);
});
