import { hostname } from "node:os";
import { resolve } from "node:path";
import test from "ava";
import { formatNames } from "../../src/deliver/formats/names.ts";
import { loadSettings } from "../../src/config/load.ts";
import { IntegrityError } from "../../src/core/error.ts";

const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}\n`;

/** Files by path; everything else is not there. */
function readerOf(files: Readonly<Record<string, string>>) {
  return async (path: string) => {
    const text = files[path];
    if (text !== undefined) return text;
    throw Object.assign(new Error(`ENOENT: ${path}`), { code: "ENOENT" });
  };
}

const noFiles = readerOf({});
const file = "/etc/fim/agent.yaml";
const withFile = (text: string, more: Readonly<Record<string, string>> = {}) =>
  loadSettings({ config: file }, {}, readerOf({ [file]: text, ...more }));

async function problemsOf(text: string, more: Readonly<Record<string, string>> = {}) {
  try {
    await withFile(text, more);
  } catch (error) {
    if (error instanceof IntegrityError && error.code === "CONFIG_INVALID") {
      return error.message
        .replace(/^configuration: (\d+ problems\n)?/, "")
        .split("\n")
        .map((line) => line.trim());
    }
    throw error;
  }
  return [];
}

test("without anything given every setting has the documented default", async (t) => {
  t.deepEqual(await loadSettings({ node: "cp-1" }, {}, noFiles), {
    root: "/",
    state: "/var/lib/fim-agent",
    policy: ["auto"],
    node: "cp-1",
    cluster: "default",
    engine: "auto",
    format: "table",
    listen: { host: "127.0.0.1", port: 9464 },
    logLevel: "info",
    webhooks: [],
    watch: {
      quickSweepEvery: 5000,
      fullSweepEvery: 3_600_000,
      fullSweepBudget: 52_428_800,
      heartbeatEvery: 30_000,
    },
    outbox: { maxBytes: 268_435_456 },
  });
  t.is((await loadSettings({}, {}, noFiles)).node, hostname());
});

test("the command line comes before the environment, that before the file, that before the default", async (t) => {
  const read = readerOf({
    [file]: "cluster: from-file\nnode: from-file\nengine: sweep\nroot: /host\n",
  });
  const env = { FIM_CONFIG: file, FIM_NODE: "from-env", FIM_CLUSTER: "from-env", FIM_ENGINE: "" };
  const settings = await loadSettings({ cluster: "from-line" }, env, read);
  t.is(settings.cluster, "from-line");
  t.is(settings.node, "from-env");
  t.is(settings.engine, "sweep");
  t.is(settings.root, "/host");
  t.is(settings.format, "table");
});

test("every option can be given in the environment", async (t) => {
  const env = {
    FIM_ROOT: "/host",
    FIM_STATE: "/state",
    FIM_POLICY: "kubeadm, ./mine.yaml",
    FIM_NODE: "n",
    FIM_CLUSTER: "c",
    FIM_ENGINE: "fanotify",
    FIM_FORMAT: "ndjson",
    FIM_LISTEN: "[::]:9000",
    FIM_LOG_LEVEL: "debug",
  };
  const settings = await loadSettings({}, env, noFiles);
  t.is(settings.root, "/host");
  t.is(settings.state, "/state");
  t.deepEqual(settings.policy, ["kubeadm", resolve("mine.yaml")]);
  t.is(settings.node, "n");
  t.is(settings.cluster, "c");
  t.is(settings.engine, "fanotify");
  t.is(settings.format, "ndjson");
  t.deepEqual(settings.listen, { host: "::", port: 9000 });
  t.is(settings.logLevel, "debug");
});

test("a full file is read, and its paths are relative to where it lies", async (t) => {
  const text = `
