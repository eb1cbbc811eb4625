"""The rails that terms may name, and all that is known of each: one record a rail, from which everything else follows.

A new rail is a record here and an adapter in `referral_rewards.rails`; what an installation has connected of them
`referral_rewards.rails.connected` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from referral_rewards.domain import money
from referral_rewards.domain.programs.sections import RewardKind

_CASH, _CREDIT, _DISCOUNT, _GIFT_CARD = RewardKind.CASH, RewardKind.CREDIT, RewardKind.DISCOUNT, RewardKind.GIFT_CARD


class Sight(StrEnum):
    """How much of what a rail paid we get to see."""

    ALL = "all"  # it lists what it paid, whoever asked for it
    OURS_MARKED = "ours_marked"  # it lists more than payments; what bears our mark is looked at
    PAYEES = "payees"  # it lists what it paid to each whom we name: to others we can't know
    OURS = "ours"  # it lists nothing: it is asked for each payment of ours, and what we did not ask for stays unseen


#: What stays unseen by each, in a sentence; None: nothing does.
BLIND_SPOT: Final[Mapping[Sight, str | None]] = {
    Sight.ALL: None,
    Sight.OURS_MARKED: "payments made by hand without our reference can't be told apart from those of others",
    Sight.PAYEES: "payments to anybody else than the payees of these payouts are not visible",
    Sight.OURS: "the rail lists no payments: those made by hand are not visible, and reversals only if in full",
}


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A provider's own pages: the addresses of the list of payments, live and in test mode.

    A payment has a page of its own below it, named by our ``reference`` of it or by its ``destination``; None: it has
    none.
    """

    live: str
    test: str
    named_by: Literal["reference", "destination"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RailFacts:
    """What is known of a rail.

    Its ``name`` is what terms call it. ``provider`` is the outside party whose it is, with one limit of requests and
    one secret for its events over all its rails; None: it is ours, and always there.

    ``currencies`` is None where the provider names none that it leaves out. ``steps`` are the minor units in which it
    takes a currency where that is not each single one, and ``exponents`` its decimals where they are not those of
    ISO 4217. ``key_window`` is for how long the same key is recognised, None: for ever; unless the rail ``looks_up``
    what became of a key, only sending the same again tells, and only within it.
    """

    name: str
    kinds: frozenset[RewardKind]
    provider: str | None = None
    currencies: frozenset[str] | None = None
    steps: Mapping[str, int] = field(default_factory=dict)
    exponents: Mapping[str, int] = field(default_factory=dict)
    #: A payee names a destination there before they can be paid.
    needs_method: bool = True
    #: It knows a payee by our own id, not by a destination of theirs.
    named_by_payee: bool = False
    #: People carry its payments out; what it accepted waits until one of them says that it was done.
    by_hand: bool = False
    key_window: timedelta | None = None
    looks_up: bool = True
    #: How much of what it paid it lists.
    sight: Sight
    #: It says what our account with it holds, and can be asked about each earlier key: what it did not pay for want of
    #: funds goes on by itself once there are enough.
    says_what_it_holds: bool = False
    #: Its events bear no name of ours: one about an order that we don't know may be about any payment in doubt.
    nameless_events: bool = False
    dashboard: Dashboard | None = None


_ALL_KINDS: Final = frozenset(RewardKind)
#: Stripe keeps a key for 24 hours at least; four of them are left for a request that is under way.
_STRIPE_KEY_WINDOW: Final = timedelta(hours=20)
#: Stripe takes ariary as if they had no decimals, and three decimals only with a trailing zero.
_STRIPE_STEPS: Final[Mapping[str, int]] = {"MGA": 100, "BHD": 10, "JOD": 10, "KWD": 10, "OMR": 10, "TND": 10}
#: Forints and Taiwan dollars reach a bank account whole.
_STRIPE_CASH_STEPS: Final[Mapping[str, int]] = {**_STRIPE_STEPS, "HUF": 100, "TWD": 100}
#: It counts ariary whole, króna and Ugandan shillings in hundredths: https://docs.stripe.com/currencies#special-cases.
_STRIPE_EXPONENTS: Final[Mapping[str, int]] = {"MGA": 0, "ISK": 2, "UGX": 2}
_STRIPE_PAGES: Final = "https://dashboard.stripe.com/"
#: https://developer.paypal.com/docs/reports/reference/paypal-supported-currencies/
_PAYPAL_CURRENCIES: Final = frozenset(
    (
        *("AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "JPY", "MXN", "MYR"),
        *("NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TWD", "USD"),
    )
)
#: It writes these without decimals: https://developer.paypal.com/reference/currency-codes/.
_PAYPAL_EXPONENTS: Final[Mapping[str, int]] = {"HUF": 0, "JPY": 0, "TWD": 0}
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


def _of_stripe(section: str, named_by: Literal["reference", "destination"] = "reference") -> Dashboard:
    return Dashboard(_STRIPE_PAGES + section, f"{_STRIPE_PAGES}test/{section}", named_by)


ACCOUNT_CREDIT: Final = RailFacts(
    name="account_credit",
    kinds=frozenset({_CREDIT}),
    needs_method=False,
    named_by_payee=True,
    sight=Sight.ALL,
)
MANUAL: Final = RailFacts(
    name="manual",
    kinds=_ALL_KINDS,
    by_hand=True,
    sight=Sight.OURS,
)
PAYPAL_PAYOUTS: Final = RailFacts(
    name="paypal_payouts",
    provider="paypal",
    kinds=frozenset({_CASH}),
    currencies=_PAYPAL_CURRENCIES,
    steps={"HUF": 100, "TWD": 100},
    exponents=_PAYPAL_EXPONENTS,
    key_window=timedelta(days=29),
    looks_up=False,
    sight=Sight.OURS,
    dashboard=Dashboard("https://www.paypal.com/activities", "https://www.sandbox.paypal.com/activities"),
)
STRIPE_BALANCE: Final = RailFacts(
    name="stripe_balance",
    provider="stripe",
    kinds=frozenset({_CREDIT}),
    steps=_STRIPE_STEPS,
    exponents=_STRIPE_EXPONENTS,
    key_window=_STRIPE_KEY_WINDOW,
    sight=Sight.PAYEES,
    # A credit is listed with its customer, and has no page of its own.
    dashboard=_of_stripe("customers", named_by="destination"),
)
STRIPE_PROMOTION: Final = RailFacts(
    name="stripe_promotion",
    provider="stripe",
    kinds=frozenset({_DISCOUNT}),
    steps=_STRIPE_STEPS,
    exponents=_STRIPE_EXPONENTS,
    key_window=_STRIPE_KEY_WINDOW,
    sight=Sight.OURS_MARKED,
    dashboard=_of_stripe("promotion_codes"),
)
STRIPE_TRANSFER: Final = RailFacts(
    name="stripe_transfer",
    provider="stripe",
    kinds=frozenset({_CASH}),
    steps=_STRIPE_CASH_STEPS,
    exponents=_STRIPE_EXPONENTS,
    key_window=_STRIPE_KEY_WINDOW,
    sight=Sight.ALL,
    says_what_it_holds=True,
    dashboard=_of_stripe("connect/transfers"),
)
TREMENDOUS: Final = RailFacts(
    name="tremendous",
    provider="tremendous",
    kinds=frozenset({_GIFT_CARD}),
    currencies=_TREMENDOUS_CURRENCIES,
    named_by_payee=True,
    sight=Sight.ALL,
    says_what_it_holds=True,
    nameless_events=True,
    dashboard=Dashboard("https://app.tremendous.com/", "https://app.testflight.tremendous.com/"),
)

#: All rails by name, in the order in which they are offered.
CATALOGUE: Final[Mapping[str, RailFacts]] = {
    rail.name: rail
    for rail in (
        *(ACCOUNT_CREDIT, MANUAL, PAYPAL_PAYOUTS),
        *(STRIPE_BALANCE, STRIPE_PROMOTION, STRIPE_TRANSFER, TREMENDOUS),
    )
}
#: The provider of each rail that is an outside party's.
PROVIDERS: Final[Mapping[str, str]] = {
    rail.name: rail.provider for rail in CATALOGUE.values() if rail.provider is not None
}
#: The rails of each provider: what its events may be about.
RAILS_OF: Final[Mapping[str, frozenset[str]]] = {
    provider: frozenset(name for name, its in PROVIDERS.items() if its == provider) for provider in PROVIDERS.values()
}
#: The rails that need no provider, and are always there.
OF_OURS: Final = frozenset(CATALOGUE.keys() - PROVIDERS.keys())
BY_HAND: Final = frozenset(rail.name for rail in CATALOGUE.values() if rail.by_hand)
WITHOUT_METHOD: Final = frozenset(rail.name for rail in CATALOGUE.values() if not rail.needs_method)
NAMED_BY_PAYEE: Final = frozenset(rail.name for rail in CATALOGUE.values() if rail.named_by_payee)
SAY_WHAT_THEY_HOLD: Final = frozenset(rail.name for rail in CATALOGUE.values() if rail.says_what_it_holds)
#: The providers whose events bear no name of ours.
NAMELESS: Final = frozenset(rail.provider for rail in CATALOGUE.values() if rail.nameless_events)


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
