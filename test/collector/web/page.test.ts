import { readFileSync } from "node:fs";
import { hashPassword } from "../../../src/collector/password.ts";
import { nonceOf, send } from "../../helpers/collector.ts";
import { seen } from "../../helpers/judged.ts";
import { testPage } from "../../helpers/scene.ts";
import { alertOf, busyNight, hostileNames, intrusion, uidOf } from "../../helpers/story.ts";
import { until } from "../../helpers/wait.ts";

testPage("a person logs in with a password, stays logged in, and logs out", async (t, scene) => {
  const { serving, open } = scene;
  await serving.collector.store.users.add("grace", await hashPassword("correct horse"), 0);
  const { page } = await open({ isLoggedIn: false });
  await page.goto(`${serving.url}/nodes`);
  await page.fill("#name", "grace");
  await page.fill("#password", "wrong");
  await page.press("#password", "Enter");
  await page.getByText("The name or the password is wrong.").waitFor();
  await page.fill("#password", "correct horse");
  await page.press("#password", "Enter");
  await page.getByRole("link", { name: "cp-1" }).waitFor();
  t.is(new URL(page.url()).pathname, "/nodes", "where the person wanted to go");
  await page.reload();
  await page.getByRole("link", { name: "cp-1" }).waitFor();
  t.is(await page.textContent("#user"), "grace");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in to fim" }).waitFor();
});

testPage("one line says whether anything is wrong: green only if all is well", async (t, scene) => {
  const { serving, node, open } = scene;
  const { page } = await open();
  const state = async (): Promise<string | null> =>
    await page.getAttribute("#verdict", "data-state");
  await page.goto(serving.url);
  await page.getByText("Nothing is open").waitFor();
  await until(async () => (await state()) === "good");
  const drift = { info: 0, low: 1, medium: 0, high: 0, critical: 0 };
  await send(serving, node.heartbeat(await nonceOf(serving), { drift }));
  await until(async () => (await state()) === "warn", 30_000);
  await send(serving, node.batchOf([intrusion("cp-1")]));
  await until(async () => (await state()) === "bad", 30_000);
  t.regex((await page.textContent("#verdict")) ?? "", /1 critical open/);
  t.is(await page.title(), "1 critical · fim");
});

testPage("the line is not green above an alert that it does not count yet", async (t, scene) => {
  const { serving, node, open } = scene;
  const { page } = await open();
  await page.goto(serving.url);
  const verdict = page.locator("#verdict");
  await page.locator("#verdict[data-state=good]").waitFor();
  await send(serving, node.batchOf([intrusion("cp-1")]));
  await page.locator(".row").waitFor();
  t.not(await verdict.getAttribute("data-state"), "good");
  await page.locator("#verdict[data-state=bad]").waitFor();
});

testPage("without a node the page says how one joins", async (t, scene) => {
  const { serving, open } = scene;
  serving.alter("DELETE FROM node_key; DELETE FROM node;");
  const { page } = await open();
  await page.goto(serving.url);
  await page.getByRole("heading", { name: "No node has joined yet" }).waitFor();
  t.regex((await page.textContent("#empty")) ?? "", /fim-collector token --node/);
});

testPage(
  "an alert opens beside the list: what happened, who did it; Back returns",
  async (t, scene) => {
    const { serving, node, open } = scene;
    const alert = intrusion("cp-1");
    await send(serving, node.batchOf([...busyNight("cp-1"), alert]));
    const { page } = await open();
    await page.goto(serving.url);
    await page.locator(".row a", { hasText: "evil.yaml" }).click();
    t.is(
      await page.textContent("#sentence"),
      "Pod default/intruder (container c, /bin/sh, root) created the static pod manifest evil.yaml on cp-1",
    );
    const tree = (await page.locator(".tree-line").allTextContents()).map(
      (one) => one.split(" ")[1],
    );
    t.deepEqual(tree.slice(0, 4), ["systemd", "containerd-shim", "runc", "default/intruder"]);
    t.is(new URL(page.url()).pathname, `/alerts/${uidOf(alert)}`);
    await page.locator(".row a", { hasText: "ssh-keygen" }).click();
    t.regex((await page.locator(".row a[aria-current] .count").textContent()) ?? "", /4 changes/);
    await page.goBack();
    await page.locator("#sentence", { hasText: "evil.yaml" }).waitFor();
    await page.goBack();
    await page.getByText("Choose an alert").waitFor();
  },
);

