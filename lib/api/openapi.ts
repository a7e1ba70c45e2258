/**
 * The description of the API, made from its routes and their schemas: OpenAPI 3.1.
 *
 * Imports zod and its neighbours.
 */
import { z } from "zod";
import { uuidSchema } from "../protocol/identifiers.ts";
import { API_ERRORS, type ErrorCode } from "./api_error.ts";
import { NAMED_SCHEMAS } from "./api_schemas.ts";
import { ID_PLACE, type ResponseDescription, type Route, takesBody } from "./route.ts";

/** A JSON value, as objects of a document are. */
type JsonObject = { readonly [name: string]: unknown };

/** Errors that every route may be answered with. */
const ERRORS_OF_ALL = [
  "invalid_query",
  "internal_error",
  "unavailable",
  "storage_timeout",
] as const;
/** And those that need the token. */
const ERRORS_OF_TOKEN = ["unauthorized", "too_many_failures"] as const;

const INFO = {
  title: "Recordings of an AudioHook server",
  version: "1",
  description: "Finds, plays and removes recordings of calls. HEAD is answered wherever GET is. " +
    "Unknown parameters are errors, and so are those that are given more than once.",
  license: { name: "MIT", identifier: "MIT" },
} as const;

const SECURITY_SCHEME = {
  type: "http",
  scheme: "bearer",
  description: "The admin token of the server",
} as const;

/** Describes an API of these routes. */
export function describeApi(routes: readonly Route[]): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const route of routes) {
    const operations = paths[route.path] ??= {};
    operations[route.method.toLowerCase()] = operationOf(route);
  }
  return {
    openapi: "3.1.0",
    info: INFO,
    servers: [{ url: "/" }],
    security: [{ adminToken: [] }],
    paths,
    components: {
      securitySchemes: { adminToken: SECURITY_SCHEME },
      schemas: namedSchemas(),
    },
  };
}

function operationOf(route: Route): JsonObject {
  const { operationId, summary, description, isPublic = false, path } = route;
  const errors: ErrorCode[] = [
    ...(path.includes(ID_PLACE) ? ["invalid_id" as const] : []),
    ...(isPublic ? [] : ERRORS_OF_TOKEN),
    ...ERRORS_OF_ALL,
    ...route.errors,
  ];
  const responses: Record<string, JsonObject> = {};
  for (const [status, response] of Object.entries(route.responses)) {
    responses[status] = responseOf(response);
  }
  for (const status of new Set(errors.map((code) => API_ERRORS[code].status))) {
    responses[status] = errorResponseOf(
      status,
      errors.filter((code) => API_ERRORS[code].status === status),
    );
  }
  return {
    operationId,
    summary,
    ...(description === undefined ? {} : { description }),
    ...(isPublic ? { security: [] } : {}),
    parameters: parametersOf(route),
    ...(takesBody(route) ? { requestBody: requestBodyOf(route) } : {}),
    responses,
  };
}

function parametersOf({ path, query, requestHeaders = {} }: Route): JsonObject[] {
  const parameters: JsonObject[] = [];
  if (path.includes(ID_PLACE)) {
    parameters.push({
      name: "id",
      in: "path",
      required: true,
      description: "Of a recording: the day it began on, in UTC, a dot, and its name",
      schema: { type: "string" },
      example: "2026-11-22.e160e428-53e2-487c-977d-96989bf5c99d",
    });
  }
  for (const [name, schema] of Object.entries(query.shape)) {
    const { description, ...json } = jsonSchemaOf(schema as z.ZodType);
    parameters.push({
      name,
      in: "query",
      required: !(schema as z.ZodType).safeParse(undefined).success,
      ...(description === undefined ? {} : { description }),
      schema: json,
    });
  }
  for (const [name, description] of Object.entries(requestHeaders)) {
    parameters.push({ name, in: "header", description, schema: { type: "string" } });
  }
  return parameters;
}

function requestBodyOf({ body, bodyExample }: Route): JsonObject {
  return {
    required: true,
    content: { "application/json": { schema: referenceTo(body), example: bodyExample } },
  };
}

function responseOf(
  { description, contentType, schema, example, headers }: ResponseDescription,
): JsonObject {
  const media = {
    ...(schema === undefined ? {} : { schema: referenceTo(schema) }),
    ...(example === undefined ? {} : { example }),
  };
  const type = contentType ?? (schema === undefined ? undefined : "application/json");
  return {
    description,
    ...(headers === undefined ? {} : { headers: headersOf(headers) }),
    ...(type === undefined ? {} : { content: { [type]: media } }),
  };
}

function errorResponseOf(status: number, codes: readonly ErrorCode[]): JsonObject {
  const headers = ERROR_HEADERS[status];
  return {
    description: codes.map((code) => `${code}: ${API_ERRORS[code].meaning}`).join(". "),
    ...(headers === undefined ? {} : { headers: headersOf(headers) }),
    content: {
      "application/json": {
        schema: { $ref: "#/components/schemas/Error" },
        examples: Object.fromEntries(codes.map((code) => [
          code,
          { value: { error: { code, message: API_ERRORS[code].meaning } } },
        ])),
      },
    },
  };
}

/** What the headers of errors say, by status. */
const ERROR_HEADERS: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  401: { "WWW-Authenticate": "Bearer" },
  416: { "Content-Range": "How many bytes there are", "Accept-Ranges": "bytes" },
  429: { "Retry-After": "In so many seconds" },
  503: { "Retry-After": "In so many seconds" },
};

/** By name, from what they say. */
function headersOf(headers: Readonly<Record<string, string>>): JsonObject {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, {
      description,
      schema: { type: "string" },
    }]),
  );
}

/** By name, with references to one another. */
function namedSchemas(): JsonObject {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(NAMED_SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    uri: (id) => `#/components/schemas/${id}`,
    override: tidy,
  });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => [id, withoutIdentity(schema)]),
  );
}

/** @throws {TypeError} If it has no name. */
function referenceTo(schema: z.ZodType): JsonObject {
  const named = Object.entries(NAMED_SCHEMAS).find(([, candidate]) => candidate === schema);
  if (named === undefined) throw new TypeError("Expected a schema of NAMED_SCHEMAS");
  return { $ref: `#/components/schemas/${named[0]}` };
}

function jsonSchemaOf(schema: z.ZodType): Record<string, unknown> {
  return withoutIdentity(z.toJSONSchema(schema, { override: tidy }));
}

/** What only a document of its own would need. */
function withoutIdentity(schema: object): Record<string, unknown> {
  const { $schema: _version, $id: _id, id: _name, ...rest } = schema as Record<string, unknown>;
  return rest;
}

const UUID_PATTERN = z.toJSONSchema(uuidSchema).pattern;

/** Says what people can read, where zod says the same by a long pattern. */
function tidy({ jsonSchema }: { jsonSchema: { pattern?: string; format?: string } }): void {
  // A pattern of JSON Schema can't say that case does not matter, either.
  if (jsonSchema.pattern !== undefined && jsonSchema.pattern === UUID_PATTERN) {
    jsonSchema.format = "uuid";
  }
  if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
}
