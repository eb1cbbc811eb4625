"""A paid reward as the report shows it: what was paid, why, who approved it, and the digests of all evidence."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from referral_rewards.audit.canonical import sha256_of
from referral_rewards.audit.money.records import Claim, Entry, Leg, Payment
from referral_rewards.audit.signed import signed

Document = Mapping[str, object]


def document_of(payment: Payment, leg: Leg | None) -> Document:
    """Return a reward as JSON values; None for the leg of a payment that sends back what was taken."""
    payout = payment.payout
    about: Document = {
        "referral": payout.referral_id,
        "role": None,
        "program": payment.program,
        "payee": payout.payee,
        "kind": "return",
        "amount_minor": payout.amount_minor,
        "currency": payout.currency,
    }
    return {
        **(about if leg is None else _about(leg)),
        "payment": _payment(payment),
        "claim": None if leg is None else _claim(payment, leg),
        "approvals": [] if leg is None else list(_approvals(payment, leg)),
        "postings": [_posted(each) for _, each in sorted(payment.entries.items())],
        "taken_back": [] if leg is None else list(_taken_back(payment, leg)),
    }


def _about(leg: Leg) -> Document:
    return {
        "referral": leg.referral_id,
        "role": leg.role,
        "program": leg.program,
        "referrer": leg.referrer,
        "order": leg.order_key,
        "stores": list(leg.stores),
        "payee": leg.beneficiary,
        "kind": leg.kind,
        "amount_minor": leg.amount_minor,
        "currency": leg.currency,
    }


def _payment(payment: Payment) -> Document:
    payout = payment.payout
    return {
        "id": str(payout.id),
        "rail": payout.rail,
        "key": payout.provider_key,
        "reference": payout.provider_reference,
        "state": payout.state,
        "sent_minor": payout.amount_minor,
        "kept": [[each.kind, each.source, each.amount_minor] for each in payment.deductions if each.live],
        "first_sent_at": _at(payout.first_sent_at),
        "settled_at": _at(payout.settled_at),
        "cycle": None if payment.cycle is None else payment.cycle.due_on.isoformat(),
        "request": dict(payout.body),
        "request_sha256": sha256_of(payout.body),
        "history": [[_at(each.at), each.generation, each.act, each.state, each.reference] for each in payment.steps],
    }


def _claim(payment: Payment, leg: Leg) -> Document | None:
    claim = payment.claims.get(leg.claim_id)
    if claim is None:
        return None
    return {
        "id": str(claim.id),
        "digest": claim.digest,
        "core_digest": claim.core_digest,
        "assembled_at": _at(claim.assembled_at),
        "sha256": sha256_of(claim.body),
        "flags": sorted(_flags(claim)),
        "terms": _terms(payment, claim),
        "facts": [
            {
                "id": str(each.id),
                "source": each.source,
                "event": each.event_id,
                "type": each.type,
                "occurred_at": _at(each.occurred_at),
                "received_at": _at(each.received_at),
                "digest": each.digest,
            }
            for each in sorted(payment.cited.get(claim.id, ()), key=lambda fact: (fact.occurred_at, fact.id))
        ],
    }


def _flags(claim: Claim) -> Iterator[str]:
    body: Mapping[str, Any] = claim.body
    for each in body.get("flags") or ():
        yield str(each.get("flag") if isinstance(each, Mapping) else each)


def _terms(payment: Payment, claim: Claim) -> Document | None:
    """Return which version of the terms a claim names, with the hash of the text that was published."""
    number = claim.body.get("version")
    version = payment.terms.get((str(claim.body.get("program")), number)) if isinstance(number, int) else None
    if version is None:
        return None
    text_sha256 = hashlib.sha256(version.source.encode()).hexdigest()
    return {"program": version.program, "version": version.version, "text_sha256": text_sha256}


def _approvals(payment: Payment, leg: Leg) -> Iterator[Document]:
    """Yield each decision on the claim with what was signed, so that an outsider can verify the signature."""
    for made in payment.made.get(leg.claim_id, ()):
        yield {"signed": signed(made), "hash": made.hash, "signature": made.signature}


def _posted(entry: Entry) -> Document:
    lines = [[each.account, each.amount_minor, each.currency] for each in entry.lines]
    return {"key": entry.key, "posted_at": _at(entry.posted_at), "lines": lines}


def _taken_back(payment: Payment, leg: Leg) -> Iterator[Document]:
    for each in payment.clawbacks:
        if each.leg_id == leg.id:
            yield {
                "id": str(each.id),
                "kind": each.kind,
                "state": each.state,
                "amount_minor": each.amount_minor,
                "recovered_minor": each.recovered_minor,
                "decision": str(each.decision_id),
            }


def _at(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
