"""What each rail lists of what it paid: everything once, as it is, by whoever made it; or why the list ends."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from referral_rewards.domain.books.ledger import credited
from referral_rewards.domain.books.reconciliation import Listed, ListedPage, ListedState
from referral_rewards.domain.payouts.rail_catalogue import NAMED_BY_PAYEE, Sight
from referral_rewards.domain.payouts.states import Misconfigured, Paid, Unknown
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.local.sandbox.stripe import Stripe
from referral_rewards.rails import account_credit, stripe_calls, tremendous
from referral_rewards.register.books import ledger
from tests.rails.cases import OUTSIDE, Case, in_our_books, key

BEGINNING: Final = datetime(2026, 7, 1, tzinfo=UTC)
LATER: Final = BEGINNING + timedelta(days=7)
LISTING: Final = [name for name in OUTSIDE if name != "paypal_payouts"]


@pytest.fixture(params=[*LISTING, "account_credit"])
async def case(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Case]:
    async with opened(request.param, database_url) as case:
        yield case


def opened(name: str, database_url: str) -> AbstractAsyncContextManager[Case]:
    return in_our_books(database_url) if name == "account_credit" else OUTSIDE[name]()


async def test_every_payment_is_listed_once_as_it_is(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over as many pages as it takes."""
    monkeypatch.setattr(stripe_calls, "PAGE", 2)
    monkeypatch.setattr(tremendous, "_PAGE", 2)
    monkeypatch.setattr(account_credit, "PAGE", 2)
    asked = {}
    for number in range(1, 6):
        request = case.request(number, amount_minor=1000 + number)
        paid = await case.rail.pay(request, key(request))
        assert isinstance(paid, Paid)
        asked[paid.reference] = request
    found = await listed(case)
    assert len(found) == len(asked)
    for each in found:
        request = asked[each.reference]
        assert (each.payout, each.key) == (request.payout_id, key(request))
        assert (each.amount_minor, each.currency) == (request.amount_minor, "USD")
        whom = request.payee if case.rail.facts.name in NAMED_BY_PAYEE else request.destination
        assert each.destination == whom
        assert (each.state, each.reversed_minor, each.takes_back) == (ListedState.PAID, 0, False)
        assert each.at == BEGINNING


async def test_a_span_holds_what_was_paid_in_it(case: Case) -> None:
    request = case.request()
    await case.rail.pay(request, key(request))
    assert len(await listed(case, BEGINNING, BEGINNING + timedelta(seconds=1))) == 1
    assert await listed(case, BEGINNING - timedelta(days=1), BEGINNING) == []
    assert await listed(case, BEGINNING + timedelta(seconds=1), LATER) == []


async def test_an_amount_is_told_in_our_minor_units(case: Case) -> None:
    """Whatever decimals the provider writes the currency with."""
    asked = set()
    for number, currency in enumerate(("JPY", "KWD", "UGX", "MGA", "ISK", "HUF"), start=1):
        request = case.request(number, currency=currency, amount_minor=25_000)
        await case.rail.pay(request, key(request))
        asked.add((25_000, currency))
    assert {(each.amount_minor, each.currency) for each in await listed(case)} == asked


async def test_what_was_taken_back_is_told(case: Case) -> None:
    """As a sum of the payment, as an entry of its own, or by the payment's having failed."""
    request = case.request()
    paid = await case.rail.pay(request, key(request))
    assert isinstance(paid, Paid)
    in_part = case.rail.facts.name in {"stripe_transfer", "stripe_balance", "account_credit"}
    amount_minor = 600 if in_part else request.amount_minor
    # Long after the span that is listed, where the provider gives back so late.
    case.provider.clock.pass_time(timedelta(days=6 if case.rail.facts.name == "tremendous" else 30))
    await case.rail.reverse(request, paid, amount_minor, "clawback-1")
    found = await listed(case)
    if case.rail.facts.name in {"stripe_balance", "account_credit"}:
        assert sorted((each.takes_back, each.amount_minor) for each in found) == [(False, 2500), (True, 600)]
        assert [each.key for each in found if each.takes_back] == ["clawback-1"]
    elif in_part:
        assert [each.reversed_minor for each in found] == [600]
    else:
        assert [each.state for each in found] == [ListedState.FAILED]


