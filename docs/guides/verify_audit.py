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


def sha256_of_lines(documents):
    hashed = hashlib.sha256()
    for each in documents:
        hashed.update(canonical(each) + b"\n")
    return hashed.hexdigest()


def totals_of(rewards):
    sums = {}
    for each in rewards:
        its = sums.setdefault((each["currency"], each["kind"]), [0, 0, 0, 0])
        taken = sum(part["recovered_minor"] for part in each["taken_back"])
        for place, more in enumerate((1, each["amount_minor"], taken, 1 if each["findings"] else 0)):
            its[place] += more
    names = ("rewards", "amount_minor", "taken_back_minor", "with_findings")
    return [{"currency": c, "kind": k, **dict(zip(names, its, strict=True))} for (c, k), its in sorted(sums.items())]


def once(pairs):
    """A JSON object whose names stand once; of two with one name a reader could see the other."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in the report")
    return found


def problems(report, keys):
    statement, signature = report["statement"], report["signature"]
    rewards, findings = report["rewards"], report["findings"]
    if set(report) != {"format", "rewards", "findings", "statement", "signature"} or len(signature) != 3:
        yield "the report has a section that nobody signed"
    if (report["format"], statement["format"], signature["algorithm"]) != (FORMAT, FORMAT, "Ed25519"):
        yield f"the report is not of the form {FORMAT}, signed with Ed25519"
    if not is_signed(keys, signature["key_id"], canonical({"audit_report": statement}), signature["signature"]):
        yield "the report is not signed by a published key"
    if statement["rewards"] != {"count": len(rewards), "sha256": sha256_of_lines(rewards)}:
        yield "the rewards are not those that were signed"
    if statement["findings"]["sha256"] != sha256_of_lines(findings):
        yield "the findings are not those that were signed"
    every = findings + [finding for each in rewards for finding in each["findings"]]
    if statement["findings"]["count"] != len(every):
        yield f"the report counts {statement['findings']['count']} findings and has {len(every)}"
    if statement["totals"] != totals_of(rewards):
        yield "the totals are not the sums of the rewards"
    for each in rewards:
        name = f"the {each['role']}'s reward of {each['referral']}"
        payment = each["payment"]
        if hashlib.sha256(canonical(payment["request"])).hexdigest() != payment["request_sha256"]:
            yield f"{name}: the request is not the one with this hash"
        approved = [made for made in each["approvals"] if made["signed"]["kind"] == "approve"]
        if each["role"] and not approved:
            yield f"{name}: nobody approved it"
        for made in each["approvals"]:
            message = canonical(made["signed"])
            if hashlib.sha256(message).hexdigest() != made["hash"]:
                yield f"{name}: decision {made['signed']['seq']} does not have its hash"
            elif not is_signed(keys, made["signed"]["key"], message, made["signature"]):
                yield f"{name}: decision {made['signed']['seq']} is not signed by a published key"
        for entry in each["postings"]:
            if sum(line[1] for line in entry["lines"]) != 0:
                yield f"{name}: the posting {entry['key']} does not balance"


def main():
    asked = argparse.ArgumentParser(description="Check the report of an audit.")
    asked.add_argument("report")
    asked.add_argument("--key", required=True, help="the list of public keys, as the company publishes it")
    asked.add_argument("--evidence", nargs="*", default=[], help="files whose hash the report must name: terms as text")
    given = asked.parse_args()
    try:
        with open(given.report, encoding="utf-8") as file:
            written = file.read()
        report = json.loads(written, object_pairs_hook=once)
        with open(given.key, encoding="utf-8") as file:
            listed = json.load(file)
        keys = {
            each["key_id"]: Ed25519PublicKey.from_public_bytes(bytes.fromhex(each["public_key"]))
            for each in listed
            if each["status"] != "revoked"
        }
        found = list(problems(report, keys))
        for path in given.evidence:
            with open(path, "rb") as file:
                if hashlib.sha256(file.read()).hexdigest() not in written:
                    found.append(f"{path} is not what the report names")
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"can't be read: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    statement = report["statement"]
    print(f"{statement['program']}, made {statement['made_at']} by {statement['made_by']}")
    print(f"{statement['rewards']['count']} rewards; the audit itself had {statement['findings']['count']} findings")
    for each in found:
        print(f"NOT RIGHT: {each}")
    print("The report does not hold." if found else "The report is signed, whole, and adds up.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
