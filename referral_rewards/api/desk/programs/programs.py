"""The program pages: the versions of terms, the content of each, and the changes between them."""

import difflib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Query, Response

from referral_rewards.api.dependencies import Its, Parts, Reading
from referral_rewards.api.desk.money import acts
from referral_rewards.api.desk.money.acts import Said, Typed
from referral_rewards.api.desk.pages import page
from referral_rewards.api.desk.session.visiting import Reader, SentForm, Visit
from referral_rewards.domain.decisions.act_kinds import SubjectKind
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.programs.changes import Said as SaidOfTerms
from referral_rewards.domain.programs.changes import changes, said
from referral_rewards.domain.programs.life import state_words
from referral_rewards.domain.readiness.gaps import Area, Remark, gaps, in_order
from referral_rewards.register import programs
from referral_rewards.register.decisions import program_acts
from referral_rewards.reporting.programs.life import life
from referral_rewards.reporting.programs.preflight import readiness
from referral_rewards.reporting.programs.terms_in_words import in_words
from referral_rewards.reporting.programs.versions import COUNTED_MAX, Version, versions
from referral_rewards.sources.connecting import connected

router = APIRouter(prefix="/programs")

_HERE: Final = "/programs"


class Section(NamedTuple):
    """A section of the terms with its values, their paths without its name."""

    name: str
    values: list[SaidOfTerms]


class Line(NamedTuple):
    """A line of two texts laid side by side: ``mark`` is + for a new one, - for one that is gone, @ for a gap."""

    mark: str
    text: str


@router.get("")
async def list_programs(visit: Reader, connection: Reading, parts: Its) -> Response:
    """Every program: whether it runs, its newest version and the one in force."""
    names = dict.fromkeys(row.program for row in await programs.listing(connection))
    now = datetime.now(UTC)
    found = [await versions(connection, name, now) for name in names]
    lives = {name: await program_acts.of_program(connection, name, parts.keys) for name in names}
    states = {name: state_words(each, now) for name, each in lives.items()}
    return page("programs.html", visit, here=_HERE, programs=found, states=states, counted_max=COUNTED_MAX)


@router.get("/{program}")
async def show_program(program: str, visit: Reader, parts: Its, recorded: int | None = None) -> Response:
    """Whether a program runs, its versions, and whether its newest one is ready; ``recorded`` is the number of the
    decision that was just made."""
    return await _page(parts, visit, program, Typed(), Said(recorded=recorded))


@router.post("/{program}")
async def decide(program: str, visit: Reader, form: SentForm, parts: Its) -> Response:
    """A decision on it, in two steps."""

    async def shown(typed: Typed, said: Said) -> Response:
        return await _page(parts, visit, program, typed, said)

    return await acts.decide(parts, visit, form, SubjectKind.PROGRAM, program, shown)


async def _page(parts: Parts, visit: Visit, program: str, typed: Typed, said: Said) -> Response:
    now = datetime.now(UTC)
    async with parts.database.reading() as connection:
        found = await versions(connection, program, now)
        stands = await life(connection, program, now, parts.keys)
    # This page asks no outside source: whether they answer says the page of the preflight.
    state = await readiness(parts.database, program, {}, parts.keys)
    return page(
        "program.html",
        visit,
        status=said.status,
        here=_HERE,
        life=stands,
        form=await acts.form_of(parts, visit, SubjectKind.PROGRAM, program, typed, said),
        zone=found[0].terms.timezone,
        program=program,
        versions=found,
        counted_max=COUNTED_MAX,
        gaps=_without_sources(gaps(state)),
        in_order=_without_sources(in_order(state)),
    )


@router.get("/{program}/preflight")
async def preflight(program: str, visit: Reader, parts: Its) -> Response:
    """Whether the newest version is ready: the one page of the desk that asks the outside sources."""
    async with parts.database.reading() as connection:
        zone = (await versions(connection, program, datetime.now(UTC)))[0].terms.timezone
    async with connected(parts.sources) as sources:
        state = await readiness(parts.database, program, sources, parts.keys)
    return page(
        "preflight.html",
        visit,
        here=_HERE,
        zone=zone,
        program=program,
        version=state.version,
        checked_at=datetime.now(UTC),
        areas=list(Area),
        gaps=gaps(state),
        in_order=in_order(state),
    )


@router.get("/{program}/compare")
async def compare(
    program: str,
    visit: Reader,
    connection: Reading,
    before: Annotated[int, Query(alias="from")],
    after: Annotated[int, Query(alias="to")],
) -> Response:
    """What the version ``to`` says otherwise than the version ``from``."""
    found = await versions(connection, program, datetime.now(UTC))
    old, new = _numbered(found, program, before), _numbered(found, program, after)
    return page(
        "program_compare.html",
        visit,
        here=_HERE,
        zone=new.terms.timezone,
        program=program,
        versions=found,
        old=old,
        new=new,
        changes=changes(old.terms, new.terms),
        lines=list(_lines(old.source, new.source)),
    )


@router.get("/{program}/{version}")
async def show_version(program: str, version: int, visit: Reader, connection: Reading) -> Response:
    """The terms of one version, in sections and as they were published."""
    found = await versions(connection, program, datetime.now(UTC))
    shown = _numbered(found, program, version)
    sections = [
        Section(name, [SaidOfTerms(value.path.removeprefix(f"{name}."), value.value) for value in values])
        for name, values in groupby(said(shown.terms), key=lambda value: value.path.partition(".")[0])
    ]
    return page(
        "program_version.html",
        visit,
        here=_HERE,
        zone=shown.terms.timezone,
        program=program,
        version=shown,
        before=next((each for each in found if each.number == version - 1), None),
        alone=[section.values[0] for section in sections if section.values[0].path == section.name],
        words=in_words(shown.terms),
        sections=[section for section in sections if section.values[0].path != section.name],
        counted_max=COUNTED_MAX,
    )


def _numbered(found: Sequence[Version], program: str, number: int) -> Version:
    for version in found:
        if version.number == number:
            return version
    raise NotFound("version", f"{program} {number}")


def _without_sources(remarks: Sequence[Remark]) -> list[Remark]:
    return [remark for remark in remarks if remark.area is not Area.BILLING]


def _lines(before: str, after: str) -> Iterator[Line]:
    compared = difflib.unified_diff(before.splitlines(), after.splitlines(), n=2, lineterm="")
    for place, line in enumerate(compared):
        if place >= 2:  # the first two lines name the files, which these texts have none of
            yield Line("@", "") if line.startswith("@@") else Line(line[0], line[1:])
