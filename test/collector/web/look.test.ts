import axe from "axe-core";
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import type { Page } from "playwright-core";
import { Reporter, nonceOf, send } from "../../helpers/collector.ts";
import { wayTo } from "../../helpers/cut.ts";
import { testPage } from "../../helpers/scene.ts";
import type { Scene } from "../../helpers/scene.ts";
import { busyNight, hostileNames, alertOf, intrusion, storm, uidOf } from "../../helpers/story.ts";
import { seen } from "../../helpers/judged.ts";
import { until } from "../../helpers/wait.ts";

/** Faults of WCAG 2.2 A and AA that axe finds, one a line. */
async function faultsOf(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const run = `axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })`;
  const { violations } = (await page.evaluate(run)) as axe.AxeResults;
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`),
  );
}

const digest = (letter: string): string => letter.repeat(64);

/** What the nodes of a cluster have in common, and what one of them has of its own. */
const shared = {
  "/etc/kubernetes/pki/ca.crt": digest("a"),
  "/etc/kubernetes/pki/sa.key": digest("b"),
  "/usr/bin/kubelet": digest("c"),
  "kube-apiserver --anonymous-auth": "false",
  "kube-apiserver image": "registry.k8s.io/kube-apiserver:v1.32.4",
};
const foreign = {
  "/etc/kubernetes/pki/ca.crt": digest("e"),
  "kube-apiserver --anonymous-auth": "true",
};

/** Nodes in every state, a busy night, an intrusion, hostile names. Returns the address of the intrusion. */
async function fillScene({ serving, node }: Scene): Promise<string> {
  const hostile = hostileNames.map((name) =>
    alertOf("cp-1", { change: { kind: "created", path: `/etc/${name}`, after: seen() } }),
  );
  const intruder = intrusion("cp-1");
  await send(serving, node.batchOf([...busyNight("cp-1"), ...hostile, intruder]));
  const drift = { info: 0, low: 1, medium: 0, high: 2, critical: 1 };
  const degraded = ["fanotify: the kernel's queue overflowed"];
  await send(serving, node.heartbeat(await nonceOf(serving), { drift, degraded, shared }));
  for (const name of ["cp-2", "cp-3"]) {
    const other = new Reporter(name);
    await other.enrol(serving);
    const own = name === "cp-3" ? foreign : {};
    const facts = { shared: { ...shared, ...own } };
    await send(serving, other.heartbeat(await nonceOf(serving), facts));
  }
  return `/alerts/${uidOf(intruder)}`;
}

/** What a view shows when it is complete. */
const views = [
  { name: "alerts", path: "/", ready: ".row" },
  { name: "nodes", path: "/nodes", ready: ".nodes tbody tr" },
  { name: "compare", path: "/compare?equal=shown", ready: ".compare tbody tr" },
  { name: "evidence", path: "/evidence", ready: ".checkpoint .hostile" },
] as const;

for (const scheme of ["light", "dark"] as const)
  testPage(`axe finds no fault in the ${scheme} theme`, async (t, scene) => {
    const { serving, open } = scene;
    const { page } = await open({ scheme });
    await page.goto(serving.url);
    await page.getByText("Nothing is open").waitFor();
    t.deepEqual(await faultsOf(page), [], "quiet");
    const alert = await fillScene(scene);
    for (const { name, path, ready } of views) {
      await page.goto(`${serving.url}${path}`);
      await page.locator(ready).first().waitFor();
      t.deepEqual(await faultsOf(page), [], name);
    }
    await page.goto(serving.url);
    await page.locator(".tally").first().waitFor();
    t.deepEqual(await faultsOf(page), [], "counts");
    const { page: narrow } = await open({ scheme, width: 400 });
    await narrow.goto(`${serving.url}/?since=24h`);
    await narrow.getByText("Counts by rule, program, node").click();
    await narrow.locator(".times").waitFor();
    t.deepEqual(await faultsOf(narrow), [], "counts in a narrow window");
    await page.goto(`${serving.url}${alert}`);
    await page.locator("#sentence").waitFor();
    await page.press("body", "c");
    await page.locator(".panel summary").first().click();
    await page.getByText("✓ verified").waitFor();
    t.deepEqual(await faultsOf(page), [], "one alert");
    await page.press("body", "Escape");
    await page.press("body", "?");
    t.deepEqual(await faultsOf(page), [], "keys");
    const { page: stranger } = await open({ scheme, isLoggedIn: false });
    await stranger.goto(serving.url);
    await stranger.locator("#login").waitFor();
    t.deepEqual(await faultsOf(stranger), [], "login");
  });

/** Screenshots, for people to look at: FIM_SCREENSHOTS names the directory. */
const shots = process.env["FIM_SCREENSHOTS"] ?? mkdtempSync(join(tmpdir(), "fim-screenshots-"));

async function shoot(t: ExecutionContext, page: Page, name: string): Promise<void> {
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`) });
  const beyond = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
  t.true((beyond as number) <= 0, `${name} is wider than its window`);
}

