"""Set an exception of the queue aside: the same for the API and the desk."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Parts
from referral_rewards.domain.decisions.setting_aside import SettingAside, check_note, check_person
from referral_rewards.register.people import sessions
from referral_rewards.register.people.users import User
from referral_rewards.register.referrals import setting_aside


async def set_aside(parts: Parts, person: User, asked: SettingAside) -> UUID:
    """Record that the person set it aside, and return the record's id.

    Raises:
        RequestInvalid: if the note is missing or too long.
        NotSignedIn, NotAllowed: if the person may not, judged in the transaction that records it.
        NotFound, ActRefused: as `setting_aside.record` does.
    """
    check_note(asked.note)

    async def made(connection: AsyncConnection) -> UUID:
        now = datetime.now(UTC)
        present = await sessions.still(connection, person, at=now)
        check_person(present.roles)
        return await setting_aside.record(connection, asked, person.name, now)

    return await parts.database.write(made)
