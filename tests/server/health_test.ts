/**
 * /healthz: whether the process lives, and what is wrong with it.
 */
import { assertEquals } from "@std/assert";
import type { HealthReport } from "../../lib/server/mod.ts";
import { rawRequest } from "../helpers/raw_socket.ts";
import { TestServer } from "../helpers/test_server.ts";

const DEGRADED: HealthReport = {
  status: "degraded",
  problems: ["recordings cannot be written (ENOSPC)", "less than 500 MB free:\nnew calls"],
};

Deno.test("health: text for people, JSON for who asks for it, always 200", async () => {
  let report: HealthReport = { status: "ok", problems: [] };
  await using server = await TestServer.start({ health: () => report });
  const ask = async (accept: string, method = "GET") => {
    const response = await fetch(`http://${server.authority}/healthz`, {
      method,
      headers: { accept },
    });
    const { status, headers } = response;
    assertEquals([status, headers.get("cache-control")], [200, "no-store"]);
    assertEquals(headers.get("vary"), "accept");
    return { type: headers.get("content-type")?.split(";")[0], body: await response.text() };
  };
  const asJson = ["application/json", "application/json, text/plain;q=0.5", "application/*"];
  const asText = ["*/*", "text/plain", "text/html,*/*;q=0.8", "image/png", "application/json;q=0"];
  for (const accept of asJson) {
    assertEquals(await ask(accept), {
      type: "application/json",
      body: JSON.stringify({ status: "ok", problems: [] }),
    });
  }
  for (const accept of asText) {
    assertEquals(await ask(accept), { type: "text/plain", body: "ok\n" }, accept);
  }
  report = DEGRADED;
  assertEquals(JSON.parse((await ask("application/json")).body), DEGRADED);
  assertEquals(
    (await ask("text/plain")).body,
    "degraded\nrecordings cannot be written (ENOSPC)\nless than 500 MB free: new calls\n",
  );
  assertEquals((await ask("*/*", "HEAD")).body, "");
});

Deno.test("health: without a report, and without Accept, it says ok", async () => {
  await using server = await TestServer.start();
  const { status, body } = await rawRequest(server.addr.port, "/healthz", {
    Host: server.authority,
  });
  assertEquals([status, body], [200, "ok\n"]);
});

Deno.test("health: a report that fails is a defect, and the server lives on", async () => {
  let fails = true;
  await using server = await TestServer.start({
    health: () => {
      if (fails) throw new Error("Broken");
      return DEGRADED;
    },
  });
  const first = await fetch(`http://${server.authority}/healthz`);
  assertEquals([first.status, await first.text()], [500, "Internal error\n"]);
  fails = false;
  const second = await fetch(`http://${server.authority}/healthz`);
  assertEquals(second.status, 200);
  await second.body?.cancel();
});
