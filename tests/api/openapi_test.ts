/**
 * The description of the API: that it is one, and that the API is as it says.
 */
import { assert, assertEquals, assertGreater, assertThrows } from "@std/assert";
import { API_ERRORS } from "../../lib/api/api_error.ts";
import { describeApi } from "../../lib/api/openapi.ts";
import { ROUTES } from "../../lib/api/routes.ts";
import { ADMIN_TOKEN, ApiServer } from "../helpers/api_server.ts";
import { resolve, schemaErrors } from "../helpers/json_schema.ts";
import { LogRecords } from "../helpers/log_records.ts";
import type { MadeAudio } from "../helpers/recordings.ts";
import { noise } from "../helpers/wav_check.ts";

// deno-lint-ignore no-explicit-any
const DOCUMENT: any = JSON.parse(JSON.stringify(describeApi(ROUTES)));

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/** Headers that are not described: each answer has them, or the HTTP server adds them. */
const OF_ALL_ANSWERS = [
  "cache-control",
  "content-encoding",
  "content-length",
  "content-type",
  "date",
  "transfer-encoding",
  "vary",
  "x-content-type-options",
];

interface Operation {
  readonly path: string;
  readonly method: string;
  // deno-lint-ignore no-explicit-any
  readonly operation: any;
}

function operations(): Operation[] {
  return Object.entries(DOCUMENT.paths).flatMap(([path, item]) =>
    Object.entries(item as object).map(([method, operation]) => ({ path, method, operation }))
  );
}

/** All values in a JSON value, with the names of their places. */
function* walk(value: unknown, name = ""): Generator<[name: string, value: unknown]> {
  yield [name, value];
  if (value === null || typeof value !== "object") return;
  for (const [key, child] of Object.entries(value)) yield* walk(child, key);
}

Deno.test("openapi: the document has the structure of OpenAPI 3.1", () => {
  assertEquals(DOCUMENT.openapi, "3.1.0");
  for (const field of ["title", "version"]) assertEquals(typeof DOCUMENT.info[field], "string");
  const { schemas, securitySchemes } = DOCUMENT.components;
  assertEquals(DOCUMENT.security, [{ adminToken: [] }]);
  assertEquals(securitySchemes.adminToken.type, "http");
  assertEquals(securitySchemes.adminToken.scheme, "bearer");
  for (const name of Object.keys(schemas)) assert(/^[\w.-]+$/.test(name));

  const ids = new Set<string>();
  for (const { path, method, operation } of operations()) {
    const what = `${method} ${path}`;
    assert(path.startsWith("/"), what);
    assert(METHODS.includes(method), what);
    assertEquals(typeof operation.summary, "string", what);
    assert(!ids.has(operation.operationId), what);
    ids.add(operation.operationId);

    const places = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const seen = new Set<string>();
    for (const parameter of operation.parameters) {
      assert(["path", "query", "header"].includes(parameter.in), what);
      assertEquals(typeof parameter.schema, "object", what);
      const key = `${parameter.in} ${parameter.name}`;
      assert(!seen.has(key), `${what} ${key}`);
      seen.add(key);
      if (parameter.in === "path") {
        assertEquals([parameter.required, places.includes(parameter.name)], [true, true], what);
      }
    }
    for (const place of places) assert(seen.has(`path ${place}`), what);
    if (operation.requestBody !== undefined) {
      assertGreater(Object.keys(operation.requestBody.content).length, 0, what);
    }
    assertGreater(Object.keys(operation.responses).length, 1, what);
    for (const [status, response] of Object.entries(operation.responses)) {
      assert(/^[2-5]\d\d$/.test(status), what);
      assertEquals(typeof (response as { description: unknown }).description, "string", what);
    }
  }
});

Deno.test("openapi: every reference refers to something, and everything is referred to", () => {
  const references = new Set<string>();
  for (const [name, value] of walk(DOCUMENT)) {
    if (name === "$ref") references.add(String(value));
    assert(name !== "$id" && name !== "$schema", `there is a ${name}`);
  }
  for (const reference of references) {
    assert(resolve(DOCUMENT, reference) !== undefined, reference);
  }
  const { schemas } = DOCUMENT.components;
  assertEquals(
    [...references].sort(),
    Object.keys(schemas).map((name) => `#/components/schemas/${name}`).sort(),
  );
});

Deno.test("openapi: it has each route, and no other", () => {
  assertEquals(
    operations().map(({ path, method }) => `${method.toUpperCase()} ${path}`).sort(),
    ROUTES.map(({ method, path }) => `${method} ${path}`).sort(),
  );
});

