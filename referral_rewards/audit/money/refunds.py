"""What was taken back of paid rewards, and what went back again: decided by people, and no more than was paid."""

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID, uuid5

from referral_rewards.audit.canonical import ascii_sha256_of
from referral_rewards.audit.evidence import SKEW
from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.money.about import amount, differs, finding
from referral_rewards.audit.money.keys import entry_id
from referral_rewards.audit.money.records import Case, Clawback, Leg, Made, Payment

_CASES: Final = UUID("8c1f2a52-3f5b-5d0e-9f27-61b0f4a1c6d3")
_CLAWBACKS: Final = UUID("b7e0c9d4-52a8-5a41-8f3c-0d9e7a6b2f15")
#: Which decision takes in which way.
_DECIDED_BY: Final = {"reverse": "reverse_clawback", "offset": "offset_clawback", "write_off": "write_off_clawback"}
#: In which states what each way takes can stand.
_STATES: Final = {
    "reverse": frozenset(
        {"approved", "reversing", "unknown", "manual_review", "reversed", "partly_reversed", "unrecoverable"}
    ),
    "offset": frozenset({"offsetting", "offset", "unrecoverable"}),
    "write_off": frozenset({"written_off"}),
}
_OWN_CREDIT: Final = "account_credit"
_GIVEN_UP: Final = frozenset({"partly_reversed", "unrecoverable"})


def findings(payment: Payment) -> Iterator[Finding]:
    """Yield where what was taken back of a payment's rewards, or is said to be, is not what people decided."""
    legs = {leg.id: leg for leg in payment.paid}
    cases = {case.id: case for case in payment.cases}
    for case in payment.cases:
        for what in (
            *_of_case(case, legs.get(case.leg_id), payment.made.get(case.id, ())),
            *_taken_over(payment, case),
        ):
            yield finding(payment, Part.REFUND_STATUS, what, f"clawback_case {case.id}", legs.get(case.leg_id))
    for clawback in payment.clawbacks:
        leg = legs.get(clawback.leg_id)
        if leg is None:
            continue
        for what in (*_of_clawback(payment, leg, clawback), *_of_its_case(clawback, cases.get(clawback.case_id))):
            yield finding(payment, Part.REFUND_STATUS, what, f"clawback {clawback.id}", leg)
    for leg in payment.paid:
        for what in _of_leg(payment, leg):
            yield finding(payment, Part.REFUND_STATUS, what, f"leg {leg.id}", leg)


def _of_case(case: Case, leg: Leg | None, made: Sequence[Made]) -> Iterator[str]:
    right = uuid5(_CASES, f"{case.leg_id}\x00{case.fact_id}")
    if case.id != right:
        yield differs("id", case.id, right)
    if leg is not None and case.referral_id != leg.referral_id:
        yield differs("referral", case.referral_id, leg.referral_id)
    if case.state not in ("open", "frozen", "decided", "dismissed"):
        yield f"it is “{case.state}”, which no case can be"
    if (case.settled_at is None) is (case.state in ("decided", "dismissed")):
        yield f"it is {case.state}, and its time of decision says otherwise"
    by_people = made and not _closed_by_itself(case, made)
    if by_people and case.settled_at is not None and case.settled_at not in {each.decided_at for each in made}:
        yield f"it counts as decided at {case.settled_at.isoformat()}, when nobody decided on it"
    if made and case.opened_at > made[0].decided_at + SKEW:
        yield f"it was opened at {case.opened_at.isoformat()}, after the first decision on it"


def _closed_by_itself(case: Case, made: Sequence[Made]) -> bool:
    """Return whether facts that came later closed a case: the reward was right after all, or its payment came back."""
    return case.state == "dismissed" and all(each.kind != "dismiss_clawback" for each in made)


def _taken_over(payment: Payment, case: Case) -> Iterator[str]:
    """What offsets of a case no longer wait for is what other clawbacks of it took over."""
    its = [each for each in payment.clawbacks if each.case_id == case.id]
    released_minor = sum(each.released_minor for each in its)
    moved_minor = sum(payment.moved_minor(each) for each in its)
    if released_minor != moved_minor:
        yield f"its offsets were released from {released_minor} minor units; the books moved {moved_minor}"


def _of_its_case(clawback: Clawback, case: Case | None) -> Iterator[str]:
    if case is None:
        yield "its case is not on record, or is about another reward"
    elif case.leg_id != clawback.leg_id:
        yield differs("reward", clawback.leg_id, case.leg_id)


def _of_clawback(payment: Payment, leg: Leg, clawback: Clawback) -> Iterator[str]:
    """A clawback is exactly what one signed decision ordered, taken under its own key, and booked as far as it came."""
    decision = _deciding(payment, clawback)
    if decision is None:
        yield "no signed decision on its case orders it"
    else:
        yield from _as_decided(clawback, decision)
    pairs = {
        "payee": (clawback.payee, leg.beneficiary),
        "currency": (clawback.currency, leg.currency),
        "referral": (clawback.referral_id, leg.referral_id),
        "payout": (clawback.payout_id, payment.payout.id),
        "key": (clawback.provider_key, f"{clawback.id}-{clawback.generation}"),
        "request's hash": (clawback.body_hash, ascii_sha256_of(clawback.body)),
        "request's amount": (clawback.body.get("amount_minor"), clawback.amount_minor),
        "request's currency": (clawback.body.get("currency"), clawback.currency),
        "request's own name": (clawback.body.get("clawback"), str(clawback.id)),
        "request's payment": (clawback.body.get("reference"), payment.payout.provider_reference),
    }
    for noun, (stands, right) in pairs.items():
        if stands != right:
            yield differs(noun, stands, right)
    yield from _recovered(clawback)
    yield from _receipt(payment, clawback)


