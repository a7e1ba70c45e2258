/**
 * One route of the API: what it takes and gives, for the description of the API as well as for the
 * requests, and how it is answered.
 *
 * Imports zod, and its neighbours.
 */
import type { z } from "zod";
import { placeOf } from "../storage/recording_id.ts";
import type { ErrorCode } from "./api_error.ts";
import { errorResponse } from "./api_error.ts";
import type { ApiParts } from "./api_parts.ts";
import { noBodySchema } from "./api_schemas.ts";
import { check, checkQuery } from "./check_input.ts";
import { readJson } from "./request_body.ts";

/** What a path has in the place of a recording's id. */
export const ID_PLACE = "{id}";

/** A request as it came. */
export interface RawRequest {
  readonly request: Request;
  /** What the path has in the place of the id, as it was sent; empty if it has none. */
  readonly id: string;
  /** What follows the `?`. */
  readonly query: string;
  /** Resolves when the answer was sent, or its connection has ended. */
  readonly completed: Promise<void>;
  /** Aborted when it is too late for an answer. */
  readonly late: AbortSignal;
}

/** A request whose parts were checked. */
export interface ApiRequest<Query, Body> {
  readonly request: Request;
  /** Of a recording, which need not exist. */
  readonly id: string;
  readonly query: Query;
  readonly body: Body;
  /** Resolves when the answer was sent, or its connection has ended. */
  readonly completed: Promise<void>;
  /** Aborted when it is too late for an answer. */
  readonly late: AbortSignal;
}

/** One answer, as the description of the API has it. */
export interface ResponseDescription {
  readonly description: string;
  /** `application/json` unless given. */
  readonly contentType?: string;
  /** Of a JSON body. */
  readonly schema?: z.ZodType;
  /** A body as it may be. */
  readonly example?: unknown;
  /** Headers, with what they say. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What a route takes and gives. */
export interface RouteDescription<
  Query extends z.ZodObject = z.ZodObject,
  Body extends z.ZodType = z.ZodType,
> {
  /** HEAD goes with GET. */
  readonly method: "GET" | "PUT" | "DELETE";
  /** With {@link ID_PLACE} in the place of a recording's id. */
  readonly path: string;
  /** Its name, for programs that are made from the description. */
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  /** Whether it needs no token. */
  readonly isPublic?: boolean;
  readonly query: Query;
  readonly body: Body;
  /** A body as it may be. */
  readonly bodyExample?: unknown;
  /** Headers of the request that it understands, with what they say. */
  readonly requestHeaders?: Readonly<Record<string, string>>;
  /** By status. */
  readonly responses: Readonly<Record<number, ResponseDescription>>;
  /** Errors of its own, besides those that all have. */
  readonly errors: readonly ErrorCode[];
}

/** A route. */
export interface Route extends RouteDescription {
  readonly answer: (request: RawRequest, parts: ApiParts) => Promise<Response>;
}

/** Makes a route, whose function gets requests that were checked. */
export function route<Query extends z.ZodObject, Body extends z.ZodType>(
  description: RouteDescription<Query, Body>,
  answer: (
    request: ApiRequest<z.output<Query>, z.output<Body>>,
    parts: ApiParts,
  ) => Response | Promise<Response>,
): Route {
  const hasId = description.path.includes(ID_PLACE);
  return {
    ...description,
    async answer({ request, id, query: queryText, completed, late }, parts) {
      if (hasId && placeOf(id) === undefined) {
        return errorResponse(
          "invalid_id",
          "Expected the id of a recording, such as 2026-11-22.<session's UUID in lower case>",
        );
      }
      const query = checkQuery(description.query, queryText);
      if (query.outcome === "refused") return query.response;
      const { maxBodyBytes, bodyTimeoutMs } = parts.limits;
      // A body that nobody asked for is not looked at.
      const json = takesBody(description)
        ? await readJson(request, { maxBytes: maxBodyBytes, timeoutMs: bodyTimeoutMs })
        : undefined;
      if (json?.outcome === "refused") return json.response;
      const body = check(description.body, json?.value, "invalid_body");
      if (body.outcome === "refused") return body.response;
      return await answer(
        { request, id, query: query.value, body: body.value, completed, late },
        parts,
      );
    },
  };
}

/** Whether a route takes a body. */
export function takesBody({ body }: RouteDescription): boolean {
  return body !== noBodySchema;
}

/** A route's path, of which a request's path may be one. */
export interface MatchedPath {
  /** All of this path. */
  readonly routes: readonly Route[];
  /** What the request's path has in the place of the id; empty if there is none. */
  readonly id: string;
}

/** Finds the routes of a path, which is compared as it was sent: nothing in it need be encoded. */
export function matchPath(routes: readonly Route[], path: string): MatchedPath | undefined {
  const segments = path.split("/");
  const isId = (template: readonly string[], index: number) => template[index] === ID_PLACE;
  const found = routes.filter((route) => {
    const template = route.path.split("/");
    return template.length === segments.length &&
      segments.every((segment, index) =>
        isId(template, index) ? segment !== "" : segment === template[index]
      );
  });
  const template = found[0]?.path.split("/");
  if (template === undefined) return undefined;
  return { routes: found, id: segments.find((_, index) => isId(template, index)) ?? "" };
}