state: state
policy: [kubeadm, site.yaml, /abs/extra.yml]
listen: 0.0.0.0:9464
collector: { url: "https://collector:8686", ca: ca.pem, joinToken: token }
webhooks:
  - { url: "https://soc.example/hook", secret: soc.key, format: standard, minSeverity: medium }
  - { url: "http://127.0.0.1:8080/", secret: /keys/two }
watch: { quickSweepEvery: 500ms, fullSweepEvery: 15m, fullSweepBudget: 10MiB/s, heartbeatEvery: 10s }
outbox: { maxBytes: 64MiB }
`;
  const settings = await withFile(text, {
    "/etc/fim/soc.key": secret,
    "/keys/two": secret,
    "/etc/fim/ca.pem": "pem",
  });
  t.is(settings.state, "/etc/fim/state");
  t.deepEqual(settings.policy, ["kubeadm", "/etc/fim/site.yaml", "/abs/extra.yml"]);
  t.deepEqual(settings.listen, { host: "0.0.0.0", port: 9464 });
  t.deepEqual(settings.collector, {
    url: "https://collector:8686",
    ca: "/etc/fim/ca.pem",
    joinToken: "/etc/fim/token",
  });
  t.deepEqual(settings.webhooks, [
    {
      url: "https://soc.example/hook",
      secret: "/etc/fim/soc.key",
      format: "standard",
      minSeverity: "medium",
    },
    { url: "http://127.0.0.1:8080/", secret: "/keys/two", format: "standard", minSeverity: "info" },
  ]);
  t.deepEqual(settings.watch, {
    quickSweepEvery: 500,
    fullSweepEvery: 900_000,
    fullSweepBudget: 10_485_760,
    heartbeatEvery: 10_000,
  });
  t.is(settings.outbox.maxBytes, 67_108_864);
});

test("a partial watch section keeps the other defaults, and a policy may be one name", async (t) => {
  const settings = await withFile("policy: k3s\nwatch:\n  heartbeatEvery: 5s\n");
  t.is(settings.watch.heartbeatEvery, 5000);
  t.is(settings.watch.quickSweepEvery, 5000);
  t.deepEqual(settings.policy, ["k3s"]);
  t.is((await withFile("# nothing\n")).cluster, "default");
});

test("every problem of a file is reported at once, with its line", async (t) => {
  const text = `root: 5
nodes: cp-1
engine: inotify
listen: "9464"
node: a/b
collector: { ca: ca.pem }
webhooks:
  - url: ftp://soc.example/
    secret: k
    minSeverity: urgent
    retries: 3
watch:
  quickSweepEvery: 5
  fullSweepEvery: 1ms
  fullSweepBudget: 50MiB
outbox:
  maxBytes: 1GB
