import test from "ava";
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const module = join(import.meta.dirname, "../../src/cli/fail.ts");

/** Runs a program whose error is followed by one of its resources' own. */
function failing(error: string): { readonly code: number | null; readonly stderr: string } {
  const program = `
    import { fail } from ${JSON.stringify(module)};
    import { IntegrityError } from ${JSON.stringify(join(module, "../../core/error.ts"))};
    class Resource { [Symbol.dispose]() { throw new TypeError("cannot be closed"); } }
    try { using one = new Resource(); throw ${error}; }
    catch (cause) { process.exitCode = fail("fim-agent", cause); }`;
  const { status, stderr } = spawnSync(
    process.execPath,
    ["--input-type=module-typescript", "-e", program],
    { encoding: "utf8" },
  );
  return { code: status, stderr };
}

test("an error that follows while resources are closed does not hide the first one", (t) => {
  const { code, stderr } = failing(`new IntegrityError("STATE_BUSY", "it is locked")`);
  t.is(stderr, "fim-agent: it is locked\n");
  t.is(code, 4);
});

test("an error that nothing expects is named as a bug", (t) => {
  const { code, stderr } = failing(`new RangeError("out of range")`);
  t.regex(stderr, /^fim-agent: bug: .*out of range\n/);
  t.is(code, 70);
});
