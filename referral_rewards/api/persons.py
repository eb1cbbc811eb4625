"""What administrators do with all that is kept of a person, for the API and the desk: find, export, erase."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Parts, acting
from referral_rewards.domain.errors import BadInput, NotFound, Problem, RequestInvalid
from referral_rewards.domain.facts.identity import IDENTITY_KINDS, is_keyed, is_removed, of_kinds
from referral_rewards.domain.facts.ids import id_problem
from referral_rewards.domain.people.authority import Role
from referral_rewards.register import audit
from referral_rewards.register.people.users import User
from referral_rewards.register.persons import erasing
from referral_rewards.register.persons.finding import Known, Person, find
from referral_rewards.reporting.persons import PersonKept, kept

#: The act of an export in the audit log; its subject is an id of the person, or of a fact about them.
EXPORTED: Final = "person.exported"
#: What it needs an administrator for, in a refusal.
OURS: Final = "look after what is kept of persons"
#: By what a person is found.
FIELDS: Final = ("referrer", "customer", "email", "phone")


def known(parts: Parts, asked: Mapping[str, Sequence[str]]) -> Known:
    """Return by what a person is to be found: values by `FIELDS`.

    Raises:
        BadInput: with everything that can't be compared; no value is repeated.
        RequestInvalid: if nothing was said.
    """
    problems = [
        Problem(field, problem)
        for field in ("referrer", "customer")
        for value in asked[field]
        if (problem := id_problem(value)) is not None
    ]
    marks = {f"customer:{each}" for each in asked["customer"]}
    for field in ("email", "phone"):
        for value in asked[field]:
            found = of_kinds(parts.intake.marker.marks({field: value}), IDENTITY_KINDS)
            if not found:
                problems.append(Problem(field, _NOT_COMPARED[field]))
            marks |= found
    if problems:
        raise BadInput(problems)
    its = Known(frozenset(marks), frozenset(asked["referrer"]))
    if not its.names:
        raise RequestInvalid("name the person by at least one of referrer, customer, email, phone")
    return its


async def exported(parts: Parts, user: User, asked: Known) -> PersonKept:
    """Return everything about a person, in clear, once that is committed to the audit log.

    Raises:
        NotAllowed: if the user is no administrator, or no longer.
        NotFound: if nothing is on record.
    """

    async def shown(connection: AsyncConnection, now: datetime) -> PersonKept:
        person = await found(connection, asked)
        its = await kept(connection, person)
        # The log is kept for good: it names a person by ids and facts, of which no mark has to go.
        others = [*(str(each.id) for each in person.facts), *person.referrals]
        subject = min(person.known.ids, default=others[0])
        await audit.note(connection, actor=user.name, act=EXPORTED, subject=subject, at=now, facts=len(person.facts))
        return its

    return await acting(parts, user, shown, Role.ADMINISTRATOR, OURS)


async def erased(parts: Parts, user: User, asked: Known) -> erasing.Erasure:
    """Erase a person, or have it wait while a claim or payment of theirs is open.

    Raises:
        NotAllowed: if the user is no administrator, or no longer.
        NotFound: if nothing is on record.
    """

    async def done(connection: AsyncConnection, now: datetime) -> erasing.Erasure:
        its = await erasing.ask(connection, asked, by=user.name, at=now)
        if its is None:
            raise NotFound("person", asked.names[0])
        return its

    return await acting(parts, user, done, Role.ADMINISTRATOR, OURS)


async def found(connection: AsyncConnection, asked: Known) -> Person:
    """Return what is on record of a person.

    Raises:
        NotFound: if it is nothing.
    """
    person = await find(connection, asked)
    if not person.is_known:
        raise NotFound("person", asked.names[0])
    return person


_NOT_COMPARED: Final = {
    "email": "is no email address",
    "phone": "is no phone number with its country, as +1 415 555 0100",
}


def is_hash(name: str) -> bool:
    """Whether a name of a person is a keyed hash, or what is left of one: nobody reads it, and pages only count it."""
    return is_keyed(name) or is_removed(name)
