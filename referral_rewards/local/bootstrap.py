"""The initial content of a local stack: example users, and on request an example program with referrals."""

import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.config.credentials import (
    Purpose,
    passwords_file,
    store,
    store_defaults,
    store_password,
    stored,
    stored_passwords,
)
from referral_rewards.config.settings import Settings
from referral_rewards.domain.errors import Problem
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.facts.rights import EVERYTHING, NOTHING, Rights, rights
from referral_rewards.domain.people.authority import EVERY_PROGRAM, Scope
from referral_rewards.domain.programs.terms import Role, load_terms
from referral_rewards.local import front_door
from referral_rewards.local.stack import Bootstrap
from referral_rewards.register import programs
from referral_rewards.register.facts.file_intake import FileIntake
from referral_rewards.register.facts.files import FactFile
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.people import administration as people
from referral_rewards.register.people import passwords, users

#: The repository that this package runs from. An installed wheel does not have its folders.
_REPOSITORY: Final = Path(__file__).resolve().parents[2]
_PROGRAMS: Final = tuple(_REPOSITORY / "programs" / f"{name}.yaml" for name in ("acme-friends", "acme-today"))
_FACTS: Final = _REPOSITORY / "examples" / "dexter-and-brie.jsonl"


class _Example(NamedTuple):
    name: str
    roles: tuple[Role, ...] = ()
    scopes: tuple[Scope, ...] = ()
    tells: Rights = NOTHING


#: One person for each role, two for finance to try four eyes, two administrators of whom one confirms what the other
#: changed of somebody's account, and the site that sends facts of every source.
USERS: Final = (
    _Example("fiona", (Role.FINANCE,)),
    _Example("frank", (Role.FINANCE,)),
    _Example("paula", (Role.PROGRAM_OWNER,)),
    _Example("oscar", (Role.OPERATIONS,)),
    _Example("ada", (Role.ADMINISTRATOR,)),
    _Example("alan", (Role.ADMINISTRATOR,)),
    _Example("site", scopes=(Scope.EVENTS_WRITE,), tells=EVERYTHING),
)


def steps(*, example: bool) -> Sequence[Bootstrap]:
    """Return the steps to run at each start of a stack, once everything answers. Repeating them changes nothing."""
    return (example_users, example_program, example_front_door) if example else (example_users,)


#: A read-only credential of the administrator, for commands that name no user.
_READER: Final = "reader"
#: The default credential of each purpose in a local stack. Decisions have no default.
_DEFAULTS: Final = {
    Purpose.READ: _READER,
    Purpose.TELL: "site",
    Purpose.PUBLISH: "paula",
    Purpose.ADMINISTER: "ada",
    Purpose.EXPORT: "fiona",
}


async def example_users(settings: Settings) -> None:
    """Add the missing example users, and store their passwords and their tokens for `--as`."""
    kept = stored_passwords(settings.data)

    async def add(connection: AsyncConnection) -> None:
        # Stored before they count: what is stored of a user who was not added is replaced by the next run.
        for each in USERS:
            now = datetime.now(UTC)
            if not await users.exists(connection, each.name):
                token = await users.add(
                    connection, each.name, roles=each.roles, scopes=each.scopes, tells=each.tells, at=now
                )
                store(settings.data, each.name, token)
            if each.roles and each.name not in kept and not (await people.one(connection, each.name)).has_password:
                password = secrets.token_urlsafe(12)
                hashed = await passwords.hash_of(password)
                await people.set_password(connection, each.name, hashed, by="example", at=now)
                store_password(settings.data, each.name, password)
        await _defaults(connection, settings.data)

    async with _database(settings) as opened:
        await opened.write(add)
    if passwords_file(settings.data).is_file():
        _say(f"sign in at {settings.api_url}/sign-in as paula, with the password in {passwords_file(settings.data)}")


async def _defaults(connection: AsyncConnection, data: Path) -> None:
    """Store the default credentials, for commands that name no user."""
    administrator = _DEFAULTS[Purpose.ADMINISTER]
    if _READER not in stored(data):
        now, scopes = datetime.now(UTC), (Scope.CLAIMS_READ,)
        store(data, _READER, await users.new_token(connection, administrator, label=_READER, scopes=scopes, at=now))
    store_defaults(data, _DEFAULTS)


async def example_program(settings: Settings) -> None:
    """Publish the example programs and ingest the referrals of the first."""
    if not all(each.is_file() for each in _PROGRAMS) or not _FACTS.is_file():
        _say("the example programs and their referrals are in the repository, not in an installed package: left out")
        return
    async with _database(settings) as opened:
        for each in _PROGRAMS:
            await opened.write(_publish, each.read_text(encoding="utf-8"))
        await _take(opened, settings)
    _say(f"example: program {_PROGRAMS[0].stem} with the referrals of {_FACTS.name}, and {_PROGRAMS[1].stem} to try")


async def _publish(connection: AsyncConnection, source: str) -> None:
    if not await programs.versions(connection, load_terms(source).program):
        await programs.publish(connection, source, by="example", at=datetime.now(UTC))


#: What a front door tells, of its own source.
_TOLD_AT_THE_DOOR: Final = (FactType.REFERRER_ENROLLED, FactType.REFERRAL_SENT, FactType.REFERRAL_CLAIMED)


async def example_front_door(settings: Settings) -> None:
    """Add the service user of the front door, and store its token: it tells what it has to, and reads standings."""
    if front_door.USER in stored(settings.data):
        return

    async def add(connection: AsyncConnection) -> None:
        if await users.exists(connection, front_door.USER):
            return
        token = await people.add(
            connection,
            front_door.USER,
            scopes=(Scope.EVENTS_WRITE, Scope.REFERRALS_READ),
            tells=rights((front_door.USER,), _TOLD_AT_THE_DOOR),
            reads=(EVERY_PROGRAM,),
            by="example",
            at=datetime.now(UTC),
            with_token=True,
        )
        assert token is not None
        store(settings.data, front_door.USER, token)

    async with _database(settings) as opened:
        await opened.write(add)


async def _take(opened: Database, settings: Settings) -> None:
    intake = FileIntake(
        opened, Intake(settings.pepper_bytes(), settings.phone_regions(), settings.stores), tell=_tell_problem
    )
    await intake.take(FactFile.at(_FACTS))


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    opened = Database.at(settings.database_url, pool_size=2, personal=settings.personal(), pooled=settings.pooled)
    try:
        yield opened
    finally:
        await opened.close()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _tell_problem(number: int, problem: Problem) -> None:
    sys.stderr.write(f"{_FACTS.name} line {number}: {problem}\n")
