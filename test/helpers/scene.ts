import test from "ava";
import type { ExecutionContext } from "ava";
import type { Browser } from "playwright-core";
import { browserMissing, openBrowser, visit } from "./browser.ts";
import type { Visit, VisitOptions } from "./browser.ts";
import { Reporter, nonceOf, send, startCollector } from "./collector.ts";
import type { Serving } from "./collector.ts";
import { needing } from "./needs.ts";

/** A real collector, a node that signs for real, and a browser. */
export interface Scene {
  readonly serving: Serving;
  readonly node: Reporter;
  readonly open: (options?: VisitOptions) => Promise<Visit>;
}

let browser: Browser | undefined;

test.before(async () => {
  if (browserMissing === undefined) browser = await openBrowser();
});

test.after.always(async () => {
  await browser?.close();
});

/** Declares a test of the page. It also fails where the browser complains. */
export function testPage(
  title: string,
  body: (t: ExecutionContext, scene: Scene) => Promise<void>,
): void {
  needing(browserMissing, "serial")(title, async (t) => {
    await using serving = await startCollector({ runbook: "https://wiki.example/fim/{rule}" });
    const node = new Reporter("cp-1");
    await node.enrol(serving);
    await send(serving, node.heartbeat(await nonceOf(serving)));
    await using visits = new AsyncDisposableStack();
    const complaints: (readonly string[])[] = [];
    const open = async (options: VisitOptions = {}): Promise<Visit> => {
      if (!browser) throw new Error("the browser is not open");
      const visited = visits.use(await visit(browser, serving, options));
      complaints.push(visited.complaints);
      return visited;
    };
    await body(t, { serving, node, open });
    t.deepEqual(complaints.flat(), []);
  });
}
