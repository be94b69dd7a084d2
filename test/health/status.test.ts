import test from "ava";
import pino from "pino";
import { IntegrityError } from "../../src/core/error.ts";
import { HealthStatus } from "../../src/health/status.ts";

const log = pino({ level: "silent" });
const full = new IntegrityError("STATE_FULL", "the disk is full");
const damaged = new IntegrityError("STATE_UNUSABLE", "damaged");

function fail(): never {
  throw full;
}

test("a full disk degrades the agent but asks for no restart", (t) => {
  using health = new HealthStatus(fail, log);
  health.trouble("state", full.message, full);
  t.deepEqual(health.sick(), []);
  t.deepEqual(health.degraded(), ["state: the disk is full", "own records: the disk is full"]);
});

test("another trouble of the state after a full disk asks for a restart", (t) => {
  using health = new HealthStatus(() => {}, log);
  health.trouble("state", full.message, full);
  health.trouble("state", damaged.message, damaged);
  t.deepEqual(health.sick(), ["damaged"]);
});
