"""Exports the instructions for the bank. Each is verified as any payment before it is sent, and counts as sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.inquiries import Inquiries
from referral_rewards.api.dependencies import Parts, acting
from referral_rewards.api.looking import SEE
from referral_rewards.domain.payees.in_clear import LookReason
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.referrals.inquiries import Moment
from referral_rewards.register import audit
from referral_rewards.register.payees import looking
from referral_rewards.register.payouts import exporting, sending
from referral_rewards.register.people import sessions
from referral_rewards.register.people.users import User
from referral_rewards.reporting import instructions as reporting
from referral_rewards.reporting.instructions import Line
from referral_rewards.sources.connecting import connected

#: How many instructions one request exports at most: each is verified by itself.
AT_ONCE_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A payout whose instruction was not handed out, and why."""

    payout: UUID
    why: str


@dataclass(frozen=True, slots=True)
class Exported:
    """The payouts whose instructions were exported now, and those that were not. ``next`` is where to go on; None at
    the end."""

    payouts: Sequence[UUID]
    left_out: Sequence[LeftOut]
    next: UUID | None


async def export(parts: Parts, person: User, after: UUID | None = None, limit: int = AT_ONCE_MAX) -> Exported:
    """Export the instructions that wait, up to ``limit`` of them, each in a transaction of its own.

    If the process dies in between, those that were committed are shown at the next export under the same keys.

    Raises:
        NotSignedIn, NotAllowed: if the person is not of finance, or no longer.
    """
    waiting = await parts.database.write(_waiting, person, after, limit)
    done: list[UUID] = []
    left_out: list[LeftOut] = []
    async with connected(parts.sources) as sources:
        asking = Inquiries(parts.database, parts.intake, sources)
        for payout in waiting:
            why = await _export_one(parts, person, payout, asking)
            if why is None:
                done.append(payout)
            else:
                left_out.append(LeftOut(payout, why))
    return Exported(done, left_out, waiting[-1] if len(waiting) == limit else None)


async def _waiting(connection: AsyncConnection, person: User, after: UUID | None, limit: int) -> Sequence[UUID]:
    (await sessions.still(connection, person, at=datetime.now(UTC))).need_finance()
    return await exporting.waiting(connection, after, limit)


async def _export_one(parts: Parts, person: User, payout: UUID, asking: Inquiries) -> str | None:
    """Export the instruction of a payout; return None, or why it was not."""
    outset = await parts.database.write(sending.begin, payout, datetime.now(UTC), parts.keys)
    if outset is None or outset.row.state is not PayoutState.APPROVED:
        return "it changed meanwhile"
    answers = await asking.ask_all(outset.questions, Moment.PAYOUT)

    async def once(connection: AsyncConnection) -> str | None:
        now = datetime.now(UTC)
        (await sessions.still(connection, person, at=now)).need_finance()
        why = await exporting.export(connection, outset, now, parts.keys, answers, person.name)
        if why is None:
            await audit.note(
                connection, actor=person.name, act="instruction.exported", subject=str(payout), at=now,
                key=outset.row.provider_key,
            )  # fmt: skip
        return why

    return await parts.database.write(once)


async def bank_file(parts: Parts, person: User, after: str | None, limit: int) -> Sequence[Line]:
    """Return a page of the exported instructions in clear, once the look at each of their payees is on record.

    Raises:
        NotSignedIn, NotAllowed: if the person is not of finance, or no longer.
    """

    async def looked(connection: AsyncConnection, now: datetime) -> Sequence[Line]:
        found = await reporting.instructions(connection, after, limit)
        payees = {each.payee for each in found}
        seen = await looking.look(connection, payees, by=person.name, why=LookReason.BANK_FILE, at=now)
        return [reporting.line(each, seen.get(each.payee)) for each in found]

    return await acting(parts, person, looked, Role.FINANCE, SEE)
