import { assert, assertEquals } from "@std/assert";
import { type InnerList, isInnerList, parseDictionary } from "structured-headers";
import {
  normaliseHeaderValue,
  type SignatureBase,
  signatureBase,
  type SignedRequest,
} from "../../lib/protocol/signature_base.ts";
import testdata from "../testdata/signature.json" with { type: "json" };

function request(
  headers: Record<string, string | undefined>,
  { requestTarget = "/", authority = "example.com" } = {},
): SignedRequest {
  const byName = new Map(Object.entries(headers));
  return { requestTarget, authority, header: (name) => byName.get(name.toLowerCase()) ?? null };
}

function list(text: string): InnerList {
  const [member] = parseDictionary(`sig1=${text}`).values();
  assert(member !== undefined && isInnerList(member));
  return member;
}

function base(built: SignatureBase): string {
  assert("base" in built, JSON.stringify(built));
  return built.base;
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

for (const vector of testdata.vectors) {
  Deno.test(`signature base: ${vector.name}`, async () => {
    const { host, signature: sent, "signature-input": input } = vector.headers;
    const signed = request({ ...vector.headers }, {
      requestTarget: vector.requestTarget,
      authority: host,
    });
    const built = base(signatureBase(signed, list(input.slice(input.indexOf("=") + 1))));
    assertEquals(built, vector.base);

    const key = await crypto.subtle.importKey(
      "raw",
      fromBase64(vector.key),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["verify"],
    );
    const signature = fromBase64(sent.split(":")[1] ?? "");
    assert(await crypto.subtle.verify("HMAC", key, signature, new TextEncoder().encode(built)));
  });
}

Deno.test("signature base: the last line is serialised again, whatever spaces were sent", () => {
  const sent = '(  "@authority"   "date" );  created=1;   keyid="a \\"b\\""';
  assertEquals(
    base(signatureBase(request({ date: "today" }), list(sent))),
    '"@authority": example.com\n"date": today\n' +
      '"@signature-params": ("@authority" "date");created=1;keyid="a \\"b\\""',
  );
});

Deno.test("signature base: an empty list gives the last line alone", () => {
  assertEquals(
    base(signatureBase(request({}), list("();created=1"))),
    '"@signature-params": ();created=1',
  );
});

Deno.test("signature base: the request target keeps its path and query as sent", () => {
  const requestTarget = "/a/../b//c%2f?x=%41&y&&z=1";
  assertEquals(
    base(signatureBase(request({}, { requestTarget }), list('("@request-target")'))),
    `"@request-target": ${requestTarget}\n"@signature-params": ("@request-target")`,
  );
});

Deno.test("signature base: an authority is in lower case and loses a default port only", () => {
  const authorities = {
    "Example.COM": "example.com",
    "Example.com:443": "example.com",
    "example.com:80": "example.com",
    "example.com:8443": "example.com:8443",
    "example.com:4430": "example.com:4430",
    "[::1]:443": "[::1]",
    "[::80]": "[::80]",
    " example.com ": "example.com",
  };
  for (const [authority, normalised] of Object.entries(authorities)) {
    assertEquals(
      base(signatureBase(request({}, { authority }), list('("@authority")'))),
      `"@authority": ${normalised}\n"@signature-params": ("@authority")`,
    );
  }
});

Deno.test("signature base: header values are trimmed and folds become one space", () => {
  const values = {
    "": "",
    "plain": "plain",
    " \t spaces \t ": "spaces",
    "a, b,  c": "a, b,  c",
    "one\r\n two": "one two",
    "one \t\r\n\t  two": "one two",
    "one\n two\n three": "one two three",
    "\r\n one": "one",
  };
  for (const [value, normalised] of Object.entries(values)) {
    assertEquals(
      base(signatureBase(request({ "x-extra": value }), list('("x-extra")'))),
      `"x-extra": ${normalised}\n"@signature-params": ("x-extra")`,
    );
  }
});

Deno.test("signature base: several headers of one name are joined, as Headers joins them", () => {
  const headers = new Headers([["X-Extra", " one "], ["X-Extra", "two"]]);
  const signed = { ...request({}), header: (name: string) => headers.get(name) };
  assertEquals(
    base(signatureBase(signed, list('("x-extra")'))),
    '"x-extra": one, two\n"@signature-params": ("x-extra")',
  );
});

Deno.test("signature base: what has no place in it is named", () => {
  const headers = { "date": "today", "x-nul": "a\0b", "x-latin": "caf\u00e9" };
  const problems = {
    '("date" "@method")': "unknown_component",
    '("@signature-params")': "unknown_component",
    '("@Authority")': "unknown_component",
    '("Date")': "unknown_component",
    '("")': "unknown_component",
    '("a b")': "unknown_component",
    "(date)": "unknown_component",
    "(1)": "unknown_component",
    "(:YQ==:)": "unknown_component",
    '("date";sf)': "component_parameter",
    '("@authority";req)': "component_parameter",
    '("date" "@authority" "date")': "duplicate_component",
    '("x-absent")': "absent_component",
    '("__proto__")': "absent_component",
    '("x-nul")': "bad_component_value",
    '("x-latin")': "bad_component_value",
  };
  for (const [text, problem] of Object.entries(problems)) {
    assertEquals(signatureBase(request(headers), list(text)), { problem } as SignatureBase, text);
  }
});

Deno.test("signature base: no value can pass for the line of another component", () => {
  const forged = 'a\n"@authority": evil.example.com';
  const problem = { problem: "bad_component_value" } as const;
  const covers = (name: string) => list(`("${name}")`);
  assertEquals(signatureBase(request({ "x-extra": forged }), covers("x-extra")), problem);
  assertEquals(signatureBase(request({ "x-extra": "a\rb" }), covers("x-extra")), problem);
  for (const value of [forged, "a b", "a\r\n b", "caf\u00e9"]) {
    const target = request({}, { requestTarget: value });
    assertEquals(signatureBase(target, covers("@request-target")), problem);
    const authority = request({}, { authority: value });
    assertEquals(signatureBase(authority, covers("@authority")), problem);
  }
});

Deno.test("signature base: an empty target or authority counts as absent", () => {
  const empty = request({}, { requestTarget: "", authority: "" });
  const problem = { problem: "absent_component" } as const;
  assertEquals(signatureBase(empty, list('("@request-target")')), problem);
  assertEquals(signatureBase(empty, list('("@authority")')), problem);
});

Deno.test("signature base: a header of very many spaces is normalised all the same", () => {
  const spaces = " \t".repeat(200_000);
  assertEquals(normaliseHeaderValue(`a${spaces}b${spaces}`), `a${spaces}b`);
});
