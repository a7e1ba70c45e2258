/**
 * Heads of HTTP requests as bytes, and their mutations: method, target, version, headers, line ends.
 */
import { ENDPOINT } from "../helpers/wire_client.ts";
import { pick, TEXTS } from "./hostile_values.ts";
import { type Edit, mutateText } from "./mutations.ts";

/** A request by its parts, none of which need be valid. */
interface RequestHead {
  method: string;
  target: string;
  version: string;
  headers: [string, string][];
  lineEnd: string;
  before: string;
  after: string;
}

const METHODS = [
  "GET",
  "POST",
  "HEAD",
  "OPTIONS",
  "CONNECT",
  "get",
  "G\0T",
  "",
  "PRI",
  "A".repeat(999),
];
const TARGETS = [
  ENDPOINT,
  `${ENDPOINT}/`,
  `${ENDPOINT}?x`,
  `${ENDPOINT}/../ws`,
  `${ENDPOINT}#f`,
  `http://127.0.0.1${ENDPOINT}`,
  `//x${ENDPOINT}`,
  "/",
  "*",
  "",
  "127.0.0.1:80",
  "/%00",
  "/\0",
  "/é",
  `/${"a".repeat(70_000)}`,
  `${ENDPOINT}?${"a=b&".repeat(500)}`,
];
const VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.1 ", "http/1.1", "", "X"];
const HEADERS: readonly [string, string][] = [
  ["Content-Length", "5"],
  ["Content-Length", "-1"],
  ["Content-Length", "99999999999999999999"],
  ["Transfer-Encoding", "chunked"],
  ["Transfer-Encoding", "identity, chunked"],
  ["Expect", "100-continue"],
  ["Connection", "close"],
  ["Connection", "Upgrade, HTTP2-Settings"],
  ["HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"],
  ["Upgrade", "h2c"],
  ["Sec-WebSocket-Extensions", "permessage-deflate"],
  ["Sec-WebSocket-Protocol", "a, b"],
  ["Sec-WebSocket-Version", "8"],
  ["Sec-WebSocket-Key", "short"],
  ["Host", "x"],
  ["Host", "x/api"],
  ["Host", "[::1"],
  ["Audiohook-Session-Id", "x"],
  ["Large", "x".repeat(20_000)],
  ["Larger", "x".repeat(500_000)],
  ["N".repeat(20_000), "x"],
  ["", "x"],
  ["a b", "x"],
  ["a", "x\r\n folded"],
  ["__proto__", "x"],
];
const LINE_ENDS = ["\n", "\r", "\n\r", "\r\n\r\n", " \r\n", "\0\r\n", ""];

type Change = (head: RequestHead, at: number, edit: Edit) => void;

const CHANGES: readonly Change[] = [
  (head, _, { to }) => head.method = pick(METHODS, to),
  (head, _, { to }) => head.target = pick(TARGETS, to),
  (head, _, edit) => head.target = mutateText(head.target, edit),
  (head, _, { to }) => head.version = pick(VERSIONS, to),
  ({ headers }, at) => headers.splice(at, 1),
  ({ headers }, at) => headers.push(...headers.slice(at, at + 1)),
  ({ headers }, at, { to }) =>
    headers.splice(to % (headers.length + 1), 0, ...headers.splice(at, 1)),
  ({ headers }, at, { to }) => headers.splice(at, 0, pick(HEADERS, to)),
  ({ headers }, at, { to }) => headers.splice(at, 1, pick(HEADERS, to)),
  ({ headers }, at, edit) => {
    const [name, value] = headers[at] ?? ["", ""];
    headers[at] = [name, mutateText(value, edit)];
  },
  ({ headers }, at, { to }) => headers[at] = [headers[at]?.[0] ?? "", pick(TEXTS, to)],
  ({ headers }, at, edit) => {
    const [name, value] = headers[at] ?? ["", ""];
    headers[at] = [mutateText(name, edit), value];
  },
  ({ headers }, at, { to }) => {
    const name = headers[at]?.[0] ?? "";
    headers[at] = [pick([name.toUpperCase(), name.toLowerCase()], to), headers[at]?.[1] ?? ""];
  },
  (head, _, { to }) => head.lineEnd = pick(LINE_ENDS, to),
  (head, _, { to }) => head.before = pick(["\r\n", "\n\n", " ", "\0", "\x16\x03\x01"], to),
  (head, _, { to }) =>
    head.after = pick(["hello", "5\r\nhello\r\n0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"], to),
  ({ headers }, _, { size }) =>
    headers.push(
      ...Array.from({ length: size % 300 }, (_, n): [string, string] => [`X-${n}`, "y"]),
    ),
];

/** The text of a request with all edits; half of the last ones are of the text as a whole. */
export function mutatedHead(
  headers: Readonly<Record<string, string>>,
  edits: readonly Edit[],
): string {
  const head: RequestHead = {
    method: "GET",
    target: ENDPOINT,
    version: "HTTP/1.1",
    headers: Object.entries(headers),
    lineEnd: "\r\n",
    before: "",
    after: "",
  };
  const [last, ...others] = edits;
  const isWhole = last !== undefined && last.size % 4 === 0;
  for (const edit of isWhole ? others : edits) {
    pick(CHANGES, edit.how)(head, edit.at % Math.max(1, head.headers.length), edit);
  }
  const { method, target, version, lineEnd, before, after } = head;
  const lines = head.headers.map(([name, value]) => `${name}: ${value}${lineEnd}`).join("");
  const text = `${before}${method} ${target} ${version}${lineEnd}${lines}${lineEnd}${after}`;
  return isWhole ? mutateText(text, last) : text;
}
