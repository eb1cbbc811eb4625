"""Pilots as the API and the desk start, show and end them: only a program that is ready starts one, and what is signed
at the end is what is measured then."""

from datetime import UTC, datetime

from referral_rewards.api.dependencies import Parts
from referral_rewards.api.recording import recorded
from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.decisions.decision import Asked, Decision
from referral_rewards.domain.errors import ActRefused, NotReady, Problem
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.pilots.plan import Plan
from referral_rewards.domain.readiness.gaps import gaps
from referral_rewards.register.people.users import User
from referral_rewards.reporting.books.journal import see_one_moment
from referral_rewards.reporting.pilots.standing import PilotsOfProgram, pilots
from referral_rewards.reporting.programs.preflight import readiness
from referral_rewards.sources.connecting import connected


async def shown(parts: Parts, program: str, number: int | None = None) -> PilotsOfProgram:
    """Return a program's pilots as of now, and the one with that number, else the newest.

    Raises:
        NotFound: if there is no such program, or no such pilot of it.
    """
    async with parts.database.reading() as connection:
        await see_one_moment(connection)
        return await pilots(connection, program, number, datetime.now(UTC), parts.keys, parts.means)


async def ready_version(parts: Parts, program: str, person: User) -> int:
    """Return the version of the terms that a pilot would start with, once the preflight found nothing missing.

    Raises:
        NotAllowed: if the person may not start a pilot: then nobody outside is asked.
        NotReady: with each gap.
    """
    person.need_role(Role.PROGRAM_OWNER, "start a pilot")
    async with connected(parts.sources) as sources:
        found = await readiness(parts.database, program, sources, parts.keys)
    if missing := gaps(found):
        raise NotReady(program, [Problem(each.area, each.what) for each in missing])
    assert found.version is not None, "terms that are ready were published"
    return found.version


async def start(
    parts: Parts, program: str, plan: Plan, reason: str, note: str, digest: str, person: User
) -> tuple[Decision, bool]:
    """Sign and record the start of a pilot; return the decision, and whether it was recorded before."""
    asked = Asked(program, MoneyAct.START_PILOT, reason, note, digest, pilot=plan)
    return await recorded(parts, asked, person)


async def end(parts: Parts, program: str, reason: str, note: str, digest: str, person: User) -> tuple[Decision, bool]:
    """Sign and record what a pilot comes to now; return the decision, and whether it was recorded before.

    Raises:
        ActRefused: if no pilot runs, or it comes to something else than what was shown.
    """
    return await recorded(parts, asked_to_end(await shown(parts, program), reason, note, digest), person)


def asked_to_end(stands: PilotsOfProgram, reason: str, note: str, digest: str) -> Asked:
    """Return the end of the newest pilot, with what it comes to; of one that ended, with what was signed: the same end
    again is on record, and any other is refused.

    Raises:
        ActRefused: if there never was one.
    """
    its = stands.pilot
    if its is None:
        raise ActRefused(f"pilot of {stands.program}", "not_now", "no pilot of this program runs")
    measured = its.measured if its.ended is None else its.ended.as_measured
    return Asked(stands.program, MoneyAct.END_PILOT, reason, note, digest, measured=measured)
