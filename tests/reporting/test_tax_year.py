"""The year of a payee: against a sum by hand and against the books, whatever was paid, bounced or withheld."""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import LegRow, PayoutDeduction, PayoutLegRow, PayoutRow
from models.session import Database
from referral_rewards.domain.books import ledger as books
from referral_rewards.domain.books.ledger import Deduction, DeductionKind
from referral_rewards.domain.calendar import zone
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.payees.tax_reporting import Grounds, PayeeStatus
from referral_rewards.domain.payouts.rail_catalogue import PROVIDERS
from referral_rewards.register.books import ledger
from referral_rewards.register.payees import rows as payees
from referral_rewards.reporting.payees.filers import FILERS
from referral_rewards.reporting.payees.year import COLUMNS, PaidInYear, paid_in, report, report_as_json
from tests.register.crowd import INTAKE, Crowd, told

YEAR = 2026
NOW = datetime(2027, 3, 1, tzinfo=UTC)
PROGRAMS = {
    "friends": ("UTC", "us", "USD"),
    "partners": ("America/New_York", "us", "USD"),
    "mates": ("Pacific/Auckland", "none", "USD"),
    "amis": ("Europe/Paris", "none", "EUR"),
}
PAYEES = ("ada", "bob", "=cmd", "@eve")
#: Moments around both ends of the year on every clock, and in between.
MOMENTS = [
    end + timedelta(hours=hours) + tick
    for end in (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    for hours in (-24, -13, -1, 0, 5, 12)
    for tick in (-timedelta(microseconds=1), timedelta())
] + [datetime(2026, 6, 1, tzinfo=UTC)] * 8


@dataclass(frozen=True)
class Sent:
    """A payout as it was drawn."""

    program: str
    payee: str
    state: str
    settled_at: datetime | None
    legs: tuple[tuple[str, int], ...]
    withheld: int
    rail: str = "tremendous"

    @property
    def gross(self) -> int:
        return sum(minor for _, minor in self.legs)

    @property
    def in_the_year(self) -> bool:
        clock = zone(PROGRAMS[self.program][0])
        return self.state == "settled" and self.settled_at is not None and (
            self.settled_at.astimezone(clock).year == YEAR
        )  # fmt: skip


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[AsyncConnection]:
    database = Database.at(database_url)
    crowd = Crowd(database)
    for name, (clock, regime, currency) in PROGRAMS.items():
        await crowd.publish(name, changes={"timezone": clock, "tax": {"regime": regime}, "currency": currency})
    async with database.transaction() as opened:
        yield opened
        await opened.rollback()
    await database.close()


@pytest.mark.parametrize("seed", range(3))
async def test_a_year_is_what_a_sum_by_hand_and_the_books_say(connection: AsyncConnection, seed: int) -> None:
    rng = random.Random(seed)
    sent = [await _drawn(connection, rng, number) for number in range(60)]

    lines = [each async for each in paid_in(connection, YEAR, NOW)]

    by_hand: Counter[tuple[str, str, str]] = Counter()
    withheld: Counter[tuple[str, str]] = Counter()
    for each in sent:
        if each.in_the_year:
            currency = PROGRAMS[each.program][2]
            for kind, minor in each.legs:
                by_hand[each.payee, currency, kind] += minor
            withheld[each.payee, currency] += each.withheld
    assert {(e.payee, e.currency, kind): minor for e in lines for kind, minor in e.by_kind.items()} == by_hand
    assert {(e.payee, e.currency): e.withheld_minor for e in lines if e.withheld_minor} == +withheld
    assert [(e.payee, e.currency) for e in lines] == sorted({(payee, currency) for payee, currency, _ in by_hand})
    for line in lines:
        assert sum(line.by_rail.values()) == line.total_minor
        us = any(e.in_the_year and e.payee == line.payee and PROGRAMS[e.program][1:] == ("us", line.currency)
                 for e in sent)  # fmt: skip
        assert line.regime == ("us" if us else "none")
        assert line.reportable is (us and line.total_minor >= 2_000_00)
    assert await _by_the_books(connection) == {(e.payee, e.currency): e.total_minor for e in lines}


@pytest.mark.parametrize("seed", range(1))
async def test_what_counts_is_what_settled_in_the_year_and_what_is_on_its_way(
    connection: AsyncConnection, seed: int
) -> None:
    rng = random.Random(seed)
    sent = [await _drawn(connection, rng, number) for number in range(60)]
    by_hand: dict[str, Counter[str]] = {payee: Counter() for payee in PAYEES}
    for each in sent:
        if each.in_the_year or each.state not in ("settled", "cancelled"):
            by_hand[each.payee][PROGRAMS[each.program][2]] += each.gross
    found = await payees.totals(connection, PAYEES, YEAR)
    assert {payee: dict(each) for payee, each in found.items()} == {p: dict(c) for p, c in by_hand.items() if c}
    besides = await payees.totals(connection, PAYEES, YEAR, besides="r0")
    own = sent[0]
    if own.in_the_year or own.state not in ("settled", "cancelled"):
        by_hand[own.payee][PROGRAMS[own.program][2]] -= own.gross
    assert {payee: +Counter(each) for payee, each in besides.items()} == {p: +c for p, c in by_hand.items() if +c}


async def test_what_was_had_back_stands_beside_what_was_paid(connection: AsyncConnection) -> None:
    middle, after = datetime(2026, 7, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
    offset = Deduction(DeductionKind.OFFSET, "c1", 40)
    for entry, at in (
        (books.claimed_back("c1", "friends", "ada", 100, "USD"), middle),
        (books.recovered("c1", "tremendous", "ada", 30, "USD"), middle),
        (books.settled("p1", "tremendous", "ada", 60, "USD", deductions=(offset,)), middle),
        (books.settled("p2", "tremendous", "ada", 60, "USD", deductions=(offset,)), middle),
        (books.returned("p2", "tremendous", "ada", 60, "USD", deductions=(offset,)), middle),
        (books.recovered("c2", "tremendous", "ada", 5, "USD"), after),
        (books.written_off("c1", "friends", "ada", 30, "USD"), middle),
    ):
        await ledger.post(connection, entry, program="friends", referral="r1", at=at)
    (line,) = [each async for each in paid_in(connection, YEAR, NOW)]
    assert (line.payee, line.total_minor, line.clawed_back_minor) == ("ada", 0, 70)
    (line,) = [each async for each in paid_in(connection, 2027, NOW)]
    assert (line.total_minor, line.clawed_back_minor) == (0, 5)


async def test_the_sheet_says_the_form_at_the_end_of_the_year_and_holds_no_formula(
    connection: AsyncConnection,
) -> None:
    await _paid(connection, "=cmd", 2_000_00)
    await _paid(connection, "ada", 1_999_99)
    forms = [
        {"payee": "=cmd", "form": "W-8BEN", "valid_from": "2026-06-01"},
        {"payee": "=cmd", "form": "=other", "valid_from": "2027-01-01"},
    ]
    for number, form in enumerate(forms):
        event = told(f"f{number}", "payee.tax_form_filed", number, form)
        await INTAKE.record(connection, [parse_event(event)], received_at=NOW)

    written = "".join([part async for part in report(connection, YEAR, NOW)])
    lines = list(csv.DictReader(io.StringIO(written)))

    assert [line["payee"] for line in lines] == ["'=cmd", "ada"]
    # Foreign by the form, so that no 1099 is due however much it is.
    assert [line["reportable"] for line in lines] == ["no", "no"]
    first, second = lines
    assert first == {
        **dict.fromkeys(COLUMNS, "0.00"), "payee": "'=cmd", "regime": "us", "currency": "USD", "credit": "2000.00",
        "total": "2000.00", "threshold": "2000.00 USD", "reportable": "no", "form": "W-8BEN",
        "form_state": "in_force", "form_until": "2030-01-01", "payee_status": "foreign, by the form on file",
        "why": "foreign by the form on file: find out whether a form for foreign payees is due, such as 1042-S",
        "rails": "tremendous 2000.00", "others_file": "",
    }  # fmt: skip
    assert (second["form"], second["form_state"], second["form_until"]) == ("", "missing", "")
    assert (second["payee_status"], second["why"]) == ("no form says", "below the threshold")
    assert [part async for part in report(connection, YEAR, NOW, regime="none")] == [written.splitlines()[0] + "\n"]


async def test_a_foreign_payee_is_not_reported_as_a_taxpayer_of_the_regime(connection: AsyncConnection) -> None:
    """Over the threshold of 2,000.00 all; one filed a W-9, one a W-8BEN, one nothing, and one both."""
    filed: dict[str, tuple[str, ...]] = {
        "c23-us": ("W-9",), "c23-fr": ("W-8BEN",), "c23-no": (), "c23-both": ("W-9", "W-8BEN")
    }  # fmt: skip
    for payee, forms in filed.items():
        await _paid(connection, payee, 2_100_00, rail="manual")
        for number, form in enumerate(forms):
            event = told(f"{payee}-{number}", "payee.tax_form_filed", number, {"payee": payee, "form": form})
            await INTAKE.record(connection, [parse_event(event)], received_at=NOW)
    await _paid(connection, "c23-us", 50_00, rail="paypal_payouts")

    sheet = "".join([part async for part in report(connection, YEAR, NOW)])
    whole = json.loads("".join([part async for part in report_as_json(connection, YEAR, NOW)]))

    lines = {line["payee"]: line for line in csv.DictReader(io.StringIO(sheet))}
    found = {payee: (line["reportable"], line["why"].partition(":")[0]) for payee, line in lines.items()}
    assert found == {
        "c23-us": ("yes", "the threshold is reached"),
        "c23-fr": ("no", "foreign by the form on file"),
        "c23-no": ("yes", "the threshold is reached"),
        "c23-both": ("unknown", "the form changed within the year"),
    }
    assert (lines["c23-us"]["rails"], lines["c23-us"]["others_file"]) == (
        "manual 2100.00; paypal_payouts 50.00",
        "paypal_payouts",
    )
    assert whole["year"] == YEAR
    by_payee = {each["payee"]: PaidInYear.model_validate(each) for each in whole["payees"]}
    assert {payee: (each.reportable, each.grounds, each.payee_status) for payee, each in by_payee.items()} == {
        "c23-us": (True, Grounds.REACHES_THRESHOLD, PayeeStatus.DOMESTIC),
        "c23-fr": (False, Grounds.FOREIGN, PayeeStatus.FOREIGN),
        "c23-no": (True, Grounds.REACHES_THRESHOLD, PayeeStatus.UNDECLARED),
        "c23-both": (None, Grounds.STATUS_CHANGED, PayeeStatus.CHANGED),
    }
    assert by_payee["c23-us"].by_rail == {"manual": 2_100_00, "paypal_payouts": 50_00}


async def _paid(connection: AsyncConnection, payee: str, minor: int, rail: str = "tremendous") -> None:
    its = Sent("friends", payee, "settled", datetime(2026, 6, 1, tzinfo=UTC), (("credit", minor),), 0, rail)
    await _recorded(connection, its, f"{payee}-{rail}")


async def _drawn(connection: AsyncConnection, rng: random.Random, number: int) -> Sent:
    """A payout at random, in the register and in the books."""
    state = rng.choice(["settled"] * 6 + ["returned", "cancelled", "accepted", "refused", "approved"])
    legs = tuple(
        (rng.choice(["cash", "credit", "gift_card", "discount"]), rng.randrange(1, 900_00))
        for _ in range(rng.randrange(1, 4))
    )
    settled_at = rng.choice(MOMENTS) if state in ("settled", "returned") else None
    withheld = rng.choice([0, 0, sum(minor for _, minor in legs) // 4])
    drawn = Sent(rng.choice(list(PROGRAMS)), rng.choice(PAYEES), state, settled_at, legs, withheld)
    await _recorded(connection, drawn, str(number))
    return drawn


async def _recorded(connection: AsyncConnection, its: Sent, name: str) -> None:
    payout, currency = uuid5(UUID(int=1), name), PROGRAMS[its.program][2]
    referral = f"r{name}"
    await connection.execute(_REFERRAL, {"id": referral, "program": its.program, "at": NOW})
    for n, (kind, minor) in enumerate(its.legs):
        leg = uuid5(payout, str(n))
        await _row(
            connection, LegRow, id=leg, referral_id=referral, claim_id=payout, digest="", program=its.program,
            referrer="", order_key=f"{name}-{n}", role=f"side-{n}", beneficiary=its.payee, kind=kind,
            amount_minor=minor, currency=currency, rail=its.rail, state="paid", approved_at=NOW, decisions=[],
        )  # fmt: skip
        await _row(connection, PayoutLegRow, payout_id=payout, leg_id=leg, live=its.state != "cancelled")
    kept = (Deduction(DeductionKind.WITHHOLDING, "us", its.withheld),) if its.withheld else ()
    for each in kept:
        await _row(connection, PayoutDeduction, payout_id=payout, kind=each.kind, source="us",
                   amount_minor=each.amount_minor, live=True)  # fmt: skip
    await _row(
        connection, PayoutRow, id=payout, referral_id=referral, payee=its.payee, rail=its.rail,
        amount_minor=its.gross - its.withheld, currency=currency, body={}, body_hash="", provider_key=name,
        state=its.state, settled_at=its.settled_at, updated_at=NOW,
    )  # fmt: skip
    entries = []
    if its.settled_at is not None:
        paid = (str(payout), its.rail, its.payee, its.gross - its.withheld, currency)
        entries.append((books.settled(*paid, deductions=kept), its.settled_at))
        if its.state == "returned":
            entries.append((books.returned(*paid, deductions=kept), NOW))
    for entry, at in entries:
        await ledger.post(connection, entry, program=its.program, referral=referral, at=at)


async def _by_the_books(connection: AsyncConnection) -> dict[tuple[str, str], int]:
    """What the books say was owed to each payee and settled in the year, what was undone since left out."""
    rows = await connection.execute(
        text("""
        SELECT t.key, t.program, t.posted_at, substr(p.account, 9) AS payee, p.currency, p.amount_minor
        FROM ledger_transaction t JOIN posting p ON p.transaction_id = t.id WHERE p.account LIKE 'payable:%'
    """)
    )
    of_payout: dict[str, Any] = {}
    undone = set()
    for row in rows:
        what, _, payout = row.key.partition(":")
        if what == "returned":
            undone.add(payout)
        else:
            of_payout[payout] = row
    found: Counter[tuple[str, str]] = Counter()
    for payout, row in of_payout.items():
        if payout not in undone and row.posted_at.astimezone(zone(PROGRAMS[row.program][0])).year == YEAR:
            found[row.payee, row.currency] += row.amount_minor
    return dict(found)


async def _row(connection: AsyncConnection, table: Any, **values: Any) -> None:
    await connection.execute(insert(table.__table__).values(values))


_REFERRAL = text("""
INSERT INTO referral (id, origin_rank, began_at, origin_source, origin_event, program, version, facts_version,
                      judged_version, round, late_facts, claim_version)
VALUES (:id, 0, :at, 'test', :id, :program, 1, 0, 0, 1, 0, 0)
""")


def test_of_each_provider_it_is_known_whether_it_files() -> None:
    assert sorted(FILERS) == sorted(set(PROVIDERS.values()))
