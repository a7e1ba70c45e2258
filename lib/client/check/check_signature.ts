/**
 * Signatures of the checker's connection requests, sound and odd ones (protocol section 3).
 *
 * Not by the protocol's own signer, which signs nothing that a server has to refuse, such as a
 * component that comes twice. Imports nothing.
 */

/** A value of a signature's parameter. */
export type SignatureParameter = string | number;

/** A covered component: its name, and the value that is signed. */
export type CoveredComponent = readonly [name: string, value: string];

/** What all of our signatures are called. */
const LABEL = "sig1";

/**
 * Signs a connection request with whatever is given, in its order.
 *
 * @param parameters Texts of printable ASCII without quotes and backslashes, and whole numbers.
 * @returns The two headers.
 */
export async function signComponents(
  components: readonly CoveredComponent[],
  parameters: Readonly<Record<string, SignatureParameter>>,
  secret: Uint8Array,
): Promise<{ readonly "Signature-Input": string; readonly "Signature": string }> {
  const names = components.map(([name]) => `"${name}"`).join(" ");
  const values = Object.entries(parameters).map(([name, value]) =>
    `;${name}=${typeof value === "number" ? value : `"${value}"`}`
  );
  const input = `(${names})${values.join("")}`;
  const lines = components.map(([name, value]) => `"${name}": ${value}`);
  const base = [...lines, `"@signature-params": ${input}`].join("\n");
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", new Uint8Array(secret), hmac, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(base));
  return {
    "Signature-Input": `${LABEL}=${input}`,
    "Signature": `${LABEL}=:${new Uint8Array(signature).toBase64()}:`,
  };
}

/**
 * Adds a second signature to the headers of a request: covering the same, made with no secret.
 */
export function withSecondSignature(
  headers: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const { "Signature-Input": input = "", Signature: signature = "" } = headers;
  const other = crypto.getRandomValues(new Uint8Array(32)).toBase64();
  return {
    ...headers,
    "Signature-Input": `${input}, sig2${input.slice(LABEL.length)}`,
    "Signature": `${signature}, sig2=:${other}:`,
  };
}

/** Headers with the first 16 bytes of the signature in place of all. */
export function withShortSignature(
  headers: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const base64 = headers.Signature?.slice(`${LABEL}=:`.length, -1) ?? "";
  const short = Uint8Array.fromBase64(base64).subarray(0, 16).toBase64();
  return { ...headers, Signature: `${LABEL}=:${short}:` };
}
