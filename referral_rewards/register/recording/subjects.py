"""What a decision can be about: one entry for each kind of subject."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions import claim_subject, money_acts, redirects
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import ActSubject, SubjectKind
from referral_rewards.domain.decisions.subject import Details
from referral_rewards.register.claims import subject as claim
from referral_rewards.register.clawbacks import subject as clawback_case
from referral_rewards.register.cycles import subject as cycle
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payees import subject as payee
from referral_rewards.register.payouts import subject as payout


@dataclass(frozen=True, slots=True)
class Entry:
    """A kind of subject: ``check_asked`` checks what was entered and returns the details to sign, ``held`` loads the
    subject under its locks."""

    check_asked: Callable[[Asked], Details | None]
    held: Callable[[AsyncConnection, Asked, datetime, KeyRing], Awaitable[Held]]


SUBJECTS: Final[Mapping[SubjectKind, Entry]] = {
    SubjectKind.CLAIM: Entry(claim_subject.check_asked, claim.held),
    SubjectKind.PAYOUT: Entry(money_acts.check_asked, payout.held),
    SubjectKind.CLAWBACK_CASE: Entry(money_acts.check_asked, clawback_case.held),
    SubjectKind.CYCLE: Entry(money_acts.check_asked, cycle.held),
    SubjectKind.PAYEE: Entry(redirects.check_asked, payee.held),
}

_SHOWN: Final[Mapping[SubjectKind, Callable[[AsyncConnection, UUID, KeyRing], Awaitable[ActSubject]]]] = {
    SubjectKind.PAYOUT: payout.decidable,
    SubjectKind.CLAWBACK_CASE: clawback_case.shown,
    SubjectKind.CYCLE: cycle.shown,
}


async def shown(connection: AsyncConnection, kind: SubjectKind, subject: UUID, keys: KeyRing) -> ActSubject:
    """Return a subject of decisions on money without a lock, to show it to people who may decide on it.

    Raises:
        NotFound: if there is no such subject.
    """
    return await _SHOWN[kind](connection, subject, keys)
