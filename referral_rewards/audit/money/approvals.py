"""Whether people with the authority approved, before it was sent, exactly what a payment pays (SPEC §6).

The roles and the number of people that it takes are read from the terms; the roles that each of them held then are
signed with the decision.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid5

from referral_rewards.audit.evidence import SKEW
from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.money import claims, redirects, terms
from referral_rewards.audit.money.about import finding
from referral_rewards.audit.money.chain import Chain
from referral_rewards.audit.money.records import Claim, Leg, Made, Payment, Step, Terms

_OF_A_CLAIM: Final = frozenset({"approve", "deny", "hold", "release"})
_RETURNS: Final = UUID("3d1c4f0a-7a52-5b8e-9c61-2e5b7f0d8a47")


def findings(payment: Payment, chain: Chain) -> Iterator[Finding]:
    """Yield where a payment is not what people with the authority approved."""
    for leg in payment.paid:
        claim = payment.claims.get(leg.claim_id)
        if claim is None:
            yield finding(payment, Part.DECISION_CHAIN, "the claim that it pays is not on record", _claim(leg), leg)
            continue
        its = claims.terms_of(payment, claim)
        for what in claims.problems(payment, leg, claim, its):
            yield finding(payment, Part.DECISION_CHAIN, what, _claim(leg), leg)
        yield from _by_its_terms(payment, leg, claim, its, chain)
    for what in _of_the_whole(payment, chain):
        yield finding(payment, Part.DECISION_CHAIN, what, f"payout {payment.payout.id}")


def _by_its_terms(payment: Payment, leg: Leg, claim: Claim, its: Terms | None, chain: Chain) -> Iterator[Finding]:
    if its is None:
        yield finding(payment, Part.PROGRAM_TERMS, "the terms that its claim names are not on record", _claim(leg), leg)
        return
    for what in terms.problems(its):
        yield finding(payment, Part.PROGRAM_TERMS, what, f"program_version {its.program} {its.version}", leg)
    for what in (
        *_approved(payment, leg, claim, its, chain),
        *redirects.problems(payment, leg, its, chain.disbelieved),
    ):
        yield finding(payment, Part.DECISION_CHAIN, what, f"leg {leg.id}", leg)


def _claim(leg: Leg) -> str:
    return f"reward_claim {leg.claim_id}"


def _approved(payment: Payment, leg: Leg, claim: Claim, its: Terms, chain: Chain) -> Iterator[str]:
    """Enough different people with the authority approved it, before it was sent, and nobody took that back."""
    made = [
        each
        for each in payment.made.get(leg.claim_id, ())
        if each.id not in chain.disbelieved and each.kind in _OF_A_CLAIM and each.digest == claim.digest
    ]
    required = claims.requirement(claim, its, claims.flags_of(claim))
    routes = frozenset[str](required["routes"])
    counting = [each for each in made if each.kind == "approve" and frozenset(each.roles) & routes]
    counting = [each for each in counting if each.username not in required["excluded"]]
    if claim.body.get("requirement") != required:
        yield f"it is said to need {claim.body.get('requirement')}; by its terms it needs {required}"
    standing = [each for each in counting if "applied" in each.effects and not {"void", "forged"} & set(each.effects)]
    named = [each for each in counting if str(each.id) in leg.decisions]
    if {str(each.id) for each in standing} != set(leg.decisions) or not named:
        yield f"it names the approvals {list(leg.decisions)}; carried out were {[str(each.id) for each in standing]}"
    yield from _enough(named, routes, required)
    for each in named:
        yield from _in_time(payment, leg, claim, each)
    yield from _not_stopped(made, routes, payment.sent)


def _enough(named: Sequence[Made], routes: frozenset[str], required: Mapping[str, Any]) -> Iterator[str]:
    missing = routes - {role for each in named for role in each.roles}
    if missing or not routes:
        yield f"nobody with the role {', '.join(sorted(missing)) or 'that the terms name'} approved it"
    people = {each.username for each in named}
    if len(people) < required["people"]:
        yield f"{len(people)} people approved it; its terms require {required['people']}"


def _in_time(payment: Payment, leg: Leg, claim: Claim, made: Made) -> Iterator[str]:
    """Other clocks than that of a decision date the rest: the payment's transaction saw it or did not."""
    sent = payment.sent
    if made.referral_id != leg.referral_id:
        yield f"decision {made.seq} is listed under {made.referral_id}"
    if made.decided_at + SKEW < claim.assembled_at:
        yield f"decision {made.seq} was made before what it approves was assembled"
    if made.decided_at > leg.approved_at + SKEW:
        yield f"the reward counts as approved since {leg.approved_at.isoformat()}, before decision {made.seq}"
    if not payment.knew(made):
        yield f"decision {made.seq} was made after the payment was sent"
    if made.barred_position is not None and sent is not None and sent.saw(made.barred_position):
        yield f"{made.username}, who approved it, was barred before it was sent"


def _not_stopped(made: Sequence[Made], routes: frozenset[str], sent: Step | None) -> Iterator[str]:
    """No denial, and no hold that was not released, stood when it was sent."""
    held = None
    for each in made:
        if not frozenset(each.roles) & routes or (sent is not None and not sent.saw(each.position)):
            continue
        if each.kind == "deny":
            yield f"{each.username} denied it before it was sent (decision {each.seq})"
        held = each if each.kind == "hold" else None if each.kind == "release" else held
    if held is not None:
        yield f"{held.username} held it, and nobody released it before it was sent (decision {held.seq})"


def _of_the_whole(payment: Payment, chain: Chain) -> Iterator[str]:
    """Before it was sent, finance released the list of its cycle, or ordered it if it is a return."""
    payout, cycle = payment.payout, payment.cycle
    if payout.cycle_id is not None:
        made = _of_finance(payment, payout.cycle_id, "release_cycle", chain)
        listed = cycle.digest if cycle is not None else None
        shown = {_shown(payout.cycle_id, listed, turn) for turn in range(len(payment.made.get(payout.cycle_id, ())))}
        if not any(each.digest in shown for each in made):
            yield "nobody of finance released the list of its cycle as it stands"
    if payout.returns is not None:
        made = _of_finance(payment, payout.returns, "return_clawback", chain)
        ordered = [each for each in made if uuid5(_RETURNS, str(each.id)) == payout.id]
        if not ordered or (ordered[0].details or {}).get("amount_minor") != payout.amount_minor:
            yield "nobody of finance ordered this return"


def _of_finance(payment: Payment, subject: UUID, kind: str, chain: Chain) -> list[Made]:
    made = [each for each in payment.made.get(subject, ()) if each.kind == kind and "finance" in each.roles]
    return [each for each in made if each.id not in chain.disbelieved and payment.knew(each)]


def _shown(cycle: UUID, listed: str | None, turn: int) -> str:
    """Return the digest of a cycle's frozen list, after so many decisions on it were carried out."""
    what = {"cycle": str(cycle), "state": "frozen", "list": listed, "turn": turn}
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
