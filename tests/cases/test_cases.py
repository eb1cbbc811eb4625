"""Cases of facts, payments and payees, from their files through the commands, on a whole stack that they share."""

from typing import Final

import pytest

from tests.cases.running import CASES, Stack, until

_SAYING: Final = ("--reason", "confirmed_with_payee", "--note", "called back")
_REPORTED: Final = "48-report-of-an-order-nobody-sent"
_REFUNDED: Final = "46-refund-while-payment-waits"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.chaos
async def test_31_a_payee_who_connects_an_account_later_is_paid_without_a_new_approval(running: Stack) -> None:
    await running.begins("31-payee-connects-later", "c31-r1")

    async def waits() -> bool:
        return await running.waiting("c31-mira") == [("c31-r1", "waiting_method")]

    await until(waits)
    (shown,) = await running.read("list", "--program", "c31")
    assert (shown["status"], shown["payouts"], shown["claim"]["flags"]) == ("approved", [], [])
    queue = [each for each in await running.read("queue", "--program", "c31") if each["referral"] == "c31-r1"]
    assert queue == [], "nobody can do anything before she names one"

    await running.types("ingest", str(CASES / "31-payee-connects-later" / "facts-2.jsonl"), "--wait")
    (entry,) = await running.read("queue", "--program", "c31")
    assert (entry["exception"], entry["redirect"]["payee"]) == ("waiting_method", "c31-mira")
    said = await running.types("redirect", "c31-mira", "--rail", "stripe_transfer", *_SAYING, "--as", "fiona")
    assert "25.00 USD of c31-r1 waits; now acct_c31mira" in said

    async def paid() -> bool:
        return [each["state"] for each in await running.payouts("c31-mira")] == ["settled"]

    await until(paid)
    (payout,) = await running.payouts("c31-mira")
    assert (payout["destination"], payout["generation"]) == ("acct_c31mira", 1)
    approvals = await running.sql("SELECT 1 FROM decision WHERE referral_id = 'c31-r1' AND kind = 'approve'")
    assert len(approvals) == 1
    assert await running.read("queue", "--program", "c31") == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.chaos
async def test_21_a_payment_that_came_back_goes_to_another_account_once_two_people_signed(running: Stack) -> None:
    await running.sandbox("paypal", becomes="UNCLAIMED")
    await running.begins("21-paypal-unclaimed-then-returned", "c21-r1")

    async def is_in(state: str) -> bool:
        return [each["state"] for each in await running.payouts("c21-mira")] == [state]

    await until(lambda: is_in("accepted"))
    (batch,) = (await running.sandbox("paypal"))["batches"]
    await running.sandbox("paypal", becomes="SUCCESS", move=[batch, "RETURNED"])
    await until(lambda: is_in("refused"))  # as PayPal never told of it as paid
    await running.types("ingest", str(CASES / "21-paypal-unclaimed-then-returned" / "facts-2.jsonl"), "--wait")
    (entry,) = await running.read("queue", "--program", "c21")
    assert entry["exception"] == "payout_refused"
    assert "another payment method since" in entry["to_do"]

    redirect = ("redirect", "c21-mira", "--rail", "paypal_payouts", *_SAYING, "--as")
    told = "SELECT 1 FROM notice WHERE template = 'method_changed' AND recipient = 'c21-mira' AND state = 'sent'"

    async def is_told() -> bool:
        return bool(await running.sql(told))

    await until(is_told)
    early = await running.types(*redirect, "fiona", code=1)
    assert "it may be followed from" in early
    assert "now C21PAYERBBBB2, set at 2026-11-20T10:00:00Z by c21/finance; before C21PAYERAAAA1" in early
    # A day passes.
    await running.sql("UPDATE notice SET settled_at = settled_at - interval '1 day' WHERE template = 'method_changed'")
    assert "another person of finance must sign it too" in await running.types(*redirect, "fiona")
    assert "recorded before" in await running.types(*redirect, "fiona")
    assert await is_in("refused"), "one signature moves nothing"
    await running.types(*redirect, "frank")
    await until(lambda: is_in("settled"))

    batches = (await running.sandbox("paypal"))["batches"].values()
    sent = [(item["payout_item"]["receiver"], item["transaction_status"]) for each in batches for item in each["items"]]
    assert sorted(sent) == [("C21PAYERAAAA1", "RETURNED"), ("C21PAYERBBBB2", "SUCCESS")]
    (payout,) = await running.payouts("c21-mira")
    assert (payout["generation"], payout["destination"]) == (2, "C21PAYERBBBB2")
    approvals = await running.sql("SELECT 1 FROM decision WHERE referral_id = 'c21-r1' AND kind = 'approve'")
    assert len(approvals) == 1
    await running.types("decisions", "verify")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.chaos
async def test_46_a_refund_before_the_instruction_is_exported_stops_it_and_nobody_is_asked(running: Stack) -> None:
    await running.begins(_REFUNDED, "c46-r1")

    async def waits() -> bool:
        return [each["state"] for each in await running.payouts("c46-mira")] == ["approved"]

    await until(waits)
    await running.types("ingest", str(CASES / _REFUNDED / "facts-2.jsonl"), "--wait")
    # The file holds its heading alone.
    said = await running.types("payout", "instructions", "--csv", "--as", "fiona")
    assert "c46" not in said
    (shown,) = await running.read("list", "--program", "c46")
    assert (shown["status"], shown["reason"]) == ("denied", "conversion_reversed")
    assert await running.read("queue", "--program", "c46") == []
    assert [each["state"] for each in await running.payouts("c46-mira")] == ["cancelled"]
    assert await running.sql("SELECT 1 FROM clawback_case") == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.chaos
async def test_48_a_report_is_looked_into_after_the_closing_and_counts_once_the_source_confirms_it(
    running: Stack,
) -> None:
    await running.types("program", "publish", str(CASES / _REPORTED / "terms.yaml"))
    await running.types("ingest", str(CASES / _REPORTED / "facts.jsonl"), "--wait")
    (shown,) = await running.read("list", "--program", "c48")
    assert (shown["status"], shown["reason"], shown["conversion"]) == ("expired", "no_conversion", None)
    (entry,) = await running.read("queue", "--program", "c48")
    assert (entry["referral"], entry["exception"]) == ("c48-r1", "reported")
    assert "order c48-o1" in entry["about"]
    assert "Once it is on record, reopen the referral" in entry["to_do"]

    await running.types("ingest", str(CASES / _REPORTED / "facts-2.jsonl"), "--wait")
    (shown,) = await running.read("list", "--program", "c48")
    assert (shown["status"], shown["claim"]) == ("expired", None), (
        "a closed referral stays so until a person reopens it"
    )
    (entry,) = await running.read("queue", "--program", "c48")
    assert entry["exception"] == "late_fact"
    saying = ("--reason", "late_fact", "--note", "the till was connected in autumn", "--as", "paula")
    await running.types("reopen", "c48-r1", *saying)

    async def waits() -> bool:
        return [each["status"] for each in await running.read("list", "--program", "c48")] == ["awaiting_approval"]

    await until(waits)
    (shown,) = await running.read("list", "--program", "c48")
    assert shown["conversion"]["order"] == "c48-o1"
    assert {leg["role"]: leg["amount_minor"] for leg in shown["claim"]["legs"]} == {"referrer": 2500, "referee": 1000}
    assert shown["claim"]["flags"] == ["late_fact"]
    (entry,) = await running.read("queue", "--program", "c48")
    assert entry["exception"] == "approval"
