"""Answers a look at a payee in clear, for the API and the desk. It is on record before the answer leaves."""

from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Parts, acting
from referral_rewards.domain.errors import NotFound, RequestInvalid, none_of
from referral_rewards.domain.payees.in_clear import CHOSEN, LookReason
from referral_rewards.domain.people.authority import Role
from referral_rewards.register.payees import looking
from referral_rewards.register.people.users import User
from referral_rewards.reporting.payees.in_clear import PayeeInClear

#: What it needs the role finance for, in a refusal.
SEE: Final = "see a payee in clear"


async def look(parts: Parts, person: User, payee: str, why: str) -> PayeeInClear:
    """Return a payee in clear, once the look is committed to the audit log.

    Raises:
        NotSignedIn, NotAllowed: if the person is not of finance, or no longer. Then nothing is recorded.
        NotFound: if nothing was ever told of the payee.
        RequestInvalid: if ``why`` is none of the reasons.
    """
    if why not in CHOSEN:
        raise RequestInvalid(none_of(why, CHOSEN), "why")

    async def looked(connection: AsyncConnection, now: datetime) -> PayeeInClear:
        found = await looking.look(connection, [payee], by=person.name, why=LookReason(why), at=now)
        if payee not in found:
            raise NotFound("payee", payee)
        return PayeeInClear.of(found[payee], person.name, now, why)

    return await acting(parts, person, looked, Role.FINANCE, SEE)
