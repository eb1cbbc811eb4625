"""A rail's list beside our payouts: after whatever went wrong they agree, and what was done by hand is found."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, text, update
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.messages import Place, ReconciliationProgress, ReconciliationRequest
from activities.reconciliations import Reconciliations
from models import ClawbackRow, LegRow, PayoutRow
from models.session import Database
from referral_rewards.domain.books.reconciliation import Difference
from referral_rewards.domain.payouts.rail_catalogue import Sight
from referral_rewards.domain.payouts.states import Accepted, Paid, PaymentRequest, PayoutState, body_hash
from referral_rewards.local.sandbox.paypal import PayPal
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.rails import stripe_calls, tremendous
from referral_rewards.register.reconciliations import rows as reconciliations
from tests.rails.by_parts import compared, listed
from tests.rails.cases import OUTSIDE, Case, in_our_books, key

NOW: Final = datetime(2026, 7, 8, tzinfo=UTC)
BEGINNING: Final = NOW - timedelta(days=7)
NAMES: Final = (*OUTSIDE, "account_credit")


@dataclass
class Office:
    """Somebody who pays over one rail, keeps payouts, and has its list compared with them."""

    case: Case
    database: Database
    paid: dict[UUID, tuple[PaymentRequest, Paid]] = field(default_factory=dict)

    async def pay(self, number: int, state: PayoutState = PayoutState.SETTLED, **parts: Any) -> UUID:
        """A payout of that number, paid by the rail and held as ``state``."""
        request = self.case.request(number, **parts)
        answer = await self.case.rail.pay(request, key(request))
        for _ in range(3):
            if not isinstance(answer, Paid | Accepted):
                answer = await self.case.rail.pay(request, key(request))
        if isinstance(answer, Accepted):
            answer = await self.case.rail.poll(request, key(request), answer.order.reference)
        assert isinstance(answer, Paid)
        self.paid[request.payout_id] = request, answer
        await self.hold(request, state, answer.reference)
        return request.payout_id

    async def hold(self, request: PaymentRequest, state: PayoutState, reference: str | None) -> None:
        row = {
            "id": request.payout_id,
            "referral_id": request.referral,
            "payee": request.payee,
            "rail": self.case.rail.facts.name,
            "amount_minor": request.amount_minor,
            "currency": request.currency,
            "body": request.body(),
            "body_hash": body_hash(request.body()),
            "provider_key": key(request),
            "first_sent_at": BEGINNING,
            "provider_reference": reference,
            "state": state,
            "updated_at": BEGINNING,
        }
        await self.sql(insert(PayoutRow).values(row))

    async def take_back(self, payout: UUID, amount_minor: int, *, noted: bool = True, done: bool = True) -> None:
        """Takes so much back over the rail, with a clawback on record; or by hand, or on record alone."""
        request, paid = self.paid[payout]
        name = uuid4()
        if done:
            await self.case.rail.reverse(request, paid, amount_minor, f"{name}-1")
        if not noted:
            return
        leg = {
            **dict.fromkeys(("id", "claim_id"), name),
            **dict.fromkeys(("digest", "order_key", "role", "referrer"), str(name)),
            "referral_id": request.referral,
            "program": request.program,
            "beneficiary": request.payee,
            "kind": "cash",
            "amount_minor": request.amount_minor,
            "currency": request.currency,
            "rail": self.case.rail.facts.name,
            "state": "paid",
            "approved_at": NOW,
        }
        await self.sql(insert(LegRow).values(leg))
        row = {
            **dict.fromkeys(("id", "case_id", "leg_id", "decision_id"), name),
            "payout_id": payout,
            "referral_id": request.referral,
            "payee": request.payee,
            "kind": "reverse",
            "amount_minor": amount_minor,
            "currency": request.currency,
            "recovered_minor": amount_minor,
            "body": {},
            "body_hash": "h",
            "generation": 1,
            "provider_key": f"{name}-1",
            "state": "reversed",
            "created_at": NOW,
            "updated_at": BEGINNING,
        }
        await self.sql(insert(ClawbackRow).values(row))

    async def reconcile(self, since: datetime = BEGINNING, until: datetime = NOW) -> list[Difference]:
        """What does not agree; no payout was moved by it."""
        before = await self.sql(text("SELECT id, state, amount_minor FROM payout ORDER BY id"))
        async with self.database.transaction() as connection:
            rail = self.case.rail.facts.name
            asked = await reconciliations.ask(connection, rail, since, until, by="fiona", at=NOW)
        doing = Reconciliations(self.database, {rail: self.case.rail})
        request = ReconciliationRequest(reconciliation=str(asked), now=NOW)
        await listed(doing, request)
        # Whatever was done by an activity that was killed is done again.
        await listed(doing, request)
        count = await compared(doing, request)
        assert await compared(doing, request) == count
        async with self.database.transaction() as connection:
            row = await reconciliations.row(connection, asked)
            found = await reconciliations.differences(connection, asked, after=None, limit=100)
        none = sum(difference.kind.is_none for _, difference in found)
        assert (row.state, row.sight) == ("done", self.case.rail.facts.sight)
        assert (row.differences, row.under_way) == (len(found) - none, none)
        assert await self.sql(text("SELECT 1 FROM listed_payment")) == []
        assert await self.sql(text("SELECT id, state, amount_minor FROM payout ORDER BY id")) == before
        return [difference for _, difference in found]

    async def sql(self, statement: Any) -> list[Any]:
        async with self.database.transaction() as connection:
            result = await connection.execute(statement)
            return list(result.all()) if result.returns_rows else []


@asynccontextmanager
async def opened(name: str, database_url: str) -> AsyncIterator[Office]:
    database = Database.at(database_url)
    try:
        async with in_our_books(database_url) if name == "account_credit" else OUTSIDE[name]() as case:
            yield Office(case, database)
    finally:
        await database.close()


@pytest.fixture(params=NAMES)
async def office(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Office]:
    async with opened(request.param, database_url) as office:
        yield office


async def test_what_a_rail_paid_is_what_we_hold(office: Office) -> None:
    """In every currency, though replies were lost, and with what we took back."""
    for number, currency in enumerate(("USD", "JPY", "HUF", "EUR"), start=1):
        office.case.provider.fail(Fault.REPLY_LOST)
        await office.pay(number, currency=currency, amount_minor=25_000)
    payout = await office.pay(5)
    if office.case.rail.facts.sight is not Sight.OURS:
        await office.take_back(payout, 2500)
    assert await office.reconcile() == []


async def test_what_was_carried_out_long_after_it_was_sent_is_asked_for(office: Office) -> None:
    """It stands in no list of the span."""
    office.case.provider.clock.pass_time(timedelta(days=20))
    await office.pay(1)
    assert await office.reconcile() == []
    await office.sql(text("UPDATE payout SET amount_minor = 1"))
    assert [each.kind for each in await office.reconcile()] == ["amount"]


async def test_a_payment_that_the_rail_does_not_show_is_found(office: Office) -> None:
    await office.pay(1)
    missing = office.case.request(2)
    await office.hold(missing, PayoutState.SETTLED, "nowhere")
    (found,) = await office.reconcile()
    kind = "unseen" if office.case.rail.facts.sight is Sight.OURS else "ours_only"
    assert (found.kind, found.payout, found.reference) == (kind, missing.payout_id, "nowhere")


async def test_a_changed_amount_is_found(office: Office) -> None:
    payout = await office.pay(1)
    await office.sql(text("UPDATE payout SET amount_minor = amount_minor + 1"))
    (found,) = await office.reconcile()
    assert (found.kind, found.payout, found.ours, found.theirs) == ("amount", payout, "25.01 USD", "25.00 USD")


async def test_another_currency_and_another_payee_are_found(office: Office) -> None:
    payout = await office.pay(1)
    await office.sql(
        text("""UPDATE payout SET currency = 'EUR', payee = 'mallory', body = body || '{"destination": "mallory"}'""")
    )
    found = await office.reconcile()
    # At a rail that has to be asked for each payee, nothing of that one is seen.
    kinds = {"account_credit": ["ours_only"], "stripe_balance": ["ours_only"]}
    assert {each.payout for each in found} == {payout}
    assert sorted(each.kind for each in found) in (["currency", "destination"], kinds.get(office.case.rail.facts.name))


async def test_what_was_refused_here_and_paid_there_is_found(office: Office) -> None:
    payout = await office.pay(1, PayoutState.REFUSED)
    (found,) = await office.reconcile()
    assert (found.kind, found.payout, found.ours, found.theirs) == ("state", payout, "refused", "paid, 25.00 USD")


async def test_each_request_to_a_rail_is_an_activity_of_its_own(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server counts activities: so many a second on the queue of a provider."""
    monkeypatch.setattr(stripe_calls, "PAGE", 2)
    monkeypatch.setattr(tremendous, "_PAGE", 2)
    for number in range(1, 6):
        await office.pay(number)
    # Nothing of these is in the list of the span.
    for number in (6, 7):
        await office.hold(office.case.request(number), PayoutState.SETTLED, "nowhere")
    rail = office.case.rail.facts.name
    async with office.database.transaction() as connection:
        asked = await reconciliations.ask(connection, rail, BEGINNING, NOW, by="fiona", at=NOW)
    doing = Reconciliations(office.database, {rail: office.case.rail})
    requests = 0
    for part in (doing.list_page, doing.compare_some):
        place, first = None, True
        while first or place is not None:
            first, before = False, len(office.case.provider.asked)
            request = ReconciliationRequest(reconciliation=str(asked), now=NOW, place=place)
            place = (await ActivityEnvironment().run(part, request)).place
            made = [each for each in office.case.provider.asked[before:] if "oauth2" not in each.steps]
            assert len(made) <= 1
            requests += len(made)
        # Where a payee's entries are read through for one of them, they are on one page.
        monkeypatch.setattr(stripe_calls, "PAGE", 100)
    assert requests == _REQUESTS[rail]
    async with office.database.transaction() as connection:
        assert (await reconciliations.row(connection, asked)).state == "done"
        assert len(await reconciliations.differences(connection, asked, after=None, limit=9)) == 2


