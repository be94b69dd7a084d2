import { Reporter, nonceOf, send } from "../../helpers/collector.ts";
import { testPage } from "../../helpers/scene.ts";
import { hostileNames } from "../../helpers/story.ts";

testPage(
  "nodes are compared: what differs is marked, what is equal is shown when it is wanted",
  async (t, { serving, node, open }) => {
    const { page } = await open();
    await page.goto(`${serving.url}/compare`);
    await page.getByText("there is nothing to compare it with").waitFor();
    const odd = hostileNames[1] ?? "";
    const shared = { "/etc/kubernetes/pki/ca.crt": "a".repeat(64), "/usr/bin/kubelet": "same" };
    await send(serving, node.heartbeat(await nonceOf(serving), { shared }));
    for (const name of ["cp-2", "cp-3"]) {
      const other = new Reporter(name);
      await other.enrol(serving);
      const own = name === "cp-3" ? { "/etc/kubernetes/pki/ca.crt": odd } : {};
      const facts = { shared: { ...shared, ...own } };
      await send(serving, other.heartbeat(await nonceOf(serving), facts));
    }
    await page.reload();
    await page.locator(".compare tbody tr").waitFor();
    t.regex((await page.textContent(".compare-summary")) ?? "", /1 of \d facts differ, on cp-3/);
    t.deepEqual(await page.locator("td.is-odd").allTextContents(), [
      "U+202Egpj.exe≠ differsits changes",
    ]);
    await page.getByRole("checkbox", { name: /Show what is equal/ }).check();
    await page.locator(".fact-name", { hasText: "/usr/bin/kubelet" }).waitFor();
    t.is(new URL(page.url()).search, "?equal=shown");
    await page.goBack();
    await page
      .locator(".fact-name", { hasText: "/usr/bin/kubelet" })
      .waitFor({ state: "detached" });
    await page.getByRole("link", { name: "its changes" }).click();
    await page.getByText("No alert fits these filters").waitFor();
    t.is(new URL(page.url()).searchParams.get("node"), "cp-3");
  },
);
