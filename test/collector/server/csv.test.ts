import test from "ava";
import { Reporter, alert, send, startCollector } from "../../helpers/collector.ts";

test("the alerts of a list come as a file, newest first", async (t) => {
  await using serving = await startCollector();
  const reporter = new Reporter("cp-1");
  await reporter.enrol(serving);
  const paths = ["/etc/a", "/etc/b,c", '/etc/"d"', "/srv/e"];
  await send(serving, reporter.batchOf(paths.map((path) => alert("cp-1", { path }))));
  const answer = await fetch(`${serving.url}/v1/alerts.csv?path=/etc/*`, {
    headers: { authorization: `Bearer ${serving.token}` },
  });
  t.is(answer.headers.get("content-disposition"), 'attachment; filename="alerts.csv"');
  const [head = "", ...lines] = (await answer.text()).split("\r\n");
  const at = head.split(",").indexOf("path");
  t.is(lines.pop(), "");
  t.deepEqual(
    lines.map((line) => line.slice(0, line.indexOf(",fim.alert")).split(",").slice(at, -4).join()),
    ['"/etc/""d"""', '"/etc/b,c"', "/etc/a"],
  );
  t.true(lines.every((line) => /^\d{4}-\d\d-\d\dT[\d:.]+Z,high,prod,cp-1,/.test(line)));
});

test("more alerts than are read at once are in one file, each once", async (t) => {
  await using serving = await startCollector();
  const reporter = new Reporter("cp-1");
  await reporter.enrol(serving);
  for (let at = 0; at < 3; at += 1) await send(serving, reporter.batch(400));
  const lines = (await serving.text("/v1/alerts.csv")).trimEnd().split("\r\n");
  t.is(lines.length, 1201);
  t.is(new Set(lines).size, 1201);
});

test("a spreadsheet takes no name for a formula", async (t) => {
  await using serving = await startCollector();
  const { store } = serving.collector;
  const reporter = new Reporter("cp-1");
  await reporter.enrol(serving);
  await send(serving, reporter.batch(1));
  serving.alter(`UPDATE alert SET pod = '=HYPERLINK("x")', rule = '@SUM(1)', program = '-1+1'`);
  const [, line = ""] = (await serving.text("/v1/alerts.csv")).split("\r\n");
  t.true(line.includes(`,"'-1+1","'=HYPERLINK(""x"")","'@SUM(1)",`), line);
  t.is((await store.alerts({ limit: 1 }))[0]?.program, "-1+1");
});

test("the file needs a session, and filters that are known", async (t) => {
  await using serving = await startCollector();
  t.is((await fetch(`${serving.url}/v1/alerts.csv`)).status, 401);
  t.is((await serving.read("/v1/alerts.csv?odd=1")).status, 400);
});