policy: []
`;
  t.deepEqual(await problemsOf(text), [
    `${file}:1: root: expected string, found number`,
    `${file}:2: nodes: there is no such setting`,
    `${file}:3: engine: expected one of auto, fanotify, chokidar, sweep`,
    `${file}:4: listen: expected HOST:PORT, found "9464"`,
    `${file}:5: node: expected letters, digits, ".", "-" and "_", found "a/b"`,
    `${file}:6: collector.url: expected string, found nothing`,
    `${file}:8: webhooks.0.url: expected an http or https URL`,
    `${file}:10: webhooks.0.minSeverity: expected one of info, low, medium, high, critical`,
    `${file}:11: webhooks.0.retries: there is no such setting`,
    `${file}:13: watch.quickSweepEvery: expected a duration such as 500ms, 5s or 1h`,
    `${file}:14: watch.fullSweepEvery: expected 1s to 7d, found "1ms"`,
    `${file}:15: watch.fullSweepBudget: expected a rate such as 50MiB/s, found "50MiB"`,
    `${file}:17: outbox.maxBytes: expected a size such as 256MiB, found "1GB"`,
    `${file}:18: policy: expected at least one policy, found none`,
  ]);
});

test("text that is not YAML, or has a key twice, is refused with its line", async (t) => {
  const [broken] = await problemsOf("root: /\nstate: [1, 2\n");
  t.regex(broken ?? "", /^\/etc\/fim\/agent\.yaml:\d+: /);
  const [twice] = await problemsOf("root: /\nroot: /host\n");
  t.regex(twice ?? "", /agent\.yaml:2: not valid YAML: map keys must be unique/);
  t.deepEqual(await problemsOf("just words\n"), [`${file}:1: expected object, found string`]);
});

const nine = (name: string) => Array.from({ length: 9 }, () => `*${name}`).join(", ");

test("an alias to nothing, and one that grows without end, are refused with their line", async (t) => {
  t.deepEqual(await problemsOf("node: n\nroot: *x\n"), [
    `${file}:2: not valid YAML: unresolved alias (the anchor must be set before the alias): x`,
  ]);
  const bomb = `node: &a [x, x]\nroot: &b [${nine("a")}]\nstate: &c [${nine("b")}]\npolicy: [${nine("c")}]\n`;
  const [problem] = await problemsOf(bomb);
  t.regex(problem ?? "", /^\/etc\/fim\/agent\.yaml:\d: not valid YAML: excessive alias count/);
});

test("a webhook's keys and an authority must be there and readable, and the problem says where", async (t) => {
  const text = `webhooks:
  - url: https://a.example/
    secret: absent
  - url: https://b.example/
    secret: bad
    ca: ca.pem
`;
  const problems = await problemsOf(text, { "/etc/fim/bad": "whsec_zzz\n" });
  t.is(problems.length, 3);
  t.is(problems[0], `${file}:3: secret /etc/fim/absent: no such file`);
  t.regex(problems[1] ?? "", /:5: secret \/etc\/fim\/bad: webhook key on line 1/);
  t.is(problems[2], "ca /etc/fim/ca.pem: no such file");
  t.notRegex(problems.join(), /whsec_zzz/);
});

test("each format of a sink has its defaults, and a URL that is a secret may lie in a file", async (t) => {
  const text = `webhooks:
  - { format: slack, urlFile: hook, clusters: [prod], rules: ["kubeadm/*"], link: "https://f/{uid}" }
  - { format: slack, url: "https://hooks.slack.com/services/x", minSeverity: low }
  - { format: pagerduty, secret: one }
  - { format: pagerduty, secret: two }
  - { format: syslog, url: "tls://siem.example:6514" }
`;
  const url = "https://hooks.slack.com/services/T0/B0/secret";
  const { webhooks } = await withFile(text, {
    "/etc/fim/hook": `${url}\n`,
    "/etc/fim/one": "R1\n",
    "/etc/fim/two": "R2\n",
  });
  t.deepEqual(webhooks, [
    {
      format: "slack",
      url,
      urlFile: "/etc/fim/hook",
      clusters: ["prod"],
      rules: ["kubeadm/*"],
      link: "https://f/{uid}",
      minSeverity: "medium",
    },
    { format: "slack", url: "https://hooks.slack.com/services/x", minSeverity: "low" },
    {
      format: "pagerduty",
      url: "https://events.pagerduty.com/v2/enqueue",
      secret: "/etc/fim/one",
      minSeverity: "high",
    },
    {
      format: "pagerduty",
      url: "https://events.pagerduty.com/v2/enqueue",
      secret: "/etc/fim/two",
      minSeverity: "high",
    },
    { format: "syslog", url: "tls://siem.example:6514", minSeverity: "info" },
  ]);
});

test("what a format needs, lacks or does not have is reported with its line, and no URL of a file is shown", async (t) => {
  const text = `webhooks:
  - format: standard
    url: https://a.example/
  - format: slack
    secret: k
    rules: []
  - format: pager
    url: https://b.example/
  - format: slack
    url: tcp://c.example/
    urlFile: hook
    link: https://f/{id}