Deno.test("openapi: the examples are valid, and what is spoilt is not", () => {
  let count = 0;
  for (const [name, value] of walk(DOCUMENT)) {
    if (name !== "application/json") continue;
    const { schema, example, examples = {} } = value as Record<string, never>;
    if (schema === undefined) continue;
    const all = [
      ...(example === undefined ? [] : [example]),
      ...Object.values(examples).map((one) => (one as { value: unknown }).value),
    ];
    for (const one of all) {
      assertEquals(schemaErrors(schema, one, DOCUMENT), []);
      const spoilt = { ...(one as object), made: "up" };
      assertGreater(schemaErrors(schema, spoilt, DOCUMENT).length, 0);
      count++;
    }
  }
  assertGreater(count, 30);
});

Deno.test("openapi: parameters say what they may be", () => {
  // deno-lint-ignore no-explicit-any
  const parameter = (path: string, name: string): any =>
    DOCUMENT.paths[path].get.parameters.find((one: { name: string }) => one.name === name);
  assertEquals(parameter("/api/recordings", "limit"), {
    name: "limit",
    in: "query",
    required: false,
    description: parameter("/api/recordings", "limit").description,
    schema: { type: "integer", minimum: 1, maximum: 500, default: 50 },
  });
  assertEquals(parameter("/api/recordings", "conversationId").schema, {
    type: "string",
    format: "uuid",
  });
  assertEquals(parameter("/api/recordings", "from").schema, {
    anyOf: [{ type: "string", format: "date-time" }, { type: "string", format: "date" }],
  });
  assertEquals(parameter("/api/recordings/{id}/audio", "format").schema, {
    type: "string",
    enum: ["original", "pcm16"],
    default: "original",
  });
  assertEquals(parameter("/api/recordings/{id}/audio", "Range").in, "header");
});

Deno.test("openapi: it is there for all, the same as is made from the routes", async () => {
  await using api = await ApiServer.start();
  const response = await fetch(`http://127.0.0.1:${api.server.addr.port}/api/openapi.json`);
  assertEquals(response.status, 200);
  const { content } = DOCUMENT.paths["/api/openapi.json"].get.responses[200];
  assertEquals(Object.keys(content), ["application/json"]);
  assertEquals(response.headers.get("content-type"), "application/json; charset=utf-8");
  assertEquals(await response.json(), DOCUMENT);
});

