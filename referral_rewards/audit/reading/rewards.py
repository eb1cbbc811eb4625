"""The amounts of a reward claim: rates, caps, and what is left of the limits (SPEC §5, Amounts)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from referral_rewards.audit.reading import arithmetic
from referral_rewards.audit.reading.told import Terms


@dataclass(frozen=True, slots=True)
class Leg:
    """One reward to one beneficiary; None for a referee whose customer id nobody has named, or an unknown referrer."""

    role: str
    beneficiary: str | None
    kind: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Held:
    """A leg that an approval holds."""

    referral: str
    program: str
    referrer: str
    order: str
    role: str
    amount_minor: int
    approved_at: datetime


@dataclass(slots=True)
class Reckoned:
    """The legs, and why they are not what the rates alone would give."""

    legs: list[Leg] = field(default_factory=list)
    partner: bool = False
    capped: bool = False
    cap_reached: bool = False
    budgeted: bool = False
    budget_exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What the amounts are made from.

    ``held`` are the program's other live legs, ``count`` what assembly froze of the referrer's rewards. ``added_minor``
    is what people added to the budget. ``foreign``: the order is in another currency than the program.
    """

    terms: Terms
    referrer: str | None
    customer: str | None
    partner: str | None
    earned_at: datetime
    net: Decimal | None
    held: Sequence[Held]
    count: int | None
    now: datetime
    foreign: bool = False
    added_minor: int = 0

    def result(self) -> Reckoned:
        """The legs, after every limit."""
        found = Reckoned(partner=self._partner_rate() is not None and "referrer" in self.terms["rewards"])
        return self._within_budget(found, self._within_cap(found, self.promised()))

    def promised(self) -> list[Leg]:
        """What the rates give, before any limit that is shared with others."""
        wanted = []
        for role, beneficiary in (("referrer", self.referrer), ("referee", self.customer)):
            rule = self.terms["rewards"].get(role)
            if rule is None:
                continue
            own = self._partner_rate() if role == "referrer" else None
            amount = self._amount(own if own is not None else self._rate(rule))
            if amount > 0:
                wanted.append(Leg(role, beneficiary, rule["kind"], amount))
        return wanted

    def _rate(self, rule: Mapping[str, Any]) -> Mapping[str, Any]:
        tiers = rule.get("tiers")
        if not tiers:
            return rule
        if self.foreign and "from_amount" in tiers[0]:
            return {"amount": "0"}  # nobody can tell which tier its amount reaches
        reached: list[Mapping[str, Any]] = [tier for tier in tiers if self._reaches(tier)]
        return reached[-1]  # tiers ascend, and the first starts at 0

    def _reaches(self, tier: Mapping[str, Any]) -> bool:
        if "from_rewarded" in tier:
            return self._rewards_so_far() >= int(tier["from_rewarded"])
        return (self.net or Decimal(0)) >= Decimal(tier["from_amount"])

    def _rewards_so_far(self) -> int:
        """The referrer's approved rewards when the claim was first assembled."""
        return len(self._of_referrer()) if self.count is None else self.count

    def _of_referrer(self) -> list[Held]:
        return [each for each in self.held if each.role == "referrer" and each.referrer == self.referrer]

    def _partner_rate(self) -> Mapping[str, Any] | None:
        day = self.earned_at.astimezone(arithmetic.zone_of(self.terms)).date()
        for one in self.terms.get("partners") or ():
            starts, ends = _day(one["valid_from"]), one.get("valid_until")
            if one["partner"] == self.partner and starts <= day and (ends is None or day < _day(ends)):
                rate: Mapping[str, Any] = one
                return rate
        return None

    def _amount(self, rate: Mapping[str, Any]) -> int:
        if rate.get("amount") is not None:
            amount = self._minor(rate["amount"])
        elif self.net is None or self.foreign:
            return 0
        else:
            share = self._scaled(self.net) * Decimal(str(rate["percent"])) / 100
            amount = int(share.quantize(Decimal(1), ROUND_HALF_UP))
            if rate.get("cap") is not None:
                amount = min(amount, self._minor(rate["cap"]))
        if (per_reward := self._limits.get("per_reward")) is not None:
            amount = min(amount, self._minor(per_reward))
        return amount

    def _within_cap(self, found: Reckoned, wanted: Sequence[Leg]) -> list[Leg]:
        """What of the wanted legs the referrer's cap leaves."""
        legs = []
        for leg in wanted:
            left = self.cap_left(self._of_referrer(), self.now) if leg.role == "referrer" else None
            if left is not None and left <= 0:
                found.cap_reached = True
                continue
            found.capped = found.capped or (left is not None and leg.amount_minor > left)
            legs.append(leg if left is None else replace(leg, amount_minor=min(leg.amount_minor, left)))
        if found.cap_reached and legs:
            # The text leaves open what a cap that is used up does to the referee's leg. As the product has it: that
            # leg is the part that is left, so that a person looks.
            found.cap_reached, found.capped = False, True
        return legs

    def _within_budget(self, found: Reckoned, legs: Sequence[Leg]) -> Reckoned:
        """What of them the program's budget leaves, the referrer's leg first."""
        if self._limits.get("budget") is None:
            found.legs = list(legs)
            return found
        left = self._minor(self._limits["budget"]) + self.added_minor - sum(each.amount_minor for each in self.held)
        found.budget_exhausted = bool(legs) and left <= 0
        for leg in legs:
            granted = max(0, min(leg.amount_minor, left))
            found.budgeted |= granted < leg.amount_minor and not found.budget_exhausted
            left -= granted
            if granted:
                found.legs.append(replace(leg, amount_minor=granted))
        return found

    def cap_left(self, own: Sequence[Held], now: datetime) -> int | None:
        """Minor units that the cap leaves to the referrer who has these; 0 when the count is used up, None without an
        end."""
        limit = self._limits.get("per_referrer")
        if limit is None:
            return None
        within = [e for e in own if now < arithmetic.end(e.approved_at, limit["period"], self.terms)]
        if limit.get("rewards") is not None and len(within) >= limit["rewards"]:
            return 0
        if limit.get("amount") is not None:
            return self._minor(limit["amount"]) - sum(each.amount_minor for each in within)
        return None

    @property
    def _limits(self) -> Mapping[str, Any]:
        return self.terms.get("limits") or {}

    def _minor(self, amount: str) -> int:
        return int(self._scaled(Decimal(str(amount))))

    def _scaled(self, amount: Decimal) -> Decimal:
        return arithmetic.scaled(amount, self.terms["currency"])


def _day(said: str | date) -> date:
    """A day of the terms, which YAML may have read already."""
    return said if isinstance(said, date) else date.fromisoformat(said)
