"""A second reading of SPEC §3, "Orders": what reversals and ended disputes took of an order, from the text alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests import oracle_of_orders
from tests.telling import may_tell

Event = Mapping[str, Any]

#: An outcome against us, and the kind of reversal that tells the same loss.
_AGAINST = {"lost": "chargeback_lost", "refunded": "refund", "prevented": "refund"}


@dataclass
class Ended:
    """A dispute as it was told of."""

    opened: list[Event] = field(default_factory=list)
    closed: list[Event] = field(default_factory=list)

    @property
    def counted(self) -> list[Event]:
        """The closings that count: that nothing was taken may say who may also tell that it was opened."""
        return [
            each
            for each in self.closed
            if each["data"]["outcome"] in _AGAINST or all(may_tell(each, opening) for opening in self.opened)
        ]

    @property
    def is_doubted(self) -> bool:
        """Whether a closing does not count, and no other says that nothing was taken."""
        return len(self.counted) < len(self.closed) and self.outcome not in ("won", "inquiry_closed")

    @property
    def outcome(self) -> str | None:
        """The one against us, if several are told; of two against us the chargeback."""
        said = {each["data"]["outcome"] for each in self.counted}
        return next((word for word in (*_AGAINST, "inquiry_closed", "won") if word in said), None)

    def amount_in(self, currency: str) -> Decimal | None:
        """What its closing names, the most if several do; else what its opening does. What can't be read is nothing."""
        for said in ([e for e in self.counted if e["data"]["outcome"] == self.outcome], self.opened):
            if named := [e["data"] for e in said if "amount" in e["data"]]:
                read = [Decimal(data["amount"]) for data in named if oracle_of_orders.readable(data, currency)]
                return max(read, default=Decimal(0))
        return None

    @property
    def contradicts_itself(self) -> bool:
        losses = {_AGAINST.get(each["data"]["outcome"]) for each in self.counted}
        said = [each["data"] for each in self.counted if "amount" in each["data"]]
        amounts = {(Decimal(data["amount"]), data.get("currency")) for data in said}
        return len(losses) > 1 or (losses != {None} and len(amounts) > 1)


def disputes(known: Sequence[Event], order: str) -> list[Ended]:
    """Every dispute of the order, whichever of its facts are told."""
    its = [e for e in known if e["data"].get("order") == order]
    openings = _in_time(e for e in its if e["type"] == "conversion.dispute_opened")
    closings = _in_time(e for e in its if e["type"] == "conversion.dispute_closed")
    found, of_id = [], dict[str, Ended]()
    for each in openings:  # an id names one dispute, however often it is told of
        name = each["data"].get("dispute")
        dispute = of_id.get(name) if name else None
        if dispute is None:
            dispute = Ended()
            found.append(dispute)
        dispute.opened.append(each)
        if name:
            of_id[name] = dispute
    opened_ids = set(of_id)
    last: Ended | None = None
    for each in closings:
        name, moment = each["data"].get("dispute"), _at(each)
        able = [d for d in found if d.opened and not d.counted and _at(d.opened[0]) <= moment]
        if name:
            dispute = of_id.get(name)
            if dispute is None:
                dispute = next((d for d in able if not d.opened[0]["data"].get("dispute")), None)
        else:
            dispute = next(iter(able), last)  # with none open it repeats the one that ended before
        if dispute is None:
            dispute = Ended()
            found.append(dispute)
        if name:
            of_id[name] = dispute
        dispute.closed.append(each)
        last = dispute if each in dispute.counted else last
    assert opened_ids <= of_id.keys()
    return found


def taken(known: Sequence[Event], order: str, gross: Decimal, currency: str) -> tuple[Decimal, bool]:
    """What was taken of an order of that amount, and whether what is told of it differs."""
    back, differs = oracle_of_orders.standing(known, order, gross, currency)
    ends = disputes(known, order)
    total = Decimal(0)
    differs = differs or any(each.contradicts_itself or each.is_doubted for each in ends)
    for each in ends:
        said = [e["data"] for e in (*each.opened, *each.counted) if "amount" in e["data"]]
        may_take = not each.counted or each.outcome in _AGAINST
        differs = differs or (may_take and not all(oracle_of_orders.readable(data, currency) for data in said))
    for kind in sorted({kind for kind, _ in back} | set(_AGAINST.values())):
        told = [amount for its, amount in back if its == kind]
        lost = [each for each in ends if each.outcome in _AGAINST and _AGAINST[each.outcome] == kind]
        unnamed = sum(told, Decimal(0)) if kind == "refund" and told else gross
        amounts = [unnamed if (named := each.amount_in(currency)) is None else named for each in lost]
        total += max(sum(told, Decimal(0)), sum(amounts, Decimal(0)))
        differs = differs or bool(told and amounts and sum(told) != sum(amounts))
    return total, differs


def takes_any(known: Sequence[Event], order: str) -> bool:
    """Whether anything was taken of an order without an amount."""
    back, _ = oracle_of_orders.standing(known, order, None, None)
    return bool(back) or any(each.outcome in _AGAINST for each in disputes(known, order))


def _in_time(events: Any) -> list[Event]:
    return sorted(events, key=lambda e: (_at(e), e["source"], e["id"]))


def _at(event: Event) -> datetime:
    return datetime.fromisoformat(event["time"]).astimezone(UTC)
