"""No page of finance's lists reads the register through, however long its past; and no total reads beyond its bound."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from models.session import engine
from referral_rewards.config.stack import with_driver
from referral_rewards.domain.measures.measures import Days
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.reporting.lists import audit, payees, payouts, referrals
from referral_rewards.reporting.lists.asked import Asked
from referral_rewards.reporting.lists.audit import AUDIT
from referral_rewards.reporting.lists.payees import PAYEES
from referral_rewards.reporting.lists.payouts import PAYOUTS
from referral_rewards.reporting.lists.referrals import REFERRALS
from referral_rewards.reporting.lists.sheets import Sheet
from tests.register import many_rows
from tests.register.plans import Plans

# A plan is of a size: the register is filled for half a minute first.
pytestmark = pytest.mark.chaos

NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)
SIZE: Final = 30_000
ON_A_PAGE: Final = 50
#: A fortnight, of which half the rows are older.
DAYS: Final = Days(date(2026, 5, 20), date(2026, 6, 1))


@pytest.fixture(scope="module")
async def register(postgres_url: str, migrated_template: str) -> AsyncIterator[AsyncEngine]:
    url = f"{postgres_url.rpartition('/')[0]}/lists"
    async with await psycopg.AsyncConnection.connect(postgres_url, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE lists TEMPLATE {migrated_template}".encode())
    await many_rows.fill(url, SIZE, NOW)
    opened = engine(with_driver(url))
    yield opened
    await opened.dispose()


def problems(plans: Plans) -> dict[str, list[str]]:
    """What is wrong with how tables were read that have rows: nothing is told by how an empty one is."""
    found = {
        statement: [each for each in its if not each.startswith("scans ") or each[6:] in many_rows.FILLED]
        for statement, its in plans.problems.items()
    }
    return {statement: its for statement, its in found.items() if its}


PAGES: Final[list[tuple[Sheet[Any, Any], Asked]]] = [
    (PAYOUTS, payouts.Wanted()),
    (PAYOUTS, payouts.Wanted(sort="amount_high")),
    (PAYOUTS, payouts.Wanted(sort="oldest", days=DAYS)),
    (PAYOUTS, payouts.Wanted(program="program-1")),
    (PAYOUTS, payouts.Wanted(program="none-such")),
    (PAYOUTS, payouts.Wanted(state=PayoutState.REFUSED)),
    (PAYOUTS, payouts.Wanted(state=PayoutState.SETTLED, rail="manual", days=DAYS)),
    (PAYOUTS, payouts.Wanted(rail="none-such")),
    (REFERRALS, referrals.Wanted()),
    (REFERRALS, referrals.Wanted(sort="newest")),
    (REFERRALS, referrals.Wanted(sort="oldest", days=DAYS)),
    (REFERRALS, referrals.Wanted(sort="newest", program="program-1", status=ReferralStatus.DENIED)),
    (PAYEES, payees.Wanted()),
    (PAYEES, payees.Wanted(sort="name_down", held=True)),
    (AUDIT, audit.Wanted()),
    (AUDIT, audit.Wanted(sort="oldest", days=DAYS)),
    (AUDIT, audit.Wanted(act="clawback")),
    (AUDIT, audit.Wanted(actor="nobody")),
    (AUDIT, audit.Wanted(actor="user-1", sign_ins=True)),
]


@pytest.mark.parametrize(
    ("sheet", "wanted"), PAGES, ids=[f"{sheet.name} {number}" for number, (sheet, _) in enumerate(PAGES)]
)
async def test_a_page_reads_a_page(register: AsyncEngine, sheet: Sheet[Any, Any], wanted: Asked) -> None:
    with Plans(register, _READ_MAX).explained() as plans:
        async with register.begin() as connection:
            first = await sheet.page(connection, replace(wanted, limit=ON_A_PAGE))
            if len(first) == ON_A_PAGE:
                after = replace(wanted, limit=ON_A_PAGE, after=sheet.place(first[-1]))
                second = await sheet.page(connection, after)
                assert not {sheet.place(row) for row in first} & {sheet.place(row) for row in second}
    assert problems(plans) == {}


#: What one place of a plan reads at most: a page, and what a second filter without an index of its own passes over.
_READ_MAX: Final = 6 * ON_A_PAGE


@pytest.mark.parametrize(
    "wanted",
    [
        (PAYOUTS, payouts.Wanted()),
        (PAYOUTS, payouts.Wanted(program="program-1")),
        (PAYOUTS, payouts.Wanted(state=PayoutState.SETTLED)),
        (REFERRALS, referrals.Wanted()),
    ],
    ids=["payouts", "payouts of a program", "payouts in a state", "referrals"],
)
async def test_a_total_reads_no_more_than_its_bound(
    register: AsyncEngine, wanted: tuple[Sheet[Any, Any], Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_most = 1_000
    for module in (payouts, referrals):
        monkeypatch.setattr(module, "LISTING", replace(module.LISTING, totalled_max=at_most))
    sheet, asked = wanted
    # A filter that leaves every third row may be read by age.
    with Plans(register, 4 * (at_most + 1)).explained() as plans:
        async with register.begin() as connection:
            found = await sheet.totals(connection, asked)
    assert (found.count.count, found.count.at_least, found.by_currency) == (at_most, True, None)
    assert problems(plans) == {}
