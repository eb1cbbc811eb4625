"""Every rail with the provider that it pays through: the real adapter, over real HTTP, to a sandbox with books."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import text

from models.session import Database
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.payouts.rail_amounts import minor_of_decimal, minor_of_units
from referral_rewards.domain.payouts.states import PaymentRequest, provider_key
from referral_rewards.local.sandbox import paypal, stripe, tremendous
from referral_rewards.local.sandbox.provider import Provider
from referral_rewards.loopback import served
from referral_rewards.rails import asking, stripe_calls
from referral_rewards.rails.access import PayPalAccess, StripeAccess, TremendousAccess
from referral_rewards.rails.account_credit import AccountCredit
from referral_rewards.rails.paypal_payouts import PayPalPayouts
from referral_rewards.rails.port import Rail
from referral_rewards.rails.stripe_balance import StripeBalance
from referral_rewards.rails.stripe_promotion import StripePromotion
from referral_rewards.rails.stripe_transfer import StripeTransfer
from referral_rewards.rails.tremendous import Tremendous
from tests.rails import documents, stripe_types

_NAMESPACE = UUID("0d7f4d0e-6f0b-4f2b-9b66-6f3a0b6d9c11")
#: Long enough for loopback however busy the machine is.
PATIENCE_SECONDS = 30.0
#: Who is paid instead where a provider shows the wrong one.
OTHERS = {"acct_brie": "acct_dexter", "cus_brie": "cus_dexter", "BRIEBRIEBRIE1": "DEXTERDEXTER1", "c-brie": "c-dexter"}


#: What a provider holds as paid: our key, the amount in our minor units, the currency, and the payee.
Held = tuple[str, int | None, str, str | None]


async def _as_it_is() -> None:
    """Sandboxes keep their books in memory."""


@dataclass
class Case:
    """One rail, what its provider holds as ``paid``, newest or oldest first, and how to ``alter`` the newest of it."""

    rail: Rail
    provider: Provider
    destination: str | None
    paid: Callable[[], list[Held]]
    alter: Callable[..., None] = field(default=lambda **_: None)
    refresh: Callable[[], Awaitable[None]] = _as_it_is

    def request(self, number: int = 1, amount_minor: int = 2500, currency: str = "USD", **parts: Any) -> PaymentRequest:
        asked: dict[str, Any] = {
            "payee": "c-brie",
            "destination": self.destination,
            "program": "acme-friends",
            "referral": "r1",
        }
        name = uuid5(_NAMESPACE, str(number))
        return PaymentRequest(payout_id=name, amount_minor=amount_minor, currency=currency, **(asked | parts))


def key(request: PaymentRequest) -> str:
    return provider_key(request.payout_id, 1)


Opener = Callable[..., AbstractAsyncContextManager[Case]]


def _stripe(rail: Callable[[Any], Rail], destination: str, kind: str) -> Opener:
    @asynccontextmanager
    async def opened(patience_seconds: float = PATIENCE_SECONDS) -> AsyncIterator[Case]:
        provider = stripe.Stripe()

        def row(each: dict[str, Any]) -> Held:
            currency = each["currency"].upper()
            if kind == stripe.TRANSFER:
                units, name, whom = each["amount"], each["transfer_group"], each["destination"]
            else:
                units, name, whom = -each["amount"], each["metadata"].get("key"), each["customer"]
            return name, minor_of_units("stripe_transfer", units, currency), currency, whom

        def discount(each: dict[str, Any]) -> Held:
            coupon = provider.objects[each["promotion"]["coupon"]]
            currency = coupon["currency"].upper()
            return (
                coupon["id"],
                minor_of_units("stripe_promotion", coupon["amount_off"], currency),
                currency,
                each["customer"],
            )

        def alter(**changes: Any) -> None:
            made = provider.of(kind)[0]
            where = provider.objects[made["promotion"]["coupon"]] if kind == stripe.CODE else made
            amount = "amount_off" if kind == stripe.CODE else "amount"
            if "factor" in changes:
                where[amount] *= changes["factor"]
            if "currency" in changes:
                where["currency"] = changes["currency"].lower()
            if "other" in changes:
                whom = "destination" if kind == stripe.TRANSFER else "customer"
                made[whom] = OTHERS[made[whom]]

        def paid() -> list[Held]:
            rows = provider.of(kind)
            return (
                [discount(each) for each in rows]
                if kind == stripe.CODE
                else [row(each) for each in rows if _owed(each)]
            )

        async with served(provider) as url, asking.client() as client:
            api = stripe_calls.api(StripeAccess(stripe.KEY, url), client, patience_seconds)
            yield Case(rail(api), provider, destination, paid, alter)
            stripe_types.hold(provider)
            documents.hold(provider)

    def _owed(each: dict[str, Any]) -> bool:
        return kind == stripe.TRANSFER or each["amount"] < 0

    return opened


@asynccontextmanager
async def _paypal(patience_seconds: float = PATIENCE_SECONDS) -> AsyncIterator[Case]:
    provider = paypal.PayPal()

    def paid() -> list[Held]:
        found = []
        for batch in provider.batches.values():
            (item,) = batch["items"]
            if item["transaction_status"] in {"SUCCESS", "UNCLAIMED", "PENDING"}:
                what = item["payout_item"]
                currency = what["amount"]["currency"]
                amount = minor_of_decimal(Decimal(what["amount"]["value"]), currency)
                name = batch["batch_header"]["sender_batch_header"]["sender_batch_id"]
                found.append((name, amount, currency, what["receiver"]))
        return found

    def alter(**changes: Any) -> None:
        item = next(iter(provider.batches.values()))["items"][0]["payout_item"]
        if "factor" in changes:
            item["amount"]["value"] = str(Decimal(item["amount"]["value"]) * changes["factor"])
        if "currency" in changes:
            item["amount"]["currency"] = changes["currency"]
        if "other" in changes:
            item["receiver"] = OTHERS[item["receiver"]]

    async with served(provider) as url, asking.client() as client:
        access = PayPalAccess(paypal.CLIENT_ID, paypal.SECRET, url)
        yield Case(PayPalPayouts(access, client, patience_seconds), provider, "BRIEBRIEBRIE1", paid, alter)
        documents.hold(provider)


@asynccontextmanager
async def _tremendous(patience_seconds: float = PATIENCE_SECONDS) -> AsyncIterator[Case]:
    provider = tremendous.Tremendous()

    def paid() -> list[Held]:
        found = []
        for name, order in provider.orders.items():
            (reward,) = order["rewards"]
            if order["status"] not in {"CANCELED", "FAILED"}:
                value = reward["value"]
                amount = minor_of_decimal(Decimal(value["denomination"]), value["currency_code"])
                ours = reward["recipient"]["name"] == "c-brie"
                found.append((name, amount, value["currency_code"], None if ours else reward["recipient"]["name"]))
        return found

    def alter(**changes: Any) -> None:
        reward = next(iter(provider.orders.values()))["rewards"][0]
        if "factor" in changes:
            reward["value"]["denomination"] *= changes["factor"]
        if "currency" in changes:
            reward["value"]["currency_code"] = changes["currency"]
        if "other" in changes:
            reward["recipient"]["name"] = OTHERS[reward["recipient"]["name"]]

    async with served(provider) as url, asking.client() as client:
        access = TremendousAccess(tremendous.KEY, tremendous.FUNDING_SOURCE, tremendous.CAMPAIGN, url)
        yield Case(Tremendous(access, client, patience_seconds), provider, None, paid, alter)
        documents.hold(provider)


#: The rails of providers, by name.
OUTSIDE: dict[str, Opener] = {
    "stripe_transfer": _stripe(StripeTransfer, "acct_brie", stripe.TRANSFER),
    "stripe_balance": _stripe(StripeBalance, "cus_brie", stripe.ENTRY),
    "stripe_promotion": _stripe(StripePromotion, "cus_brie", stripe.CODE),
    "paypal_payouts": _paypal,
    "tremendous": _tremendous,
}


@asynccontextmanager
async def in_our_books(database_url: str) -> AsyncIterator[Case]:
    """Account credit, whose provider is the database: it has no script of faults."""
    database = Database.at(database_url)
    held: list[Held] = []

    async def read() -> None:
        async with database.transaction() as connection:
            rows = await connection.execute(
                text("""
                    SELECT t.key, -p.amount_minor AS amount_minor, p.currency, p.account
                    FROM posting p JOIN ledger_transaction t ON t.id = p.transaction_id
                    WHERE p.account LIKE 'credit:%' AND t.key LIKE 'credited:%'
                """)
            )
            held[:] = [
                (row.key.removeprefix("credited:"), int(row.amount_minor), row.currency, None)
                for row in rows
                if row.account == books.credit_of("c-brie")
            ]

    rail = AccountCredit(database, lambda: datetime(2026, 7, 1, tzinfo=UTC))
    try:
        yield Case(rail, Provider(), None, lambda: held, refresh=read)
    finally:
        await database.close()
