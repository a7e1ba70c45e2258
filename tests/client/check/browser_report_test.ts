/**
 * The HTML report of `deno task check` as a person sees it: made by the command, opened from its
 * file in a real Chromium, as wide as a telephone's screen.
 */
import { assert, assertEquals, assertExists, assertFalse, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { TestBrowser, type WatchedPage } from "../../helpers/browser.ts";
import { Program, ROOT, taskFlags, TemporaryFolder } from "../../helpers/program.ts";
import { API_KEY, BrokenServer, type Parts, SECRET } from "./broken_server.ts";
import { FAULTS } from "./fault.ts";
import { GoodSession } from "./good_session.ts";

/** The narrowest screen that it is for, in CSS pixels. */
const NARROW = { width: 400, height: 800 };
const CHECK_TIMEOUT_MS = 120_000;

/** Checks a server by the command, which has to find it wrong, and opens the report. */
async function openReport(
  browser: TestBrowser,
  parts: Parts,
  only: string,
): Promise<WatchedPage & { readonly server: URL; readonly file: URL }> {
  await using folder = await TemporaryFolder.make();
  await using server = await BrokenServer.start(parts);
  const script = join(ROOT, "lib/client/check/check_command.ts");
  const signed = ["--key", API_KEY, "--secret", SECRET.toBase64()];
  await using program = new Program({
    args: [
      ...["run", ...taskFlags("check"), script, server.url.href, ...signed],
      ...["--only", only, "--html", "report.html"],
    ],
    cwd: folder.path,
  });
  const { code, output } = await program.ended(CHECK_TIMEOUT_MS);
  assertEquals(code, 1, output);
  const file = pathToFileURL(folder.join("report.html"));
  return { ...await browser.open(file, NARROW), server: server.url, file };
}

/** What a person can read on the page now. */
async function readable({ page }: WatchedPage): Promise<string> {
  return await page.evaluate("document.body.innerText") as string;
}

/** Opens what went over the wire in a case. */
async function openTranscript({ page }: WatchedPage, name: string): Promise<void> {
  const summary = await page.$(`tr[id="${name}"] summary`);
  assertExists(summary, `${name} has a transcript`);
  await summary.click();
}

/** Fails if anything is wider than the screen, ran, was loaded, or was complained of. */
async function assertSound({ page, requests, troubles }: WatchedPage, file: URL): Promise<void> {
  await page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)");
  const tooWide = await page.evaluate(`
    [document.documentElement, ...document.querySelectorAll("body, body *")]
      .filter((element) => element.scrollWidth > innerWidth ||
        element.getBoundingClientRect().right > innerWidth)
      .map((element) => element.outerHTML.slice(0, 200))`);
  assertEquals(tooWide, [], "all fits the screen");
  assertEquals(await page.evaluate("document.querySelectorAll('script, img, [onload]').length"), 0);
  assertEquals(requests, [file.href], "nothing but the file is loaded");
  assertEquals(troubles, []);
}

Deno.test("check: a browser shows the report of a faulty server, and opens what went over the wire", async () => {
  await using browser = await TestBrowser.start();
  if (browser === undefined) return;
  const name = "close.answered-in-time";
  const report = await openReport(browser, FAULTS["seq-gap"], `auth,open,${name}`);
  const { page, server, file } = report;

  assertEquals(await page.title(), `AudioHook conformance of ${server}`);
  const before = await readable(report);
  for (const text of ["AudioHook conformance", server.href, "failed", "13. Close", name]) {
    assertStringIncludes(before, text);
  }
  const failed = await page.evaluate("document.querySelector('.counts .fail b').innerText");
  const rows = await page.evaluate("document.querySelectorAll('td.fail').length");
  assert(Number(failed) > 0);
  assertEquals(failed, String(rows), "the number above is that of the rows below");

  const line = '"type":"closed"';
  assertFalse(before.includes(line));
  await openTranscript(report, name);
  assertStringIncludes(await readable(report), line);
  await assertSound(report, file);
});

/** Markup that would change the page's title, if it were any. */
const MARKUP = `</li></ol></details><script>document.title = "taken over"</script>` +
  `<img src="x" onerror="document.title = 'taken over'">`;
const LONG_WORD = "w".repeat(300);

Deno.test("check: a browser shows markup that a server sends as the text that it is", async () => {
  await using browser = await TestBrowser.start();
  if (browser === undefined) return;
  const session = class extends GoodSession {
    override onText(): void {
      this.surroundings.socket.send(MARKUP + LONG_WORD);
      this.surroundings.socket.close();
    }
  };
  const report = await openReport(browser, { session }, "open.probe");
  await openTranscript(report, "open.probe");
  const text = await readable(report);
  assertStringIncludes(text, MARKUP);
  assertStringIncludes(text, LONG_WORD);
  assertEquals(await report.page.title(), `AudioHook conformance of ${report.server}`);
  await assertSound(report, report.file);
});
