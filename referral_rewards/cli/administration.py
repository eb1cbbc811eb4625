"""What opens the database from the command line: auditing from outside, and the first administrator.

Everything else goes through the API with one's own token. These few can't: who audits trusts no process of ours, and
without an administrator nobody has a token yet.
"""

import getpass
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from referral_rewards.cli.console import AsJson, Data, say, say_json, tell
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.config.stack import PREFIX
from referral_rewards.domain.errors import BadInput, NotAllowed, Problem, RequestInvalid
from referral_rewards.domain.people.authority import Role

if TYPE_CHECKING:  # loaded by the functions that need them: no other command waits for a database's client
    from sqlalchemy.ext.asyncio import AsyncConnection

    from models.session import Database
    from referral_rewards.config.settings import Settings
    from referral_rewards.register.decisions.signing import KeyRing

T = TypeVar("T")


def verify_decisions(data: Data = None) -> int:
    """Verify the whole chain of decisions: every link, every signature and the signed end."""
    from referral_rewards.register.decisions import chain

    chosen = settings(data)
    keys = _keys_of(chosen)
    problems = [*_run(chosen, lambda connection: chain.chain_problems(connection, keys)), *_behind(chosen)]
    for problem in problems:
        tell(problem)
    if not problems:
        say("every decision follows the one before it and is signed by a key that we believe")
    return FOUND_PROBLEMS if problems else DONE


def check_ledger(as_json: AsJson = False, data: Data = None) -> int:
    """Check that the books say what the register does, of every leg, payout and clawback. Exit code 1 if they don't."""
    from referral_rewards.reporting.books import checking
    from referral_rewards.reporting.books.journal import see_one_moment

    async def work(connection: "AsyncConnection") -> list[str]:
        await see_one_moment(connection)
        return [each async for each in checking.problems(connection)]

    chosen = settings(data)
    found = [*_run(chosen, work), *_behind(chosen)]
    if as_json:
        say_json({"agree": not found, "problems": found})
    else:
        for problem in found:
            tell(problem)
        if not found:
            say("the books say what the register does")
    return FOUND_PROBLEMS if found else DONE


def add_administrator(
    data: Path | None,
    name: str,
    roles: Sequence[Role],
    *,
    customer: str | None,
    email: str | None,
    contact: str | None,
    recovering: bool,
) -> str:
    """Adds an administrator with the database's own password; the token. Whoever runs the command is on record.

    Raises:
        RequestInvalid: if it is no administrator.
        NotAllowed: if there is one already who can sign in, unless that is to be ``recovering`` from.
    """
    from referral_rewards.domain.facts.identity import Marker
    from referral_rewards.register.people import administration as people

    if Role.ADMINISTRATOR not in roles:
        raise RequestInvalid("only an administrator is added without the API: --role administrator", "--role")
    chosen, by, now = settings(data), getpass.getuser(), datetime.now(UTC)
    known = {"customer": customer, "email": email}
    marks = Marker(chosen.pepper_bytes()).marks(known) if any(known.values()) else frozenset[str]()

    async def work(connection: "AsyncConnection") -> str:
        if not recovering and (there := await people.administrators(connection)):
            raise NotAllowed(
                f"there is an administrator already ({', '.join(there)}), who adds others through the API; if nobody"
                " can sign in as one any more, --database adds another"
            )
        token = await people.add(connection, name, roles=roles, marks=marks, by=by, at=now, with_token=True)
        if contact is not None:
            await people.set_contact(connection, name, contact, by=by, at=now)
        assert token is not None
        return token

    return _run(chosen, work)


def settings(data: Path | None, *, database_url: str | None = None) -> "Settings":
    """The settings by flag, environment and running local stack."""
    from referral_rewards.config.settings import Settings

    return Settings.load(data=data, database_url=database_url)


def _keys_of(chosen: "Settings") -> "KeyRing":
    """The keys that decisions are verified by.

    Raises:
        BadInput: if none are set: a decision that nobody can verify is not shown as one.
    """
    from referral_rewards.register.decisions.signing import KeyRing

    if chosen.verify_keys is None:
        raise BadInput([Problem(f"{PREFIX}VERIFY_KEYS", "not set; without public keys no decision can be verified")])
    return KeyRing.load(chosen.verify_keys)


async def behind_its_mark(chosen: "Settings") -> list[str]:
    """Returns what the register lacks of the mark that Temporal keeps, a sentence each. Without a Temporal that is
    named nothing is compared."""
    import asyncio

    from temporalio.service import RPCError

    from referral_rewards.domain.restores.mark import lost
    from referral_rewards.register.restores import mark as marks
    from referral_rewards.temporal import connect, is_named, kept_mark

    if not is_named(chosen):
        return []
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            kept = await kept_mark(await connect(chosen))
    except (RuntimeError, RPCError, TimeoutError):
        return ["the register's mark can't be read: Temporal does not answer"]
    if kept is None:
        return []
    async with _database(chosen) as there, there.reading() as connection:
        lacks = lost(kept, await marks.held(connection, kept))
    return [f"the register is behind its mark: it lacks {each}" for each in lacks]


def _behind(chosen: "Settings") -> list[str]:
    import asyncio

    return asyncio.run(behind_its_mark(chosen))


_PATIENCE_SECONDS: Final = 10.0


def _run(chosen: "Settings", work: "Callable[[AsyncConnection], Awaitable[T]]") -> T:
    """Does it in a transaction, and returns the result."""
    import asyncio

    async def opened() -> T:
        async with _database(chosen) as there:
            return await there.write(work)

    return asyncio.run(opened())


@asynccontextmanager
async def _database(chosen: "Settings") -> "AsyncIterator[Database]":
    from models import pooler
    from models.session import Database

    opened = Database.at(
        chosen.database_url, pool_size=2, personal=chosen.personal(required=False), pooled=chosen.pooled
    )
    try:
        if (unnamed := await pooler.problem(opened)) is not None:
            raise BadInput([unnamed])
        yield opened
    finally:
        await opened.close()
