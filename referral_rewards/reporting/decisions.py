"""What a decision on money would be made against now: its subject's digest, the acts it takes, those on record."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.money_acts import ActSubject, MoneyAct, SubjectKind
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.recording import subjects
from referral_rewards.reporting.plain_values import instant, plain


async def actable(connection: AsyncConnection, kind: SubjectKind, subject: UUID, keys: KeyRing) -> dict[str, Any]:
    """A payout, clawback case or cycle as a decision on it is made, with what it says of itself.

    ``room_minor`` is the most an act may be over, in minor units of ``currency``.

    Raises:
        NotFound: if there is none.
    """
    shown = await subjects.shown(connection, kind, subject, keys)
    of_itself = (await connection.execute(_SAYS[kind], {"id": subject})).one()
    return {
        **plain(of_itself),
        "id": str(shown.id),
        "referral": shown.referral,
        "program": shown.program,
        "digest": shown.digest,
        "takes": in_order(shown),
        "room_minor": shown.room_minor,
        "decisions": await on_subject(connection, subject, keys),
    }


def in_order(subject: ActSubject) -> list[MoneyAct]:
    """The acts that it takes, in the order in which they are told."""
    return [act for act in MoneyAct if act in subject.takes]


async def on_subject(connection: AsyncConnection, subject: UUID, keys: KeyRing) -> list[dict[str, Any]]:
    """The decisions on it with notes and what came of them; ``genuine`` is false where nobody with a key wrote it."""
    genuine = {each.id for each in await decisions.on_subject(connection, subject, keys)}
    rows = (await connection.execute(_ON_SUBJECT, {"subject": subject})).all()
    effects = await decisions.effects(connection, [row.id for row in rows])
    return [
        {
            **plain(row),
            "genuine": row.id in genuine,
            "effects": [
                {"effect": each.effect, "at": instant(each.at), "why": each.why}
                for each in effects
                if each.decision_id == row.id
            ],
        }
        for row in rows
    ]


_SAYS: Final = {
    SubjectKind.PAYOUT: text("SELECT state, why, payee, rail, amount_minor, currency FROM payout WHERE id = :id"),
    SubjectKind.CLAWBACK_CASE: text("""
        SELECT c.state, c.why, c.proposed_minor, c.opened_at, l.role, l.beneficiary AS payee, l.rail, l.amount_minor,
               l.currency
        FROM clawback_case c JOIN leg l ON l.id = c.leg_id WHERE c.id = :id
    """),
    SubjectKind.CYCLE: text("""
        SELECT state, CAST(due_on AS text) AS due_on, currency, minimum_minor, summary FROM payout_cycle WHERE id = :id
    """),
}

_ON_SUBJECT: Final = text("""
SELECT d.id, d.seq, d.kind, d.username AS user, d.roles, d.reason, p.body->>'note' AS note, d.digest, d.decided_at,
       CAST(d.details->>'amount_minor' AS bigint) AS amount_minor, d.details->>'reference' AS reference
FROM decision d LEFT JOIN personal_data p ON p.subject_id = d.id WHERE d.claim_id = :subject ORDER BY d.seq
""")
