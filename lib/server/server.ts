/**
 * The HTTP server: routes, authentication, upgrade, and the sessions that run.
 *
 * Apps and stores are handed in. Must not import a concrete one.
 */
import { getLogger } from "@logtape/logtape";
import { STATUS_CODE } from "@std/http/status";
import type { App } from "../app/app.ts";
import {
  type Keyring,
  languageSchema,
  MemoryNonceStore,
  type NonceStore,
  ServerSession,
  type ServerSessionLimits,
} from "../protocol/mod.ts";
import { APP_TIMEOUTS, AppGroup, type AppTimeouts } from "./app_group.ts";
import { Authenticator, type ConnectionIdentity } from "./authenticator.ts";
import { Connection } from "./connection.ts";
import { FailureLimiter } from "./failure_limiter.ts";
import { Gate } from "./gate.ts";
import { type HealthReport, healthResponse } from "./health.ts";
import { withDeadline } from "../app/deadline.ts";
import { requestTargetOf } from "./request_target.ts";
import { Listener } from "./listener.ts";
import { RefusalLog } from "./refusal_log.ts";
import { sourceAddressOf } from "./source_address.ts";
import { textResponse } from "./text_response.ts";
import { Ticker } from "./ticker.ts";

const log = getLogger(["audiohook", "server"]);

/** What is known of an HTTP request besides itself. */
export interface HttpRequestInfo {
  /**
   * Where it comes from: what {@link ServerOptions.clientAddressHeader} says, or the TCP peer. Of an
   * IPv6 address, the network: its first 64 bits.
   */
  readonly remoteAddress: string;
  /** Path and query, exactly as sent: `Request.url` has a host that anybody can make up. */
  readonly requestTarget: string;
  /** Resolves when the answer was sent, or its connection has ended. */
  readonly completed: Promise<void>;
}

/** What a server needs. */
export interface ServerOptions {
  /** Host name or IP address to listen on; 127.0.0.1 unless given. */
  readonly hostname?: string;
  /** TCP port; 0, the default, is any free one. */
  readonly port?: number;
  /** Path of the endpoint, without a slash at its end. Paths below it are served too. */
  readonly path?: string;
  /** API keys and client secrets of those who may connect. */
  readonly keyring: Keyring;
  /** What is done with calls; several apps share a session. */
  readonly apps: readonly App[];
  /** Remembers nonces; by default in memory. */
  readonly nonces?: NonceStore;
  /** What clients sign as the authority, if a proxy changes the `Host` header. */
  readonly publicAuthority?: string;
  /**
   * Certificate, with its chain, and private key, both as PEM: the server speaks TLS. By default it
   * speaks plain HTTP, for a proxy that speaks TLS.
   */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** How long a refusal takes at least; 500 ms by default. */
  readonly authFailureDelayMs?: number;
  /**
   * How often one source address may fail to authenticate in a minute, before it is answered 429;
   * 30 by default, 0 = any number. A valid signature is accepted all the same.
   */
  readonly maxAuthFailuresPerMinute?: number;
  /**
   * Header in which a proxy says who it speaks for, such as `X-Forwarded-For`; its last entry is
   * the source address. Only with a proxy that sets it: else anybody can. By default, none.
   */
  readonly clientAddressHeader?: string;
  /**
   * The most connections at a time; 5,000 by default. Then it answers 503. One whose session has
   * ended counts until the client, too, has ended it.
   */
  readonly maxSessions?: number;
  /** What may wait for a client that doesn't read, in bytes; 4 MiB by default. */
  readonly maxBufferedBytes?: number;
  /** How long apps may take. */
  readonly appTimeouts?: Partial<AppTimeouts>;
  /**
   * Answers HTTP requests that are neither for the endpoint nor for `/healthz`; `undefined` for what
   * is answered 404. It is asked until all sessions have ended; what is under way then is waited for
   * for a second.
   */
  readonly routes?: (
    request: Request,
    info: HttpRequestInfo,
  ) => Promise<Response | undefined> | undefined;
  /** Times, rates and sizes of sessions. */
  readonly sessionLimits?: Partial<ServerSessionLimits>;
  /** What `/healthz` says; it must neither wait nor throw. Unless given, that all is well. */
  readonly health?: () => HealthReport;
}

