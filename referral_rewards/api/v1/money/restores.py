"""Restores of the register: recording one by hand, and waking everything that is open."""

from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.api.dependencies import Decider, Its, Person, Reading
from referral_rewards.api.v1 import fields
from referral_rewards.domain.errors import NotAllowed, RequestInvalid
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import labels
from referral_rewards.domain.people.authority import Role
from referral_rewards.register import audit, overdue
from referral_rewards.register.people import sessions
from referral_rewards.register.people.users import User
from referral_rewards.register.reconciliations import after_restore
from referral_rewards.register.restores import halting
from referral_rewards.reporting import restores as reporting
from referral_rewards.reporting.restores import Restore

router = APIRouter(prefix="/v1/restores", tags=["payouts"])

#: Stopping payments needs less authority than making them.
_MAY_HALT: Final = frozenset({Role.ADMINISTRATOR, Role.FINANCE, Role.OPERATIONS})


class NewRestore(BaseModel):
    """To which moment the register was restored; rather too early than too late."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"restored_to": "2026-07-24T14:00:00Z"}]})

    restored_to: fields.GivenInstant


class Woken(BaseModel):
    """How many workflows were woken. Those that had a wake-up already are not counted."""

    woken: int


@router.get("", summary="List the restores of the register")
async def list_restores(connection: Reading, person: Person) -> list[Restore]:
    """Newest first."""
    return await reporting.restores(connection)


@router.post("", status_code=201, summary="Record that the register was restored")
async def record_restore(new: NewRestore, person: Decider, parts: Its) -> Restore:
    """Halts every rail on which a payment may have been forgotten, and has the connected ones reconciled. Finance
    opens each of them again.

    For administrators, finance and operations.
    """
    now = datetime.now(UTC)
    if new.restored_to > now:
        raise RequestInvalid("is in the future", "restored_to")

    async def halt(connection: AsyncConnection) -> Restore:
        _check(await sessions.still(connection, person, at=now))
        number = await halting.told(connection, new.restored_to, now, by=person.name)
        await after_restore.reconcile(connection, new.restored_to, now, by=person.name)
        return next(each for each in await reporting.restores(connection) if each.number == number)

    return await parts.database.write(halt)


@router.post("/resync", summary="Wake everything that is open")
async def resync(person: Decider, parts: Its) -> Woken:
    """Starts or wakes every open referral, payout, clawback, cycle and reconciliation from the register, after
    Temporal was lost or restored. Calling it again does no harm.

    For administrators, finance and operations.
    """
    now = datetime.now(UTC)

    async def wake(connection: AsyncConnection) -> int:
        _check(await sessions.still(connection, person, at=now))
        woken = await overdue.resync(connection)
        await audit.note(
            connection, actor=person.name, act="register.resynced", subject="register", at=now, woken=woken
        )
        return woken

    return Woken(woken=await parts.database.write(wake))


def _check(user: User) -> None:
    if not user.roles & _MAY_HALT:
        raise NotAllowed(f"To do this you need the role {listed(labels('role', sorted(_MAY_HALT)), 'or')}.")
