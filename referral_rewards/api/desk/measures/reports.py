"""A program's report: its figures beside the period before, charts over time, and the referrals behind each figure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, NamedTuple
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from referral_rewards.api.dependencies import Its
from referral_rewards.api.desk.measures.drawing import drawn, named
from referral_rewards.api.desk.pages import page, zone_of
from referral_rewards.api.desk.session.visiting import Reader
from referral_rewards.api.desk.words import day_in, money
from referral_rewards.api.v1.fields import TEXT
from referral_rewards.domain.calendar import zone as zone_named
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.instants import lasted
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.measures.definitions import DEFINITIONS, Definition
from referral_rewards.domain.measures.figures import Figure, Settlement, Stage
from referral_rewards.domain.measures.measures import Days
from referral_rewards.domain.people.authority import READ_THE_BOOKS
from referral_rewards.register import programs
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.measures import behind as behind_figure
from referral_rewards.reporting.measures import charts
from referral_rewards.reporting.measures import program as measured
from referral_rewards.reporting.measures import sheet as sheet_of
from referral_rewards.reporting.measures.program import Duration, Figures, Wanted

router = APIRouter()

Typed = Annotated[str, Query(max_length=200, pattern=TEXT)]
_BEHIND_ON_A_PAGE: Final = 100


class Line(NamedTuple):
    """A line of the report: which measure (empty: that of the line before), which part, its value in words, and what
    to ask for the referrals behind it."""

    measure: str
    part: str
    value: str
    figure: Figure | None = None
    of_part: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line beside the same of the period before; ``defined`` is None within a measure."""

    defined: Definition | None
    part: str
    value: str
    before: str
    behind: str | None


def _chosen(
    program: str,
    since: Annotated[Typed, Query(alias="from")] = "",
    until: Annotated[Typed, Query(alias="to")] = "",
    partner: Typed = "",
    referrer: Typed = "",
) -> Wanted:
    days = Days.between(day_in(since, "from"), day_in(until, "to"))
    return Wanted(program, days, partner.strip() or None, referrer.strip() or None)


Chosen = Annotated[Wanted, Depends(_chosen)]
"""Whose referrals a page is about, and over which days, as its address says."""


@router.get("/reports")
async def reports(visit: Reader, parts: Its) -> Response:
    """The programs that there are reports of; where there is one alone, its report."""
    async with parts.database.reading() as connection:
        names = sorted(await programs.zones(connection))
    if len(names) == 1:
        return RedirectResponse(f"/reports/program/{names[0]}", 303)
    return page("reports.html", visit, here="/reports", programs=names)


@router.get("/reports/program/{program}")
async def report(
    visit: Reader,
    parts: Its,
    wanted: Chosen,
    every: bool = False,
    as_of: Typed = "",
) -> Response:
    """The report over some days, by default the month so far; with ``every`` of all time. As of the end of a day it is
    what was on record then."""
    now = datetime.now(UTC)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        zone = await zone_of(connection, wanted.program)
        if zone is None:
            raise NotFound("program", wanted.program)
        today = now.astimezone(zone_named(zone)).date()
        if wanted.days == Days() and not every:
            wanted = replace(wanted, days=Days(today.replace(day=1), today + timedelta(days=1)))
        wanted = replace(wanted, as_of=await measured.moment(connection, wanted.program, as_of.strip() or None, now))
        looked = await measured.looked_back(connection, wanted)
        found = await measured.report(connection, wanted, now, parts.means, parts.keys, looked)
        earlier = _before(wanted)
        before = await measured.report(connection, earlier, now, parts.means, looked=looked) if earlier else None
        over_time = await charts.charts(connection, wanted, now, looked)
    return page(
        "report.html",
        visit,
        zone=zone,
        here="/reports",
        program=wanted.program,
        reads_books=bool(visit.user.roles & READ_THE_BOOKS),
        wanted=wanted,
        earlier=earlier,
        as_of=found.as_of,
        as_of_day=as_of.strip(),
        behind=found.behind,
        accuracy=found.referral_reward_eligibility_accuracy,
        budget=found.budget,
        rows=beside(wanted, found.measures, before.measures if before else None),
        charts=[(each, drawn(each, over_time.step)) for each in over_time.charts],
        named=lambda first: named(first, over_time.step),
        spans=_spans(today),
        query=_query(wanted),
        file_query=urlencode([*_query_of(wanted), *([("as_of", as_of.strip())] if as_of.strip() else [])]),
        lifetime_query=_query(replace(wanted, days=Days())),
        every=every,
    )


