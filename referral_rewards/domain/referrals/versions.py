"""What we and a source each know of an order, side by side, and where the two differ (SPEC §4.4, §5).

A version names nobody: it holds amounts and states alone, so that it can stand wherever an answer does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from referral_rewards.domain import money
from referral_rewards.domain.facts.events import Event, Fact
from referral_rewards.domain.facts.payloads import DisputeOutcome, FactType
from referral_rewards.domain.referrals.conversions import Conversion
from referral_rewards.domain.referrals.disputes import DisputeState

#: Taken back of an order without an amount.
WHOLE: Final = "all"


@dataclass(frozen=True, slots=True)
class Version:
    """An order as one side knows it. What a side does not say is None.

    ``amount`` is what the order was worth before anything was taken back, ``taken_back`` what was since, both decimal
    strings in ``currency``; of an order without an amount `WHOLE` is taken back. ``disputed`` says whether a dispute is
    open. ``ended_at`` is when its account was closed or its subscription ended.
    """

    is_known: bool = True
    amount: str | None = None
    currency: str | None = None
    taken_back: str | None = None
    disputed: bool | None = None
    ended_at: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values, without what the side does not say."""
        said = {name: getattr(self, name) for name in ("amount", "currency", "taken_back", "disputed")}
        said["ended_at"] = self.ended_at.isoformat() if self.ended_at is not None else None
        return {"is_known": self.is_known, **{name: value for name, value in said.items() if value is not None}}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Version":
        """Return the version that `as_json` wrote."""
        ended_at = said.get("ended_at")
        return cls(**{**said, "ended_at": datetime.fromisoformat(ended_at) if ended_at is not None else None})


