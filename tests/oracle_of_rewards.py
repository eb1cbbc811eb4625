"""The amounts of a reward claim by SPEC §5, from the text alone: rates, caps, and what is left of the limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from tests import oracle
from tests.oracle import Terms


@dataclass(frozen=True)
class Leg:
    """One reward to one beneficiary; None for a referee whose customer id nobody has named."""

    role: str
    beneficiary: str | None
    kind: str
    amount_minor: int


@dataclass(frozen=True)
class Held:
    """A leg that an approval holds."""

    referral: str
    program: str
    referrer: str
    order: str
    role: str
    amount_minor: int
    approved_at: datetime


@dataclass
class Reckoned:
    """The legs, and why they are not what the rates alone would give."""

    legs: list[Leg] = field(default_factory=list)
    partner: bool = False
    capped: bool = False
    cap_reached: bool = False
    budgeted: bool = False
    budget_exhausted: bool = False


@dataclass
class Reckoning:
    """What the amounts are made from. ``held`` are the program's other live legs, ``count`` what assembly froze."""

    terms: Terms
    referrer: str
    customer: str | None
    partner: str | None
    earned_at: datetime
    net: Decimal | None
    held: Sequence[Held]
    count: int | None
    now: datetime
    foreign: bool = False  # the order is in another currency than the program

    def result(self) -> Reckoned:
        found = Reckoned()
        wanted: list[Leg] = []
        for role, beneficiary in (("referrer", self.referrer), ("referee", self.customer)):
            rule = self.terms["rewards"].get(role)
            if rule is None:
                continue
            rate = self._rate(rule)
            if role == "referrer" and (own := self._partner_rate()) is not None:
                rate, found.partner = own, True
            amount = self._amount(rate)
            if amount > 0:
                wanted.append(Leg(role, beneficiary, rule["kind"], amount))
        return self._limited(found, wanted)

    def _rate(self, rule: Mapping[str, Any]) -> Mapping[str, Any]:
        if "tiers" not in rule:
            return rule
        if self.foreign and "from_amount" in rule["tiers"][0]:
            return {"amount": "0"}  # nobody can tell which tier its amount reaches
        reached = [tier for tier in rule["tiers"] if self._reaches(tier)]
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
        day = self.earned_at.astimezone(oracle._zone(self.terms["timezone"])).date()
        for one in self.terms.get("partners", ()):
            starts, ends = date.fromisoformat(one["valid_from"]), one.get("valid_until")
            if one["partner"] == self.partner and starts <= day and (ends is None or day < date.fromisoformat(ends)):
                return one
        return None

    def _amount(self, rate: Mapping[str, Any]) -> int:
        if "amount" in rate:
            amount = self._minor(rate["amount"])
        elif self.net is None or self.foreign:
            return 0
        else:
            share = self._scaled(self.net) * Decimal(rate["percent"]) / 100
            amount = int(share.quantize(Decimal(1), ROUND_HALF_UP))
            if "cap" in rate:
                amount = min(amount, self._minor(rate["cap"]))
        if (per_reward := self.terms.get("limits", {}).get("per_reward")) is not None:
            amount = min(amount, self._minor(per_reward))
        return amount

    def _limited(self, found: Reckoned, wanted: list[Leg]) -> Reckoned:
        """What of the wanted legs the referrer's cap leaves, then the program's budget, the referrer's leg first."""
        limits = self.terms.get("limits", {})
        legs = []
        for leg in wanted:
            if leg.role == "referrer" and "per_referrer" in limits:
                left = self._cap_left(limits["per_referrer"])
                if left is not None and left <= 0:
                    found.cap_reached = True
                    continue
                if left is not None and leg.amount_minor > left:
                    leg, found.capped = Leg(leg.role, leg.beneficiary, leg.kind, left), True
            legs.append(leg)
        if found.cap_reached and legs:
            # The text leaves open what a cap that is used up does to the referee's leg. As the product has it: that
            # leg is the part that is left, so that a person looks.
            found.cap_reached, found.capped = False, True
        if "budget" in limits:
            left = self._minor(limits["budget"]) - sum(each.amount_minor for each in self.held)
            found.budget_exhausted = bool(legs) and left <= 0
            for leg in legs:
                granted = max(0, min(leg.amount_minor, left))
                found.budgeted |= granted < leg.amount_minor and not found.budget_exhausted
                left -= granted
                if granted:
                    found.legs.append(Leg(leg.role, leg.beneficiary, leg.kind, granted))
        else:
            found.legs = legs
        return found

    def _cap_left(self, limit: Mapping[str, Any]) -> int | None:
        """Minor units left to the referrer in the rolling period; 0 when the count is used up, None without an end."""
        within = [e for e in self._of_referrer() if self.now < oracle.end(e.approved_at, limit["period"], self.terms)]
        if "rewards" in limit and len(within) >= limit["rewards"]:
            return 0
        if "amount" in limit:
            return self._minor(limit["amount"]) - sum(each.amount_minor for each in within)
        return None

    def _minor(self, amount: str) -> int:
        return int(self._scaled(Decimal(amount)))

    def _scaled(self, amount: Decimal) -> Decimal:
        return amount.scaleb(oracle._DECIMALS.get(self.terms["currency"], 2))
