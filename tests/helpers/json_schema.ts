/**
 * A validator of JSON Schema: as much of it as descriptions of APIs use here. What it does not know
 * is an error, so that nothing goes unchecked.
 */

type Schema = Readonly<Record<string, unknown>>;

/** Says nothing of what is valid. */
const ANNOTATIONS = ["description", "default", "example", "examples", "title"];

const FORMATS: Readonly<Record<string, RegExp>> = {
  "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
  "date": /^\d{4}-\d\d-\d\d$/,
  "uuid": /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
};

/** Every way in which a value is against a schema, with where. */
export function schemaErrors(schema: unknown, value: unknown, root: unknown, at = "$"): string[] {
  const errors: string[] = [];
  const fail = (what: string) => errors.push(`${at}: ${what}, got ${JSON.stringify(value)}`);
  for (const [keyword, said] of Object.entries(schema as Schema)) {
    if (ANNOTATIONS.includes(keyword)) continue;
    const check = KEYWORDS[keyword];
    if (check === undefined) throw new Error(`${at}: unknown keyword ${keyword}`);
    check({ said, value, schema: schema as Schema, root, at, fail, errors });
  }
  return errors;
}

/** What a reference within a document refers to; `undefined` if there is no such thing. */
export function resolve(root: unknown, reference: string): unknown {
  if (!reference.startsWith("#/")) return undefined;
  return reference.slice(2).split("/").reduce<unknown>(
    (place, name) => (place as Schema | undefined)?.[name.replace(/~1/g, "/").replace(/~0/g, "~")],
    root,
  );
}

interface Case {
  readonly said: unknown;
  readonly value: unknown;
  readonly schema: Schema;
  readonly root: unknown;
  readonly at: string;
  readonly fail: (what: string) => void;
  readonly errors: string[];
}

const bound = (
  measure: (value: unknown) => number | undefined,
  isRight: (measured: number, said: number) => boolean,
  name: string,
) =>
({ said, value, fail }: Case) => {
  const measured = measure(value);
  if (measured !== undefined && !isRight(measured, said as number)) fail(`${name} ${said}`);
};
const asNumber = (value: unknown) => typeof value === "number" ? value : undefined;
const asLength = (value: unknown) => typeof value === "string" ? [...value].length : undefined;

const some = (isRight: (count: number) => boolean) => ({ said, value, root, at, fail }: Case) => {
  const failures = (said as unknown[]).map((schema) => schemaErrors(schema, value, root, at));
  if (isRight(failures.filter(({ length }) => length === 0).length)) return;
  fail(`none, or too many, of: ${failures.flat().join("; ")}`);
};

const KEYWORDS: Readonly<Record<string, (one: Case) => void>> = {
  $ref({ said, value, root, at, errors }) {
    const target = resolve(root, String(said));
    if (target === undefined) throw new Error(`${at}: ${said} refers to nothing`);
    errors.push(...schemaErrors(target, value, root, at));
  },
  type({ said, value, fail }) {
    const types = [said].flat();
    const actual = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
    const isInteger = Number.isInteger(value) && types.includes("integer");
    if (!types.includes(actual) && !isInteger) fail(`expected ${types}`);
  },
  const: ({ said, value, fail }) => void (value === said || fail(`expected ${said}`)),
  enum: ({ said, value, fail }) =>
    void ((said as unknown[]).includes(value) || fail(`expected one of ${said}`)),
  minimum: bound(asNumber, (value, said) => value >= said, "at least"),
  maximum: bound(asNumber, (value, said) => value <= said, "at most"),
  exclusiveMinimum: bound(asNumber, (value, said) => value > said, "more than"),
  minLength: bound(asLength, (value, said) => value >= said, "length at least"),
  maxLength: bound(asLength, (value, said) => value <= said, "length at most"),
  pattern({ said, value, fail }) {
    if (typeof value === "string" && !new RegExp(String(said), "u").test(value)) fail(String(said));
  },
  format({ said, value, fail, at }) {
    const pattern = FORMATS[String(said)];
    if (pattern === undefined) throw new Error(`${at}: unknown format ${said}`);
    if (typeof value === "string" && !pattern.test(value)) fail(`expected ${said}`);
  },
  properties({ said, value, root, at, errors }) {
    if (value === null || typeof value !== "object") return;
    for (const [name, schema] of Object.entries(said as Schema)) {
      if (!Object.hasOwn(value, name)) continue;
      errors.push(...schemaErrors(schema, (value as Schema)[name], root, `${at}.${name}`));
    }
  },
  required({ said, value, fail }) {
    if (value === null || typeof value !== "object") return;
    for (const name of said as string[]) if (!Object.hasOwn(value, name)) fail(`without ${name}`);
  },
  additionalProperties({ said, value, schema, root, at, fail, errors }) {
    if (value === null || typeof value !== "object") return;
    for (const [name, one] of Object.entries(value)) {
      if (Object.hasOwn(schema.properties ?? {}, name)) continue;
      if (said === false) fail(`with ${name}`);
      else errors.push(...schemaErrors(said, one, root, `${at}.${name}`));
    }
  },
  items({ said, value, root, at, errors }) {
    if (!Array.isArray(value)) return;
    value.forEach((one, i) => errors.push(...schemaErrors(said, one, root, `${at}[${i}]`)));
  },
  anyOf: some((count) => count > 0),
  oneOf: some((count) => count === 1),
  allOf: ({ said, value, root, at, errors }) => {
    for (const schema of said as unknown[]) errors.push(...schemaErrors(schema, value, root, at));
  },
};
