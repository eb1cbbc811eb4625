"""After a restore of the register: the restores on record, the halted rails, and the payments that it had forgotten."""

from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain.decisions.act_kinds import MoneyAct, SubjectKind
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE
from referral_rewards.domain.restores.forgotten import PaymentState
from referral_rewards.domain.restores.reopening import rail_id
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.restores.rail_subject import reopening
from referral_rewards.reporting import decisions
from referral_rewards.reporting.decisions import ActShown
from referral_rewards.reporting.shape import Instant, Shape


class Restore(Shape):
    """A restore of the register: to which moment, when it was found, by whom, and what the register lacked."""

    number: int
    restored_to: Instant
    found_at: Instant
    found_by: str
    lost: str


class ForgottenPayment(Shape):
    """A payment that a rail shows under an id of ours and that the register lacked.

    ``payout`` is the payout that it names. ``state`` is waiting, assigned, adopted or disowned; ``at_rail`` is its
    state at the rail. ``payee`` and ``destination`` are null if the rail does not tell.
    """

    id: UUID
    rail: str
    reference: str
    payout: UUID
    payee: str | None
    destination: str | None
    amount_minor: int | None
    currency: str
    at_rail: str
    made_at: Instant | None
    found_at: Instant
    state: str
    assigned_to: UUID | None


class ForgottenPaymentShown(ForgottenPayment):
    """A forgotten payment as a subject of decisions: its current digest, and the acts possible now (``takes``)."""

    digest: str
    takes: tuple[MoneyAct, ...]
    room_minor: int | None
    decisions: tuple[ActShown, ...]


class RailShown(Shape):
    """A rail as a subject of decisions. ``state`` is open or halted: after a restore of the register, until finance
    opens it again. ``remains`` is what must be done before that."""

    id: UUID
    rail: str
    state: str
    restored_to: Instant | None
    halted_at: Instant | None
    reopened_at: Instant | None
    remains: tuple[str, ...]
    forgotten: tuple[ForgottenPayment, ...]
    digest: str
    takes: tuple[MoneyAct, ...]
    room_minor: int | None
    decisions: tuple[ActShown, ...]


async def restores(connection: AsyncConnection) -> list[Restore]:
    """Return the restores on record, newest first."""
    return [Restore.model_validate(row) for row in await connection.execute(_RESTORES)]


async def rail(connection: AsyncConnection, name: str, keys: KeyRing) -> RailShown:
    """Return one rail as a subject of decisions.

    Raises:
        NotFound: if there is no such rail.
    """
    if name not in CATALOGUE:
        raise NotFound("rail", name)
    its = await reopening(connection, name)
    subject = await decisions.actable(connection, SubjectKind.RAIL, rail_id(name), keys)
    return RailShown(
        id=subject.id,
        rail=name,
        state="halted" if its.halted else "open",
        restored_to=its.after.restored_to if its.after else None,
        halted_at=its.after.halted_at if its.after else None,
        reopened_at=its.after.reopened_at if its.after else None,
        remains=its.remains,
        forgotten=tuple(await payments(connection, name)),
        digest=subject.digest,
        takes=subject.takes,
        room_minor=subject.room_minor,
        decisions=subject.decisions,
    )


async def payments(
    connection: AsyncConnection, of_rail: str | None = None, state: PaymentState | None = None
) -> list[ForgottenPayment]:
    """Return the forgotten payments, of one rail or of all, in one state or in any, oldest first."""
    rows = await connection.execute(_PAYMENTS, {"rail": of_rail, "state": state, "id": None})
    return [ForgottenPayment.model_validate(row) for row in rows]


async def payment(connection: AsyncConnection, name: UUID, keys: KeyRing) -> ForgottenPaymentShown:
    """Return one forgotten payment as a subject of decisions.

    Raises:
        NotFound: if there is no such payment.
    """
    row = (await connection.execute(_PAYMENTS, {"rail": None, "state": None, "id": name})).one_or_none()
    if row is None:
        raise NotFound("forgotten payment", str(name))
    found = ForgottenPayment.model_validate(row)
    subject = await decisions.actable(connection, SubjectKind.FORGOTTEN_PAYMENT, name, keys)
    return ForgottenPaymentShown(
        **dict(found),
        digest=subject.digest,
        takes=subject.takes,
        room_minor=subject.room_minor,
        decisions=subject.decisions,
    )


_RESTORES: Final = text("SELECT * FROM register_restore ORDER BY number DESC")

_PAYMENTS: Final = text(
    spelled(
        """
SELECT * FROM (
    SELECT f.id, f.rail, f.reference, f.payout_id AS payout, f.payee, f.destination, f.amount_minor, f.currency,
           f.state AS at_rail, f.made_at, f.found_at, f.assigned_to,
           CASE WHEN f.disowned_at IS NOT NULL THEN :disowned
                WHEN EXISTS (SELECT 1 FROM payout a WHERE a.provider_reference = f.reference AND a.rail = f.rail
                                                      AND a.settled_at IS NOT NULL) THEN :adopted
                WHEN f.assigned_to IS NOT NULL THEN :assigned ELSE :waiting END AS state
    FROM forgotten_payment f
    WHERE (CAST(:rail AS text) IS NULL OR f.rail = :rail) AND (CAST(:id AS uuid) IS NULL OR f.id = :id)
) AS found
WHERE CAST(:state AS text) IS NULL OR state = :state
ORDER BY found_at, id LIMIT 1000
""",
        disowned=PaymentState.DISOWNED,
        adopted=PaymentState.ADOPTED,
        assigned=PaymentState.ASSIGNED,
        waiting=PaymentState.WAITING,
    )
)
