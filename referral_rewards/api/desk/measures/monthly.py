"""A month of a program on one page that a manager prints and hands over: figures beside the month before, charts,
exceptions and how they ended, who brought most, and what each figure means."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from referral_rewards.api.dependencies import Its
from referral_rewards.api.desk.measures.drawing import drawn, named
from referral_rewards.api.desk.measures.reports import beside
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Reader
from referral_rewards.api.desk.words import money
from referral_rewards.domain.instants import lasted
from referral_rewards.domain.labels.sentences import counted, listed
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.measures.definitions import DEFINITIONS
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register import programs
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.measures import charts, month
from referral_rewards.reporting.measures import program as measured
from referral_rewards.reporting.measures.month import Month
from referral_rewards.reporting.measures.program import Figures, Wanted

router = APIRouter(prefix="/reports/month")


class Tile(NamedTuple):
    """A figure of the month in words, and that of the month before."""

    name: str
    value: str
    before: str


@router.get("/{program}")
async def latest(program: str, visit: Reader, parts: Its) -> Response:
    """The last month that is over, on the program's calendar."""
    async with parts.database.reading() as connection:
        terms = (await programs.versions(connection, program))[-1:]
        if not terms:
            raise await programs.unknown(connection, program)
    over = Month.of(_today(terms[0][1])).before
    return RedirectResponse(f"/reports/month/{quote(program, safe='')}/{over}", 303)


@router.get("/{program}/{written}")
async def show_month(program: str, written: str, visit: Reader, parts: Its) -> Response:
    """One month, beside the month before."""
    its, now = Month.parse(written), datetime.now(UTC)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        published = await programs.versions(connection, program)
        if not published:
            raise await programs.unknown(connection, program)
        terms = published[-1][1]
        wanted = Wanted(program, its.days)
        found = await measured.report(connection, wanted, now, parts.means)
        before = await measured.report(connection, Wanted(program, its.before.days), now, parts.means)
        over_time = await charts.charts(connection, wanted, now)
        behind = await month.behind(connection, program, its)
    return page(
        "month.html",
        visit,
        zone=terms.timezone,
        here="/reports",
        program=program,
        name=terms.name,
        month=its,
        is_over=Month.of(_today(terms)) > its,
        as_of=now,
        lags=found.behind,
        tiles=_tiles(found.measures, before.measures),
        rows=beside(wanted, found.measures, before.measures),
        charts=[(each, drawn(each, over_time.step)) for each in over_time.charts],
        named=lambda first: named(first, over_time.step),
        behind=behind,
        ended=_ended,
        money=_money,
        definitions=list(DEFINITIONS.values()),
    )


def _today(terms: Terms) -> date:
    return datetime.now(UTC).astimezone(terms.zone).date()


def _tiles(its: Figures, before: Figures) -> list[Tile]:
    return [
        Tile(name, now, earlier) for (name, now), (_, earlier) in zip(_headline(its), _headline(before), strict=True)
    ]


def _headline(its: Figures) -> Sequence[tuple[str, str]]:
    """What somebody who has a minute reads."""
    rated, cost = its.referrer_satisfaction, _net(its)
    revenue = {each.currency: each.rewarded_minor for each in its.referred_revenue}
    return [
        ("claims created", str(its.claims_created)),
        ("claims approved", str(its.claims_approved)),
        ("claims denied", str(its.denied_by_rule + its.denied_by_decision)),
        ("claims with an exception", str(its.exceptions.claims)),
        ("paid to referrers and referees, net", _money(cost)),
        ("revenue of the rewarded", _money(revenue)),
        ("median from due to decided", lasted(its.payout_time.due_to_decided.median_s)),
        (f"satisfaction, {counted(rated.n, 'answer')}", "–" if rated.mean is None else f"{rated.mean:.2f} of 5"),
    ]


def _net(its: Figures) -> Mapping[str, int]:
    """What was settled less what was taken back, by currency."""
    found: dict[str, int] = {}
    for each in its.reward_cost:
        found[each.currency] = found.get(each.currency, 0) + each.settled_minor - each.taken_back_minor
    return found


def _money(amounts: Mapping[str, int]) -> str:
    """Amounts of several currencies, each apart; a dash for none."""
    return ", ".join(money(minor, currency) for currency, minor in sorted(amounts.items())) or "–"


def _ended(now: Mapping[ReferralStatus, int]) -> str:
    """Where claims stand, in words: ``rewarded: 3 and denied: 1``."""
    return listed(f"{label('status', status)}: {count}" for status, count in sorted(now.items()))
