#!/usr/bin/env python3
"""Verifies what fim-agent signed. Written from docs/formats.md alone, with none of fim-agent's code.

    verify.py state DIRECTORY
    verify.py export FILE [KEY]       KEY: what `fim-agent key show` printed
    verify.py evidence FILE [KEY]     KEY: what `fim-collector key show` printed

Exit code 0: everything holds. 1: the first fault is on stdout. Needs Python 3.9 and openssl 3.
"""

import base64
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile

STATEMENT = "application/vnd.fim-agent.baseline.v1+json"
ANCHOR = "application/vnd.fim-agent.anchor.v1+json"
BATCH = "application/vnd.fim-agent.batch.v1+json"
FORMER_KEY = "application/vnd.fim-agent.former-key.v1+json"
ENROLMENT = "application/vnd.fim-agent.enrolment.v1+json"
EVIDENCE_END = "application/vnd.fim-collector.export.v1+json"
SPKI = bytes.fromhex("302a300506032b6570032100")

ROW_KEYS = (
    "type mode uid gid size mtime ctime btime dev ino nlink sha256 target acl capabilities selinux "
    "xattrs flags unstable unreadable"
).split()
RULE_KEYS = (
    "id paths exclude class severity why mode owner writers containerWriters content validators "
    "cis attack"
).split()
SCHEMA = {
    "baseline": "table", "statement": "table", "record": "table", "batch": "table",
    "meta": "table", "current": "table", "sink": "table", "fold": "table",
    "current_inode": "index", "record_baseline": "index", "record_approval": "index",
}
SEVERITIES = ["info", "low", "medium", "high", "critical"]


class Fault(Exception):
    """What does not hold."""


def require(holds, fault):
    if not holds:
        raise Fault(fault)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def leaf(data):
    """RFC 6962 section 2.1."""
    return sha256(b"\0" + data)


def key_id(key):
    return "ed25519:" + sha256(key)[:16]


def unbase64(text, what):
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise Fault(f"{what}: not base64") from None
    require(base64.b64encode(data).decode() == text, f"{what}: not the one encoding of its bytes")
    return data


def parse(data, what):
    try:
        return json.loads(data)
    except ValueError:
        raise Fault(f"{what}: not JSON") from None


def openssl(*args, files):
    with tempfile.TemporaryDirectory() as place:
        paths = {}
        for name, data in files.items():
            paths[name] = os.path.join(place, name)
            with open(paths[name], "wb") as file:
                file.write(data)
        command = ["openssl"] + [paths.get(one, one) for one in args]
        return subprocess.run(command, capture_output=True, check=False)


def is_signed(key, message, signature):
    done = openssl(
        "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin",
        "-inkey", "key", "-in", "message", "-sigfile", "signature",
        files={"key": SPKI + key, "message": message, "signature": signature},
    )
    return done.returncode == 0


def public_key_of(pem):
    done = openssl("pkey", "-pubout", "-outform", "DER", "-in", "pem", files={"pem": pem})
    require(done.returncode == 0 and done.stdout[:12] == SPKI, "agent.key: no Ed25519 private key")
    return done.stdout[12:]


def opened(envelope, kind, what):
    """The payload of an envelope, its key id, and what was signed."""
    require(isinstance(envelope, dict), f"{what}: no envelope")
    require(envelope.get("payloadType") == kind, f"{what}: another type of payload")
    signatures = envelope.get("signatures") or [{}]
    payload = unbase64(envelope.get("payload"), what)
    signature = unbase64(signatures[0].get("sig"), what)
    name = kind.encode()
    message = b"DSSEv1 %d %s %d %s" % (len(name), name, len(payload), payload)
    return payload, signatures[0].get("keyid"), (message, signature)


def verified(envelope, kind, keys, what):
    """The payload, if one of these keys signed it, and that key."""
    payload, keyid, signed = opened(envelope, kind, what)
    key = next((one for one in keys if key_id(one) == keyid), None)
    require(key is not None, f"{what}: signed by {keyid}, which is not trusted")
    require(is_signed(key, *signed), f"{what}: the signature does not hold")
    fields = parse(payload, what)
    if kind != FORMER_KEY:
        require(fields.get("key") == keyid, f"{what}: names another key than its signer")
    return payload, fields, key


def read_json(path):
    with open(path, "rb") as file:
        return parse(file.read(), os.path.basename(path))