/** A server that runs. */
export interface AudioHookServer {
  /** Where it listens. */
  readonly addr: Deno.NetAddr;
  /** How many connections there are whose sessions have not ended. */
  readonly connectionCount: number;
  /** How many WebSockets are open, those included that we ended and the client has not yet. */
  readonly socketCount: number;
  /** Settles when it has stopped. */
  readonly finished: Promise<void>;
  /**
   * Stops: refuses new connections, asks the clients of running sessions to go elsewhere, waits
   * for them and their apps, and ends what is left after the timeout. A client that stalls in the
   * TLS handshake is not waited for; what is left of it, a TCP connection that keeps Deno running,
   * ends with the client or by `Deno.exit`.
   *
   * @param timeoutMs Unless given, what a session needs at most: 20 s.
   */
  shutdown(timeoutMs?: number): Promise<void>;
}

/**
 * How long a peer may leave a WebSocket ping unanswered, in seconds. A client that lives answers it
 * without knowing; without it, the connection of one that is gone would stay until TCP gives up.
 */
const DEAD_AFTER_SECONDS = 30;

/** How long connections without a session may take to end when the server stops. */
const STRAGGLERS_TIMEOUT_MS = 1000;

/** 16 bytes in base64 (RFC 6455, section 4.1); Deno takes anything. */
const WEBSOCKET_KEY = /^[A-Za-z0-9+/]{22}==$/;

/** Path of the endpoint, unless configured. */
export const DEFAULT_PATH = "/api/v1/audiohook/ws";

/**
 * Starts a server.
 *
 * @throws {Deno.errors.AddrInUse} And other errors of `Deno.serve`, if it cannot listen, or cannot
 * use the certificate or the key.
 * @throws {TypeError} If an app's supported languages are no language tags.
 * @example A server without apps: it opens sessions, and forgets what it hears
 * ```ts
 * import { Keyring, startServer } from "@audiohook/server";
 *
 * const secret = crypto.getRandomValues(new Uint8Array(32));
 * const keyring = await Keyring.create(new Map([["my-api-key", secret]]));
 * const server = startServer({ keyring, apps: [] });
 * console.log(`Listening on port ${server.addr.port}`);
 * await server.shutdown();
 * ```
 */