def _deciding(payment: Payment, clawback: Clawback) -> Made | None:
    return next((each for each in payment.made.get(clawback.case_id, ()) if each.id == clawback.decision_id), None)


def _as_decided(clawback: Clawback, decision: Made) -> Iterator[str]:
    right = uuid5(_CLAWBACKS, str(decision.id))
    if clawback.id != right:
        yield differs("id", clawback.id, right)
    if decision.kind != _DECIDED_BY.get(clawback.kind):
        yield f"it is a {clawback.kind}; decision {decision.seq} orders {decision.kind}"
    ordered = (decision.details or {}).get("amount_minor")
    if ordered != clawback.amount_minor:
        yield f"it takes {amount(clawback.amount_minor, clawback.currency)}; {ordered} minor units were ordered"
    if "finance" not in decision.roles:
        yield f"{decision.username}, who ordered it, was not of finance"


def _recovered(clawback: Clawback) -> Iterator[str]:
    """What counts as recovered is what the provider gave back, or what settled payouts kept."""
    if clawback.state not in _STATES.get(clawback.kind, frozenset()):
        yield f"it is a {clawback.kind} that is “{clawback.state}”"
    if clawback.kind == "offset" and clawback.recovered_minor != clawback.kept_minor:
        kept = amount(clawback.kept_minor, clawback.currency)
        yield f"{amount(clawback.recovered_minor, clawback.currency)} count as recovered; payouts kept {kept}"
    is_whole = clawback.recovered_minor + clawback.released_minor == clawback.amount_minor
    if clawback.state in ("reversed", "offset") and not is_whole:
        yield f"it is {clawback.state}, though not all of it was recovered"
    if clawback.kind == "reverse" and clawback.recovered_minor:
        if clawback.provider_reference is None:
            yield "it was taken back without a reference of the provider"
        if clawback.first_sent_at is None:
            yield "it was taken back, though no attempt is on record"
    if clawback.kind != "reverse" and (clawback.first_sent_at or clawback.provider_reference) is not None:
        yield "it was sent to a provider, though it takes nothing there"
    if clawback.kind != "offset" and clawback.released_minor:
        yield "a part of it was released, which only of an offset can be"
    if clawback.kind == "write_off" and clawback.recovered_minor:
        yield "it was written off and counts as recovered"


def _receipt(payment: Payment, clawback: Clawback) -> Iterator[str]:
    """What counts as taken at the provider was sent before it was booked, and our own books are their receipt."""
    booked = payment.entries.get(f"recovered:{clawback.id}")
    sent_at = clawback.first_sent_at
    if booked is not None and sent_at is not None and sent_at > booked.posted_at + SKEW:
        yield f"it was first sent at {sent_at.isoformat()}, after it was booked as recovered"
    if clawback.kind == "reverse" and payment.payout.rail == _OWN_CREDIT and clawback.recovered_minor:
        right = str(entry_id(f"uncredited:{clawback.provider_key}"))
        said = {(each.details or {}).get("reference") for each in payment.made.get(clawback.case_id, ())}
        if clawback.provider_reference not in {right} | said:
            yield differs("provider's reference", clawback.provider_reference, right)


def _taken_minor(clawback: Clawback) -> int:
    """Return how much of its reward a clawback takes, or took."""
    if clawback.state in _GIVEN_UP:
        return clawback.recovered_minor
    return clawback.amount_minor - clawback.released_minor


def _of_leg(payment: Payment, leg: Leg) -> Iterator[str]:
    """No more is taken than was paid; a reward is taken back once all of it came back and nothing went back again."""
    its = [each for each in payment.clawbacks if each.leg_id == leg.id]
    of_cases = {case.id for case in payment.cases if case.leg_id == leg.id}
    taken_minor = sum(_taken_minor(each) for each in its)
    returned_minor = sum(each.amount_minor for each in payment.returns if each.case_id in of_cases)
    recovered_minor = sum(each.recovered_minor for each in its) - returned_minor
    if taken_minor - returned_minor > leg.amount_minor:
        taken, paid = (amount(each, leg.currency) for each in (taken_minor - returned_minor, leg.amount_minor))
        yield f"{taken} are taken back of a reward of {paid}"
    if recovered_minor < 0:
        yield "more went back to its payee than was recovered"
    if leg.state == "clawed_back" and recovered_minor < leg.amount_minor:
        yield f"it counts as taken back, though only {amount(recovered_minor, leg.currency)} were recovered"
    if (
        leg.state == "paid"
        and recovered_minor >= leg.amount_minor
        and not leg.former
        and _was_judged(payment, leg, its)
    ):
        yield "all of it was recovered, and it still counts as paid"


def _was_judged(payment: Payment, leg: Leg, its: Sequence[Clawback]) -> bool:
    """Return whether its referral was judged since the last of it was recovered. Until then it counts as paid."""
    row = payment.referrals.get(leg.referral_id)
    return row is None or row.judged_at is None or row.judged_at >= max(each.updated_at for each in its)