# The chain


class Walk:
    """Follows batches and their records."""

    def __init__(self):
        self.seq = None
        self.head = None
        self.chain = None
        self.successor = None
        self.records = []
        self.signers = []

    def follow(self, envelope, records, key_of):
        """`key_of` gives the key for a key id, or None: the hashes alone join this batch."""
        payload, keyid, signed = opened(envelope, BATCH, "batch")
        fields = parse(payload, "batch")
        first, last = fields["first"], fields["last"]
        what = f"batch {first}..{last}"
        require(fields.get("key") == keyid, f"{what}: names another key than its signer")
        if self.successor is not None:
            require(keyid == key_id(self.successor), f"{what}: not signed by the key of the rekey record")
            key = self.successor
        else:
            key = key_of(keyid)
        if key is not None:
            require(is_signed(key, *signed), f"{what}: the signature does not hold")
        if self.seq is not None:
            require(first == self.seq + 1, f"{what}: expected to begin with {self.seq + 1}")
            require(fields["prev"] == self.head, f"{what}: does not follow the batch before it")
        require(self.chain in (None, fields["chain"]), f"{what}: of another chain")
        self.chain = fields["chain"]
        require(len(records) == last - first + 1, f"{what}: {len(records)} records")
        head = fields["prev"]
        for number, data in enumerate(records, first):
            record = parse(data, f"record {number}")
            require(record.get("v") == 1, f"record {number}: another version")
            require(record.get("seq") == number, f"record {number}: numbered {record.get('seq')}")
            require(record.get("chain") == self.chain, f"record {number}: of another chain")
            require(record.get("prev") == head, f"record {number}: does not follow the one before it")
            head = leaf(data)
            self.records.append(record)
            if record["kind"] == "rekey":
                require(number == last, f"record {number}: a rekey record that is not the last of its batch")
                self.successor = unbase64(record["body"]["publicKey"], f"record {number}")
        require(head == fields["head"], f"{what}: its head is another")
        self.seq, self.head = last, head
        self.signers.append((first, keyid))

    def begins_with(self, keys):
        """Record 1 is bound to the key with which the chain began."""
        first = self.records[0]
        if first["seq"] != 1:
            return
        require(first["kind"] == "genesis", "record 1: no genesis")
        key = unbase64(first["body"]["publicKey"], "record 1")
        require(first["prev"] == leaf(key), "record 1: does not follow its public key")
        require(keys is None or key in keys, "record 1: begins with a key that is not trusted")


# The state directory


def former_keys(directory, present):
    """The present key and those before it, each signed by the one that replaced it."""
    keys = [present]
    path = os.path.join(directory, "keys.json")
    waiting = read_json(path) if os.path.exists(path) else []
    while waiting:
        for envelope in waiting:
            _, keyid, _ = opened(envelope, FORMER_KEY, "keys.json")
            if keyid in map(key_id, keys):
                break
        else:
            raise Fault("keys.json: a former key that no known key signed")
        _, fields, _ = verified(envelope, FORMER_KEY, keys, "keys.json")
        keys.append(unbase64(fields["publicKey"], "keys.json"))
        waiting.remove(envelope)
    return keys


def check_schema(db):
    found = dict(db.execute("SELECT name, type FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"))
    for name in found.keys() | SCHEMA.keys():
        require(found.get(name) == SCHEMA.get(name), f"fim.db: {found.get(name, 'no')} {name}")


