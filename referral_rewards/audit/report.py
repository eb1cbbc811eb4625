"""The signed report of an audit, as JSON: a reward a line, so that it can be written and read at any length.

What is signed is the statement at its end. It holds the hashes over all rewards and findings, so that whoever has the
public key can check the whole report without our database (`docs/guides/verify_audit.py`).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.audit.canonical import canonical
from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.loading import Means
from referral_rewards.audit.money.loading import Scope
from referral_rewards.audit.money.records import Leg
from referral_rewards.audit.money.walk import Audited, walked
from referral_rewards.audit.reported_rewards import document_of

FORMAT: Final = "referral-rewards-audit/1"


class Signer(Protocol):
    """Whoever signs a report: the API, the only holder of the key that also signs decisions."""

    @property
    def key_id(self) -> str:
        """The id of the key, as it is published."""

    def sign(self, message: bytes) -> str:
        """Return the Ed25519 signature in hex."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """Who asked for a report, when, by which version of the product, and with which key it is signed."""

    by: str
    at: datetime
    version: str
    signer: Signer


async def written(connection: AsyncConnection, scope: Scope, ordered: Ordered, means: Means) -> AsyncGenerator[str]:
    """Yield the report in pieces. ``connection`` must read one moment."""
    rewards, others, sums = _Hashed(), _Hashed(), _Sums()
    kept: list[str] = []
    yield f'{{"format":"{FORMAT}",\n"rewards":[\n'
    async with aclosing(walked(connection, scope, means)) as steps:
        async for step in steps:
            if isinstance(step, Finding):
                sums.find(step)
                kept.append(others.add(finding_document(step)))
                continue
            sums.examine(step)
            for leg, found in _shared_out(step):
                sums.pay(step, leg, found)
                line = rewards.add({**document_of(step.payment, leg), "findings": [finding_document(f) for f in found]})
                yield line if rewards.count == 1 else f",\n{line}"
    yield '\n],\n"findings":[\n'
    yield ",\n".join(kept)
    statement = {
        **_asked(scope, ordered),
        "keys": sorted(means.keys),
        "register": await _mark(connection),
        "rewards": {"count": rewards.count, "sha256": rewards.hexdigest()},
        "findings": {"count": sums.findings, "by_part": sums.parts(), "sha256": others.hexdigest()},
        "totals": sums.totals(),
        "accuracy": sums.accuracy(),
    }
    yield f'\n],\n"statement":{canonical(statement).decode()},\n"signature":{_signature(statement, ordered.signer)}}}\n'


def signed_bytes(statement: Mapping[str, object]) -> bytes:
    """Return what the signature of a report covers. No decision and no end of the chain is written so."""
    return canonical({"audit_report": statement})


def finding_document(finding: Finding) -> Mapping[str, object]:
    """Return a finding as JSON values."""
    return {
        "part": finding.part,
        "what": finding.what,
        "where": finding.where,
        "referral": finding.referral,
        "role": finding.role,
        "payout": finding.payout,
    }


def _signature(statement: Mapping[str, object], signer: Signer) -> str:
    signature = {"algorithm": "Ed25519", "key_id": signer.key_id, "signature": signer.sign(signed_bytes(statement))}
    return canonical(signature).decode()


def _asked(scope: Scope, ordered: Ordered) -> Mapping[str, object]:
    return {
        "format": FORMAT,
        "program": scope.program,
        "cycle": None if scope.cycle is None else str(scope.cycle),
        "from": None if scope.since is None else scope.since.isoformat(),
        "to": None if scope.until is None else scope.until.isoformat(),
        "made_at": ordered.at.isoformat(),
        "made_by": ordered.by,
        "product": ordered.version,
    }


def _shared_out(step: Audited) -> list[tuple[Leg | None, list[Finding]]]:
    """Return each reward of a payment with its findings; those about the whole payment stand with the first."""
    legs: list[Leg | None] = [*step.payment.paid] or [None]
    found: dict[tuple[str | None, str | None], list[Finding]] = defaultdict(list)
    first = legs[0]
    named = {(leg.referral_id, leg.role) for leg in legs if leg is not None}
    for each in step.findings:
        its = (each.referral, each.role)
        found[its if its in named or first is None else (first.referral_id, first.role)].append(each)
    if first is None:
        return [(None, list(step.findings))]
    return [(leg, found[leg.referral_id, leg.role]) for leg in legs if leg is not None]


@dataclass(slots=True)
class _Hashed:
    """A hash over lines of canonical JSON, each with a line feed."""

    count: int = 0
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, document: Mapping[str, object]) -> str:
        line = canonical(document)
        self._hash.update(line + b"\n")
        self.count += 1
        return line.decode()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


@dataclass(slots=True)
class _Sums:
    """The figures of a report. Currencies are never added up."""

    findings: int = 0
    _examined: int = 0
    _accurate: int = 0
    _by_decision: int = 0
    _marks_removed: int = 0
    _parts: Counter[Part] = field(default_factory=Counter)
    _amounts: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def find(self, finding: Finding) -> None:
        self.findings += 1
        self._parts[finding.part] += 1

    def pay(self, step: Audited, leg: Leg | None, found: list[Finding]) -> None:
        for each in found:
            self.find(each)
        kind = leg.kind if leg is not None else "return"
        currency = leg.currency if leg is not None else step.payment.payout.currency
        amount = leg.amount_minor if leg is not None else step.payment.payout.amount_minor
        taken = sum(each.recovered_minor for each in step.payment.clawbacks if leg and each.leg_id == leg.id)
        sums = self._amounts.setdefault((currency, kind), [0, 0, 0, 0])
        for place, more in enumerate((1, amount, taken, int(bool(found)))):
            sums[place] += more

    def examine(self, step: Audited) -> None:
        self._examined += len(step.examined)
        self._accurate += sum(each.accurate for each in step.examined)
        self._by_decision += sum(each.held_by_decision for each in step.examined)
        self._marks_removed += sum(each.marks_removed for each in step.examined)

    def accuracy(self) -> Mapping[str, int]:
        """Return how many rewards hold all six parts of their accuracy, how many only as people decided so, and of how
        many the marks of a person are gone by retention."""
        return {
            "paid": self._examined,
            "accurate": self._accurate,
            "by_override": self._by_decision,
            "marks_removed": self._marks_removed,
        }

    def parts(self) -> Mapping[str, int]:
        return {part: self._parts[part] for part in Part}

    def totals(self) -> list[Mapping[str, object]]:
        names = ("rewards", "amount_minor", "taken_back_minor", "with_findings")
        return [
            {"currency": currency, "kind": kind, **dict(zip(names, sums, strict=True))}
            for (currency, kind), sums in sorted(self._amounts.items())
        ]


async def _mark(connection: AsyncConnection) -> Mapping[str, object]:
    """Return how far the register went when it was read: by it a later report can show that nothing was cut off."""
    row = (await connection.execute(_MARK)).one()
    return dict(row._mapping)


_MARK: Final = text("""
SELECT (SELECT coalesce(max(number), 0) FROM register_restore) AS restores,
       (SELECT coalesce(max(seq), 0) FROM decision) AS decision,
       (SELECT hash FROM decision_head WHERE id = 1) AS decision_hash,
       (SELECT coalesce(max(id), 0) FROM posting) AS posting,
       (SELECT coalesce(max(id), 0) FROM payout_step) AS payout_step
""")