#: Three pages of two, and a question for each that no list has. PayPal lists none of the seven.
_REQUESTS: Final = {
    "stripe_transfer": 5,
    "stripe_balance": 5,
    "stripe_promotion": 5,
    "tremendous": 5,
    "paypal_payouts": 7,
    "account_credit": 0,
}


async def test_more_payments_of_nobody_than_one_statement_takes_are_each_found(database_url: str) -> None:
    """The account may serve others than us."""
    strangers = text("""
        INSERT INTO listed_payment (reconciliation_id, reference, currency, state, reversed_minor, takes_back)
        SELECT id, 'tr_' || n, 'USD', 'paid', 0, false FROM reconciliation, generate_series(1, 10000) AS n
    """)
    async with opened("stripe_transfer", database_url) as office:
        doing, request = await _begun(office)
        await ActivityEnvironment().run(doing.list_page, request)
        await office.sql(strangers)
        progress = await ActivityEnvironment().run(doing.compare_some, request)
    assert progress == ReconciliationProgress(place=None, count=10_000)


async def test_a_list_that_goes_on_where_it_began_comes_to_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened("stripe_transfer", database_url) as office:
        _, paid = office.paid[await office.pay(1)]
        doing, request = await _begun(office)
        monkeypatch.setattr(stripe_calls, "_rows", lambda page: ([], paid.reference))
        again = request.model_copy(update={"place": Place(after=paid.reference)})
        with pytest.raises(ApplicationError, match="goes on where it began"):
            await ActivityEnvironment().run(doing.list_page, again)


