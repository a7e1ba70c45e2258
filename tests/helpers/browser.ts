/**
 * A real browser: Chromium without a window, for one test, steered by puppeteer. It reaches nothing
 * but this machine, keeps all that it writes in a folder that goes with it, and ends with the test:
 * it is steered by a pipe, which ends when this process does, however that ends.
 *
 * Must not import: anything of lib.
 */
import { join } from "node:path";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { until, within } from "./deadline.ts";
import { TempDir } from "./temp_dir.ts";

/** What Chromium is called on various systems. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** How long it may take to start, and for each thing that it is told, on a busy machine. */
const START_TIMEOUT_MS = 60_000;
export const STEP_TIMEOUT_MS = 60_000;
/** How long it may take to end by itself; after that it is killed. */
const CLOSE_TIMEOUT_MS = 20_000;

const FLAGS = [
  // Root, and many a container, cannot have a sandbox. It opens pages of tests, and no others.
  "--no-sandbox",
  // In a container, /dev/shm may be too small.
  "--disable-dev-shm-usage",
  "--disable-gpu",
  // Whatever it would look for elsewhere.
  "--no-proxy-server",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  "--disable-component-update",
  "--autoplay-policy=no-user-gesture-required",
];

/** A page, and what went on in it. */
export interface WatchedPage {
  readonly page: Page;
  /** The URLs of all that it asked for, itself first. */
  readonly requests: readonly string[];
  /** Errors and warnings of its console, exceptions, and dialogs, which are closed. */
  readonly troubles: readonly string[];
}

/** Use with `await using`: it is ended, if need be by force, and its folder removed. */
export class TestBrowser implements AsyncDisposable {
  readonly #browser: Browser;
  readonly #folder: TempDir;
  /** Kills all its processes, if they have not ended. */
  readonly #killer: AbortController;

  private constructor(browser: Browser, folder: TempDir, killer: AbortController) {
    this.#browser = browser;
    this.#folder = folder;
    this.#killer = killer;
  }

  /** Starts Chromium; undefined, after a line that says why, if this machine has none. */
  static async start(): Promise<TestBrowser | undefined> {
    const executablePath = await findChromium();
    if (executablePath === undefined) {
      // deno-lint-ignore no-console -- who reads the test's output should know
      console.log(`skipped: there is no Chromium in PATH (${NAMES.join(", ")})`);
      return undefined;
    }
    const folder = await TempDir.create();
    const killer = new AbortController();
    try {
      const launched = puppeteer.launch({
        executablePath,
        args: FLAGS,
        pipe: true,
        userDataDir: join(folder.path, "profile"),
        env: {
          PATH: Deno.env.get("PATH"),
          HOME: folder.path,
          TMPDIR: folder.path,
          LANG: "C.UTF-8",
        },
        signal: killer.signal,
        // Later than what a test says of its step, which tells more.
        protocolTimeout: 2 * STEP_TIMEOUT_MS,
        // The test's own process has its own way to end.
        handleSIGINT: false,
        handleSIGTERM: false,
        handleSIGHUP: false,
      });
      const browser = await within(launched, "start of Chromium", START_TIMEOUT_MS);
      return new TestBrowser(browser, folder, killer);
    } catch (error) {
      killer.abort();
      await removed(folder);
      const tryIt = `${executablePath} --headless --no-sandbox --dump-dom about:blank`;
      throw new Error(`Cannot start Chromium; this may tell why: ${tryIt}`, { cause: error });
    }
  }

  /** Opens a page, and waits until it is loaded. */
  async open(url: URL, size = { width: 1000, height: 800 }): Promise<WatchedPage> {
    const page = await this.#browser.newPage();
    page.setDefaultTimeout(STEP_TIMEOUT_MS);
    const requests: string[] = [];
    const troubles: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    page.on("console", (message) => {
      if (/^(error|warn|assert)$/.test(message.type())) troubles.push(message.text());
    });
    page.on("pageerror", (error) => troubles.push(String(error)));
    page.on("dialog", (dialog) => {
      troubles.push(`${dialog.type()}: ${dialog.message()}`);
      dialog.dismiss().catch(() => {});
    });
    await page.setViewport(size);
    await page.goto(url.href);
    return { page, requests, troubles };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await within(this.#browser.close(), "end of Chromium", CLOSE_TIMEOUT_MS);
    } finally {
      this.#killer.abort();
      await removed(this.#folder);
    }
  }
}

/** The first in PATH that has one of the names. */
async function findChromium(): Promise<string | undefined> {
  const isWindows = Deno.build.os === "windows";
  const folders = (Deno.env.get("PATH") ?? "").split(isWindows ? ";" : ":");
  for (const name of NAMES) {
    for (const folder of folders.filter((folder) => folder !== "")) {
      const path = join(folder, isWindows ? `${name}.exe` : name);
      const isFile = await Deno.stat(path).then(({ isFile }) => isFile, () => false);
      if (isFile) return path;
    }
  }
}

/** Removes the folder; a process that is about to end may still write to it. */
async function removed(folder: TempDir): Promise<void> {
  await until(
    () => folder[Symbol.asyncDispose]().then(() => true, () => false),
    `removal of ${folder.path}`,
  );
}
