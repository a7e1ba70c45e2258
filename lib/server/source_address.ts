/**
 * Where a request comes from, as far as that can be told: the unit by which failures are counted.
 *
 * Imports what tells IP addresses apart, and nothing else.
 */
import { isIPv4, isIPv6 } from "node:net";

/**
 * The source of a request.
 *
 * @param peer IP address of the TCP connection's other end.
 * @param header Value of the header in which our own proxy says who it speaks for, such as
 * `X-Forwarded-For`. Of a list, the last entry counts: it is the proxy's, all before it is hearsay.
 * @returns An IPv4 address, or the first 64 bits of an IPv6 address: a single host commonly has all
 * addresses of such a network.
 */
export function sourceAddressOf(peer: string, header: string | null): string {
  const said = header?.split(",").at(-1)?.trim() ?? "";
  return networkOf(said) ?? networkOf(peer) ?? peer;
}

function networkOf(text: string): string | undefined {
  // Some proxies add the port, which changes with each connection.
  const [, bracketed, dotted] = /^\[([^\]]+)\](?::\d+)?$|^([\d.]+):\d+$/.exec(text) ?? [];
  const address = bracketed ?? dotted ?? text;
  if (isIPv4(address)) return address;
  const [plain = ""] = address.split("%", 1);
  if (!isIPv6(plain)) return undefined;
  const groups = groupsOf(plain);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (!isMapped) return `${groups.slice(0, 4).map((group) => group.toString(16)).join(":")}::/64`;
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
}

/** The eight groups of an IPv6 address that is known to be one. */
function groupsOf(address: string): number[] {
  // As a URL's host it has no dotted part any more.
  const { hostname } = new URL(`http://[${address}]`);
  const [head = "", tail] = hostname.slice(1, -1).split("::");
  const numbers = (text: string) =>
    text === "" ? [] : text.split(":").map((group) => parseInt(group, 16));
  const before = numbers(head);
  const after = numbers(tail ?? "");
  return [...before, ...Array(8 - before.length - after.length).fill(0), ...after];
}
