/**
 * Reads the XML that S3 servers answer with: elements and text. It is no general reader: what those
 * answers never have (document types, entities of one's own, CDATA, comments) is refused, so that no
 * answer can make it slow or large. Takes time in proportion to the text.
 *
 * Imports nothing.
 */

const MAX_DEPTH = 16;
/** A page of 1000 objects has fewer than 10 for each. */
const MAX_ELEMENTS = 20_000;

const DECLARATION = /<\?xml\b[^<>]*\?>/y;
const OPEN = /<([A-Za-z_][\w.:-]*)(?:\s+[A-Za-z_][\w.:-]*\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*(\/?)>/y;
const CLOSE = /<\/([A-Za-z_][\w.:-]*)\s*>/y;
const NAMED = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" } as const;

/** An element; attributes, which S3 uses for nothing that matters here, are left out. */
export interface XmlElement {
  /** Without the prefix of a namespace. */
  readonly name: string;
  /** Its own text; of an element with children, what is between them. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/** Thrown for a text that is no XML of this kind. */
export class XmlError extends Error {
  override readonly name = "XmlError";
}

interface OpenElement {
  readonly tag: string;
  readonly parts: string[];
  readonly children: XmlElement[];
}

/**
 * Reads a text of one element. White space around it is fine: servers send it to keep a connection.
 *
 * @throws {XmlError} If it is no XML, is cut, or has more than these answers have.
 */
export function parseXml(source: string): XmlElement {
  const text = source.trim();
  let at = matchAt(DECLARATION, text, 0)?.[0].length ?? 0;
  const stack: OpenElement[] = [];
  for (let count = 0; count <= 2 * MAX_ELEMENTS; count++) {
    const tag = text.indexOf("<", at);
    if (tag < 0) throw new XmlError("The text ends within an element");
    addText(stack.at(-1), text.slice(at, tag));
    const opened = matchAt(OPEN, text, tag);
    const found = opened ?? matchAt(CLOSE, text, tag);
    if (found === undefined) throw new XmlError(`There is no tag at ${tag}`);
    at = tag + found[0].length;
    const name = found[1] ?? "";
    if (opened !== undefined) {
      if (stack.length === MAX_DEPTH) throw new XmlError(`More than ${MAX_DEPTH} levels`);
      stack.push({ tag: name, parts: [], children: [] });
      if (opened[2] !== "/") continue;
    }
    const ended = stack.pop();
    if (ended?.tag !== name) throw new XmlError(`There is a wrong end tag at ${tag}`);
    const element = elementOf(ended);
    const parent = stack.at(-1);
    if (parent !== undefined) {
      parent.children.push(element);
    } else {
      if (at !== text.length) throw new XmlError("There is something after the last end tag");
      return element;
    }
  }
  throw new XmlError(`More than ${MAX_ELEMENTS} elements`);
}

/** Text of a child; `undefined` if there is no such child. */
export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

/** All children of a name. */
export function childrenOf(element: XmlElement, name: string): XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}

function addText(element: OpenElement | undefined, text: string): void {
  if (element !== undefined) element.parts.push(decode(text));
  else if (text.trim() !== "") throw new XmlError("There is text outside of the element");
}

function elementOf({ tag, parts, children }: OpenElement): XmlElement {
  return { name: tag.slice(tag.indexOf(":") + 1), text: parts.join(""), children };
}

function decode(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#(\d{1,7});|#x([\da-fA-F]{1,6});|(\w{1,8});)?/g, (_, ...groups) => {
    const [decimal, hexadecimal, name] = groups as (string | undefined)[];
    const number = decimal ?? (hexadecimal === undefined ? undefined : `0x${hexadecimal}`);
    if (number !== undefined && Number(number) <= 0x10FFFF) {
      return String.fromCodePoint(Number(number));
    }
    if (name !== undefined && Object.hasOwn(NAMED, name)) {
      return NAMED[name as keyof typeof NAMED];
    }
    throw new XmlError("There is an & that begins none of the five entities of XML");
  });
}