async def test_what_somebody_made_by_hand_is_listed_without_a_payout_of_ours(database_url: str) -> None:
    for name, by_hand in BY_HAND.items():
        async with opened(name, database_url) as case:
            await by_hand(case)
            found = await listed(case)
            if case.rail.facts.sight is Sight.OURS_MARKED:
                assert found == []
            else:
                assert [(each.payout, each.amount_minor, each.currency) for each in found] == [(None, 700, "USD")], name


@pytest.mark.parametrize("name", LISTING)
@pytest.mark.parametrize(
    ("fault", "kind"),
    {
        Fault.NOT_REACHED: Unknown,
        Fault.TOO_MANY: Unknown,
        Fault.BROKEN: Unknown,
        Fault.GATEWAY: Unknown,
        Fault.SHUT: Misconfigured,
        Fault.FORBIDDEN: Misconfigured,
    }.items(),
)
async def test_a_list_that_breaks_off_says_why(name: str, fault: Fault, kind: type) -> None:
    async with OUTSIDE[name]() as case:
        request = case.request()
        await case.rail.pay(request, key(request))
        case.provider.fail(fault, method="GET")
        assert type(await case.rail.listed(BEGINNING, LATER, case.destination, None)) is kind


async def test_paypal_lists_nothing_and_says_so() -> None:
    async with OUTSIDE["paypal_payouts"]() as case:
        request = case.request()
        await case.rail.pay(request, key(request))
        assert await listed(case) == []
        assert case.rail.facts.sight is Sight.OURS


async def listed(case: Case, since: datetime = BEGINNING, until: datetime = LATER) -> list[Listed]:
    """What is listed of a span, nothing of which breaks off."""
    found, after = list[Listed](), None
    while True:
        page = await case.rail.listed(since, until, case.destination, after)
        assert isinstance(page, ListedPage), page
        found += page.payments
        if (after := page.next) is None:
            return found


async def _transfer_by_hand(case: Case) -> None:
    _stripe(case)._transfer({"amount": "700", "currency": "usd", "destination": "acct_dexter"})


async def _entry_by_hand(case: Case) -> None:
    _stripe(case)._entry("cus_brie", {"amount": "-700", "currency": "usd"})
    # An invoice that uses credit up is no payment.
    _stripe(case)._entry("cus_brie", {"amount": "300", "currency": "usd"})["type"] = "applied_to_invoice"


async def _code_by_hand(case: Case) -> None:
    _stripe(case)._coupon(
        {"id": "SUMMER", "amount_off": "700", "currency": "usd", "max_redemptions": "9", "duration": "once"}
    )
    _stripe(case)._code({"promotion": {"type": "coupon", "coupon": "SUMMER"}})


def _stripe(case: Case) -> Stripe:
    """The provider, of which somebody asks something by its dashboard."""
    assert isinstance(case.provider, Stripe)
    return case.provider


async def _order_by_hand(case: Case) -> None:
    request = case.request(amount_minor=700)
    await case.rail.pay(request, key(request))
    (order,) = case.provider.orders.values()  # type: ignore[attr-defined]
    order["external_id"] = None


async def _credit_by_hand(case: Case) -> None:
    database: Any = case.rail._database  # type: ignore[attr-defined]
    async with database.transaction() as connection:
        entry = credited("by-hand", "mallory", 700, "USD")
        await ledger.post(connection, entry, program="acme-friends", referral="r1", at=BEGINNING)


BY_HAND: Mapping[str, Any] = {
    "stripe_transfer": _transfer_by_hand,
    "stripe_balance": _entry_by_hand,
    "stripe_promotion": _code_by_hand,
    "tremendous": _order_by_hand,
    "account_credit": _credit_by_hand,
}
