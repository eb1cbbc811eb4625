"""Check the report of an audit without the system that wrote it.

It needs Python 3.10 or newer and one library: pip install cryptography

    python verify_audit.py audit.json --key KEY.json [--evidence FILE ...]

KEY.json is the list of public keys as the company publishes it ([{"key_id", "public_key", "status"}, ...]). Get it from
the company itself, not together with the report. It exits 0 if all holds, 1 if something does not, 2 for bad input.
"""

import argparse
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "referral-rewards-audit/1"


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def is_signed(keys, key_id, message, signature):
    try:
        keys[key_id].verify(bytes.fromhex(signature), message)
    except (KeyError, InvalidSignature, ValueError):
        return False
    return True


class Text:
    """The text of a report, read a piece at a time: one of many rewards needs no more memory than one of few."""

    def __init__(self, file):
        self.file, self.rest = file, ""

    def more(self):
        piece = self.file.read(1 << 16)
        self.rest += piece
        return piece != ""

    def peek(self):
        while (rest := self.rest.lstrip()) == "" and self.more():
            pass
        self.rest = rest
        return rest[:1]

    def mark(self, allowed):
        found, self.rest = self.peek(), self.rest[1:]
        if found == "" or found not in allowed:
            raise ValueError(f"{found or 'nothing'} stands where one of {allowed} should")
        return found

    def value(self):
        self.peek()
        while True:
            try:
                value, end = DECODER.raw_decode(self.rest)
            except json.JSONDecodeError:
                if not self.more():
                    raise
                continue
            if end < len(self.rest) or not self.more():
                self.rest = self.rest[end:]
                return value


def once(pairs):
    """A JSON object whose names stand once; of two with one name a reader could see the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in the report")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=once)


def sections(text):
    """Yield the name of each section with None, and after it each document of a list, or what stands there instead."""
    going = text.mark("{") and ","
    while going == ",":
        name = text.value()
        text.mark(":")
        yield name, None
        if text.peek() != "[":
            yield name, text.value()
        else:
            text.mark("[")
            more = text.mark("]") if text.peek() == "]" else ","
            while more == ",":
                yield name, text.value()
                more = text.mark(",]")
        going = text.mark(",}")
    if text.peek():
        raise ValueError("something stands after the report")


class Lines:
    """What is signed of a list: how many documents, the hash over their lines, and how many findings."""

    def __init__(self):
        self.count, self.findings, self.hash = 0, 0, hashlib.sha256()

    def add(self, document, findings):
        self.count += 1
        self.findings += findings
        self.hash.update(canonical(document) + b"\n")


class Report:
    """A report that is read once. ``wanted`` are hashes that it must name somewhere."""

    def __init__(self, keys, wanted):
        self.keys, self.unnamed = keys, set(wanted)
        self.names, self.values, self.sums = set(), {}, {}
        self.lists = {"rewards": Lines(), "findings": Lines()}

    def problems(self, file):
        for name, document in sections(Text(file)):
            if document is None:
                if name in self.names:
                    raise ValueError("a name stands twice in the report")
                self.names.add(name)
                continue
            if self.unnamed:
                written = canonical(document).decode()
                self.unnamed = {each for each in self.unnamed if each not in written}
            if name not in self.lists:
                self.values[name] = document
                continue
            self.lists[name].add(document, len(document["findings"]) if name == "rewards" else 1)
            if name == "rewards":
                self.add_up(document)
                yield from problems_of(document, self.keys)
        yield from self.unsigned()

    def add_up(self, reward):
        its = self.sums.setdefault((reward["currency"], reward["kind"]), [0, 0, 0, 0])
        taken = sum(part["recovered_minor"] for part in reward["taken_back"])
        for place, more in enumerate((1, reward["amount_minor"], taken, 1 if reward["findings"] else 0)):
            its[place] += more

    def totals(self):
        names = ("rewards", "amount_minor", "taken_back_minor", "with_findings")
        sums = sorted(self.sums.items())
        return [{"currency": c, "kind": k, **dict(zip(names, its, strict=True))} for (c, k), its in sums]

    def unsigned(self):
        """Yield where what was read is not what was signed."""
        statement, signature = self.values["statement"], self.values["signature"]
        rewards, findings = self.lists["rewards"], self.lists["findings"]
        if self.names != {"format", "rewards", "findings", "statement", "signature"} or len(signature) != 3:
            yield "the report has a section that nobody signed"
        if (self.values["format"], statement["format"], signature["algorithm"]) != (FORMAT, FORMAT, "Ed25519"):
            yield f"the report is not of the form {FORMAT}, signed with Ed25519"
        signed = canonical({"audit_report": statement})
        if not is_signed(self.keys, signature["key_id"], signed, signature["signature"]):
            yield "the report is not signed by a published key"
        if statement["rewards"] != {"count": rewards.count, "sha256": rewards.hash.hexdigest()}:
            yield "the rewards are not those that were signed"
        if statement["findings"]["sha256"] != findings.hash.hexdigest():
            yield "the findings are not those that were signed"
        if statement["findings"]["count"] != (every := findings.findings + rewards.findings):
            yield f"the report counts {statement['findings']['count']} findings and has {every}"
        if statement["totals"] != self.totals():
            yield "the totals are not the sums of the rewards"


def problems_of(reward, keys):
    """Yield where a reward is not what was approved, or does not add up."""
    name = f"the {reward['role']}'s reward of {reward['referral']}"
    payment = reward["payment"]
    if hashlib.sha256(canonical(payment["request"])).hexdigest() != payment["request_sha256"]:
        yield f"{name}: the request is not the one with this hash"
    approved = [made for made in reward["approvals"] if made["signed"]["kind"] == "approve"]
    if reward["role"] and not approved:
        yield f"{name}: nobody approved it"
    for made in reward["approvals"]:
        message = canonical(made["signed"])
        if hashlib.sha256(message).hexdigest() != made["hash"]:
            yield f"{name}: decision {made['signed']['seq']} does not have its hash"
        elif not is_signed(keys, made["signed"]["key"], message, made["signature"]):
            yield f"{name}: decision {made['signed']['seq']} is not signed by a published key"
    for entry in reward["postings"]:
        if sum(line[1] for line in entry["lines"]) != 0:
            yield f"{name}: the posting {entry['key']} does not balance"


def hash_of_file(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def main():
    asked = argparse.ArgumentParser(description="Check the report of an audit.")
    asked.add_argument("report")
    asked.add_argument("--key", required=True, help="the list of public keys, as the company publishes it")
    asked.add_argument("--evidence", nargs="*", default=[], help="files whose hash the report must name: terms as text")
    given = asked.parse_args()
    try:
        with open(given.key, encoding="utf-8") as file:
            listed = json.load(file)
        keys = {
            each["key_id"]: Ed25519PublicKey.from_public_bytes(bytes.fromhex(each["public_key"]))
            for each in listed
            if each["status"] != "revoked"
        }
        evidence = {path: hash_of_file(path) for path in given.evidence}
        report = Report(keys, evidence.values())
        with open(given.report, encoding="utf-8") as file:
            found = list(report.problems(file))
        found += [f"{path} is not what the report names" for path in evidence if evidence[path] in report.unnamed]
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"can't be read: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    statement = report.values["statement"]
    print(f"{statement['program']}, made {statement['made_at']} by {statement['made_by']}")
    print(f"{statement['rewards']['count']} rewards; the audit itself had {statement['findings']['count']} findings")
    for each in found:
        print(f"NOT RIGHT: {each}")
    print("The report does not hold." if found else "The report is signed, whole, and adds up.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
