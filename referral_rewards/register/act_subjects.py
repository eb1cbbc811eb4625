"""What a decision on money is about, as it stands: a payout, a clawback case or a payout cycle."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import cycle_authority, rail_catalogue
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.money_acts import ActSubject, MoneyAct, SubjectKind, payout_takes, subject_digest
from referral_rewards.domain.payouts import PayoutState
from referral_rewards.register import decisions, dossier, referrals
from referral_rewards.register.payout_endings import GIVEN_UP
from referral_rewards.register.signing import KeyRing

_A = MoneyAct


async def held(connection: AsyncConnection, kind: SubjectKind, subject: UUID, keys: KeyRing) -> ActSubject:
    """The subject, under its locks: the referrals it touches, in their order, and then its own row.

    Raises:
        NotFound: if there is none.
    """
    for referral in (await connection.execute(_REFERRALS[kind], {"id": subject})).scalars().all():
        await referrals.hold(connection, referral)
    await connection.execute(_LOCKS[kind], {"id": subject})
    return await shown(connection, kind, subject, keys)


async def shown(connection: AsyncConnection, kind: SubjectKind, subject: UUID, keys: KeyRing) -> ActSubject:
    """The subject as it stands, without a lock, to be shown to whoever may decide on it.

    Raises:
        NotFound: if there is none.
    """
    row = (await connection.execute(_ROWS[kind], {"id": subject})).one_or_none()
    if row is None:
        raise NotFound(kind.replace("_", " "), str(subject))
    match kind:
        case SubjectKind.PAYOUT:
            return await _payout(connection, row, keys)
        case SubjectKind.CLAWBACK_CASE:
            return await _case(connection, row)
        case SubjectKind.CYCLE:
            return await _cycle(connection, row)


async def currency_of(connection: AsyncConnection, kind: SubjectKind, subject: UUID) -> str:
    """The currency that amounts about it are in."""
    return str((await connection.execute(_CURRENCIES[kind], {"id": subject})).scalar_one())


def payout_digest(row: Any, generation: int, state: PayoutState) -> str:
    """What is signed of a payout: of its row, as it stood in that generation of its key and in that state."""
    what: Mapping[str, Any] = {
        "payout": row.id,
        "generation": generation,
        "state": state,
        "rail": row.rail,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "body": row.body_hash,
        # Sessions may read the same instant in different zones.
        "sent": row.first_sent_at and row.first_sent_at.astimezone(UTC).isoformat(),
    }
    return subject_digest(what)


async def released_by(connection: AsyncConnection, cycle: UUID | None, keys: KeyRing) -> frozenset[str]:
    """Whoever answers for what a cycle pays: who released its list, or had it resumed. Nobody, without a cycle."""
    if cycle is None:
        return frozenset()
    made = await decisions.on_subject(connection, cycle, keys)
    return frozenset(each.user for each in made if each.kind in (_A.RELEASE_CYCLE, _A.RESUME_CYCLE))


async def _payout(connection: AsyncConnection, row: Any, keys: KeyRing) -> ActSubject:
    state, sent = PayoutState(row.state), row.key_used_at is not None
    made = await decisions.on_subject(connection, row.id, keys)
    # Paying by hand takes a second person at its end as well: nobody confirms what they let out themselves.
    let_out_by = dict.fromkeys(await released_by(connection, row.cycle_id, keys), "released the cycle that it is of")
    let_out_by |= dict.fromkeys(row.approvers, "approved what it pays")
    # A new key after somebody's word that the old one paid nothing takes somebody else.
    refused_by = {each.user: "recorded that it was not paid" for each in made if each.kind is _A.REFUSE_PAYOUT}
    return ActSubject(
        SubjectKind.PAYOUT,
        row.id,
        row.referral_id,
        row.program,
        payout_digest(row, row.generation, state),
        payout_takes(state, sent=sent, given_up=row.given_up, rail=row.rail),
        await dossier.marks_of_payee(connection, row.payee),
        {_A.CONFIRM_PAYOUT: let_out_by, _A.RETRY_PAYOUT: refused_by},
    )


async def _case(connection: AsyncConnection, row: Any) -> ActSubject:
    """What is left of a leg is what was paid less what was taken back, is being taken back, or was given up."""
    room_minor = row.paid_minor - row.taken_minor
    # Only what its rail can write goes back over it; the rest is kept from what the payee gets next, or given up.
    step_minor = rail_catalogue.step_minor(row.rail, row.currency) if row.rail in rail_catalogue.CATALOGUE else 1
    reversible_minor = min(room_minor, row.reversible_minor or 0) // step_minor * step_minor
    what: Mapping[str, Any] = {
        "case": row.id,
        "leg": row.leg_id,
        "state": row.state,
        "proposed": row.proposed_minor,
        "paid": row.paid_minor,
        "taken": row.taken_minor,
        "in_review": row.in_review,
        # What was taken may be given up again, and is another case to decide on then.
        "clawbacks": row.made,
    }
    takes: frozenset[MoneyAct] = frozenset()
    if row.state in ("open", "frozen"):
        takes = frozenset({_A.DISMISS_CLAWBACK})
        if row.state == "open" and room_minor > 0:
            takes |= {_A.OFFSET_CLAWBACK, _A.WRITE_OFF_CLAWBACK}
            takes |= {_A.REVERSE_CLAWBACK} if reversible_minor > 0 else set()
    if row.in_review:
        takes |= {_A.SETTLE_CLAWBACK, _A.REFUSE_CLAWBACK}
    return ActSubject(
        SubjectKind.CLAWBACK_CASE,
        row.id,
        row.referral_id,
        row.program,
        subject_digest(what),
        takes,
        await dossier.marks_of_payee(connection, row.payee),
        room_minor=room_minor,
        rooms={_A.REVERSE_CLAWBACK: reversible_minor},
        steps={_A.REVERSE_CLAWBACK: step_minor},
    )


async def _cycle(connection: AsyncConnection, row: Any) -> ActSubject:
    """Whoever is paid by the cycle decides nothing on it: by any mark that is known of a payee."""
    return ActSubject(
        SubjectKind.CYCLE,
        row.id,
        None,
        row.program,
        cycle_authority.shown_digest(row.id, row.state, row.digest, row.turn),
        cycle_authority.takes(row.state),
        frozenset((await connection.execute(_MARKS_OF_PAYEES, {"id": row.id})).scalars()),
    )


_REFERRALS: Final = {
    SubjectKind.PAYOUT: text("""
        SELECT DISTINCT l.referral_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
        WHERE pl.payout_id = :id
          AND (pl.live OR NOT EXISTS (SELECT 1 FROM payout_leg WHERE payout_id = :id AND live OFFSET 0))
        ORDER BY 1
    """),
    SubjectKind.CLAWBACK_CASE: text("SELECT referral_id FROM clawback_case WHERE id = :id"),
    # Of a cycle its row alone: the referrals of its list are held by each payout, one at a time.
    SubjectKind.CYCLE: text("SELECT id FROM referral WHERE false AND id = CAST(:id AS text)"),
}

_LOCKS: Final = {
    SubjectKind.PAYOUT: text("SELECT 1 FROM payout WHERE id = :id FOR UPDATE"),
    SubjectKind.CLAWBACK_CASE: text("SELECT 1 FROM clawback_case WHERE id = :id FOR UPDATE"),
    SubjectKind.CYCLE: text("SELECT 1 FROM payout_cycle WHERE id = :id FOR UPDATE"),
}

_ROWS: Final = {
    SubjectKind.PAYOUT: text(f"""
        SELECT p.*, p.body->>'program' AS program, {GIVEN_UP} AS given_up, ARRAY(
            SELECT DISTINCT d.username FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
            JOIN decision d ON CAST(d.id AS text) = ANY(l.decisions)
            WHERE pl.payout_id = p.id AND pl.live
        ) AS approvers
        FROM payout p WHERE p.id = :id
    """),  # noqa: S608 (a constant of ours)
    # A leg of which nothing was paid yet may still be: its payout's answer is awaited. What is left of its payout to be
    # had back is what was sent, to all of its legs, less what others are had back of.
    SubjectKind.CLAWBACK_CASE: text("""
        SELECT c.*, l.program, l.beneficiary AS payee, l.rail, l.currency,
               CASE WHEN l.state IN ('paid', 'clawed_back') THEN l.amount_minor ELSE 0 END AS paid_minor,
               CAST(coalesce((
                   SELECT sum(CASE WHEN b.state IN ('unrecoverable', 'partly_reversed') THEN b.recovered_minor
                                   ELSE b.amount_minor END)
                   FROM clawback b WHERE b.leg_id = c.leg_id
               ), 0) AS bigint) AS taken_minor,
               (SELECT CAST(p.amount_minor - coalesce((
                    SELECT sum(CASE WHEN b.state IN ('unrecoverable', 'partly_reversed') THEN b.recovered_minor
                                    ELSE b.amount_minor END)
                    FROM clawback b WHERE b.payout_id = p.id AND b.kind = 'reverse'
                ), 0) AS bigint)
                FROM payout_leg pl JOIN payout p ON p.id = pl.payout_id
                WHERE pl.leg_id = c.leg_id AND pl.live) AS reversible_minor,
               ARRAY(SELECT CAST(b.id AS text) FROM clawback b
                     WHERE b.case_id = c.id AND b.state = 'manual_review' ORDER BY b.created_at, b.id) AS in_review,
               (SELECT count(*) FROM clawback b WHERE b.case_id = c.id) AS made
        FROM clawback_case c JOIN leg l ON l.id = c.leg_id WHERE c.id = :id
    """),
    SubjectKind.CYCLE: text("""
        SELECT * FROM payout_cycle WHERE id = :id
    """),
}

# As `dossier.marks_of_payee`, of all payees at once.
_MARKS_OF_PAYEES: Final = text("""
WITH payee AS MATERIALIZED (SELECT DISTINCT payee AS name FROM payout WHERE cycle_id = :id)
SELECT 'customer:' || name FROM payee
UNION
SELECT unnest(f.marks)
FROM payee CROSS JOIN (SELECT DISTINCT program FROM program_version) AS p
CROSS JOIN LATERAL (
    SELECT fact_id FROM fact_key WHERE key = 'referrer:' || p.program || '/' || payee.name OFFSET 0
) AS fk
CROSS JOIN LATERAL (SELECT marks FROM fact WHERE id = fk.fact_id AND type = 'referrer.enrolled' OFFSET 0) AS f
UNION
SELECT unnest(f.marks)
FROM payee CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = 'customer:' || payee.name OFFSET 0) AS fk
CROSS JOIN LATERAL (SELECT marks FROM fact WHERE id = fk.fact_id AND type = 'conversion.recorded' OFFSET 0) AS f
""")

_CURRENCIES: Final = {
    SubjectKind.PAYOUT: text("SELECT currency FROM payout WHERE id = :id"),
    SubjectKind.CLAWBACK_CASE: text("""
        SELECT l.currency FROM clawback_case c JOIN leg l ON l.id = c.leg_id WHERE c.id = :id
    """),
    SubjectKind.CYCLE: text("SELECT currency FROM payout_cycle WHERE id = :id"),
}