testPage(
  "every filter is in the address, and a pasted link shows the same list",
  async (t, scene) => {
    const { serving, node, open } = scene;
    await send(serving, node.batchOf([...busyNight("cp-1"), intrusion("cp-1")]));
    const { page } = await open();
    await page.goto(serving.url);
    const names = async () => await page.locator(".row-name").allTextContents();
    await page.getByRole("combobox", { name: "severity" }).selectOption("high");
    await until(async () => (await names()).length === 3);
    await page.getByRole("combobox", { name: "change" }).selectOption("created");
    await until(async () => (await names()).join() === "evil.yaml");
    await page.press("body", "/");
    await page.fill("#search", "nothing-like-this");
    await page.press("#search", "Enter");
    await page.getByText("No alert fits these filters").waitFor();
    const wider = page.getByRole("link", { name: "Look among the acknowledged" });
    t.regex(
      (await wider.getAttribute("href")) ?? "",
      /state=all&severity=any&change=created&path=/,
    );
    const address = new URL(page.url());
    t.deepEqual(Object.fromEntries(address.searchParams), {
      severity: "high",
      change: "created",
      path: "nothing-like-this",
    });
    const { page: other } = await open();
    address.searchParams.set("path", "evil");
    await other.goto(String(address));
    await other.locator(".row-name", { hasText: "evil.yaml" }).waitFor();
    t.is(await other.inputValue("#search"), "evil");
    await page.goBack();
    await until(async () => (await names()).join() === "evil.yaml");
  },
);

testPage("what else a program did is one click away, and the address says so", async (t, scene) => {
  const { serving, node, open } = scene;
  const alert = intrusion("cp-1");
  const other = alertOf("cp-1", { change: { kind: "created", path: "/etc/x", after: seen() } });
  await send(serving, node.batchOf([alert, other]));
  const { page } = await open();
  await page.goto(`${serving.url}/alerts/${uidOf(alert)}`);
  const runbook = page.getByRole("link", { name: "Runbook" });
  t.is(await runbook.getAttribute("href"), "https://wiki.example/fim/kubeadm%2Fstatic-pods");
  await page.getByRole("link", { name: "All of this program" }).click();
  await page.locator(".chip", { hasText: "program" }).waitFor();
  const program = new URL(page.url()).searchParams.get("program") ?? "";
  t.true(program.startsWith("/"));
  await until(async () => (await page.locator(".row").count()) === 1);
  const { body } = await serving.read(`/v1/alerts?program=${encodeURIComponent(program)}`);
  t.is((body["items"] as readonly unknown[]).length, 1);
});

testPage(
  "beside the list stand the counts of its alerts; a click narrows the list",
  async (t, scene) => {
    const { serving, node, open } = scene;
    await send(serving, node.batchOf([...busyNight("cp-1"), intrusion("cp-1")]));
    const { page } = await open();
    await page.goto(serving.url);
    await page.getByRole("heading", { name: "Counts of 9 alerts" }).waitFor();
    const programs = page.getByRole("region", { name: "Programs" });
    await programs.getByRole("link", { name: "/usr/bin/dpkg 4 alerts" }).click();
    await page.getByRole("heading", { name: "Counts of 4 alerts" }).waitFor();
    t.is(new URL(page.url()).search, "?program=%2Fusr%2Fbin%2Fdpkg");
    t.is(await programs.count(), 0, "all are of this program");
    t.is(await page.getByRole("region", { name: "Files" }).locator("li").count(), 4);
    t.is(await page.locator(".times").count(), 0, "all happened at one time");
    await page.goBack();
    await page.getByRole("link", { name: "high 2 alerts" }).click();
    await page.getByRole("heading", { name: "Counts of 2 alerts" }).waitFor();
    t.is(new URL(page.url()).search, "?severity=only-high");
    const severity = page.getByRole("combobox", { name: "severity" });
    t.is(await severity.locator(":checked").textContent(), "Only high");
    await page.locator(".row a").first().click();
    await page.locator("#sentence").waitFor();
    t.is(await page.locator(".tally").count(), 0, "the alert has the place");
    await page.press("body", "Escape");
    await page.getByRole("heading", { name: "Counts of 2 alerts" }).waitFor();
  },
);

