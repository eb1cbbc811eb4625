"""One contract for every rail: whatever happens on the way, each key pays once, and nothing is believed unseen."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from activities.sending import ask
from referral_rewards.domain.payouts.moving import ToSend
from referral_rewards.domain.payouts.rail_catalogue import pays_in, step_minor
from referral_rewards.domain.payouts.states import (
    Accepted,
    Answer,
    Declined,
    Misconfigured,
    Paid,
    Reversed,
    Unfunded,
    Unknown,
    matches,
)
from referral_rewards.local.sandbox.paypal import PayPal
from referral_rewards.local.sandbox.provider import Fault
from referral_rewards.local.sandbox.stripe import CODE, REVERSAL, Stripe
from referral_rewards.local.sandbox.tremendous import Tremendous
from tests.patience import PATIENCE_SECONDS
from tests.rails.cases import OUTSIDE, Case, Held, in_our_books, key

MICROSECOND = timedelta(microseconds=1)
#: What a provider may do that leaves the outcome open, and whether it paid.
OPEN = {
    Fault.NOT_REACHED: False,
    Fault.REPLY_LOST: True,
    Fault.CONFLICT: False,
    Fault.TOO_MANY: False,
    Fault.BROKEN: False,
    Fault.BROKEN_AFTER: True,
    Fault.GATEWAY: False,
}


@pytest.fixture(params=[*OUTSIDE, "account_credit"])
async def any_case(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[Case]:
    opening = in_our_books(database_url) if request.param == "account_credit" else OUTSIDE[request.param]()
    async with opening as case:
        yield case


@pytest.fixture(params=OUTSIDE)
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    async with OUTSIDE[request.param]() as case:
        yield case


async def _held(case: Case) -> list[Held]:
    await case.refresh()
    return case.paid()


async def _again(case: Case, *, number: int = 1, after: timedelta = timedelta(minutes=5)) -> Answer | None:
    """What the next look at an attempt comes to that went out so long ago."""
    asked = case.request(number)
    sent_at = case.provider.clock.now
    case.provider.clock.pass_time(after)
    return await ask(case.rail, ToSend(asked, case.rail.facts.name, key(asked), sent_at, True), sent_at + after)


async def test_a_key_pays_once_however_often_it_is_sent(any_case: Case) -> None:
    asked = any_case.request()
    answers = [await any_case.rail.pay(asked, key(asked)) for _ in range(3)]
    assert all(isinstance(each, Paid) and matches(asked, each) for each in answers)
    assert len({each.reference for each in answers if isinstance(each, Paid)}) == 1
    assert await _held(any_case) == [(key(asked), 2500, "USD", asked.destination)]


async def test_two_keys_pay_twice(any_case: Case) -> None:
    for number in (1, 2):
        asked = any_case.request(number)
        assert isinstance(await any_case.rail.pay(asked, key(asked)), Paid)
    assert len(await _held(any_case)) == 2


async def test_the_same_key_for_another_amount_never_pays_again(any_case: Case) -> None:
    first, other = any_case.request(), any_case.request(amount_minor=9900)
    await any_case.rail.pay(first, key(first))
    answer = await any_case.rail.pay(other, key(first))
    # A person hears of it at once, but of a coupon: it stands under our key, and is no discount yet.
    assert isinstance(answer, Unknown if any_case.rail.facts.name == "stripe_promotion" else Paid)
    assert not (isinstance(answer, Paid) and matches(other, answer))
    assert await _held(any_case) == [(key(first), 2500, "USD", first.destination)]


async def test_the_order_of_another_payout_is_never_taken_for_ours(any_case: Case) -> None:
    first, second = any_case.request(1), any_case.request(2)
    await any_case.rail.pay(first, key(first))
    other = await any_case.rail.pay(second, key(second))
    assert isinstance(other, Paid)
    answer = await any_case.rail.poll(first, key(first), other.reference)
    assert isinstance(answer, Paid)
    assert answer.reference != other.reference or not matches(first, answer)


async def test_a_look_up_knows_what_was_paid_and_only_that(any_case: Case) -> None:
    asked = any_case.request()
    before = await any_case.rail.look_up(asked, key(asked))
    paid = await any_case.rail.pay(asked, key(asked))
    after = await any_case.rail.look_up(asked, key(asked))
    if any_case.rail.facts.looks_up:
        assert (before, after) == (None, paid)
    else:
        assert isinstance(before, Unknown)
        assert isinstance(after, Unknown)
    assert isinstance(paid, Paid)
    assert await any_case.rail.poll(asked, key(asked), paid.reference) == paid


@pytest.mark.parametrize("fault", OPEN, ids=lambda fault: fault.name)
@pytest.mark.suite_has(22)
async def test_a_doubt_is_no_answer_and_ends_in_the_one_payment(case: Case, fault: Fault) -> None:
    asked = case.request()
    case.provider.fail(fault)
    assert isinstance(await case.rail.pay(asked, key(asked)), Unknown)
    # Stripe's coupon comes before the code that is the discount; in doubt about it there is no code yet.
    paid = OPEN[fault] and case.rail.facts.name != "stripe_promotion"
    assert len(case.paid()) == paid
    second = await _again(case)
    if second is None:
        # A 500 that Stripe keeps under the key for a day, with nothing behind it: look-ups and a person are left.
        assert fault in (Fault.BROKEN, Fault.BROKEN_AFTER)
        assert isinstance(case.provider, Stripe)
        assert case.paid() == []
        return
    assert isinstance(second, Paid)
    assert matches(asked, second)
    assert case.paid() == [(key(asked), 2500, "USD", asked.destination)]


@pytest.mark.parametrize("name", OUTSIDE)
async def test_an_answer_that_does_not_come_in_time_is_a_doubt(name: str) -> None:
    async with OUTSIDE[name](patience_seconds=0.5) as case:
        asked = case.request()
        case.provider.fail(Fault.TOO_SLOW)
        assert isinstance(await case.rail.pay(asked, key(asked)), Unknown)
        case.provider.heal()
        # Whether it was carried out or not: the next look finds or makes the one payment, however slow the machine.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not isinstance(await _again(case), Paid):
                pass
        assert case.paid() == [(key(asked), 2500, "USD", asked.destination)]


@pytest.mark.parametrize("fault", [Fault.SHUT, Fault.FORBIDDEN], ids=lambda fault: fault.name)
async def test_a_rail_that_does_not_let_us_in_refuses_nothing(case: Case, fault: Fault) -> None:
    asked = case.request()
    case.provider.fail(fault, fault)
    assert isinstance(await case.rail.pay(asked, key(asked)), Misconfigured)
    case.provider.heal()
    assert case.paid() == []
    assert isinstance(await _again(case), Paid)
    assert len(case.paid()) == 1


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name.startswith("stripe")])
async def test_a_provider_that_will_not_pay_says_so_for_good(name: str) -> None:
    async with OUTSIDE[name]() as case:
        assert isinstance(case.provider, Stripe)
        case.provider.accounts.clear()
        case.provider.customers.clear()
        asked = case.request()
        answer = await case.rail.pay(asked, key(asked))
        assert isinstance(answer, Declined)
        assert "brie" not in answer.why.lower()
        assert case.paid() == []


@pytest.mark.parametrize(("name", "says"), [("stripe_transfer", True), ("paypal_payouts", False), ("tremendous", True)])
async def test_want_of_funds_is_no_refusal_and_some_rails_say_when_they_are_there(name: str, says: bool) -> None:
    async with OUTSIDE[name]() as case:
        provider, asked = case.provider, case.request()
        assert isinstance(provider, Stripe | PayPal | Tremendous)
        provider.poor = True
        assert isinstance(await case.rail.pay(asked, key(asked)), Unfunded)
        assert await case.rail.funded(asked) is (False if says else None)
        provider.poor = False
        if says:
            provider.fail(Fault.GATEWAY, method="GET")
            assert await case.rail.funded(asked) is False
        assert await case.rail.funded(asked) is (True if says else None)
        assert case.paid() == []


@pytest.mark.parametrize(
    ("currency", "amount_minor", "meta", "funded"),
    [
        ("USD", 2500, {"available_cents": 2500, "currency_code": "USD"}, True),
        ("USD", 2500, {"available_cents": 2499, "currency_code": "USD"}, False),
        ("EUR", 2500, {"available_cents": 2500, "currency_code": "EUR"}, True),
        ("JPY", 2500, {"available_cents": 250_000, "currency_code": "JPY"}, True),
        ("JPY", 2500, {"available_cents": 249_999, "currency_code": "JPY"}, False),
        ("USD", 2500, {"available_cents": 10**9, "currency_code": "EUR"}, None),
        ("EUR", 2500, {"available_cents": 10**9, "currency_code": "USD"}, None),
        # Before it told its currency a balance was in US dollars.
        ("USD", 2500, {"available_cents": 2500}, True),
        ("EUR", 2500, {"available_cents": 10**9}, None),
        # A card or a bank account says nothing of what it holds.
        ("USD", 2500, {"last4": "1234"}, None),
    ],
)
async def test_a_balance_is_enough_in_its_own_currency_alone(
    currency: str, amount_minor: int, meta: dict[str, object], funded: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with OUTSIDE["tremendous"]() as case:
        assert isinstance(case.provider, Tremendous)
        monkeypatch.setattr(case.provider, "meta", lambda: meta)
        assert await case.rail.funded(case.request(1, amount_minor, currency)) is funded


async def test_a_gift_card_is_taken_back_for_a_week() -> None:
    async with OUTSIDE["tremendous"]() as case:
        for number, after, meaning in (
            (1, timedelta(days=7) - MICROSECOND, Reversed),
            (2, timedelta(days=7), Declined),
        ):
            asked = case.request(number)
            paid = await case.rail.pay(asked, key(asked))
            assert isinstance(paid, Paid)
            case.provider.clock.pass_time(after)
            assert isinstance(await case.rail.reverse(asked, paid, 2500, f"clawback-{number}"), meaning)


@pytest.mark.parametrize("change", [{"factor": 2}, {"currency": "EUR"}, {"other": True}], ids=str)
async def test_a_payment_of_another_amount_currency_or_payee_is_never_taken_for_ours(
    case: Case, change: dict[str, object]
) -> None:
    asked = case.request()
    case.provider.fail(Fault.REPLY_LOST)
    await case.rail.pay(asked, key(asked))
    if case.rail.facts.name == "stripe_promotion":
        await case.rail.pay(asked, key(asked))
    case.alter(**change)
    answer = await _again(case)
    assert isinstance(answer, Paid)
    assert not matches(asked, answer)
    assert len(case.paid()) == 1


@pytest.mark.parametrize("fault", [Fault.NOT_REACHED, Fault.REPLY_LOST], ids=lambda fault: fault.name)
async def test_past_the_window_of_a_key_nothing_is_sent_again(case: Case, fault: Fault) -> None:
    window = case.rail.facts.key_window
    asked = case.request()
    case.provider.fail(fault)
    await case.rail.pay(asked, key(asked))
    posts = [each for each in case.provider.asked if each.method == "POST"]
    answer = await _again(case, after=window or timedelta(days=400))
    if window is None:
        assert isinstance(answer, Paid)
        assert len(case.paid()) == 1
        return
    if answer is not None:
        assert isinstance(answer, Paid)  # It was found.
        assert (fault, case.rail.facts.looks_up) == (Fault.REPLY_LOST, True)
    assert [each for each in case.provider.asked if each.method == "POST"] == posts
    assert len(case.paid()) <= 1


async def test_a_microsecond_before_the_window_ends_the_same_key_goes_out_again(case: Case) -> None:
    window = case.rail.facts.key_window or timedelta(days=400)
    case.provider.fail(Fault.NOT_REACHED)
    await case.rail.pay(case.request(), key(case.request()))
    assert isinstance(await _again(case, after=window - timedelta(microseconds=1)), Paid)
    assert len(case.paid()) == 1


async def test_a_claim_that_changed_after_an_attempt_is_asked_about_and_not_sent(case: Case) -> None:
    asked = case.request()
    case.provider.fail(Fault.NOT_REACHED)
    await case.rail.pay(asked, key(asked))
    now = case.provider.clock.now
    step = ToSend(asked, case.rail.facts.name, key(asked), now, may_resend=False)
    assert await ask(case.rail, step, now + timedelta(minutes=5)) is None
    assert case.paid() == []


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD", "ISK", "MGA", "HUF", "UGX", "EUR"])
@pytest.mark.suite_has(21)
async def test_every_currency_arrives_as_it_was_approved(case: Case, currency: str) -> None:
    """What the provider holds is read back by its own rules; what it can't pay is refused, and never rounded."""
    name = case.rail.facts.name
    for number, amount_minor in enumerate((step_minor(name, currency) * 3, step_minor(name, currency) * 125 + 1)):
        asked = case.request(number, amount_minor, currency)
        answer = await case.rail.pay(asked, key(asked))
        if pays_in(name, currency) and amount_minor % step_minor(name, currency) == 0:
            assert isinstance(answer, Paid), answer
            assert matches(asked, answer)
            assert case.paid()[0 if isinstance(case.provider, Stripe) else -1][1:3] == (amount_minor, currency)
        else:
            assert isinstance(answer, Declined)


