import { spawnSync } from "node:child_process";
import { chromium } from "playwright-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { makeSecret } from "../../src/collector/enroll/token.ts";
import { sessionHash } from "../../src/collector/server/auth.ts";
import type { Serving } from "./collector.ts";

const names = ["chromium", "chromium-browser", "google-chrome"];

function findBrowser(): string | undefined {
  const found = names.map((name) => spawnSync("sh", ["-c", `command -v ${name}`]));
  return found
    .find(({ status }) => status === 0)
    ?.stdout.toString()
    .trim();
}

/** Why no page can be opened here. Undefined: one can. */
export const browserMissing: string | undefined =
  findBrowser() === undefined ? "chromium is missing: apt-get install chromium" : undefined;

/** Chromium without a window. Root has no sandbox of its own. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = findBrowser();
  if (executablePath === undefined) throw new Error(browserMissing);
  return await chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

export interface Visit extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the browser complains of: errors of scripts, breaches of the content security policy. */
  readonly complaints: readonly string[];
}

export interface VisitOptions {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: "light" | "dark";
  /** Default: a user of the name ada. */
  readonly isLoggedIn?: boolean;
}

/** A page of the collector in a browser of its own: no cookie or cache is shared. */
export async function visit(
  browser: Browser,
  serving: Pick<Serving, "url" | "collector">,
  { width = 1280, height = 800, scheme = "light", isLoggedIn = true }: VisitOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  context.setDefaultTimeout(60_000);
  const { users } = serving.collector.store;
  if (isLoggedIn) {
    const secret = makeSecret("fimpage");
    await users.add("ada", undefined, 0);
    await users.addSession(sessionHash(secret), { user: "ada", kind: "page", created: 0 });
    const cookie = { name: "fim_session", value: secret, url: serving.url, httpOnly: true };
    await context.addCookies([{ ...cookie, sameSite: "Strict" }]);
  }
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error.stack)));
  page.on("console", (message) => {
    const text = message.text();
    // A status that the page expects: no session yet, a stream that was cut.
    const isExpected = /status of 401|ERR_CONNECTION|ERR_INCOMPLETE/.test(text);
    if (message.type() === "error" && !isExpected) complaints.push(text);
  });
  return { page, context, complaints, [Symbol.asyncDispose]: async () => await context.close() };
}