@router.get("/reports/program/{program}/csv")
async def as_csv(
    visit: Reader,
    parts: Its,
    wanted: Chosen,
    as_of: Typed = "",
) -> Response:
    """The report as a file."""
    now = datetime.now(UTC)
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        wanted = replace(wanted, as_of=await measured.moment(connection, wanted.program, as_of.strip() or None, now))
        found = await measured.report(connection, wanted, now, parts.means, parts.keys)
    headers = {"Content-Disposition": f'attachment; filename="program-{wanted.program}.csv"'}
    return StreamingResponse(sheet_of.as_csv(found), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/reports/program/{program}/behind/{figure}")
async def behind(
    visit: Reader,
    parts: Its,
    wanted: Chosen,
    figure: Figure,
    part: Typed | None = None,
    after: Typed = "",
    as_of: Typed = "",
) -> Response:
    """The referrals that add to a figure, or did as of a past moment."""
    async with parts.database.reading() as connection:
        zone = await zone_of(connection, wanted.program)
        moment = await measured.moment(connection, wanted.program, as_of.strip() or None, datetime.now(UTC))
        wanted = replace(wanted, as_of=moment)
        found = await behind_figure.behind(connection, wanted, figure, part, after, _BEHIND_ON_A_PAGE)
    asked = {**dict(_of_its_moment(wanted)), **({"part": part} if part is not None else {})}
    return page(
        "report_behind.html",
        visit,
        zone=zone,
        here="/reports",
        program=wanted.program,
        wanted=wanted,
        figure=figure,
        name=_NAMES.get(figure, figure.replace("_", " ")),
        part=part,
        rows=[(each, _adds(figure, each.amount, each.currency)) for each in found.referrals],
        query=urlencode(_of_its_moment(wanted)),
        following=urlencode({**asked, "after": found.next}) if found.next else None,
    )


def _before(wanted: Wanted) -> Wanted | None:
    """The same over the period before; None for one without a beginning or end."""
    before = wanted.days.before
    return None if before is None else replace(wanted, days=before)


def _spans(today: date) -> Sequence[tuple[str, str]]:
    """Periods to choose, by name, as the query that asks for each."""
    month = today.replace(day=1)
    last = (month - timedelta(days=1)).replace(day=1)
    quarter = today.replace(month=today.month - (today.month - 1) % 3, day=1)
    tomorrow = today + timedelta(days=1)
    spans = {
        "this month": Days(month, tomorrow),
        "last month": Days(last, month),
        "this quarter": Days(quarter, tomorrow),
        "this year": Days(today.replace(month=1, day=1), tomorrow),
    }
    return [
        *((name, urlencode(_query_of(Wanted("", days)))) for name, days in spans.items()),
        ("all time", "every=true"),
    ]


def _query(wanted: Wanted) -> str:
    return urlencode(_query_of(wanted))


def _query_of(wanted: Wanted) -> list[tuple[str, str]]:
    asked = {"from": wanted.days.start, "to": wanted.days.end, "partner": wanted.partner, "referrer": wanted.referrer}
    return [(name, str(value)) for name, value in asked.items() if value is not None]


def _of_its_moment(wanted: Wanted) -> list[tuple[str, str]]:
    """The query that asks for the same, as of the same moment."""
    return [*_query_of(wanted), *([("as_of", wanted.as_of.isoformat())] if wanted.as_of is not None else [])]


def beside(wanted: Wanted, now: Figures, before: Figures | None) -> list[Row]:
    """Each line of the report, and what it was in the period before: a dash where that had no such line."""
    earlier = {(each.measure, each.part): each.value for each in _named(before)} if before else {}
    rows, last = [], ""
    for each in _named(now):
        asked = [*_of_its_moment(wanted), *([("part", each.of_part)] if each.of_part is not None else [])]
        link = f"/reports/program/{wanted.program}/behind/{each.figure}?{urlencode(asked)}" if each.figure else None
        defined = DEFINITIONS[each.measure] if each.measure != last else None
        value = earlier.get((each.measure, each.part), "0" if before and each.value.isdecimal() else "–")
        rows.append(Row(defined, each.part, each.value, value, link))
        last = each.measure
    return rows


def _named(its: Figures) -> Iterator[Line]:
    yield Line("claims_created", "", str(its.claims_created), Figure.CLAIMS_CREATED)
    yield Line("claims_approved", "", str(its.claims_approved), Figure.CLAIMS_APPROVED)
    yield Line("denied_by_rule", "", str(its.denied_by_rule), Figure.DENIED_BY_RULE)
    yield Line("denied_by_decision", "", str(its.denied_by_decision), Figure.DENIED_BY_DECISION)
    yield Line("waiting", "", str(its.waiting), Figure.CLAIMS_WAITING)
    yield Line("exceptions", "claims with any flag", str(its.exceptions.claims), Figure.EXCEPTIONS)
    for flag, n in its.exceptions.by_flag.items():
        yield Line("exceptions", label("flag", flag), str(n), Figure.FLAGGED, flag)
    yield Line("disputed_attribution", "claims", str(its.disputed_attribution), Figure.DISPUTED)
    for how in Settlement:
        if how in its.disputes_settled:
            yield Line("disputed_attribution", how, str(its.disputes_settled[how]), Figure.DISPUTED, how)
    yield Line("duplicate_claims", "claims", str(its.duplicate_claims.claims), Figure.DUPLICATES)
    for cost in its.duplicate_claims.would_have_cost:
        yield Line("duplicate_claims", f"would have cost in {cost.currency}", money(cost.minor, cost.currency))
    for figure in (Figure.CONVERSION_TO_SETTLED, Figure.DUE_TO_DECIDED, Figure.DECIDED_TO_SETTLED):
        yield from _times(figure, getattr(its.payout_time, figure))
    yield from _money(its)
    rated = its.referrer_satisfaction
    mean = "–" if rated.mean is None else f"{rated.mean:.2f} of 5"
    answers = "answer" if rated.n == 1 else "answers"
    yield Line("referrer_satisfaction", f"mean of {rated.n} {answers}", mean, Figure.RATED)
    yield Line("referrer_satisfaction", "asked", str(rated.asked), Figure.ASKED)
    rate = "" if rated.answer_rate is None else f" ({rated.answer_rate:.1%})"
    yield Line("referrer_satisfaction", "of whom answered", f"{rated.answered}{rate}", Figure.ANSWERED)
    for score, n in rated.scores.items():
        yield Line("referrer_satisfaction", f"score {score}", str(n), Figure.RATED, score)
    for stage in Stage:
        yield Line("funnel", stage, str(its.funnel[stage]), Figure.STARTED, stage)
    share = "–" if its.refund_rate is None else f"{its.refund_rate:.1%}"
    yield Line("refund_rate", "", share, Figure.REVERSED)
    for won in its.cost_per_acquired_customer:
        yield Line(
            "cost_per_acquired_customer", f"{won.currency}, {won.customers} rewarded", money(won.minor, won.currency)
        )


def _times(figure: Figure, its: Duration) -> Iterator[Line]:
    yield Line(figure, "median", lasted(its.median_s), figure)
    yield Line(figure, "95th percentile", lasted(its.p95_s), figure)
    yield Line(figure, "measured", str(its.n), figure)


def _money(its: Figures) -> Iterator[Line]:
    parts = {
        "settled": ("settled_minor", Figure.SETTLED),
        "taken back": ("taken_back_minor", Figure.TAKEN_BACK),
        "approved, not paid": ("payable_minor", Figure.PAYABLE),
    }
    for cost in its.reward_cost:
        for said, (part, figure) in parts.items():
            name, minor = f"{label('kind', cost.kind)} in {cost.currency}, {said}", getattr(cost, part)
            yield Line("reward_cost", name, money(minor, cost.currency), figure if minor else None, cost.kind)
    parts = {
        "of the rewarded": ("rewarded_minor", Figure.REWARDED),
        "of all that converted": ("converted_minor", Figure.CONVERTED),
        "reversed": ("reversed_minor", Figure.REVERSED),
    }
    for revenue in its.referred_revenue:
        for said, (part, figure) in parts.items():
            name, minor = f"{said}, in {revenue.currency}", getattr(revenue, part)
            yield Line("referred_revenue", name, money(minor, revenue.currency), figure if minor else None)


def _adds(figure: Figure, amount: int, currency: str) -> str:
    """What one referral adds, in words; nothing where only its number counts."""
    if currency:
        return money(amount, currency)
    return lasted(amount / 1_000_000) if figure in _NAMES and amount else ""


#: The figures whose names are those of measures.
_NAMES: Final = {figure: DEFINITIONS[figure].name for figure in Figure if figure in DEFINITIONS}