UNKNOWN: Final = Version(is_known=False)


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What our register holds of an order when its source is asked.

    ``ours`` is our version, None if the order was only reported. ``facts`` are those on record about it. ``names`` are
    the vendor's names that are linked to it, as of its payments. ``until`` is the end of the return period: what ends
    an order's account or subscription later contradicts nothing. ``customer`` is the referee's id.
    """

    ours: Version | None = None
    facts: tuple[Fact, ...] = ()
    names: tuple[str, ...] = ()
    until: datetime | None = None
    customer: str | None = None


NOTHING: Final = OnRecord()


class Line(NamedTuple):
    """One line of two versions side by side, in words; ``differs`` if both say something and not the same."""

    what: str
    ours: str
    theirs: str
    differs: bool


def ours(q: Conversion) -> Version:
    """Return our version of a conversion."""
    taken: str | None
    if q.gross_minor is None or q.net_minor is None or q.currency is None:
        taken = WHOLE if q.taken_by else None
        return Version(taken_back=taken, disputed=_is_disputed(q))
    taken = money.written(money.from_minor(q.gross_minor - q.net_minor, q.currency))
    amount = money.written(money.from_minor(q.gross_minor, q.currency))
    return Version(amount=amount, currency=q.currency, taken_back=taken, disputed=_is_disputed(q))


def _is_disputed(q: Conversion) -> bool:
    return any(each.state is DisputeState.OPEN for each in q.disputes)


def told_by(facts: Iterable[Event]) -> Version:
    """Return the version of a source that told these facts about an order; `UNKNOWN` without any.

    Its disputes and reversals are those that it tells itself. A reversal without an amount takes all.
    """
    its = sorted(facts, key=lambda each: (each.occurred_at, each.event_id))
    if not its:
        return UNKNOWN
    kinds = (FactType.CONVERSION_RECORDED, FactType.CONVERSION_AMENDED)  # an amendment stands, whenever it is dated
    worth = [each.public for kind in kinds for each in its if each.type is kind]
    named = [each for each in worth if each.get("amount") is not None]
    amount = money.written(money.parse_decimal(named[-1]["amount"])) if named else None
    currency = next((found for each in its if (found := each.public.get("currency")) is not None), None)
    closed = {each.public.get("dispute") for each in its if each.type is FactType.DISPUTE_CLOSED}
    opened = {each.public.get("dispute") for each in its if each.type is FactType.DISPUTE_OPENED}
    return Version(
        amount=amount,
        currency=currency,
        taken_back=_taken_back(its, amount),
        disputed=bool(opened - closed),
    )


def _taken_back(its: Iterable[Event], amount: str | None) -> str | None:
    told = list(its)
    failed = {each.public.get("reversal") for each in told if each.type is FactType.REVERSAL_FAILED}
    counted = [
        each.public
        for each in told
        if (each.type is FactType.CONVERSION_REVERSED and each.public.get("reversal", each.id) not in failed)
        or (each.type is FactType.DISPUTE_CLOSED and each.public.get("outcome") == DisputeOutcome.LOST)
    ]
    if any(each.get("amount") is None for each in counted):
        return amount or WHOLE
    if amount is None and not counted:
        return None
    taken = sum((money.parse_decimal(each["amount"]) for each in counted), Decimal(0))
    return money.written(taken if amount is None else min(taken, money.parse_decimal(amount)))


def side_by_side(mine: Version | None, theirs: Version) -> tuple[Line, ...]:
    """Return both versions line by line: what either says. ``mine`` is None if we knew no order."""
    our = mine if mine is not None else UNKNOWN
    rows = (
        ("order", _known(our), _known(theirs)),
        ("amount", _amount(our), _amount(theirs)),
        ("taken back", _in_currency(our, our.taken_back), _in_currency(theirs, theirs.taken_back)),
        ("dispute", _dispute(our), _dispute(theirs)),
        ("ended", _when(our), _when(theirs)),
    )
    return tuple(
        Line(what, mine or "not said", other or "not said", bool(mine and other and mine != other))
        for what, mine, other in rows
        if mine or other
    )


def differences(mine: Version, theirs: Version, until: datetime | None) -> tuple[str, ...]:
    """Return in words where two versions differ in a way that no fact settles; empty if they agree.

    A source that knows of more taken back tells it as a fact. One that knows of less contradicts.
    """
    found: list[str] = []
    if theirs.currency is not None and mine.currency is not None and theirs.currency != mine.currency:
        found.append(f"its currency is {theirs.currency}, ours {mine.currency}")
    elif theirs.amount is not None and theirs.amount != mine.amount:
        found.append(f"its amount is {_amount(theirs)}, ours {_amount(mine) or 'none'}")
    elif theirs.taken_back is not None and _minor(theirs.taken_back) < _minor(mine.taken_back):
        found.append(f"of it {theirs.taken_back} was taken back, by our record {mine.taken_back}")
    return (*found, *ended_early(mine, theirs, until))


def ended_early(mine: Version, theirs: Version, until: datetime | None) -> tuple[str, ...]:
    """Return in words that an order with an amount ended for the future within the return period, if it did.

    No fact tells that: what ends a subscription for the future takes nothing back. Of an order without an amount its
    cancellation does (SPEC §3).
    """
    ended = theirs.ended_at
    if ended is None or mine.amount is None or (until is not None and ended >= until):
        return ()
    return (f"its account was closed or its subscription ended on {ended:%Y-%m-%d}, within the return period",)


def _minor(amount: str | None) -> Decimal:
    if amount == WHOLE:
        return Decimal("Infinity")
    return Decimal(amount or 0)


def _known(version: Version) -> str:
    return "known" if version.is_known else "not known"


def _amount(version: Version) -> str:
    return _in_currency(version, version.amount)


def _in_currency(version: Version, amount: str | None) -> str:
    if amount is None:
        return ""
    if amount == WHOLE or version.currency is None:
        return amount
    return f"{Decimal(amount):.{money.exponent(version.currency)}f} {version.currency}"


def _dispute(version: Version) -> str:
    return {None: "", True: "open", False: "none open"}[version.disputed]


def _when(version: Version) -> str:
    return f"{version.ended_at:%Y-%m-%d}" if version.ended_at is not None else ""