async def test_no_identity_of_a_person_leaves_with_a_payment(case: Case) -> None:
    asked = case.request(program="brie@example.com", referral="+15551234567")
    assert isinstance(await case.rail.pay(asked, key(asked)), Paid)
    for sent in case.provider.asked:
        assert "example.com" not in str((sent.steps, sent.document, sent.headers))
        assert "15551234567" not in str((sent.steps, sent.document, sent.headers))


@pytest.mark.parametrize("destination", [None, "", "brie@example.com", "method:0d7f4d0e", "../v1/refunds"])
async def test_a_payee_without_an_account_of_the_provider_is_not_paid_by_it(
    case: Case, destination: str | None
) -> None:
    if case.rail.facts.name in {"tremendous"} or (case.rail.facts.name == "stripe_promotion" and destination is None):
        return  # They need none: the link, or the code, is handed over by us.
    asked = case.request(destination=destination)
    assert isinstance(await case.rail.pay(asked, key(asked)), Declined)
    assert [each for each in case.provider.asked if "oauth2" not in each.steps] == []


async def test_what_was_paid_is_taken_back_once_for_each_key(any_case: Case) -> None:
    asked = any_case.request()
    if isinstance(any_case.provider, PayPal):
        any_case.provider.becomes = "UNCLAIMED"
    paid = await any_case.rail.pay(asked, key(asked))
    shown = paid.order if isinstance(paid, Accepted) else paid
    assert isinstance(shown, Paid)
    for _ in range(2):
        back = await any_case.rail.reverse(asked, shown, 2500, "clawback-1")
        assert isinstance(back, Reversed)
        assert (back.amount_minor, back.currency) == (2500, "USD")


