"""The rails that terms may name: which kinds of reward each can pay, in which currencies and in which steps.

An installation need not have connected them all: `referral_rewards.rails.connected` says which it has.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from referral_rewards.domain import money
from referral_rewards.domain.programs.sections import RewardKind

_CASH, _CREDIT, _DISCOUNT, _GIFT_CARD = RewardKind.CASH, RewardKind.CREDIT, RewardKind.DISCOUNT, RewardKind.GIFT_CARD


class RailFacts(NamedTuple):
    """What a rail can pay. ``currencies`` is None where the provider names none that it leaves out.

    ``steps`` are the minor units in which the provider takes a currency, where that is not each single one: its
    exponents are not always those of ISO 4217.
    """

    kinds: frozenset[RewardKind]
    currencies: frozenset[str] | None = None
    steps: Mapping[str, int] = {}


#: Stripe takes ariary as if they had no decimals, and three decimals only with a trailing zero.
_STRIPE_STEPS: Final[Mapping[str, int]] = {"MGA": 100, "BHD": 10, "JOD": 10, "KWD": 10, "OMR": 10, "TND": 10}
#: Forints and Taiwan dollars reach a bank account whole.
_STRIPE_CASH_STEPS: Final[Mapping[str, int]] = {**_STRIPE_STEPS, "HUF": 100, "TWD": 100}
#: https://developer.paypal.com/docs/reports/reference/paypal-supported-currencies/
_PAYPAL_CURRENCIES: Final = frozenset(
    (
        *("AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "JPY", "MXN", "MYR"),
        *("NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TWD", "USD"),
    )
)

#: What its products can be had in: https://developers.tremendous.com/reference/list-products.
_TREMENDOUS_CURRENCIES: Final = frozenset(
    (
        *("AED", "AFN", "ALL", "AMD", "ARS", "AUD", "AZN", "BAM", "BDT", "BHD", "BIF", "BND", "BOB", "BRL", "BWP"),
        *("BYN", "BZD", "CAD", "CDF", "CHF", "CLP", "CNY", "COP", "CRC", "CVE", "CZK", "DJF", "DKK", "DOP", "DZD"),
        *("EGP", "ERN", "ETB", "EUR", "GBP", "GEL", "GHS", "GNF", "GTQ", "HKD", "HNL", "HRK", "HUF", "IDR", "ILS"),
        *("INR", "IQD", "IRR", "ISK", "JMD", "JOD", "JPY", "KES", "KHR", "KRW", "KWD", "KZT", "LBP", "LKR", "MAD"),
        *("MDL", "MGA", "MKD", "MMK", "MOP", "MUR", "MXN", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR", "NZD"),
        *("OMR", "PAB", "PEN", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD", "RUB", "RWF", "SAR", "SDG", "SEK"),
        *("SGD", "SOS", "SYP", "THB", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS"),
        *("VEF", "VND", "XAF", "XOF", "YER", "ZAR"),
    )
)

CATALOGUE: Final[Mapping[str, RailFacts]] = {
    "account_credit": RailFacts(frozenset({_CREDIT})),
    "manual": RailFacts(frozenset(RewardKind)),
    "paypal_payouts": RailFacts(frozenset({_CASH}), _PAYPAL_CURRENCIES, {"HUF": 100, "TWD": 100}),
    "stripe_balance": RailFacts(frozenset({_CREDIT}), None, _STRIPE_STEPS),
    "stripe_promotion": RailFacts(frozenset({_DISCOUNT}), None, _STRIPE_STEPS),
    "stripe_transfer": RailFacts(frozenset({_CASH}), None, _STRIPE_CASH_STEPS),
    "tremendous": RailFacts(frozenset({_GIFT_CARD}), _TREMENDOUS_CURRENCIES),
}

#: Whose rail it is, where it is an outside party's: all of one provider's share its limit of requests.
PROVIDERS: Final[Mapping[str, str]] = {
    "paypal_payouts": "paypal",
    "stripe_balance": "stripe",
    "stripe_promotion": "stripe",
    "stripe_transfer": "stripe",
    "tremendous": "tremendous",
}
#: The rails that need no provider, and are always there.
OF_OURS: Final = frozenset(CATALOGUE.keys() - PROVIDERS.keys())
#: The rails that say what our account with them holds, and can be asked about each earlier key: what they did not pay
#: for want of funds goes on by itself once they hold enough.
SAY_WHAT_THEY_HOLD: Final = frozenset({"stripe_transfer", "tremendous"})


def suited(kind: RewardKind, currency: str | None = None) -> tuple[str, ...]:
    """The rails that can pay a reward of that kind, and every amount of the currency if one is named."""
    return tuple(
        name
        for name, facts in CATALOGUE.items()
        if kind in facts.kinds and (currency is None or ((pays_in(name, currency)) and step_minor(name, currency) == 1))
    )


def pays_in(rail: str, currency: str) -> bool:
    """Whether a rail of the catalogue pays in that currency at all."""
    currencies = CATALOGUE[rail].currencies
    return currencies is None or currency in currencies


def step_minor(rail: str, currency: str) -> int:
    """The minor units of which every amount must be a multiple to be paid by a rail of the catalogue."""
    return CATALOGUE[rail].steps.get(currency, 1)


def in_steps(rail: str, amount_minor: int, currency: str) -> int:
    """So much of an amount as the rail can write; all of it, where the catalogue does not know the rail."""
    return amount_minor - amount_minor % (step_minor(rail, currency) if rail in CATALOGUE else 1)


def payable(rail: str, amount: Decimal, currency: str) -> bool:
    """Whether a rail of the catalogue can pay exactly this amount of a currency that it pays in."""
    return money.to_minor(amount, currency) % step_minor(rail, currency) == 0