def check_chain(db, meta, keys):
    walk = Walk()
    by_id = {key_id(key): key for key in keys}
    total = None
    rows = {}
    for seq, kind, severity, size, sum_, data in db.execute(
        "SELECT seq, kind, severity, size, total, bytes FROM record ORDER BY seq"
    ):
        require(size == len(data), f"record {seq}: its size is another")
        require(total is None or sum_ == total + size, f"record {seq}: its total is another")
        require(kind == parse(data, f"record {seq}").get("kind"), f"record {seq}: its kind is another")
        require(0 <= severity < len(SEVERITIES), f"record {seq}: its severity is none")
        total = sum_
        rows[seq] = data
    for first, last, envelope in db.execute("SELECT first, last, envelope FROM batch ORDER BY last"):
        records = [rows.pop(seq) for seq in range(first, last + 1) if seq in rows]
        batch = parse(envelope, "batch")
        def key_of(keyid):
            require(keyid in by_id, f"batch {first}..{last}: signed by {keyid}, which is not trusted")
            return by_id[keyid]
        walk.follow(batch, records, key_of)
    require(not rows, f"record {min(rows, default=0)}: in no batch")
    require(walk.records, "fim.db: there is no record")
    walk.begins_with(keys)
    require(meta.get("chain") == walk.chain, "meta: names another chain")
    head = parse(meta.get("head", ""), "meta: head")
    require((head["seq"], head["hash"]) == (walk.seq, walk.head), "meta: the chain's head is another")
    require(head["total"] == total, "meta: the total of the chain is another")
    notes = [r["body"]["through"] for r in walk.records
             if r["kind"] == "agent" and r["body"].get("event") == "pruned"]
    begin = notes[-1] + 1 if notes else 1
    require(walk.records[0]["seq"] == begin, f"record {begin}: the chain begins with {walk.records[0]['seq']}")
    require(meta.get("pruned", "0") == str(begin - 1), "meta: pruned is another number")
    return walk


def check_policy(text):
    rules = parse(text, "policy")
    require(
        json.dumps(rules, separators=(",", ":"), ensure_ascii=False) == text,
        "policy: not in its canonical form",
    )
    for rule in rules:
        order = [key for key in RULE_KEYS if key in rule]
        require(list(rule) == order, f"policy: keys of rule {rule.get('id')}")


def check_rows(db):
    digest = hashlib.sha256()
    count = 0
    for path, row in sorted(db.execute("SELECT path, row FROM baseline")):
        require(path[:1] == b"/" and b"\0" not in path, f"row {path!r}: no path")
        keys = list(parse(row, f"row {path!r}"))
        require(keys == [key for key in ROW_KEYS if key in keys], f"row {path!r}: its keys")
        for data in (path, row):
            digest.update(len(data).to_bytes(4, "big") + data)
        count += 1
    return count, digest.hexdigest()


def check_baseline(db, directory, keys, walk):
    found = db.execute("SELECT counter, envelope, policy FROM statement").fetchall()
    require(len(found) == 1, f"statement: {len(found)} rows")
    counter, envelope, policy = found[0]
    payload, statement, _ = verified(parse(envelope, "statement"), STATEMENT, keys, "statement")
    cluster, node, _ = walk.chain.split("/")
    require((statement["cluster"], statement["node"]) == (cluster, node), "statement: of another node")
    require(statement["counter"] == counter, "statement: its counter is another")
    require(sha256(policy.encode()) == statement["policy"]["digest"], "policy: its digest is another")
    check_policy(policy)
    rows, digest = check_rows(db)
    require(rows == statement["rows"], f"baseline: {rows} rows, signed are {statement['rows']}")
    require(digest == statement["digest"], "baseline: its rows are not those that were signed")
    _, anchor, _ = verified(read_json(os.path.join(directory, "anchor.json")), ANCHOR, keys, "anchor")
    require(anchor["counter"] == counter, "anchor: its counter is another")
    require(anchor["digest"] == digest, "anchor: its digest is another")
    require(anchor["statement"] == sha256(payload), "anchor: of another statement")
    signed = [r["body"] for r in walk.records if r["kind"] == "baseline"]
    for before, after in zip(signed, signed[1:]):
        require(before["counter"] < after["counter"], "chain: a counter that does not rise")
    if signed:
        last = signed[-1]
        require((last["counter"], last["digest"]) == (counter, digest), "chain: names another baseline")
        require(last.get("programs") == statement.get("programs"), "chain: names other programs")
    return rows, counter


def verify_state(directory):
    with open(os.path.join(directory, "agent.key"), "rb") as file:
        keys = former_keys(directory, public_key_of(file.read()))
    db = sqlite3.connect(f"file:{os.path.join(directory, 'fim.db')}?mode=ro", uri=True)
    try:
        db.execute("BEGIN")
        check_schema(db)
        meta = dict(db.execute("SELECT key, value FROM meta"))
        walk = check_chain(db, meta, keys)
        require(walk.signers[-1][1] == key_id(keys[0]) or walk.successor == keys[0],
                "chain: the last batch is not by the present key")
        rows, counter = check_baseline(db, directory, keys, walk)
    finally:
        db.close()
    return f"{walk.chain}: {len(walk.records)} records, {rows} rows, counter {counter}, {len(keys)} keys"