async def test_a_list_whose_place_the_rail_has_forgotten_is_not_at_its_end(database_url: str) -> None:
    async with opened("stripe_transfer", database_url) as office:
        doing, request = await _begun(office)
        lost = request.model_copy(update={"place": Place(after="tr_lost")})
        with pytest.raises(ApplicationError, match="broke off: it does not know the place"):
            await ActivityEnvironment().run(doing.list_page, lost)


async def _begun(office: Office) -> tuple[Reconciliations, ReconciliationRequest]:
    """A reconciliation that somebody asked for."""
    rail = office.case.rail.facts.name
    async with office.database.transaction() as connection:
        asked = await reconciliations.ask(connection, rail, BEGINNING, NOW, by="fiona", at=NOW)
    doing = Reconciliations(office.database, {rail: office.case.rail})
    return doing, ReconciliationRequest(reconciliation=str(asked), now=NOW)


async def test_what_stands_elsewhere_at_its_rail_is_looked_at(office: Office) -> None:
    """Above all what was cancelled and paid: its payout asks the rail itself, and comes before a person."""
    payout = await office.pay(1, PayoutState.CANCELLED)
    await office.pay(2)
    assert [each.kind for each in await office.reconcile()] == ["state"]
    woken = text("SELECT target FROM outbox WHERE kind = 'payout_due'")
    assert {each.target for each in await office.sql(woken)} == {str(payout)}


async def test_what_is_still_found_out_is_no_difference(office: Office) -> None:
    await office.pay(1, PayoutState.UNKNOWN)
    await office.hold(office.case.request(2), PayoutState.SENDING, None)
    assert [each.kind for each in await office.reconcile()] == ["under_way", "under_way"]


async def test_what_settled_after_it_was_listed_changed_and_is_no_difference(database_url: str) -> None:
    async with opened("tremendous", database_url) as office:
        await office.pay(1)
        (order,) = office.case.provider.orders.values()
        order["status"] = "PENDING SETTLEMENT"
        assert [each.kind for each in await office.reconcile()] == ["state"]
        await office.sql(update(PayoutRow).values(updated_at=NOW))
        assert [each.kind for each in await office.reconcile()] == ["changed"]


