"""Compares the outcome of a referral with the expectation, field by field."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from referral_rewards.domain import money
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.local.demo.script import Expectation

_S = ReferralStatus

#: Statuses that last only for moments. Whether one is observed is a matter of chance.
_PASSING: Final = frozenset({_S.IN_REVIEW, _S.APPROVED, _S.PAYING})
#: Statuses without a qualifying conversion.
_WITHOUT_CONVERSION: Final = frozenset({_S.INVITED, _S.PURCHASED_UNCLAIMED, _S.CLAIMED, _S.EXPIRED})
_BEFORE_A_PERSON: Final = frozenset({_S.AWAITING_APPROVAL, _S.ON_HOLD})


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of one referral: as listed before any decision and at the end, both in the form of `list --json`.

    ``decided`` is what its approvers did, ``queued`` its kinds of entry in the queue, ``history`` all its statuses.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    decided: str
    queued: tuple[str, ...]
    history: tuple[str, ...]


class Difference(NamedTuple):
    """A field that differs from the expectation, in readable form."""

    field: str
    expected: str
    found: str


def differences(expected: Expectation, found: Found, currency: str) -> list[Difference]:
    """Return every field that is not as expected. ``currency`` is the program's."""
    return [
        Difference(field, _plain(wanted), _plain(seen))
        for field, wanted, seen in _pairs(expected, found, currency)
        if wanted != seen
    ]


def _pairs(expected: Expectation, found: Found, currency: str) -> Iterable[tuple[str, Any, Any]]:
    before, after = found.before, found.after
    conversion, claim = before["conversion"] or {}, before["claim"] or {}
    yield "status", expected.status, before["status"]
    yield "reason", expected.reason, before["reason"]
    if expected.says("order") or expected.status in _WITHOUT_CONVERSION:
        yield "order", expected.order, conversion.get("order")
    if expected.says("net"):
        net = None if expected.net is None else f"{expected.net} {expected.currency or currency}"
        yield "net", net, _amount(conversion.get("net_minor"), conversion.get("currency"))
    if expected.says("legs") or expected.status in _BEFORE_A_PERSON:
        yield "legs", _promised(expected, currency), legs(claim.get("legs", []))
    if expected.flags is not None:
        yield "flags", expected.flags, tuple(sorted(claim.get("flags", [])))
    if expected.recommends is not None:
        yield "recommends", expected.recommends, claim.get("recommendation")
    yield "decision", expected.decision, found.decided
    yield "after", expected.after, after["status"]
    if expected.says("reason_after") or expected.after is expected.status:
        yield "reason after", expected.reason_after or expected.reason, after["reason"]
    rewarded = expected.after is _S.REWARDED
    yield "paid", _paid_if(rewarded, expected, currency), [_payout(each) for each in after["payouts"]]
    if expected.over:
        yield "over", expected.over, tuple(each["rail"] for each in after["payouts"])
    queued = {*(["approval"] if expected.after in _BEFORE_A_PERSON else []), *filter(None, [expected.exception])}
    yield "in the queue as", sorted(queued), sorted(set(found.queued))
    if expected.passes is not None:
        yield "passes", list(expected.passes), lasting(found.history)


def lasting(history: Iterable[str]) -> list[str]:
    """Return the lasting statuses of a history, without immediate repeats."""
    seen: list[str] = []
    for status in history:
        if status not in _PASSING and (not seen or seen[-1] != status):
            seen.append(status)
    return seen


def legs(claimed: Iterable[dict[str, Any]]) -> list[str]:
    """Return the legs of a claim, one text each: role, kind, amount."""
    return [f"{leg['role']} {leg['kind']} {_amount(leg['amount_minor'], leg['currency'])}" for leg in claimed]


def _promised(expected: Expectation, currency: str) -> list[str]:
    return [f"{role} {kind} {amount} {currency}" for role, kind, amount in expected.legs]


def _paid_if(rewarded: bool, expected: Expectation, currency: str) -> list[str]:
    return [f"{role} settled {amount} {currency}" for role, _, amount in expected.legs] if rewarded else []


def _payout(payout: dict[str, Any]) -> str:
    return f"{payout['role']} {payout['state']} {_amount(payout['amount_minor'], payout['currency'])}"


def _amount(amount_minor: int | None, currency: str | None) -> str | None:
    if amount_minor is None or currency is None:
        return None
    return f"{money.from_minor(amount_minor, currency)} {currency}"


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value)
