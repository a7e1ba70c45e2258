import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import fc from "fast-check";
import { sourceAddressOf } from "../../lib/server/source_address.ts";

const PEER = "192.0.2.1";

Deno.test("source address: an IPv4 address is itself", () => {
  assertEquals(sourceAddressOf("192.0.2.1", null), "192.0.2.1");
  assertEquals(sourceAddressOf("0.0.0.0", null), "0.0.0.0");
});

for (
  const [address, network] of [
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002::", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:db8:0:0:1::", "2001:db8:0:0::/64"],
    ["1:2:3:4:5:6:7::", "1:2:3:4::/64"],
    ["::2:3:4:5:6:7:8", "0:2:3:4::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:0201", "192.0.2.1"],
    ["0:0:0:0:0:ffff:255.255.255.255", "255.255.255.255"],
    ["::fffe:192.0.2.1", "0:0:0:0::/64"],
    ["1::ffff:192.0.2.1", "1:0:0:0::/64"],
  ] as const
) {
  Deno.test(`source address: ${address} counts as ${network}`, () => {
    assertEquals(sourceAddressOf(address, null), network);
    assertEquals(sourceAddressOf(PEER, address), network, "said by a proxy");
  });
}

for (
  const [header, source] of [
    ["203.0.113.7", "203.0.113.7"],
    ["  203.0.113.7\t", "203.0.113.7"],
    ["198.51.100.1, 203.0.113.7", "203.0.113.7"],
    ["203.0.113.7,198.51.100.1,10.0.0.1", "10.0.0.1"],
    ["unknown, 203.0.113.7", "203.0.113.7"],
    ["198.51.100.1,2001:db8::1", "2001:db8:0:0::/64"],
    ["203.0.113.7:443", "203.0.113.7"],
    ["198.51.100.1, [2001:db8::1]", "2001:db8:0:0::/64"],
    ["[2001:db8::1]:443", "2001:db8:0:0::/64"],
  ] as const
) {
  Deno.test(`source address: of a proxy's "${header}", the last entry counts`, () => {
    assertEquals(sourceAddressOf(PEER, header), source);
  });
}

for (
  const header of [
    "",
    " ",
    ",",
    "203.0.113.7,",
    "203.0.113.7, unknown",
    "203.0.113.7:",
    "[2001:db8::1",
    "2001:db8::1]",
    "[203.0.113.256]:443",
    "203.0.113.256",
    "203.0.113",
    "0xCB.0.113.7",
    "203.0.113.07",
    "3405803783",
    "::g",
    "1:2:3:4:5:6:7:8:9",
    "%",
    "%eth0",
    "localhost",
    "for=203.0.113.7",
    '"203.0.113.7"',
    "203.0.113.7; DROP",
    "203.0.113.7\u0000",
    "２０３.0.113.7",
    "x".repeat(100_000),
    ",".repeat(100_000),
  ]
) {
  const name = JSON.stringify(header.length > 40 ? `${header.slice(0, 10)}…` : header);
  Deno.test(`source address: of a proxy's ${name}, nothing can be told: the peer counts`, () => {
    assertEquals(sourceAddressOf(PEER, header), PEER);
    assertEquals(sourceAddressOf("2001:db8::1", header), "2001:db8:0:0::/64");
  });
}

Deno.test("source address: a peer that is no IP address is taken as it is", () => {
  assertEquals(sourceAddressOf("somewhere", null), "somewhere");
  assertEquals(sourceAddressOf("somewhere", "203.0.113.7"), "203.0.113.7");
});

Deno.test("source address: property: whatever a header says, the source is an address or network", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.stringMatching(/^[0-9a-f:.%, [\]]*$/),
    fc.ipV4(),
    fc.ipV6(),
    fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string())).map((list) => list.join(", ")),
  );
  fc.assert(fc.property(text, (header) => {
    const source = sourceAddressOf(PEER, header);
    assertMatch(source, /^(\d{1,3}(\.\d{1,3}){3}|([0-9a-f]{1,4}:){4}:\/64)$/);
  }));
});

Deno.test("source address: property: an IPv6 address counts by its first 64 bits, however written", () => {
  const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), {
    minLength: 8,
    maxLength: 8,
  }).filter((groups) => groups.slice(0, 5).some((group) => group !== 0));
  fc.assert(fc.property(groups, fc.array(fc.nat(0xffff), { minLength: 4, maxLength: 4 }), (
    groups,
    others,
  ) => {
    const written = groups.map((group) => group.toString(16).padStart(4, "0")).join(":");
    const short = new URL(`http://[${written}]`).hostname.slice(1, -1);
    const expected = `${groups.slice(0, 4).map((group) => group.toString(16)).join(":")}::/64`;
    assertEquals(sourceAddressOf(written, null), expected);
    assertEquals(sourceAddressOf(short.toUpperCase(), null), expected);
    const neighbour = [...groups.slice(0, 4), ...others].map((group) => group.toString(16));
    if (groups.slice(0, 4).some((group) => group !== 0)) {
      assertEquals(sourceAddressOf(neighbour.join(":"), null), expected);
    }
    const elsewhere = [(groups[0] ?? 0) ^ 1, ...groups.slice(1)].map((group) => group.toString(16));
    assertNotEquals(sourceAddressOf(elsewhere.join(":"), null), expected);
  }));
});