`;
  t.deepEqual(await problemsOf(text), [
    `${file}:2: webhooks.0.secret: expected string, found nothing`,
    `${file}:4: webhooks.1.url: expected string, found nothing`,
    `${file}:5: webhooks.1.secret: format slack has none`,
    `${file}:6: webhooks.1.rules: expected at least one, found none`,
    `${file}:7: webhooks.2.format: expected one of ${formatNames.join(", ")}`,
    `${file}:10: webhooks.3.url: expected an http or https URL`,
    `${file}:11: webhooks.3.urlFile: expected url or urlFile, found both`,
    `${file}:12: webhooks.3.link: expected {uid}, {node} or {cluster}, found "{id}"`,
  ]);
  const twice = `webhooks:
  - { format: pagerduty, secret: k }
  - { format: pagerduty, secret: k }
  - { format: syslog, url: "https://siem.example" }
  - { format: splunk, url: "https://splunk.example", secret: two-lines }
`;
  const files = { "/etc/fim/k": "R1\n", "/etc/fim/two-lines": "a\nb\n" };
  t.deepEqual(await problemsOf(twice, files), [
    `${file}:3: webhooks.1.url: this receiver is already in the list`,
    `${file}:4: webhooks.2.url: expected a tcp or tls URL`,
  ]);
  t.deepEqual(await problemsOf(twice.replaceAll(/^.*(?:pagerduty|syslog).*\n/gm, ""), files), [
    `${file}:2: secret /etc/fim/two-lines: expected one token on one line, found something else`,
  ]);
  const problems = await problemsOf("webhooks:\n  - format: slack\n    urlFile: hook\n", {
    "/etc/fim/hook": "hooks.slack.com/T0/secret",
  });
  t.deepEqual(problems, [`${file}:3: urlFile /etc/fim/hook: expected an http or https URL`]);
});

test("a receiver that is listed twice and a URL with a password are refused", async (t) => {
  const one = "  - { url: https://a.example/, secret: k }\n";
  t.deepEqual(await problemsOf(`webhooks:\n${one}${one}`, { "/etc/fim/k": secret }), [
    `${file}:3: webhooks.1.url: this receiver is already in the list`,
  ]);
  const problems = await problemsOf("collector:\n  url: https://me:hunter2@c.example/\n");
  t.deepEqual(problems, [`${file}:2: collector.url: expected a URL without user and password`]);
});

test("problems of the command line and the environment name the option and are reported together", async (t) => {
  const argv = { listen: "nowhere", policy: [""], format: "xml", root: "" };
  const env = { FIM_ENGINE: "magic", FIM_LOG_LEVEL: "loud", FIM_POLICY: "a,,b" };
  const error = await t.throwsAsync<IntegrityError>(loadSettings(argv, env, noFiles), {
    instanceOf: IntegrityError,
    code: "CONFIG_INVALID",
  });
  const lines = error?.message.split("\n").map((line) => line.trim());
  t.is(lines?.[0], "configuration: 7 problems");
  t.true(lines?.includes('--listen: expected HOST:PORT, found "nowhere"'));
  t.true(lines?.includes('--format: expected one of table, json, ndjson, found "xml"'));
  t.true(lines?.includes("--root: expected a path, found nothing"));
  t.true(lines?.includes("--policy: expected the name of a policy or a file, found nothing"));
  t.true(lines?.includes("FIM_POLICY: expected the name of a policy or a file, found nothing"));
  t.true(lines?.some((line) => line.startsWith("FIM_ENGINE: expected one of auto, fanotify")));
  t.true(lines?.some((line) => line.startsWith("FIM_LOG_LEVEL: expected one of trace, debug")));
  t.truthy(error?.hint);
});

test("a configuration file that is not there is refused by its name", async (t) => {
  await t.throwsAsync(loadSettings({ config: "/none.yaml" }, {}, noFiles), {
    code: "CONFIG_INVALID",
    message: "configuration /none.yaml: no such file",
  });
});
