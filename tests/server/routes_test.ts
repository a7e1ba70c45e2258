/**
 * HTTP requests that are none of the server's own, and whom they are handed to.
 */
import { assertEquals } from "@std/assert";
import type { HttpRequestInfo } from "../../lib/server/mod.ts";
import { within } from "../helpers/deadline.ts";
import { LogRecords } from "../helpers/log_records.ts";
import { rawRequest } from "../helpers/raw_socket.ts";
import { TestServer, type TestServerOptions } from "../helpers/test_server.ts";
import { ENDPOINT } from "../helpers/wire_client.ts";

interface Asked extends Omit<HttpRequestInfo, "completed"> {
  readonly method: string;
}

/** Routes that answer `/mine`, and note what they were asked. */
function routes(
  asked: Asked[],
  completions: Promise<void>[] = [],
): TestServerOptions["routes"] {
  return (request, { completed, ...info }) => {
    completions.push(completed);
    asked.push({ method: request.method, ...info });
    if (info.requestTarget.startsWith("/sync")) return undefined;
    if (!info.requestTarget.startsWith("/mine")) return Promise.resolve(undefined);
    return Promise.resolve(new Response("mine", { status: 202 }));
  };
}

async function ask(server: TestServer, target: string, headers: HeadersInit = {}) {
  const response = await fetch(`http://${server.authority}${target}`, { headers });
  return { status: response.status, text: await response.text() };
}

Deno.test("routes: are asked for what is neither the endpoint nor the health check", async () => {
  const asked: Asked[] = [];
  await using server = await TestServer.start({ routes: routes(asked) });
  assertEquals(await ask(server, "/mine?a=%2F#x"), { status: 202, text: "mine" });
  assertEquals(await ask(server, "/other"), { status: 404, text: "Not found\n" });
  assertEquals(await ask(server, "/sync"), { status: 404, text: "Not found\n" });
  const common = { method: "GET", remoteAddress: "127.0.0.1" };
  assertEquals(asked, [
    { ...common, requestTarget: "/mine?a=%2F" },
    { ...common, requestTarget: "/other" },
    { ...common, requestTarget: "/sync" },
  ]);
  asked.length = 0;
  assertEquals((await ask(server, "/healthz")).status, 200);
  assertEquals((await ask(server, ENDPOINT)).status, 426);
  assertEquals((await ask(server, `${ENDPOINT}/mine`)).status, 426);
  await using client = await server.connect();
  await client.open();
  await client.close();
  assertEquals(asked, []);
});

Deno.test("routes: are told the address that our proxy tells, if there is one", async () => {
  const asked: Asked[] = [];
  const headers = { "x-forwarded-for": "192.0.2.1, 198.51.100.7" };
  await using direct = await TestServer.start({ routes: routes(asked) });
  await ask(direct, "/mine", headers);
  await using proxied = await TestServer.start({
    routes: routes(asked),
    clientAddressHeader: "X-Forwarded-For",
  });
  await ask(proxied, "/mine", headers);
  assertEquals(asked.map(({ remoteAddress }) => remoteAddress), ["127.0.0.1", "198.51.100.7"]);
});

Deno.test("routes: are told when their answer was sent", async () => {
  const completions: Promise<void>[] = [];
  await using server = await TestServer.start({ routes: routes([], completions) });
  for (const target of ["/mine", "/other"]) await ask(server, target);
  assertEquals(completions.length, 2);
  await within(Promise.all(completions), "end of both");
});

Deno.test("routes: get the target as it was sent, whatever the host", async () => {
  const asked: Asked[] = [];
  await using server = await TestServer.start({ routes: routes(asked) });
  const target = "/mine/../%2e%2e/./x?y";
  const response = await rawRequest(server.addr.port, target, { Host: "a/mine/b" });
  assertEquals([response.status, asked[0]?.requestTarget], [202, target]);
});

Deno.test("routes: a defect of theirs is answered 500, and logged", async () => {
  await using logs = await LogRecords.watch();
  await using server = await TestServer.start({
    routes: () => Promise.reject(new Error("a defect")),
  });
  assertEquals((await ask(server, "/mine")).status, 500);
  assertEquals(logs.of("Defect in the HTTP server").length, 1);
});

Deno.test("routes: a request that is under way when the server stops is answered", async () => {
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  await using server = await TestServer.start({
    async routes() {
      begun.resolve();
      await gate.promise;
      return new Response("mine");
    },
  });
  const answer = ask(server, "/mine");
  await begun.promise;
  const stopped = server.stop();
  gate.resolve();
  assertEquals(await answer, { status: 200, text: "mine" });
  await stopped;
});
