import test from "ava";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";

const home = join(import.meta.dirname, "..");

test("the package carries every file that README links", (t) => {
  const text = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: home,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [packed] = JSON.parse(text) as { readonly files: readonly { readonly path: string }[] }[];
  const files = packed?.files.map(({ path }) => path) ?? [];
  t.true(files.includes("bin/fim-agent"));
  const links = [...readFileSync(join(home, "README.md"), "utf8").matchAll(/\]\(([^):#]+)[)#]/g)]
    .map(([, link = ""]) => posix.normalize(link))
    .filter((link) => !link.startsWith("http"));
  t.true(links.length > 5);
  const missing = links.filter(
    (link) =>
      !files.some((file) => file === link || file.startsWith(`${link.replace(/\/$/, "")}/`)),
  );
  t.deepEqual(missing, []);
});