testPage("the counts say when the alerts of the list happened", async (t, scene) => {
  const { serving, node, open } = scene;
  await send(serving, node.batchOf(busyNight("cp-1")));
  const { page } = await open();
  await page.goto(`${serving.url}/?severity=only-medium`);
  const bars = page.getByRole("region", { name: "Times" }).getByRole("link");
  await bars.first().waitFor();
  t.is(await bars.count(), 12);
  await page.getByRole("link", { name: /: 4 alerts$/ }).click();
  await page.getByRole("heading", { name: "Counts of 4 alerts" }).waitFor();
  const { since, until: end } = Object.fromEntries(new URL(page.url()).searchParams);
  t.true(Date.parse(since ?? "") < Date.parse(end ?? ""));
});

testPage("the list that the filters show is one file", async (t, scene) => {
  const { serving, node, open } = scene;
  await send(serving, node.batchOf([...busyNight("cp-1"), intrusion("cp-1")]));
  const { page } = await open();
  await page.goto(`${serving.url}/?severity=critical`);
  await page.locator(".row").first().waitFor();
  const begun = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download CSV" }).click();
  const file = await begun;
  t.is(file.suggestedFilename(), "alerts.csv");
  const lines = readFileSync(await file.path(), "utf8")
    .trimEnd()
    .split("\r\n");
  t.is(lines.length, 2);
  t.regex(lines[1] ?? "", /,critical,prod,cp-1,created,.*evil\.yaml,/);
});

testPage("in a narrow window the counts unfold above the list", async (t, scene) => {
  const { serving, node, open } = scene;
  await send(serving, node.batchOf([...busyNight("cp-1"), intrusion("cp-1")]));
  const { page } = await open({ width: 400 });
  await page.goto(serving.url);
  await page.locator(".row").first().waitFor();
  t.is(await page.locator(".tally").count(), 0, "nothing is counted that is not seen");
  await page.getByText("Counts by rule, program, node").click();
  await page.getByRole("link", { name: "linux/programs 4 alerts" }).click();
  await page.getByRole("heading", { name: "Counts of 4 alerts" }).waitFor();
});

testPage("a time is chosen, and the address keeps it", async (t, scene) => {
  const { serving, node, open } = scene;
  await send(serving, node.batchOf([...busyNight("cp-1"), intrusion("cp-1")]));
  const { page } = await open();
  await page.goto(serving.url);
  const names = async () => await page.locator(".row-name").allTextContents();
  const time = page.getByRole("combobox", { name: "time" });
  await time.selectOption("Last hour");
  await until(async () => (await names()).join() === "evil.yaml");
  t.is(new URL(page.url()).search, "?since=1h");
  t.is(await page.locator(".chip").count(), 0);
  await page.locator(".bars a").last().click();
  await page.locator(".chip", { hasText: "to" }).waitFor();
  t.is(await time.locator(":checked").textContent(), "Chosen time");
  await time.selectOption("Any time");
  await until(async () => (await names()).length > 1);
  t.is(new URL(page.url()).search, "");
});

testPage("a node's row says how old its baseline is", async (t, scene) => {
  const { serving, node, open } = scene;
  const at = new Date(Date.now() - 3 * 86_400_000 - 60_000).toISOString();
  const body = { event: "baseline", what: "accepted", at, counter: 4, digest: "aa", rows: 3 };
  await send(serving, node.batchOf([{ kind: "baseline", body }]));
  const baseline = { counter: 4, digest: "aa", rows: 3 };
  await send(serving, node.heartbeat(await nonceOf(serving), { baseline }));
  const { page } = await open();
  await page.goto(`${serving.url}/nodes`);
  const cell = page.locator("td[data-label=Baseline]");
  await cell.getByText("no. 4, 3 days ago").waitFor();
  t.is(await cell.locator("time").getAttribute("datetime"), at);
});