async def test_what_somebody_took_back_by_hand_is_found(office: Office) -> None:
    payout = await office.pay(1)
    rail = office.case.rail
    if isinstance(office.case.provider, PayPal):
        (batch,) = office.case.provider.batches.values()
        batch["items"][0]["transaction_status"] = "REFUNDED"
    else:
        in_part = rail.facts.name in {"stripe_transfer", "stripe_balance", "account_credit"}
        await office.take_back(payout, 600 if in_part else 2500, noted=False)
    found = await office.reconcile()
    if rail.facts.name == "account_credit":
        assert [(each.kind, each.theirs) for each in found] == [("theirs_only", "taken back, 6.00 USD")]
    elif rail.facts.name in {"stripe_transfer", "stripe_balance"}:
        assert [(each.kind, each.ours, each.theirs) for each in found] == [
            ("reversed", "0.00 USD taken back", "6.00 USD taken back")
        ]
    else:
        assert [(each.kind, each.payout, each.ours, each.theirs) for each in found] == [
            ("state", payout, "settled", "failed")
        ]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "paypal_payouts"])
async def test_a_clawback_that_the_rail_does_not_show_is_found(name: str, database_url: str) -> None:
    """PayPal tells of what was taken back only if it was all."""
    async with opened(name, database_url) as office:
        payout = await office.pay(1)
        await office.take_back(payout, 2500, done=False)
        (found,) = await office.reconcile()
    assert (found.kind, found.payout) == ("reversed", payout)
    assert (found.ours, found.theirs) == ("25.00 USD taken back", "0.00 USD taken back")


async def test_payouts_of_another_span_are_left_out(office: Office) -> None:
    await office.pay(1)
    await office.sql(text("UPDATE payout SET amount_minor = 1"))
    assert await office.reconcile(NOW - timedelta(days=1), NOW) == []


async def test_a_payment_by_hand_is_found(database_url: str) -> None:
    """And is none of nobody's once a person has adopted it for a payout, by its reference."""
    async with opened("stripe_transfer", database_url) as office:
        made = office.case.provider._transfer(  # type: ignore[attr-defined]
            {"amount": "2500", "currency": "usd", "destination": "acct_brie"}
        )
        (found,) = await office.reconcile()
        assert (found.kind, found.payout, found.reference) == ("theirs_only", None, made["id"])
        assert found.theirs == "paid, 25.00 USD"
        await office.hold(office.case.request(1), PayoutState.SETTLED, made["id"])
        assert await office.reconcile() == []


async def test_a_second_payment_of_one_payout_is_found(database_url: str) -> None:
    async with opened("stripe_transfer", database_url) as office:
        payout = await office.pay(1)
        request, _ = office.paid[payout]
        await office.case.rail.pay(request, f"{payout}-2")
        (found,) = await office.reconcile()
        assert (found.kind, found.payout) == ("duplicate", payout)


@pytest.mark.parametrize(
    ("break_", "why", "again"),
    [
        (lambda office: office.case.provider.fail(Fault.SHUT, method="GET"), "refused our credentials", False),
        (lambda office: office.case.provider.fail(Fault.BROKEN, method="GET"), "broke off", True),
    ],
)
async def test_a_list_that_breaks_off_is_no_list(
    database_url: str, break_: Callable[[Office], None], why: str, again: bool
) -> None:
    async with opened("stripe_transfer", database_url) as office:
        await office.pay(1)
        break_(office)
        with pytest.raises(ApplicationError, match=why) as refusal:
            await office.reconcile()
        assert refusal.value.non_retryable is not again


async def test_a_rail_that_is_not_connected_is_named(database_url: str) -> None:
    async with opened("stripe_transfer", database_url) as office:
        async with office.database.transaction() as connection:
            asked = await reconciliations.ask(connection, "tremendous", BEGINNING, NOW, by="fiona", at=NOW)
        doing = Reconciliations(office.database, {"stripe_transfer": office.case.rail})
        request = ReconciliationRequest(reconciliation=str(asked), now=NOW)
        for activity in (doing.list_page, doing.compare_some):
            with pytest.raises(ApplicationError, match="Tremendous is not connected"):
                await ActivityEnvironment().run(activity, request)
        await ActivityEnvironment().run(doing.abandon_reconciliation, request, "not connected")
        async with office.database.transaction() as connection:
            row = await reconciliations.row(connection, asked)
        assert (row.state, row.why) == ("failed", "not connected")


async def test_a_comparison_goes_on_where_it_was_killed(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.reconciliations._AT_ONCE", 2)
    async with opened("stripe_transfer", database_url) as office:
        for number in range(1, 6):
            await office.pay(number)
        await office.sql(text("UPDATE payout SET amount_minor = 1"))
        assert len(await office.reconcile()) == 5
