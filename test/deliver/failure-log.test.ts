import test from "ava";
import { FailureLog } from "../../src/deliver/failure-log.ts";

test("a failure is news at first, with another reason, after a minute and after a delivery", (t) => {
  const log = new FailureLog();
  t.true(log.isNews("soc", "refused", 0));
  t.false(log.isNews("soc", "refused", 59_999));
  t.true(log.isNews("siem", "refused", 59_999), "each sink for itself");
  t.true(log.isNews("soc", "refused", 60_000));
  t.true(log.isNews("soc", "status 503", 60_001));
  t.false(log.isNews("soc", "status 503", 60_002));
  log.over("soc");
  t.true(log.isNews("soc", "status 503", 60_003));
});