for (const width of [1280, 400])
  for (const scheme of ["light", "dark"] as const)
    testPage(`every view fits ${width} px, ${scheme}`, async (t, scene) => {
      const { serving, node, open } = scene;
      const { page } = await open({ width, scheme, height: width === 400 ? 860 : 800 });
      const shown = `${width}-${scheme}`;
      await page.goto(serving.url);
      await page.getByText("Nothing is open").waitFor();
      await shoot(t, page, `quiet-${shown}`);
      const alert = await fillScene(scene);
      for (const { name, path, ready } of views) {
        await page.goto(`${serving.url}${path}`);
        await page.locator(ready).first().waitFor();
        await page.locator("#verdict strong").waitFor();
        await shoot(t, page, `${name}-${shown}`);
      }
      await page.goto(`${serving.url}${alert}`);
      await page.locator("#sentence").waitFor();
      await page.locator("#verdict strong").waitFor();
      await shoot(t, page, `critical-${shown}`);
      await page.locator(".as-text summary").click();
      await page.locator(".unified").scrollIntoViewIfNeeded();
      await shoot(t, page, `difference-${shown}`);
      await send(serving, node.batchOf(storm("cp-1")));
      await page.goto(serving.url);
      await page.locator(".row .count", { hasText: "120 changes" }).waitFor();
      await page.locator("#verdict strong").waitFor();
      if (width > 400) await page.locator(".tally").first().waitFor();
      await shoot(t, page, `storm-${shown}`);
      if (width === 400) {
        await page.getByText("Counts by rule, program, node").click();
        await page.locator(".tally").first().waitFor();
        await shoot(t, page, `counts-${shown}`);
      }
      serving.alter(
        "PRAGMA foreign_keys = OFF; DELETE FROM alert; DELETE FROM node_key; DELETE FROM node;",
      );
      // One summary serves all who ask within some seconds.
      await until(async () => {
        const { body } = await serving.read("/v1/summary");
        return Object.values(body["nodes"] as Record<string, number>).every((count) => count === 0);
      }, 20_000);
      await page.goto(serving.url);
      await page.getByRole("heading", { name: "No node has joined yet" }).waitFor();
      await shoot(t, page, `first-${shown}`);
    });

testPage(
  "a lost stream is said, and what came meanwhile appears when it is back",
  async (t, scene) => {
    const { serving, node, open } = scene;
    await send(serving, node.batchOf(busyNight("cp-1")));
    await using way = await wayTo(serving.url);
    const { page } = await open();
    await page.goto(way.url);
    await page.locator(".row").first().waitFor();
    const before = await page.locator(".row-name").allTextContents();
    await way.cut();
    await page.getByText(/Connection lost since \d\d:\d\d/).waitFor();
    await send(serving, node.batchOf([intrusion("cp-1"), alertOf("cp-1")]));
    t.deepEqual(await page.locator(".row-name").allTextContents(), before);
    await way.mend();
    await page.getByRole("button", { name: "2 new" }).waitFor();
    t.false(await page.locator("#offline").isVisible());
  },
);