async def test_no_more_is_taken_back_than_was_paid(any_case: Case) -> None:
    asked = any_case.request()
    paid = await any_case.rail.pay(asked, key(asked))
    assert isinstance(paid, Paid)
    assert isinstance(await any_case.rail.reverse(asked, paid, 2501, "clawback-1"), Declined)


@pytest.mark.parametrize("name", ["account_credit", "stripe_transfer", "stripe_balance"])
async def test_a_part_can_be_taken_back_where_the_provider_allows_it(name: str, database_url: str) -> None:
    async with in_our_books(database_url) if name == "account_credit" else OUTSIDE[name]() as case:
        asked = case.request()
        paid = await case.rail.pay(asked, key(asked))
        assert isinstance(paid, Paid)
        back = await case.rail.reverse(asked, paid, 1000, "clawback-1")
        assert isinstance(back, Reversed)
        assert back.amount_minor == 1000


@pytest.mark.parametrize(
    ("name", "pending", "done", "failed"),
    [
        ("paypal_payouts", "UNCLAIMED", "SUCCESS", "RETURNED"),
        ("paypal_payouts", "PENDING", "SUCCESS", "FAILED"),
        ("paypal_payouts", "ONHOLD", "SUCCESS", "BLOCKED"),
        ("tremendous", "PENDING APPROVAL", "EXECUTED", "CANCELED"),
        ("tremendous", "PENDING INTERNAL PAYMENT APPROVAL", "EXECUTED", "FAILED"),
        ("tremendous", "PENDING SETTLEMENT", "EXECUTED", "FAILED"),
    ],
)
@pytest.mark.parametrize("pays", [True, False])
async def test_an_order_that_was_taken_is_neither_paid_nor_refused_until_the_provider_says_so(
    name: str, pending: str, done: str, failed: str, pays: bool
) -> None:
    async with OUTSIDE[name]() as case:
        provider = case.provider
        assert isinstance(provider, PayPal | Tremendous)
        provider.becomes = pending
        asked = case.request()
        first = await case.rail.pay(asked, key(asked))
        assert isinstance(first, Accepted)
        assert matches(asked, first.order)
        assert await case.rail.poll(asked, key(asked), first.order.reference) == first
        provider.fail(Fault.REPLY_LOST, method="GET")
        assert isinstance(await case.rail.poll(asked, key(asked), first.order.reference), Unknown)
        status = done if pays else failed
        if isinstance(provider, PayPal):
            provider.batches[first.order.reference]["items"][0]["transaction_status"] = status
        else:
            provider.orders[key(asked)]["status"] = status
        last = await case.rail.poll(asked, key(asked), first.order.reference)
        assert last == (first.order if pays else last)
        assert isinstance(last, Paid if pays else Declined)


