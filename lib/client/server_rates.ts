/**
 * How fast a server may send in a call of some speed (protocol sections 12 and 15).
 *
 * Imports the protocol.
 */
import { CLIENT_SESSION_LIMITS, type ServerPaceLimits } from "../protocol/mod.ts";

/**
 * The rates of a call.
 *
 * @param speed 1 is real time. A call that is faster has as many more results a second, and a bot
 * that answers as fast: what is in order in real time is in order then.
 */
export function serverRates(
  speed: number,
): Omit<ServerPaceLimits, "retryAfterMs"> {
  const { receivedTextRate, receivedAudioRate, receivedSampleRate } = CLIENT_SESSION_LIMITS;
  const times = Math.max(1, speed);
  const faster = ({ perSecond, burst }: ServerPaceLimits["receivedTextRate"]) => ({
    perSecond: Math.ceil(perSecond * times),
    burst: Math.ceil(burst * times),
  });
  return {
    receivedTextRate: faster(receivedTextRate),
    receivedAudioRate: faster(receivedAudioRate),
    receivedSampleRate: faster(receivedSampleRate),
  };
}
