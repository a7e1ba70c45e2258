/**
 * The call as apps see it: what the client said when it opened, and what may be asked of it.
 *
 * Imports the App interface and the protocol; touches no socket.
 */
import type { Call } from "../app/app.ts";
import type { OpenParameters, ServerSession } from "../protocol/mod.ts";
import type { ConnectionIdentity } from "./authenticator.ts";

/** What a {@link Call} is made of. */
export interface LiveCallParts {
  readonly session: ServerSession;
  readonly identity: ConnectionIdentity;
  /** Path and query of the connection request. */
  readonly requestTarget: string;
  /** Parameters of `open`. */
  readonly parameters: OpenParameters;
  /** Carries a request out, and sends what it made the session say. */
  readonly ask: (request: (nowMs: number) => void) => void;
  /** An app paused or disconnected, which is an answer to what the client asks for. */
  readonly onRefusal: () => void;
}

/** Makes the call of one session. */
export function liveCall(parts: LiveCallParts): Call {
  const { session, identity, requestTarget, parameters, ask, onRefusal } = parts;
  return {
    sessionId: identity.sessionId,
    organizationId: identity.organizationId,
    correlationId: identity.correlationId,
    requestTarget,
    conversationId: parameters.conversationId,
    participant: parameters.participant,
    language: parameters.language,
    offers: parameters.media,
    customConfig: parameters.customConfig,
    inputVariables: parameters.inputVariables,
    get media() {
      return session.media;
    },
    get positionSamples() {
      return session.positionSamples;
    },
    get paused() {
      return session.paused;
    },
    sendEvent: (...entities) => ask((nowMs) => session.sendEvent(entities, nowMs)),
    pause: () => {
      ask((nowMs) => session.pause(nowMs));
      onRefusal();
    },
    resume: () => ask((nowMs) => session.resume(nowMs)),
    disconnect: (reason, { info, outputVariables } = {}) => {
      ask((nowMs) => session.disconnect(reason, info, outputVariables, nowMs));
      onRefusal();
    },
    play: (frame) => ask((nowMs) => session.play(frame, nowMs)),
  };
}
