import test from "ava";
import fc from "fast-check";
import { redactText, redactUrl } from "../../src/core/redact.ts";

test("of a URL only the scheme and the host are shown", (t) => {
  t.is(
    redactUrl("https://user:secret@soc.example:8443/T00/key?token=x"),
    "https://soc.example:8443/…",
  );
  t.is(redactUrl("http://127.0.0.1:9/"), "http://127.0.0.1:9/");
  t.is(redactUrl("nonsense"), "(not a URL)");
});

test("no path, query or password of a URL survives", (t) => {
  const word = fc.stringMatching(/^[a-z0-9]{8,20}$/);
  fc.assert(
    fc.property(word, word, word, (path, query, password) => {
      const shown = redactUrl(`https://me:${password}@host.example/${path}?q=${query}`);
      return ![path, query, password].some((secret) => shown.includes(secret));
    }),
  );
  t.pass();
});

test("keys, tokens and passwords are taken out of a text", (t) => {
  t.is(redactText("bad key whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD/= here"), "bad key whsec_… here");
  t.is(redactText("Authorization: Bearer abc.def-123456"), "Authorization: Bearer …");
  t.is(redactText("connect to https://me:hunter2@host/x"), "connect to https://…@host/x");
  t.is(redactText("connect ECONNREFUSED 127.0.0.1:80"), "connect ECONNREFUSED 127.0.0.1:80");
});