# An export


def trusted_key(path):
    """The line `raw BASE64` of `fim-agent key show`."""
    with open(path, encoding="utf8") as file:
        raw = [line.split()[1] for line in file if line.startswith("raw ")]
    require(len(raw) == 1, f"{path}: no line `raw BASE64`")
    return unbase64(raw[0], path)


def verify_export(path, trusted):
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    require(lines.pop() == b"", "export: its last line has no end")
    require(lines, "export: empty")
    begin = parse(lines[0], "export: line 1")
    require(begin.get("format") == "fim-agent/export/1", "export: another format")
    signer = unbase64(begin["publicKey"], "export: line 1")
    known = {key_id(key): key for key in (signer, trusted) if key is not None}
    walk = Walk()
    at = 1
    while at < len(lines):
        envelope = parse(lines[at], f"export: line {at + 1}")
        payload, _, _ = opened(envelope, BATCH, f"export: line {at + 1}")
        fields = parse(payload, f"export: line {at + 1}")
        count = fields["last"] - fields["first"] + 1
        records = lines[at + 1:at + 1 + count]
        walk.follow(envelope, records, known.get)
        at += 1 + count
    require(walk.records, "export: there is no batch in it")
    require(walk.chain == begin["chain"], "export: of another chain")
    require(walk.signers[0][1] == key_id(signer), "export: its first batch is not by its public key")
    walk.begins_with(None)
    if trusted is not None:
        require(key_id(trusted) in [one for _, one in walk.signers], "export: the trusted key signed nothing")
    return f"{walk.chain}: {len(walk.records)} records"


# An evidence file


def parse_vkey(text):
    """The name and the raw key of `name+id+base64`."""
    name, id_, encoded = text.split("+", 2)
    data = unbase64(encoded, "verifier key")
    require(len(data) == 33 and data[0] == 1, "verifier key: not of Ed25519")
    require(note_id(name, data[1:]).hex() == id_, "verifier key: its id is another")
    return name, data[1:]


def note_id(name, key):
    return hashlib.sha256(name.encode() + b"\n\x01" + key).digest()[:4]