def _taken_back(case: Case) -> int:
    """How often each rail's provider holds it as taken back."""
    provider = case.provider
    if isinstance(provider, Stripe):
        switched_off = [each for each in provider.of(CODE) if not each["active"]]
        entries = [each for each in provider.objects.values() if each["metadata"].get("key") == "clawback-1"]
        return len(provider.of(REVERSAL)) + len(entries) + len(switched_off)
    if isinstance(provider, PayPal):
        return sum(each["items"][0]["transaction_status"] == "RETURNED" for each in provider.batches.values())
    assert isinstance(provider, Tremendous)
    return sum(each["status"] == "CANCELED" for each in provider.orders.values())


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", [Fault.REPLY_LOST, Fault.NOT_REACHED, Fault.BROKEN_AFTER], ids=lambda each: each.name)
async def test_a_reversal_whose_reply_is_lost_takes_back_once(case: Case, fault: Fault, method: str) -> None:
    asked = case.request()
    if isinstance(case.provider, PayPal):
        case.provider.becomes = "UNCLAIMED"
    made = await case.rail.pay(asked, key(asked))
    paid = made.order if isinstance(made, Accepted) else made
    assert isinstance(paid, Paid)
    case.provider.fail(fault, method=method)
    first = await case.rail.reverse(asked, paid, 2500, "clawback-1")
    assert isinstance(first, Unknown | Reversed)
    case.provider.heal()
    # Stripe keeps a 500 under the key for a day, which stays a doubt until the key is forgotten.
    case.provider.clock.pass_time(timedelta(hours=25))
    assert isinstance(await case.rail.reverse(asked, paid, 2500, "clawback-1"), Reversed)
    assert _taken_back(case) == 1


@pytest.mark.parametrize("fault", [Fault.REPLY_LOST, Fault.GATEWAY, Fault.TOO_MANY], ids=lambda each: each.name)
async def test_a_question_whose_answer_is_lost_is_no_answer_and_moves_nothing(case: Case, fault: Fault) -> None:
    asked = case.request()
    paid = await case.rail.pay(asked, key(asked))
    assert isinstance(paid, Paid)
    before = await _held(case)
    for question in (case.rail.poll(asked, key(asked), paid.reference), case.rail.look_up(asked, key(asked))):
        case.provider.fail(fault, method="GET")
        assert isinstance(await question, Unknown)
        case.provider.heal()
    assert await case.rail.poll(asked, key(asked), paid.reference) == paid
    assert await _held(case) == before
