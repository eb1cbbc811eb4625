"""What a decision can be about: one entry for each kind of subject."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions import claim_subject, money_acts, pilot_acts, program_acts, redirects
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import ActSubject, SubjectKind
from referral_rewards.domain.decisions.subject import Details
from referral_rewards.register.claims import subject as claim
from referral_rewards.register.clawbacks import opening as reward
from referral_rewards.register.clawbacks import subject as clawback_case
from referral_rewards.register.cycles import leaving
from referral_rewards.register.cycles import subject as cycle
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payees import subject as payee
from referral_rewards.register.payouts import subject as payout
from referral_rewards.register.pilots import subject as pilot
from referral_rewards.register.program_life import subject as program
from referral_rewards.register.restores import payment_subject as forgotten_payment
from referral_rewards.register.restores import rail_subject as rail


@dataclass(frozen=True, slots=True)
class Entry:
    """A kind of subject: ``check_asked`` checks what was entered and returns the details to sign, ``held`` loads the
    subject under its locks."""

    check_asked: Callable[[Asked], Details | None]
    held: Callable[[AsyncConnection, Asked, datetime, KeyRing], Awaitable[Held]]


SUBJECTS: Final[Mapping[SubjectKind, Entry]] = {
    SubjectKind.CLAIM: Entry(claim_subject.check_asked, claim.held),
    SubjectKind.PAYOUT: Entry(money_acts.check_asked, payout.held),
    SubjectKind.REWARD: Entry(money_acts.check_asked, reward.held),
    SubjectKind.CLAWBACK_CASE: Entry(money_acts.check_asked, clawback_case.held),
    SubjectKind.CYCLE: Entry(money_acts.check_asked, cycle.held),
    SubjectKind.PAYEE: Entry(redirects.check_asked, payee.held),
    SubjectKind.LEAVING_PAYEE: Entry(money_acts.check_asked, leaving.held),
    SubjectKind.PROGRAM: Entry(program_acts.check_asked, program.held),
    SubjectKind.PILOT: Entry(pilot_acts.check_asked, pilot.held),
    SubjectKind.RAIL: Entry(money_acts.check_asked, rail.held),
    SubjectKind.FORGOTTEN_PAYMENT: Entry(money_acts.check_asked, forgotten_payment.held),
}

_SHOWN: Final[Mapping[SubjectKind, Callable[[AsyncConnection, UUID, KeyRing], Awaitable[ActSubject]]]] = {
    SubjectKind.PAYOUT: payout.decidable,
    SubjectKind.REWARD: reward.shown,
    SubjectKind.CLAWBACK_CASE: clawback_case.shown,
    SubjectKind.CYCLE: cycle.shown,
    SubjectKind.RAIL: rail.shown,
    SubjectKind.FORGOTTEN_PAYMENT: forgotten_payment.shown,
}


async def shown(connection: AsyncConnection, kind: SubjectKind, subject: UUID | str, keys: KeyRing) -> ActSubject:
    """Return a subject of decisions on money without a lock, to show it to people who may decide on it.

    A program's ``subject`` is its name.

    Raises:
        NotFound: if there is no such subject.
    """
    if kind is SubjectKind.PROGRAM:
        return await program.shown(connection, str(subject), datetime.now(UTC), keys)
    return await _SHOWN[kind](connection, UUID(str(subject)), keys)
