"""A paid referral, and hands to take it back: facts, decisions by the rules, and what the books say of it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import REASONS, MoneyAct, SubjectKind
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record
from tests.installation import Installation
from tests.workflows.scenes import before_its_approver, quiet, sql


async def rewarded(life: Installation, referral: str) -> Any:
    """A referral that was paid: 25.00 to dexter, 8.00 to its referee."""
    await before_its_approver(life, referral)
    await life.decide(referral)
    return await life.settled(referral, among=frozenset({"rewarded"}))


async def told(life: Installation, type_: str, referral: str = "r1", **data: Any) -> Any:
    """Has something happen to the order of a referral just now; its row once that was judged."""
    await life.record(type_, datetime.now(UTC), {"order": f"o-{referral}", **data})
    return await quiet(life, referral)


async def cases(life: Installation, referral: str = "r1") -> dict[str, list[Any]]:
    """The cases of a referral by the role of their leg, oldest first."""
    found: dict[str, list[Any]] = {}
    for row in await sql(
        life,
        "SELECT c.*, l.role FROM clawback_case c JOIN leg l ON l.id = c.leg_id"
        " WHERE c.referral_id = :referral ORDER BY c.opened_at, c.why",
        referral=referral,
    ):
        found.setdefault(row.role, []).append(row)
    return found


async def act(
    life: Installation,
    kind: MoneyAct,
    case: UUID,
    amount_minor: int | None = None,
    *,
    user: str = "fiona",
    digest: str | None = None,
    reference: str | None = None,
    roles: frozenset[Role] = frozenset({Role.FINANCE}),
) -> Decision:
    """Records a decision on a case as the API does."""
    async with life.database.transaction() as connection:
        if digest is None:
            digest = (await subjects.shown(connection, SubjectKind.CLAWBACK_CASE, case, life.keys)).digest
        asked = Asked(
            str(case), kind, REASONS[kind][0], "looked at it", digest, amount_minor=amount_minor, reference=reference
        )
        made, _ = await record(
            connection, asked, Approver(user, roles), now=datetime.now(UTC), keys=life.keys, signer=life.signer
        )
    return made


async def takes(life: Installation, case: UUID) -> tuple[set[str], int | None]:
    """What a case takes now, and what room it has."""
    async with life.database.transaction() as connection:
        shown = await subjects.shown(connection, SubjectKind.CLAWBACK_CASE, case, life.keys)
    return {each.removesuffix("_clawback") for each in shown.takes}, shown.room_minor


async def clawbacks(life: Installation) -> list[tuple[str, str, int, int]]:
    """Kind, state, amount and what came back of every clawback, oldest first."""
    rows = await sql(life, "SELECT kind, state, amount_minor, recovered_minor FROM clawback ORDER BY created_at, id")
    return [tuple(row) for row in rows]
