/**
 * The reader of answers: what S3 servers send, and whatever else may come.
 */
import { assert, assertEquals, assertInstanceOf, assertLess, assertThrows } from "@std/assert";
import fc from "fast-check";
import { childrenOf, childText, parseXml, XmlError } from "../../../lib/storage/s3/xml_element.ts";

Deno.test("XML: elements, text, entities, namespaces, and space around it", () => {
  const xml = parseXml(
    `\n <?xml version="1.0" encoding="UTF-8"?>\n<a:List xmlns:a="http://s3" b='1'><Key>x&amp;y&lt;` +
      `&#65;&#x1F600;</Key><Empty/><Key >two</Key ></a:List>\n`,
  );
  assertEquals(xml.name, "List");
  assertEquals(childText(xml, "Key"), "x&y<A😀");
  assertEquals(childText(xml, "Empty"), "");
  assertEquals(childText(xml, "Missing"), undefined);
  assertEquals(childrenOf(xml, "Key").map(({ text }) => text), ["x&y<A😀", "two"]);
});

const WRONG: Readonly<Record<string, string>> = {
  nothing: "",
  "no XML": "Bad gateway",
  "an end without a beginning": "</a>",
  "a wrong end": "<a><b></a></b>",
  "no end": "<a><b></b>",
  "two elements": "<a/><b/>",
  "text outside": "<a/>x",
  "text before": "x<a/>",
  "a document type": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
  "an unknown entity": "<a>&b;</a>",
  "an entity by a name of Object": "<a>&constructor;</a>",
  "a bare ampersand": "<a>1 & 2</a>",
  "a character beyond Unicode": "<a>&#x110000;</a>",
  "a comment": "<a><!-- b --></a>",
  CDATA: "<a><![CDATA[b]]></a>",
  "an attribute without quotation marks": "<a b=1/>",
  "too deep": "<a>".repeat(17) + "</a>".repeat(17),
  "too many elements": `<a>${"<b/>".repeat(50_000)}</a>`,
};

for (const [what, text] of Object.entries(WRONG)) {
  Deno.test(`XML: ${what} is refused`, () => {
    assertThrows(() => parseXml(text), XmlError);
  });
}

Deno.test("XML: whatever is read ends soon, with an element or an XmlError", () => {
  const piece = fc.constantFrom(
    ...["<", ">", "/", "a", "b:c", " ", '="', "'", "&", "&amp;", "&#", ";", "<a>", "</a>", "\n"],
    ...["<a", "x".repeat(1000), " ".repeat(1000), '<a b="', "<!--", "<?xml", "?>", "1"],
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 200 }).map((all) => all.join("")),
  );
  fc.assert(
    fc.property(text, (source) => {
      const startedMs = performance.now();
      try {
        assert(parseXml(source).name.length > 0);
      } catch (error) {
        assertInstanceOf(error, XmlError);
      }
      assertLess(performance.now() - startedMs, 20_000);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("XML: a text of megabytes that tries to be slow is not", () => {
  const startedMs = performance.now();
  const hard = [
    `<a${" ".repeat(2_000_000)}`,
    `<a${' b="c"'.repeat(300_000)}`,
    "<a>".repeat(700_000),
    `<a>${"&".repeat(2_000_000)}</a>`,
    `<${"a".repeat(2_000_000)}`,
  ];
  for (const text of hard) assertThrows(() => parseXml(text), XmlError);
  assertLess(performance.now() - startedMs, 20_000);
});