Deno.test("openapi: what the server answers is as described", async () => {
  await using _logs = await LogRecords.watch();
  await using api = await ApiServer.start();
  const audio: MadeAudio = {
    format: "PCMU",
    channels: ["external", "internal"],
    data: noise(1000),
  };
  const { id } = await api.record({ audio, conversationId: crypto.randomUUID().toUpperCase() });
  const recovered = await api.record({ audio, recovered: true });
  const silent = await api.record({ audio: null });
  const running = await api.record({ audio, isBeingMade: true });
  const broken = await api.record({ audio, file: noise(5000) });
  const absent = "2026-11-22.00000000-0000-4000-8000-000000000000";
  const hold = { method: "PUT", headers: { "content-type": "application/json" } };

  const requests: [
    template: string,
    id: string,
    rest: string,
    status: number,
    init?: RequestInit,
  ][] = [
    ["", "", "", 200],
    ["", "", "?limit=2", 200],
    ["", "", "?limit=x", 400],
    ["", "", "", 401, { headers: { authorization: "Bearer wrong" } }],
    ["/{id}", id, "", 200],
    ["/{id}", recovered.id, "", 200],
    ["/{id}", silent.id, "", 200],
    ["/{id}", running.id, "", 200],
    ["/{id}", absent, "", 404],
    ["/{id}", "x", "", 400],
    ["/{id}/audio", id, "", 200],
    ["/{id}/audio", id, "?format=pcm16&channel=internal", 206, { headers: { range: "bytes=5-9" } }],
    ["/{id}/audio", id, "", 416, { headers: { range: "bytes=9000-" } }],
    ["/{id}/audio", id, "", 304, { headers: { "if-none-match": "*" } }],
    ["/{id}/audio", id, "", 412, { headers: { "if-match": '"x"' } }],
    ["/{id}/audio", broken.id, "", 500],
    ["/{id}/messages", id, "", 200],
    ["/{id}/messages", id, "", 206, { headers: { range: "bytes=0-1" } }],
    ["/{id}/messages", id, "", 304, { headers: { "if-none-match": "*" } }],
    ["/{id}/messages", id, "", 416, { headers: { range: "bytes=9000-" } }],
    ["/{id}/messages", running.id, "", 200],
    ["/{id}/messages", absent, "", 404],
    ["/{id}/peaks", id, "?pixels=5", 200],
    ["/{id}/peaks", running.id, "", 200],
    ["/{id}/peaks", silent.id, "", 404],
    ["/{id}/hold", id, "", 200, { ...hold, body: '{"reason":"Case 4711"}' }],
    ["/{id}/hold", id, "", 400, { ...hold, body: "{}" }],
    ["/{id}/hold", id, "", 415, { ...hold, headers: {}, body: "{}" }],
    ["/{id}/hold", id, "", 413, { ...hold, body: " ".repeat(20_000) }],
    ["/{id}", id, "", 200],
    ["/{id}", id, "", 409, { method: "DELETE" }],
    ["/{id}/hold", id, "", 204, { method: "DELETE" }],
    ["/{id}", running.id, "", 409, { method: "DELETE" }],
    ["/{id}", id, "", 204, { method: "DELETE" }],
    ["/{id}", id, "", 404, { method: "DELETE" }],
  ];
  const answered = new Set<string>();
  for (const [template, recording, rest, status, init] of requests) {
    const method = (init?.method ?? "GET").toLowerCase();
    const path = `/api/recordings${template}`;
    const what = `${method} ${path} ${status}`;
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, ...init?.headers as object };
    const response = await api.fetch(path.replace("{id}", recording) + rest, { ...init, headers });
    const body = await response.text();
    assertEquals(response.status, status, `${what}: ${body}`);
    const described = DOCUMENT.paths[path][method].responses[status];
    assert(described !== undefined, what);
    for (const name of Object.keys(described.headers ?? {})) {
      assert(response.headers.has(name), `${what} ${name}`);
    }
    const names = Object.keys(described.headers ?? {}).map((name) => name.toLowerCase());
    for (const name of response.headers.keys()) {
      assert(OF_ALL_ANSWERS.includes(name) || names.includes(name), `${what} has ${name}`);
    }
    const [type = ""] = (response.headers.get("content-type") ?? "").split(";", 1);
    const media = described.content?.[type];
    assertEquals(type === "", described.content === undefined, what);
    assert(type === "" || media !== undefined, `${what} ${type}`);
    if (type !== "application/json") continue;
    assertEquals(schemaErrors(media.schema, JSON.parse(body), DOCUMENT), [], what);
    if (status < 400) continue;
    const { code } = JSON.parse(body).error;
    assert(Object.hasOwn(media.examples, code), `${what} ${code}`);
  }
  for (const { path, method } of ROUTES) {
    if (path === "/api/openapi.json") continue;
    answered.add(`${method} ${path}`);
    const asked = requests.some(([template, , , status, init]) =>
      `/api/recordings${template}` === path && (init?.method ?? "GET") === method && status < 300
    );
    assert(asked, `${method} ${path}`);
  }
  assertEquals(answered.size, ROUTES.length - 1);
  await api.closed();
});

Deno.test("openapi: every error code is described somewhere, but for two that have no operation", () => {
  const described = new Set<string>();
  for (const { operation } of operations()) {
    for (const response of Object.values(operation.responses)) {
      // deno-lint-ignore no-explicit-any
      const { examples = {} } = (response as any).content?.["application/json"] ?? {};
      for (const code of Object.keys(examples)) described.add(code);
    }
  }
  const missing = Object.keys(API_ERRORS).filter((code) => !described.has(code));
  assertEquals(missing.sort(), ["method_not_allowed", "unknown_path"]);
});

Deno.test("openapi: the validator of these tests finds what is wrong, and knows what it knows", () => {
  const schema = {
    type: "object",
    properties: { a: { type: "integer", minimum: 1 }, b: { type: ["string", "null"] } },
    required: ["a"],
    additionalProperties: false,
  };
  assertEquals(schemaErrors(schema, { a: 1, b: null }, schema), []);
  for (const wrong of [{}, { a: 0 }, { a: 1.5 }, { a: 1, b: 2 }, { a: 1, c: 1 }, null, []]) {
    assertGreater(schemaErrors(schema, wrong, schema).length, 0, JSON.stringify(wrong));
  }
  assertThrows(() => schemaErrors({ dependentRequired: {} }, {}, {}));
});
