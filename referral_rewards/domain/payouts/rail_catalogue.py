"""The rails that terms may name: one record for each rail, with everything the code needs to know about it.

A new rail needs a record here and an adapter in `referral_rewards.rails`. `referral_rewards.rails.connected` says which
rails an installation has connected.
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
    """Which of a rail's payments we can see."""

    ALL = "all"  # it lists every payment, whoever requested it
    OURS_MARKED = "ours_marked"  # it lists more than payments; we read the entries with our mark
    PAYEES = "payees"  # it lists payments to each payee whom we name; payments to others stay unseen
    OURS = "ours"  # it lists nothing: we ask about each payment of ours, and any other stays unseen


#: What stays unseen with each, in a sentence; None: nothing does.
BLIND_SPOT: Final[Mapping[Sight, str | None]] = {
    Sight.ALL: None,
    Sight.OURS_MARKED: "payments made by hand without our reference can't be told apart from those of others",
    Sight.PAYEES: "payments to anybody else than the payees of these payouts are not visible",
    Sight.OURS: "this rail can't be listed, so only our own payouts were asked about: payments made by hand are not "
    "visible, and reversals only if in full",
}


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A provider's dashboard: the addresses of its list of payments, live and in test mode.

    A payment's own page is below that address, named by its ``reference`` or its ``destination``; None: there is no
    such page.
    """

    live: str
    test: str
    named_by: Literal["reference", "destination"] | None = None


class PayeeNeed(StrEnum):
    """What a rail must know of a payee before it can pay them."""

    NOTHING = "nothing"  # our own id of the payee names them
    ADDRESS = "address"  # somewhere to send the link or the code to
    REFERENCE = "reference"  # the provider's reference of the payee, which they or finance tell us


@dataclass(frozen=True, slots=True, kw_only=True)
class RailFacts:
    """The properties of a rail.

    ``name`` is its name in terms, ``title`` what people are shown. ``provider`` is the outside company that runs it,
    with one request limit and one event secret for all its rails; None: the rail is ours and always available.

    ``currencies`` are those that it pays in; None if it pays in all but those that it ``lacks``. ``steps`` holds the
    currencies whose amounts must be multiples of more than one minor unit, ``exponents`` those whose number of decimals
    differs from ISO 4217. ``key_window`` is how long the rail recognises a key (None: for ever). Unless the rail
    ``looks_up`` the outcome of a key, only sending the same request again shows it, and only within that window.
    """

    name: str
    title: str
    kinds: frozenset[RewardKind]
    provider: str | None = None
    currencies: frozenset[str] | None = None
    lacks: frozenset[str] = frozenset()
    steps: Mapping[str, int] = field(default_factory=dict)
    exponents: Mapping[str, int] = field(default_factory=dict)
    #: What it must know of a payee before they can be paid.
    needs: PayeeNeed = PayeeNeed.REFERENCE
    #: It pays to a reference if the payee has told one. Always so where it needs one.
    takes_reference: bool = True
    #: The form of a reference, a regular expression, and what it is; None: any text.
    reference: tuple[str, str] | None = None
    #: It identifies a payee by our own id, not by a destination.
    named_by_payee: bool = False
    #: People make its payments; an accepted payment waits until a person confirms it.
    by_hand: bool = False
    key_window: timedelta | None = None
    looks_up: bool = True
    #: Which of its payments it lists.
    sight: Sight
    #: It reports our balance, and can be asked about each earlier key: a payment refused for lack of funds continues
    #: without a person once there are enough.
    says_what_it_holds: bool = False
    #: Its events contain no id of ours: one about an unknown order may be about any payment whose outcome is unknown.
    nameless_events: bool = False
    dashboard: Dashboard | None = None


_ALL_KINDS: Final = frozenset(RewardKind)
#: Stripe keeps a key for at least 24 hours; the margin of four hours is for a request in flight.
_STRIPE_KEY_WINDOW: Final = timedelta(hours=20)
#: Stripe treats ariary as a currency without decimals, and takes three decimals only with a trailing zero.
_STRIPE_STEPS: Final[Mapping[str, int]] = {"MGA": 100, "BHD": 10, "JOD": 10, "KWD": 10, "OMR": 10, "TND": 10}
#: Payouts to a bank account in forints and Taiwan dollars must be whole numbers.
_STRIPE_CASH_STEPS: Final[Mapping[str, int]] = {**_STRIPE_STEPS, "HUF": 100, "TWD": 100}
#: Stripe counts ariary whole, króna and Ugandan shillings in hundredths:
#: https://docs.stripe.com/currencies#special-cases.
_STRIPE_EXPONENTS: Final[Mapping[str, int]] = {"MGA": 0, "ISK": 2, "UGX": 2}
_STRIPE_CUSTOMER: Final = (r"cus_\w{1,250}", "customer of Stripe")
_STRIPE_ACCOUNT: Final = (r"acct_\w{1,250}", "connected account of Stripe")
#: Currencies of ISO 4217 that Stripe does not have: https://docs.stripe.com/currencies#presentment-currencies.
_STRIPE_LACKS: Final = frozenset({"CLF", "IQD", "LYD"})
_STRIPE_PAGES: Final = "https://dashboard.stripe.com/"
#: https://developer.paypal.com/docs/reports/reference/paypal-supported-currencies/
_PAYPAL_CURRENCIES: Final = frozenset(
    (
        *("AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "JPY", "MXN", "MYR"),
        *("NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TWD", "USD"),
    )
)
#: PayPal writes these without decimals: https://developer.paypal.com/reference/currency-codes/.
_PAYPAL_EXPONENTS: Final[Mapping[str, int]] = {"HUF": 0, "JPY": 0, "TWD": 0}
#: The currencies of Tremendous products: https://developers.tremendous.com/reference/list-products.
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
    title="account credit",
    kinds=frozenset({_CREDIT}),
    needs=PayeeNeed.NOTHING,
    takes_reference=False,
    named_by_payee=True,
    sight=Sight.ALL,
)
MANUAL: Final = RailFacts(
    name="manual",
    title="bank transfer by hand",
    kinds=_ALL_KINDS,
    by_hand=True,
    sight=Sight.OURS,
)
PAYPAL_PAYOUTS: Final = RailFacts(
    name="paypal_payouts",
    title="PayPal",
    provider="paypal",
    kinds=frozenset({_CASH}),
    reference=(r"[A-Z0-9]{10,32}", "PayPal account id"),
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
    title="Stripe customer balance",
    provider="stripe",
    kinds=frozenset({_CREDIT}),
    reference=_STRIPE_CUSTOMER,
    lacks=_STRIPE_LACKS,
    steps=_STRIPE_STEPS,
    exponents=_STRIPE_EXPONENTS,
    key_window=_STRIPE_KEY_WINDOW,
    sight=Sight.PAYEES,
    # A credit is on its customer's page, and has no page of its own.
    dashboard=_of_stripe("customers", named_by="destination"),
)
STRIPE_PROMOTION: Final = RailFacts(
    name="stripe_promotion",
    title="Stripe promotion code",
    provider="stripe",
    kinds=frozenset({_DISCOUNT}),
    needs=PayeeNeed.ADDRESS,
    reference=_STRIPE_CUSTOMER,
    lacks=_STRIPE_LACKS,
    steps=_STRIPE_STEPS,
    exponents=_STRIPE_EXPONENTS,
    key_window=_STRIPE_KEY_WINDOW,
    sight=Sight.OURS_MARKED,
    dashboard=_of_stripe("promotion_codes"),
)
STRIPE_TRANSFER: Final = RailFacts(
    name="stripe_transfer",
    title="Stripe transfer",
    provider="stripe",
    kinds=frozenset({_CASH}),
    reference=_STRIPE_ACCOUNT,
    lacks=_STRIPE_LACKS,
    steps=_STRIPE_CASH_STEPS,
    exponents=_STRIPE_EXPONENTS,
    key_window=_STRIPE_KEY_WINDOW,
    sight=Sight.ALL,
    says_what_it_holds=True,
    dashboard=_of_stripe("connect/transfers"),
)
TREMENDOUS: Final = RailFacts(
    name="tremendous",
    title="Tremendous",
    provider="tremendous",
    kinds=frozenset({_GIFT_CARD}),
    needs=PayeeNeed.ADDRESS,
    takes_reference=False,
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
#: The provider of each rail that an outside company runs.
PROVIDERS: Final[Mapping[str, str]] = {
    rail.name: rail.provider for rail in CATALOGUE.values() if rail.provider is not None
}
#: The rails of each provider, which its events may be about.
RAILS_OF: Final[Mapping[str, frozenset[str]]] = {
    provider: frozenset(name for name, its in PROVIDERS.items() if its == provider) for provider in PROVIDERS.values()
}
#: The rails without a provider, which are always available.
OF_OURS: Final = frozenset(CATALOGUE.keys() - PROVIDERS.keys())
BY_HAND: Final = frozenset(rail.name for rail in CATALOGUE.values() if rail.by_hand)
#: The rails over which money leaves by somebody else's hand: a provider's, or a bank's on our instruction.
OUTSIDE: Final = frozenset(PROVIDERS) | BY_HAND
NAMED_BY_PAYEE: Final = frozenset(rail.name for rail in CATALOGUE.values() if rail.named_by_payee)
SAY_WHAT_THEY_HOLD: Final = frozenset(rail.name for rail in CATALOGUE.values() if rail.says_what_it_holds)
#: The providers whose events contain no id of ours.
NAMELESS: Final = frozenset(rail.provider for rail in CATALOGUE.values() if rail.nameless_events)


def title(rail: str) -> str:
    """Return what people are shown as the name of a rail; its own name if there is no such rail."""
    return CATALOGUE[rail].title if rail in CATALOGUE else rail


def needs(rail: str) -> PayeeNeed:
    """Return what a rail must know of a payee; of a rail that is not in the catalogue, the most that any needs."""
    return CATALOGUE[rail].needs if rail in CATALOGUE else PayeeNeed.REFERENCE


def takes_reference(rail: str) -> bool:
    """Whether a rail pays to a reference that the payee has told; a rail that is not in the catalogue does."""
    return CATALOGUE[rail].takes_reference if rail in CATALOGUE else True


def suited(kind: RewardKind, currency: str | None = None) -> tuple[str, ...]:
    """Return the rails that can pay a reward of that kind and, if a currency is named, every amount in it."""
    return tuple(
        name
        for name, facts in CATALOGUE.items()
        if kind in facts.kinds and (currency is None or ((pays_in(name, currency)) and step_minor(name, currency) == 1))
    )


def pays_in(rail: str, currency: str) -> bool:
    """Whether a rail of the catalogue pays in that currency at all."""
    facts = CATALOGUE[rail]
    return currency not in facts.lacks if facts.currencies is None else currency in facts.currencies


def step_minor(rail: str, currency: str) -> int:
    """Return the minor units of which an amount must be a multiple for a rail of the catalogue to pay it."""
    return CATALOGUE[rail].steps.get(currency, 1)


def in_steps(rail: str, amount_minor: int, currency: str) -> int:
    """Return the amount rounded down to what the rail can pay; unchanged if the rail is not in the catalogue."""
    return amount_minor - amount_minor % (step_minor(rail, currency) if rail in CATALOGUE else 1)


def payable(rail: str, amount: Decimal, currency: str) -> bool:
    """Whether a rail of the catalogue can pay exactly this amount of a currency that it pays in."""
    return money.to_minor(amount, currency) % step_minor(rail, currency) == 0