export function startServer(options: ServerOptions): AudioHookServer {
  const {
    hostname = "127.0.0.1",
    port = 0,
    path = DEFAULT_PATH,
    keyring,
    apps,
    nonces = new MemoryNonceStore(),
    publicAuthority,
    tls,
    authFailureDelayMs = 500,
    maxAuthFailuresPerMinute = 30,
    clientAddressHeader,
    maxSessions = 5_000,
    maxBufferedBytes = 4 * 1024 * 1024,
    routes,
    sessionLimits,
    health = () => ({ status: "ok", problems: [] }),
  } = options;
  checkLanguages(apps);
  const appTimeouts = { ...APP_TIMEOUTS, ...options.appTimeouts };
  const refusals = new RefusalLog();
  const gate = new Gate({
    refusals,
    authenticator: new Authenticator({ keyring, nonces, publicAuthority }),
    limiter: new FailureLimiter({ perMinute: maxAuthFailuresPerMinute }),
    failureDelayMs: authFailureDelayMs,
  });
  const ticker = new Ticker();
  const connections = new Set<Connection>();
  let socketCount = 0;
  let isStopping = false;

  function upgrade(
    request: Request,
    requestTarget: string,
    identity: ConnectionIdentity,
  ): Response {
    const { sessionId, organizationId, correlationId } = identity;
    // Before the upgrade: whoever fails after it leaves the client without any answer.
    const session = new ServerSession({
      id: sessionId,
      organizationId,
      nowMs: performance.now(),
      limits: sessionLimits,
    });
    const group = new AppGroup(apps, appTimeouts, sessionId);
    const upgraded = upgradeWebSocket(request);
    if (upgraded === undefined) {
      refusals.write("info", "Bad WebSocket handshake of {sessionId}", {
        sessionId,
        correlationId,
      });
      return textResponse(STATUS_CODE.BadRequest, "Bad WebSocket handshake");
    }
    const { socket, response } = upgraded;
    const connection = new Connection({
      socket,
      session,
      apps: group,
      ticker,
      identity,
      requestTarget,
      maxBufferedBytes,
    });
    connections.add(connection);
    socketCount++;
    void connection.ended.then(() => connections.delete(connection));
    void connection.released.then(() => socketCount--);
    log.info("Connection for {sessionId}", { sessionId, organizationId, correlationId });
    return response;
  }

  function addressOf({ headers }: Request, peer: string): string {
    const said = clientAddressHeader === undefined ? null : headers.get(clientAddressHeader);
    return sourceAddressOf(peer, said);
  }

  async function connect(
    request: Request,
    requestTarget: string,
    peer: string,
  ): Promise<Response> {
    if (request.method !== "GET") {
      return textResponse(STATUS_CODE.MethodNotAllowed, "Expected GET", { allow: "GET" });
    }
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return textResponse(STATUS_CODE.UpgradeRequired, "Expected a WebSocket", {
        upgrade: "websocket",
      });
    }
    if (request.headers.get("sec-websocket-version") !== "13") {
      const headers = { "sec-websocket-version": "13" };
      return textResponse(STATUS_CODE.BadRequest, "Expected version 13 of WebSocket", headers);
    }
    if (isStopping) return unavailable("The server is shutting down");
    const { headers } = request;
    const address = addressOf(request, peer);
    const admission = await gate.admit({ requestTarget, headers, address });
    if (admission.outcome === "refused") return admission.response;
    if (isStopping) return unavailable("The server is shutting down");
    // Only who may come in is told that there is no room.
    if (socketCount >= maxSessions) {
      const { sessionId, correlationId } = admission.identity;
      refusals.write(
        "error",
        "Refused {sessionId}: there are {socketCount} connections, as many as may be",
        { sessionId, correlationId, socketCount },
      );
      return unavailable("There are as many connections as the server takes");
    }
    return upgrade(request, requestTarget, admission.identity);
  }

  function handle(
    request: Request,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Response | Promise<Response> {
    const requestTarget = requestTargetOf(request);
    const [pathname = ""] = requestTarget.split("?", 1);
    if (pathname === path || pathname.startsWith(`${path}/`)) {
      return connect(request, requestTarget, info.remoteAddr.hostname);
    }
    if (pathname !== "/healthz") {
      const remoteAddress = addressOf(request, info.remoteAddr.hostname);
      // It may fail with its connection, and nobody need listen.
      const completed = info.completed.catch(() => {});
      const answer = routes?.(request, { remoteAddress, requestTarget, completed });
      return answer === undefined ? notFound() : answer.then((response) => response ?? notFound());
    }
    if (request.method === "GET" || request.method === "HEAD") {
      return healthResponse(request, health());
    }
    return textResponse(STATUS_CODE.MethodNotAllowed, "Expected GET", { allow: "GET, HEAD" });
  }

  const listener = new Listener({
    hostname,
    port,
    ...tls,
    onError(error) {
      log.fatal("Defect in the HTTP server: please report it", { error });
      return textResponse(STATUS_CODE.InternalServerError, "Internal error");
    },
  }, handle);

  return {
    addr: listener.addr,
    finished: listener.finished,
    get connectionCount() {
      return connections.size;
    },
    get socketCount() {
      return socketCount;
    },
    async shutdown(timeoutMs = 20_000) {
      isStopping = true;
      for (const connection of connections) connection.shutdown();
      const ended = Promise.all([...connections].map((connection) => connection.ended));
      await withDeadline(ended, timeoutMs);
      const rest = [...connections];
      for (const connection of rest) connection.hangUp();
      await Promise.all(rest.map((connection) => connection.ended));
      gate.release();
      refusals.flush();
      await listener.shutdown(STRAGGLERS_TIMEOUT_MS);
    },
  };
}

/** Takes the connection over; `undefined` if the handshake is not right. */
function upgradeWebSocket(request: Request): Deno.WebSocketUpgrade | undefined {
  if (!WEBSOCKET_KEY.test(request.headers.get("sec-websocket-key") ?? "")) return undefined;
  try {
    return Deno.upgradeWebSocket(request, { idleTimeout: DEAD_AFTER_SECONDS });
  } catch {
    return undefined;
  }
}

function notFound(): Response {
  return textResponse(STATUS_CODE.NotFound, "Not found");
}

function unavailable(why: string): Response {
  return textResponse(STATUS_CODE.ServiceUnavailable, why, { "retry-after": "5" });
}

function checkLanguages(apps: readonly App[]): void {
  for (const app of apps) {
    for (const tag of app.supportedLanguages ?? []) {
      if (languageSchema.safeParse(tag).success) continue;
      throw new TypeError(`App ${app.name} supports "${tag}", which is not a language tag`);
    }
  }
}
