"""What reversals and ended disputes took of an order (SPEC §3, Orders)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from referral_rewards.audit.reading import orders
from referral_rewards.audit.reading.told import Told, may_tell, of_type

#: An outcome against us, and the kind of reversal that tells the same loss.
_AGAINST: Final = {"lost": "chargeback_lost", "refunded": "refund", "prevented": "refund"}


@dataclass(slots=True)
class Dispute:
    """A dispute as it was told of."""

    opened: list[Told] = field(default_factory=list)
    closed: list[Told] = field(default_factory=list)

    @property
    def counted(self) -> list[Told]:
        """The closings that count: that nothing was taken may say who may also tell that it was opened."""
        return [each for each in self.closed if _outcome(each) in _AGAINST or self._may_close(each)]

    @property
    def is_doubted(self) -> bool:
        """Whether a closing does not count, and no other says that nothing was taken."""
        return len(self.counted) < len(self.closed) and self.outcome not in ("won", "inquiry_closed")

    @property
    def outcome(self) -> str | None:
        """The one against us, if several are told; of two against us the chargeback."""
        said = {_outcome(each) for each in self.counted}
        return next((word for word in (*_AGAINST, "inquiry_closed", "won") if word in said), None)

    def amount_in(self, currency: str) -> Decimal | None:
        """What its closing names, the most if several do; else what its opening does. What can't be read is nothing."""
        for said in ([e for e in self.counted if _outcome(e) == self.outcome], self.opened):
            if named := [each.data for each in said if "amount" in each.data]:
                read = [Decimal(data["amount"]) for data in named if orders.readable(data, currency)]
                return max(read, default=Decimal(0))
        return None

    @property
    def contradicts_itself(self) -> bool:
        """Whether its closings differ in what was lost."""
        losses = {_AGAINST.get(_outcome(each)) for each in self.counted}
        said = [each.data for each in self.counted if "amount" in each.data]
        amounts = {(Decimal(data["amount"]), data.get("currency")) for data in said}
        return len(losses) > 1 or (losses != {None} and len(amounts) > 1)

    def is_unreadable(self, currency: str) -> bool:
        """Whether it may take something, and names what can't be read."""
        said = [each.data for each in (*self.opened, *self.counted) if "amount" in each.data]
        may_take = not self.counted or self.outcome in _AGAINST
        return may_take and not all(orders.readable(data, currency) for data in said)

    def _may_close(self, closing: Told) -> bool:
        return all(may_tell(closing, opening) for opening in self.opened)


def disputes(known: Sequence[Told], order: str | None) -> list[Dispute]:
    """Every dispute of the order, whichever of its facts are told."""
    its = [each for each in known if each.order == order]
    found, of_id = _opened(of_type(its, "conversion.dispute_opened"))
    last: Dispute | None = None
    for closing in of_type(its, "conversion.dispute_closed"):
        dispute = _closed_by(closing, found, of_id, last)
        if dispute is None:
            dispute = Dispute()
            found.append(dispute)
        if name := closing.data.get("dispute"):
            of_id[name] = dispute
        dispute.closed.append(closing)
        last = dispute if closing in dispute.counted else last
    return found


def taken(known: Sequence[Told], order: str | None, gross: Decimal, currency: str) -> tuple[Decimal, bool]:
    """What was taken of an order of that amount, and whether what is told of it differs."""
    back, differs = orders.standing(known, order, gross, currency)
    ends = disputes(known, order)
    differs = differs or any(e.contradicts_itself or e.is_doubted or e.is_unreadable(currency) for e in ends)
    total = Decimal(0)
    for kind in sorted({each.kind for each in back} | set(_AGAINST.values())):
        told = [each.amount for each in back if each.kind == kind]
        lost = [each for each in ends if _AGAINST.get(each.outcome or "") == kind]
        unnamed = sum(told, Decimal(0)) if kind == "refund" and told else gross
        amounts = [unnamed if (named := each.amount_in(currency)) is None else named for each in lost]
        total += max(sum(told, Decimal(0)), sum(amounts, Decimal(0)))
        differs = differs or bool(told and amounts and sum(told) != sum(amounts))
    return total, differs


def takes_any(known: Sequence[Told], order: str | None) -> bool:
    """Whether anything was taken of an order without an amount."""
    back, _ = orders.standing(known, order, None, None)
    return bool(back) or any(each.outcome in _AGAINST for each in disputes(known, order))


def _opened(openings: Sequence[Told]) -> tuple[list[Dispute], dict[str, Dispute]]:
    """The disputes that were opened, and by their ids. An id names one dispute, however often it is told of."""
    found, of_id = list[Dispute](), dict[str, Dispute]()
    for each in openings:
        name = each.data.get("dispute")
        dispute = of_id.get(name) if name else None
        if dispute is None:
            dispute = Dispute()
            found.append(dispute)
        dispute.opened.append(each)
        if name:
            of_id[name] = dispute
    return found, of_id


def _closed_by(
    closing: Told, found: Sequence[Dispute], of_id: dict[str, Dispute], last: Dispute | None
) -> Dispute | None:
    """The dispute that a closing ends: of its id, else the earliest open one; with none open the one ended before."""
    able = [each for each in found if each.opened and not each.counted and each.opened[0].at <= closing.at]
    name = closing.data.get("dispute")
    if not name:
        return next(iter(able), last)
    if name in of_id:
        return of_id[name]
    return next((each for each in able if not each.opened[0].data.get("dispute")), None)


def _outcome(closing: Told) -> str:
    return str(closing.data["outcome"]).lower()