testPage(
  "the export of one node and of a time is one command, and the address keeps it",
  async (t, scene) => {
    const { serving, open } = scene;
    const { page } = await open();
    await page.goto(`${serving.url}/evidence`);
    await page.getByText("fim-collector export > evidence.ndjson").waitFor();
    await page.getByLabel("Exported nodes").selectOption("cp-1");
    await page.getByText("fim-collector export --node cp-1 > evidence.ndjson").waitFor();
    await page.getByLabel("Exported time").selectOption("7d");
    await page.getByText("fim-collector export --node cp-1 --since 7d > evidence.ndjson").waitFor();
    t.is(new URL(page.url()).search, "?node=cp-1&since=7d");
    await page.goto(`${serving.url}/evidence?node=a%24b%3Brm`);
    await page.getByText("fim-collector export --node 'a$b;rm' > evidence.ndjson").waitFor();
  },
);

testPage("a new alert announces itself and moves nothing until it is wanted", async (t, scene) => {
  const { serving, node, open } = scene;
  await send(serving, node.batchOf(busyNight("cp-1")));
  const { page } = await open();
  await page.goto(serving.url);
  await page.locator(".row").first().waitFor();
  const before = await page.locator(".row-name").allTextContents();
  await send(serving, node.batchOf([intrusion("cp-1")]));
  await page.getByRole("button", { name: "1 new" }).waitFor();
  t.deepEqual(await page.locator(".row-name").allTextContents(), before);
  t.regex((await page.textContent("#alarm")) ?? "", /^New critical alert: evil\.yaml/);
  await page.press("body", "n");
  await until(async () => (await page.locator(".row-name").first().textContent()) === "evil.yaml");
  t.false(await page.locator("#new").isVisible());
});

testPage("an acknowledgement and a comment are kept with the user's name", async (t, scene) => {
  const { serving, node, open } = scene;
  const alert = intrusion("cp-1");
  await send(serving, node.batchOf([alert]));
  const { page } = await open();
  await page.goto(`${serving.url}/alerts/${uidOf(alert)}`);
  await page.locator("#sentence").waitFor();
  await page.press("body", "c");
  await page.fill("#comment-text", "called <b>Bob</b>");
  await page.press("#comment-text", "Control+Enter");
  await page.locator(".comments li", { hasText: "called <b>Bob</b>" }).waitFor();
  await page.press("body", "a");
  await page.getByRole("button", { name: "Acknowledged" }).waitFor();
  const { store } = serving.collector;
  const stored = await store.alert(uidOf(alert));
  t.true(stored?.acknowledged);
  t.like(await store.comments(stored?.id ?? 0), {
    0: { user: "ada", acknowledges: false, text: "called <b>Bob</b>" },
    1: { user: "ada", acknowledges: true, text: "" },
  });
});

testPage("the keyboard is enough", async (t, scene) => {
  const { serving, node, open } = scene;
  await send(serving, node.batchOf([...busyNight("cp-1"), intrusion("cp-1")]));
  const { page } = await open();
  await page.goto(serving.url);
  await page.locator(".row").first().waitFor();
  const current = async () => await page.locator(".row a[aria-current] .row-name").textContent();
  await page.press("body", "j");
  t.is(await current(), "evil.yaml");
  await page.press("body", "j");
  t.is(await current(), "motd");
  t.is(
    await page.evaluate("document.activeElement.querySelector('.row-name').textContent"),
    "motd",
  );
  await page.press("body", "k");
  t.is(await current(), "evil.yaml");
  await page.press("body", "?");
  t.true(await page.getByRole("heading", { name: "Keys" }).isVisible());
  await page.press("body", "Escape");
  await page.press("body", "Escape");
  await page.getByText("Choose an alert").waitFor();
  t.is(new URL(page.url()).pathname, "/");
  await page.press("body", "/");
  await page.keyboard.type("jka");
  t.is(await page.inputValue("#search"), "jka", "in a field keys are text");
});

