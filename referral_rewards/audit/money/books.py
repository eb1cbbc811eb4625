"""The books: what the history of a payment says must have been posted, against what stands there.

Double entry in minor units, debit positive and credit negative. An approved reward is an expense that is owed; a
payment settles what is owed over the rail; what is taken back is owed to us until it is recovered, dropped or lost.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from referral_rewards.audit.evidence import SKEW
from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.money import keys
from referral_rewards.audit.money.about import amount, finding
from referral_rewards.audit.money.records import Clawback, Entry, Leg, Line, Payment, Step

#: What each kind of entry is called in the books.
_CALLED: Final = {
    "accrued": "Reward approved",
    "released": "Reward cancelled",
    "settled": "Payout settled",
    "returned": "Payout returned",
    "claimed_back": "Reward claimed back",
    "claim_dropped": "Claim on a reward dropped",
    "claim_moved": "Claim on a reward moved",
    "recovered": "Reward taken back",
    "written_off": "Claim written off",
    "owed_again": "Return of a reward ordered",
    "owed_no_more": "Return of a reward cancelled",
    "credited": "Account credit",
    "uncredited": "Account credit taken back",
}
#: A payment that was given up, though its payee has it, settles nothing that was owed.
_CALLED_LOST: Final = {"settled": "Cancelled payout paid", "returned": "Cancelled payout returned"}
_OWN_CREDIT: Final = "account_credit"
#: What was claimed back by these is over: nothing more will be recovered.
_REVERSAL_ENDED: Final = frozenset({"reversed", "partly_reversed", "unrecoverable"})


@dataclass(frozen=True, slots=True)
class Expected:
    """An entry that must stand in the books. ``at`` is when it must have been posted, None if that is not known. Of one
    that a rail posted by itself that is the latest time, by another clock, and ``after`` the step that asked for it."""

    key: str
    called: str
    program: str
    referral: str
    lines: tuple[Line, ...]
    at: datetime | None = None
    after: Step | None = None


def findings(payment: Payment) -> Iterator[Finding]:
    """Yield what the books have of a payment and must not, or must have and have not."""
    wanted = {each.key: each for each in expected(payment)}
    for key, each in wanted.items():
        posted = payment.entries.get(key)
        for what in _missing(each) if posted is None else _differences(each, posted):
            yield finding(payment, Part.LEDGER, what, f"ledger_transaction {key}")
    for key in payment.entries.keys() - wanted.keys():
        what = f"the books have {_said(payment.entries[key].lines)} that nothing on record explains"
        yield finding(payment, Part.LEDGER, what, f"ledger_transaction {key}")


def expected(payment: Payment) -> Iterator[Expected]:
    """Yield every entry that a payment, the rewards that it pays and what was taken back of them must have posted."""
    for leg in payment.booked:
        lines = _pair(f"expense:{leg.program}", f"payable:{leg.beneficiary}", leg.amount_minor, leg.currency)
        yield _of(f"accrued:{leg.id}", leg.program, leg.referral_id, lines, leg.approved_at)
        if not leg.live:
            yield _of(f"released:{leg.id}", leg.program, leg.referral_id, _negated(lines))
    yield from _of_return(payment)
    yield from _of_payment(payment)
    for clawback in payment.clawbacks:
        leg = next(leg for leg in payment.legs if leg.id == clawback.leg_id)
        if leg.live:
            yield from _of_clawback(payment, leg, clawback)


def _of_return(payment: Payment) -> Iterator[Expected]:
    """What was taken wrongly and goes back is owed to the payee again."""
    payout = payment.payout
    if payout.returns is None:
        return
    lines = _pair(f"expense:{payment.program}", f"payable:{payout.payee}", payout.amount_minor, payout.currency)
    yield _of(f"owed_again:{payout.id}", payment.program, payout.referral_id or "", lines)
    if payout.dropped:
        yield _of(f"owed_no_more:{payout.id}", payment.program, payout.referral_id or "", _negated(lines))


def _of_payment(payment: Payment) -> Iterator[Expected]:
    """Each settlement and each return of its history; the last one standing is of what it pays now."""
    payout, happened = payment.payout, tuple(keys.events(payment.payout, payment.steps))
    for number, event in enumerate(happened):
        lines = _settlement(payment)
        came_back = any(later.kind == "returned" for later in happened[number + 1 :])
        if event.kind == "settled" and came_back and event.key in payment.entries:
            # It came back and was paid anew since, perhaps with other deductions: what counts is that both cancel out.
            lines = payment.entries[event.key].lines
        if event.kind == "returned":
            before = happened[number - 1].key if number else ""
            settled = payment.entries.get(before)
            lines = _negated(settled.lines if settled is not None else lines)
        lost = payment.was_given_up_by(event.step)
        yield _of(event.key, payment.program, payout.referral_id or "", lines, event.step.at, lost)
    for event in happened[-1:]:
        key = f"credited:{payout.id}-{event.step.generation}"
        # What people settled under another reference was paid outside of our own books.
        if payout.rail == _OWN_CREDIT and event.step.reference == str(keys.entry_id(key)):
            lines = _pair(f"clearing:{_OWN_CREDIT}", f"credit:{payout.payee}", payout.amount_minor, payout.currency)
            referral = str(payout.body.get("referral", ""))
            yield _of(key, payment.program, referral, lines, event.step.at, after=payment.sent)


def _settlement(payment: Payment) -> tuple[Line, ...]:
    payout = payment.payout
    kept = [each for each in payment.deductions if each.live]
    if payment.is_given_up:
        return _pair(f"loss:{payment.program}", f"clearing:{payout.rail}", payout.amount_minor, payout.currency)
    owed = payout.amount_minor + sum(each.amount_minor for each in kept)
    lines = [Line(f"payable:{payout.payee}", owed, payout.currency)]
    if payout.amount_minor:
        lines.append(Line(f"clearing:{payout.rail}", -payout.amount_minor, payout.currency))
    for each in kept:
        account = f"recoverable:{payout.payee}" if each.kind == "offset" else f"withholding:{each.source}"
        lines.append(Line(account, -each.amount_minor, payout.currency))
    return _sorted(lines)


def _of_clawback(payment: Payment, leg: Leg, clawback: Clawback) -> Iterator[Expected]:
    expense, owed = f"expense:{leg.program}", f"recoverable:{clawback.payee}"
    rest_minor = clawback.amount_minor - clawback.recovered_minor - clawback.released_minor

    def entry(kind: str, debit: str, credit: str, amount_minor: int, at: datetime | None = None) -> Expected:
        lines = _pair(debit, credit, amount_minor, clawback.currency)
        return _of(f"{kind}:{clawback.id}", leg.program, clawback.referral_id, lines, at)

    yield entry("claimed_back", owed, expense, clawback.amount_minor, clawback.created_at)
    if moved_minor := payment.moved_minor(clawback):
        yield entry("claim_moved", expense, owed, moved_minor, clawback.created_at)
    if clawback.kind == "write_off":
        yield entry("written_off", f"loss:{leg.program}", owed, clawback.amount_minor, clawback.created_at)
    if clawback.kind == "reverse" and clawback.recovered_minor:
        yield entry("recovered", f"clearing:{payment.payout.rail}", owed, clawback.recovered_minor)
        if payment.payout.rail == _OWN_CREDIT:
            credit = _pair(
                f"credit:{clawback.payee}", f"clearing:{_OWN_CREDIT}", clawback.recovered_minor, clawback.currency
            )
            referral = str(payment.payout.body.get("referral", ""))
            yield _of(f"uncredited:{clawback.provider_key}", payment.program, referral, credit)
    ended = clawback.state in _REVERSAL_ENDED and clawback.kind != "write_off"
    if ended and rest_minor:
        yield entry("claim_dropped", expense, owed, rest_minor)


def _missing(wanted: Expected) -> Iterator[str]:
    yield f"the books lack {_said(wanted.lines)}"


def _differences(wanted: Expected, posted: Entry) -> Iterator[str]:
    """Yield where an entry differs from the one that must stand there."""
    if _sorted(posted.lines) != _sorted(wanted.lines):
        yield f"the books have {_said(posted.lines)}; right would be {_said(wanted.lines)}"
    if posted.program != wanted.program:
        yield f"the entry is of program {posted.program}; right would be {wanted.program}"
    if posted.referral_id != wanted.referral:
        yield f"the entry is of referral {posted.referral_id or 'none'}; right would be {wanted.referral or 'none'}"
    if posted.description != wanted.called:
        yield f"the entry is called “{posted.description}”; right would be “{wanted.called}”"
    if posted.id != keys.entry_id(posted.key):
        yield f"the entry has the id {posted.id}; right would be {keys.entry_id(posted.key)}"
    if wanted.at is not None and not _is_when(wanted.at, wanted.after, posted):
        yield f"the entry was posted at {posted.posted_at.isoformat()}; right would be {wanted.at.isoformat()}"


def _is_when(at: datetime, after: Step | None, posted: Entry) -> bool:
    """Return whether an entry was posted at a time, or between a step and that time: a worker may be killed between."""
    if after is None:
        return posted.posted_at == at
    return after.at - SKEW <= posted.posted_at <= at + SKEW and posted.position > after.position


def _of(
    key: str,
    program: str,
    referral: str,
    lines: tuple[Line, ...],
    at: datetime | None = None,
    lost: bool = False,
    *,
    after: Step | None = None,
) -> Expected:
    kind = key.partition(":")[0]
    called = _CALLED_LOST.get(kind, _CALLED[kind]) if lost else _CALLED[kind]
    return Expected(key, called, program, referral, lines, at, after)


def _pair(debit: str, credit: str, amount_minor: int, currency: str) -> tuple[Line, ...]:
    return _sorted([Line(debit, amount_minor, currency), Line(credit, -amount_minor, currency)])


def _negated(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    return _sorted([Line(each.account, -each.amount_minor, each.currency) for each in lines])


def _sorted(lines: list[Line] | tuple[Line, ...]) -> tuple[Line, ...]:
    return tuple(sorted(lines, key=lambda each: (each.account, each.amount_minor, each.currency)))


def _said(lines: tuple[Line, ...]) -> str:
    """Return the lines of an entry in words: ``25.00 USD to expense:acme, -25.00 USD to payable:dexter``."""
    return ", ".join(f"{amount(each.amount_minor, each.currency)} to {each.account}" for each in lines) or "no line"
