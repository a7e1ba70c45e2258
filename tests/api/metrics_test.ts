import { assertEquals } from "@std/assert";
import { type ApiOptions, createApi, type Metric } from "../../lib/api/mod.ts";
import { ADMIN_TOKEN, ANY_TRIES } from "../helpers/api_server.ts";
import { FolderArchive } from "../helpers/folder_archive.ts";
import { MemoryIndex } from "../helpers/memory_index.ts";

const METRICS: readonly Metric[] = [
  { name: "audiohook_sessions", help: "Sessions now.", type: "gauge", value: 3 },
];
const OPTIONS: ApiOptions = {
  archive: new FolderArchive("nowhere"),
  index: new MemoryIndex(),
  adminToken: ADMIN_TOKEN,
  failedTries: ANY_TRIES,
  remove: () => Promise.resolve("not_found"),
};

async function ask(
  options: ApiOptions,
  method: string,
  headers: HeadersInit = { authorization: `Bearer ${ADMIN_TOKEN}` },
): Promise<Response | undefined> {
  const request = new Request("http://localhost/metrics", { method, headers });
  return await createApi(options)(request, {
    remoteAddress: "::1",
    requestTarget: "/metrics",
    completed: Promise.resolve(),
  });
}

Deno.test("metrics: are there for who has the admin token", async () => {
  const response = await ask({ ...OPTIONS, metrics: () => METRICS }, "GET");
  assertEquals(response?.status, 200);
  assertEquals(response?.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assertEquals(
    await response?.text(),
    "# HELP audiohook_sessions Sessions now.\n# TYPE audiohook_sessions gauge\n" +
      "audiohook_sessions 3\n",
  );
  const head = await ask({ ...OPTIONS, metrics: () => METRICS }, "HEAD");
  assertEquals([head?.status, await head?.text()], [200, ""]);
});

Deno.test("metrics: are there for nobody else, and only to be read", async () => {
  const options = { ...OPTIONS, metrics: () => METRICS };
  for (const headers of [new Headers(), new Headers({ authorization: "Bearer another" })]) {
    const response = await ask(options, "GET", headers);
    assertEquals(response?.status, 401);
    await response?.body?.cancel();
  }
  const response = await ask(options, "POST");
  assertEquals([response?.status, response?.headers.get("allow")], [405, "GET, HEAD"]);
  await response?.body?.cancel();
});

Deno.test("metrics: without any, it is a path that the API does not know", async () => {
  assertEquals(await ask(OPTIONS, "GET"), undefined);
});