testPage(
  "hostile names are text: no element, no direction, no line of theirs",
  async (t, scene) => {
    const { serving, node, open } = scene;
    const alerts = hostileNames.map((name) =>
      alertOf("cp-1", {
        change: { kind: "created", path: `/etc/${name}`, after: seen() },
        meaning: [name],
        why: name,
        actor: {
          pid: 1,
          exe: `/tmp/${name}`,
          cmdline: [name],
          ancestry: [name],
          container: { id: "ab".repeat(32), name, pod: name, namespace: name },
        },
      }),
    );
    await send(serving, node.batchOf(alerts));
    const { page } = await open();
    for (const alert of alerts) {
      await page.goto(`${serving.url}/alerts/${uidOf(alert)}`);
      await page.locator("#sentence").waitFor();
      await page.locator(".panel summary").first().click();
      await page.getByText("✓ verified").waitFor();
      t.is(await page.locator("#detail :is(img, b, script), #list :is(img, b, script)").count(), 0);
      t.is(await page.getAttribute("body", "data-owned"), null);
      const texts = await page.locator("#list, #detail h2, #detail .part").allTextContents();
      t.notRegex(
        texts.join(""),
        /[\u0000-\u0009\u000b-\u001f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/,
      );
    }
    t.deepEqual(await page.locator(".row-name .odd").allTextContents(), [
      "U+200B",
      "U+00A0",
      "NUL",
      "ESC",
      "U+202E",
    ]);
  },
);

testPage("hostile values in the counts are text, and filters that find them", async (t, scene) => {
  const { serving, node, open } = scene;
  const [markup = "", turned = ""] = hostileNames;
  const alerts = [markup, markup, turned].map((name) =>
    alertOf("cp-1", {
      change: { kind: "created", path: `/etc/${name}`, after: seen() },
      actor: { pid: 1, exe: `/tmp/${name}`, ancestry: [] },
    }),
  );
  await send(serving, node.batchOf(alerts));
  const { page } = await open();
  await page.goto(serving.url);
  const files = page.getByRole("region", { name: "Files" });
  await files.getByRole("link").first().waitFor();
  t.is(await page.locator(".tally :is(img, b, script)").count(), 0);
  t.is(await files.locator(".odd").textContent(), "U+202E");
  await files.getByRole("link").last().click();
  await page.getByRole("heading", { name: "Counts of 1 alert" }).waitFor();
  t.is(new URL(page.url()).searchParams.get("path"), `/etc/${turned}`);
  t.is(await page.locator(".row").count(), 1);
});

testPage("a record that was altered in the store is not shown as verified", async (t, scene) => {
  const { serving, node, open } = scene;
  const alert = intrusion("cp-1");
  await send(serving, node.batchOf([alert]));
  serving.alterRecords((record) => record.replaceAll("evil", "good"));
  const { page } = await open();
  await page.goto(`${serving.url}/alerts/${uidOf(alert)}`);
  await page.locator(".panel summary").first().click();
  await page.getByText("✗ does not hold").waitFor();
  t.regex((await page.textContent(".panel-body")) ?? "", /the last record was altered/);
});

testPage("a long list draws what is in sight and loads as it is scrolled", async (t, scene) => {
  const { serving, node, open } = scene;
  const many = Array.from({ length: 350 }, (_, at) =>
    alertOf("cp-1", { change: { kind: "created", path: `/etc/file-${at}`, after: seen() } }),
  );
  await send(serving, node.batchOf(many));
  const { page } = await open();
  await page.goto(serving.url);
  await page.locator(".row-name", { hasText: "file-349" }).waitFor();
  t.true((await page.locator(".row").count()) < 60);
  await until(async () => {
    await page.locator("#list").evaluate((list: { scrollTop: number }) => (list.scrollTop = 1e6));
    return (await page.locator(".row-name", { hasText: /^file-0$/ }).count()) === 1;
  });
  t.true((await page.locator(".row").count()) < 60);
  t.is(await page.locator(".row").last().getAttribute("aria-posinset"), "350");
});

testPage("when the session ends the page asks for the password and goes on", async (t, scene) => {
  const { serving, node, open } = scene;
  const alert = intrusion("cp-1");
  await send(serving, node.batchOf([alert]));
  await serving.collector.store.users.add("grace", await hashPassword("correct horse"), 0);
  const { page } = await open();
  await page.goto(`${serving.url}/alerts/${uidOf(alert)}`);
  await page.locator("#sentence").waitFor();
  serving.alter("DELETE FROM session WHERE kind = 'page'");
  await page.getByRole("heading", { name: "Log in to fim" }).waitFor();
  await page.fill("#name", "grace");
  await page.fill("#password", "correct horse");
  await page.press("#password", "Enter");
  await page.locator("#sentence", { hasText: "evil.yaml" }).waitFor();
  t.is(await page.textContent("#user"), "grace");
});
