"""The part of the cast that is told by webhooks: what the sandboxes of Shopify and Stripe Checkout sell."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict

from referral_rewards.domain.labels.sentences import counted
from referral_rewards.local.demo.api import Api
from referral_rewards.local.sandbox.shops.delivery import Delivery, as_they_come, deliver
from referral_rewards.local.sandbox.shops.sale import Sale, Seller
from referral_rewards.local.sandbox.shops.shopify import Shopify
from referral_rewards.local.sandbox.shops.stripe_checkout import StripeCheckout
from referral_rewards.local.sandbox.webhooks import Sign

_CURRENCY: Final = "USD"


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime


class Sell(_Step):
    """A sale, and whose webhooks tell of it."""

    sell: int
    by: tuple[Seller, ...]
    email: str
    goods: Decimal
    tax: Decimal = Decimal("0.00")
    shipping: Decimal = Decimal("0.00")
    code: str | None = None


class Edit(_Step):
    """An order of the shop's that is worth more from now on."""

    edit: int
    goods: Decimal


class GiveBack(_Step):
    """A refund by its number, and whose webhooks tell of it."""

    give_back: int
    by: tuple[Seller, ...]
    number: int
    goods: Decimal
    tax: Decimal = Decimal("0.00")


class Dispute(_Step):
    """A dispute at Stripe, and how it ended."""

    dispute: int
    number: int
    amount: Decimal
    outcome: str
    ended_at: AwareDatetime


class Sales(BaseModel):
    """What is sold, and what the referral site tells before. Deliveries are shuffled by ``seed``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    facts: tuple[dict[str, Any], ...]
    steps: tuple[Sell | Edit | GiveBack | Dispute, ...]

    @classmethod
    def load(cls, path: Path) -> "Sales":
        """Load them from their file."""
        return cls.model_validate(yaml.safe_load(path.read_text()))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The facts of the referral site, as it posts them."""
        return [{"specversion": "1.0", "source": "acme/site", **each} for each in self.facts]

    @property
    def deliveries(self) -> list[Delivery]:
        """All webhooks, in the order in which they come."""
        sellers = _Sellers()
        told = [delivery for step in self.steps for delivery in sellers.told(step, self._program)]
        return as_they_come(told, self.seed)

    @property
    def _program(self) -> str:
        """The program of their codes: all come by codes of one."""
        (program,) = {each["data"]["program"] for each in self.facts if each["type"] == "referrer.enrolled"}
        return str(program)


@dataclass
class _Sellers:
    shop: Shopify = field(default_factory=Shopify)
    checkout: StripeCheckout = field(default_factory=StripeCheckout)

    def told(self, step: Sell | Edit | GiveBack | Dispute, program: str) -> list[Delivery]:
        """Return what is told of a step by whoever tells of it."""
        match step:
            case Sell():
                sale = Sale(
                    step.sell,
                    step.at,
                    step.email,
                    step.goods,
                    step.tax,
                    step.shipping,
                    code=step.code,
                    program=program if step.code else None,
                )
                both = len(step.by) > 1
                told = self.shop.sell(sale) if Seller.SHOP in step.by else []
                return told + (self.checkout.sell(sale, names_order=both) if Seller.CHECKOUT in step.by else [])
            case Edit():
                return self.shop.edit(step.edit, step.goods, step.at)
            case GiveBack():
                its = (step.give_back, step.number)
                told = self.shop.give_back(*its, step.goods, step.tax, step.at) if Seller.SHOP in step.by else []
                given = step.goods + step.tax
                return told + (
                    self.checkout.give_back(*its, given, _CURRENCY, step.at) if Seller.CHECKOUT in step.by else []
                )
            case Dispute():
                its = (step.dispute, step.number)
                return self.checkout.dispute(*its, step.amount, _CURRENCY, step.at, step.outcome, step.ended_at)


async def take_in(api: Api, url: str, sales: Sales, signs: Mapping[str, Sign]) -> str:
    """Tell what the site tells, deliver every webhook, and return what became of them, in words."""
    for event in sales.events:
        await api.tell(event)
    answers = await deliver(url, sales.deliveries, signs)
    said = ", ".join(f"{number} {answer}" for answer, number in sorted(answers.items()))
    return f"{counted(answers.total(), 'webhook')} of a Shopify shop and of Stripe have come, shuffled: {said}"
