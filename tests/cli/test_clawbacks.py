"""`referrals clawback open` and `return`: finance opens a case by hand, and pays back what was taken wrongly."""

from uuid import UUID

import pytest
from sqlalchemy import text

from tests import money
from tests.cli.test_payouts import Typed, desk, referrals
from tests.desk import Desk

__all__ = ["desk", "referrals"]

_WHY = ("--reason", "other", "--note", "looked at it")


@pytest.fixture(autouse=True)
async def paid(desk: Desk) -> None:
    """The referrer's reward of 25.00 was paid, and a case about it is open."""
    await money.stand(desk, "r1")


async def told(desk: Desk, statement: str) -> list[tuple[object, ...]]:
    async with desk.database.transaction() as connection:
        result = await connection.execute(text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


async def test_a_case_is_opened_over_a_part_of_what_was_paid(desk: Desk, referrals: Typed) -> None:
    opened = await referrals("clawback", "open", "r1", "--leg", "referrer", "--amount", "10.00", *_WHY)
    assert (opened.code, opened.err.count("25.00 USD of it left")) == (0, 1)
    assert "clawback case opened by olga" in opened.out
    cases = "SELECT state, proposed_minor FROM clawback_case WHERE why LIKE 'olga opened it by hand%'"
    assert await told(desk, cases) == [("open", 1000)]
    assert await told(desk, "SELECT 1 FROM clawback") == []


@pytest.mark.parametrize(
    ("changed", "code", "problem"),
    [
        ({"--amount": "25.01"}, 1, "only 25.00 USD remain"),
        ({"--amount": "ten"}, 2, "--amount"),
        ({"--amount": "0.001"}, 2, "USD has 2 decimals"),
        ({"--leg": "referee"}, 2, "no reward of the referee of r1 was paid"),
        ({"--reason": "sunday"}, 2, "--reason"),
    ],
)
@pytest.mark.suite_has(2)
async def test_what_can_not_be_opened_is_told_in_one_line(
    desk: Desk, referrals: Typed, changed: dict[str, str], code: int, problem: str
) -> None:
    given = {"--leg": "referrer", "--amount": "10.00", "--reason": "other", "--note": "looked at it", **changed}
    refused = await referrals("clawback", "open", "r1", *(word for pair in given.items() for word in pair))
    assert (refused.code, refused.out) == (code, "")
    assert problem in refused.err
    assert "Traceback" not in refused.err
    assert await told(desk, "SELECT 1 FROM decision WHERE kind = 'open_clawback'") == []


async def test_what_was_taken_is_returned_and_no_more(desk: Desk, referrals: Typed) -> None:
    case = str(money.CASE)
    early = await referrals("clawback", "return", case, "--amount", "1.00", *_WHY)
    assert (early.code, "you can" in early.err) == (1, True)
    assert (await referrals("clawback", "reverse", case, "--amount", "10.00", *_WHY)).code == 0
    await told(desk, "UPDATE clawback SET state = 'reversed', recovered_minor = amount_minor")
    more = await referrals("clawback", "return", case, "--amount", "10.01", *_WHY)
    assert (more.code, "only 10.00 USD remain" in more.err) == (1, True)
    done = await referrals("clawback", "return", case, "--amount", "4.00", *_WHY)
    assert (done.code, "return of what was taken ordered by olga" in done.out) == (0, True)
    ((returned, amount_minor),) = await told(desk, "SELECT returns, amount_minor FROM payout WHERE returns IS NOT NULL")
    assert (returned, amount_minor) == (UUID(case), 400)
    shown = await referrals("clawback", "show", case)
    assert "return of 4.00 USD: payout" in shown.out
    # Its payout's page leads back to the case.
    ((payout,),) = await told(desk, "SELECT id FROM payout WHERE returns IS NOT NULL")
    async with desk.browser("olga") as browser:
        assert f'href="/clawbacks/{case}"' in (await browser.get(f"/payouts/{payout}")).text