def open_checkpoint(note, name, key):
    """The size and the root that a signed note of this log holds."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    good = False
    for line in lines.splitlines():
        dash, who, encoded = line.split(" ")
        data = unbase64(encoded, "checkpoint")
        if dash == "\u2014" and (who, data[:4]) == (name, note_id(name, key)):
            require(is_signed(key, text.encode(), data[4:]), "checkpoint: the signature does not hold")
            good = True
    require(good, "checkpoint: not signed by the collector")
    origin, size, root = text.splitlines()[:3]
    require(origin == name, "checkpoint: of another log")
    require(str(int(size)) == size, "checkpoint: its size")
    return int(size), unbase64(root, "checkpoint").hex()


class Tree:
    """RFC 6962 section 2.1, from the left. Holds the complete subtrees as pairs of level and hash."""

    def __init__(self):
        self.size = 0
        self.edge = []

    def add(self, level, digest):
        require(self.size % (1 << level) == 0, f"leaf {self.size}: no subtree of level {level} begins here")
        self.size += 1 << level
        while self.edge and self.edge[-1][0] == level:
            digest = self.node(self.edge.pop()[1], digest)
            level += 1
        self.edge.append((level, digest))

    def root(self):
        if not self.edge:
            return sha256(b"")
        digest = self.edge[-1][1]
        for _, left in reversed(self.edge[:-1]):
            digest = self.node(left, digest)
        return digest

    @staticmethod
    def node(left, right):
        return sha256(b"\x01" + bytes.fromhex(left) + bytes.fromhex(right))


def fields_of(line, what, *orders):
    """A line that is written in one way only, with the keys of one of these orders."""
    fields = parse(line, what)
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    require(text.encode() == line, f"{what}: not written as it must be")
    require(list(fields) in [order.split() for order in orders], f"{what}: its keys")
    return fields


class EvidenceChain:
    def __init__(self, line, what):
        self.name = line["name"]
        self.walk = Walk()
        self.walk.chain = self.name
        self.gaps = []
        signer = unbase64(line["publicKey"], what)
        self.keys = {key_id(signer): signer}
        if "enrolment" not in line:
            require(self.name.startswith("fim-collector/"), f"{what}: no enrolment")
            return
        payload, keyid, signed = opened(line["enrolment"], ENROLMENT, what)
        enrolment = parse(payload, what)
        key = unbase64(enrolment["publicKey"], what)
        require(keyid == key_id(key) and is_signed(key, *signed), f"{what}: the enrolment is not signed")
        require(self.name.startswith(f"{enrolment['cluster']}/{enrolment['node']}/"),
                f"{what}: the enrolment is of another node")

    def follow(self, envelope, records, what):
        def key_of(keyid):
            require(keyid in self.keys, f"{what}: signed by {keyid}, which is not trusted")
            return self.keys[keyid]
        walk = self.walk
        first = parse(opened(envelope, BATCH, what)[0], what)["first"]
        if walk.seq is not None and first > walk.seq + 1:
            self.gaps.append((walk.seq + 1, first - 1))
            walk.seq = walk.head = None
        read = len(walk.records)
        walk.follow(envelope, records, key_of)
        for record in walk.records[read:]:
            if record["kind"] == "agent" and record["body"].get("event") == "pruned":
                self.gaps = [gap for gap in self.gaps if gap[1] > record["body"]["through"]]


def verify_evidence(path, trusted):
    with open(path, "rb") as file:
        data = file.read()
    lines = data.split(b"\n")
    require(lines.pop() == b"", "evidence: its last line has no end")
    require(len(lines) > 1, "evidence: empty")
    begin = "format key checkpoint at"
    head = fields_of(lines[0], "line 1", begin, begin + " node", begin + " since", begin + " node since")
    require(head["format"] == "fim-collector/export/1", "line 1: another format")
    name, key = parse_vkey(head["key"])
    require(trusted is None or trusted == (name, key), "line 1: by another collector")
    size, root = open_checkpoint(head["checkpoint"], name, key)
    tree, chains, records = Tree(), [], 0
    at = 1
    while at < len(lines) - 1:
        what = f"line {at + 1}"
        entry = fields_of(lines[at], what, "leaf chain", "leaf level hash",
                          "chain name branch publicKey", "chain name branch publicKey enrolment")
        at += 1
        if "name" in entry:
            require(entry["chain"] == len(chains), f"{what}: its number")
            chains.append(EvidenceChain(entry, what))
            continue
        require(entry["leaf"] == tree.size, f"{what}: expected leaf {tree.size}")
        if "hash" in entry:
            tree.add(entry["level"], entry["hash"])
            continue
        envelope = parse(lines[at], what)
        batch = parse(opened(envelope, BATCH, what)[0], what)
        count = batch["last"] - batch["first"] + 1
        found = lines[at + 1:min(at + 1 + count, len(lines) - 1)]
        chains[entry["chain"]].follow(envelope, found, what)
        for one in found:
            tree.add(0, leaf(one))
        records += count
        at += 1 + count
    for chain in chains:
        require(not chain.gaps, f"{chain.name}: records {chain.gaps} are missing")
    require((tree.size, tree.root()) == (size, root), "evidence: the records are not those under the checkpoint")
    last = fields_of(lines[-1], "the last line", "payloadType payload signatures")
    payload, keyid, signed = opened(last, EVIDENCE_END, "the last line")
    require(keyid == key_id(key) and is_signed(key, *signed), "the last line: the signature does not hold")
    end = parse(payload, "the last line")
    signed_part = data[:len(data) - len(lines[-1]) - 1]
    require((end["lines"], end["digest"], end["key"]) == (len(lines) - 1, sha256(signed_part), keyid),
            "the last line: the file is not as it was signed")
    return f"{name}: {records} of {size} records, {len(chains)} chains"


def main(args):
    if len(args) == 2 and args[0] == "state":
        print("good", verify_state(args[1]))
    elif len(args) in (2, 3) and args[0] == "export":
        print("good", verify_export(args[1], trusted_key(args[2]) if len(args) == 3 else None))
    elif len(args) in (2, 3) and args[0] == "evidence":
        key = None
        if len(args) == 3:
            with open(args[2], encoding="utf8") as file:
                key = parse_vkey(file.read().strip())
        print("good", verify_evidence(args[1], key))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Fault, OSError, sqlite3.Error, KeyError, TypeError, ValueError, AttributeError, IndexError) as fault:
        print("fault", fault if isinstance(fault, Fault) else repr(fault))
        sys.exit(1)
