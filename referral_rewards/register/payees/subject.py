"""A payee's destination on one rail as the subject of a redirect: what waits for it, and what its rules read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import statement
from referral_rewards.domain.decisions.decision import Asked, Decision, Made
from referral_rewards.domain.decisions.redirects import PayeeSubject, WaitingLeg, WaitingPayout, in_force, subject_id
from referral_rewards.domain.notices.contact import NoticeState, Template
from referral_rewards.domain.payees import methods
from referral_rewards.domain.payees.methods import Methods
from referral_rewards.domain.payouts.destinations import IN_THE_WAY
from referral_rewards.domain.payouts.states import OVER, REFUSALS, LegState, PayoutState
from referral_rewards.register import marks, outbox, typed_rows
from referral_rewards.register.decisions import chain
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.locks import dump
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payees import deductions
from referral_rewards.register.referrals import rows as referrals

_LEGS: Final = TypeAdapter(tuple[WaitingLeg, ...])
_PAYOUTS: Final = TypeAdapter(tuple[WaitingPayout, ...])


async def held(connection: AsyncConnection, asked: Asked, now: datetime, keys: KeyRing) -> Held:
    """Return the payee under their lock and the locks of their payouts that are not over: none is sent meanwhile."""
    assert asked.rail is not None
    await deductions.hold_payees(connection, [asked.subject])
    await connection.execute(_HOLD, {"payee": asked.subject})
    subject = await shown(connection, asked.subject, asked.rail, now, keys)

    async def wake(connection: AsyncConnection, decision: Decision, now: datetime) -> None:
        await _wake(connection, subject, decision)

    return Held(subject, wake)


async def shown(connection: AsyncConnection, payee: str, rail: str, now: datetime, keys: KeyRing) -> PayeeSubject:
    """Return a payee as the subject of a redirect on one rail, without a lock."""
    (found,) = await in_brief(connection, [(payee, rail)], now, keys)
    return replace(found, parties=await marks.of_payee(connection, payee))


async def in_brief(
    connection: AsyncConnection, asked: Sequence[tuple[str, str]], now: datetime, keys: KeyRing
) -> tuple[PayeeSubject, ...]:
    """Return payees on rails as subjects to read of, in two statements. Whom they benefit is left out."""
    if not asked:
        return ()
    wanted = dump([{"payee": payee, "rail": rail} for payee, rail in asked])
    rows = await typed_rows.read(connection, _Found, _FOUND, {"asked": wanted})
    made = await chain.history_of(connection, [subject_id(row.payee, row.rail) for row in rows], keys)
    return tuple(_of(row, made, now) for row in rows)


class _Found(NamedTuple):
    payee: str
    rail: str
    methods: Sequence[Mapping[str, Any]]
    legs: Sequence[Mapping[str, Any]]
    payouts: Sequence[Mapping[str, Any]]
    in_the_way: Sequence[str]
    told: Mapping[str, str | None]


def _of(row: _Found, made: Sequence[Made], now: datetime) -> PayeeSubject:
    told = methods.of(row.payee, [each.fact for each in referrals.linked(row.methods)])
    where, payouts = told.destination_on(row.rail, now), _PAYOUTS.validate_python(row.payouts)
    signed = subject_id(row.payee, row.rail)
    return PayeeSubject(
        payee=row.payee,
        rail=row.rail,
        now=now,
        methods=told,
        legs=_LEGS.validate_python(row.legs),
        # What was to be paid to the present destination waits for a retry alone.
        payouts=tuple(each for each in payouts if each.destination != where),
        in_the_way=tuple(PayoutState(each) for each in row.in_the_way),
        told_at=_told_at(told, row.rail, now, row.told),
        history=tuple(each for each in made if each.decision.claim_id == signed),
    )


def _told_at(told: Methods, rail: str, now: datetime, letters: Mapping[str, str | None]) -> datetime | None:
    """Return when the payee was told of the destination that they have now, since they last had another one."""
    at = [letters[str(fact.id)] for fact in told.since_changed(rail, now) if letters.get(str(fact.id))]
    return min((datetime.fromisoformat(each) for each in at if each is not None), default=None)


async def _wake(connection: AsyncConnection, subject: PayeeSubject, decision: Decision) -> None:
    """Wake whoever carries the redirect out, once enough people signed it."""
    if not in_force([each.decision for each in subject.history if not each.barred] + [decision], ()):
        return
    for referral in sorted({leg.referral for leg in subject.legs}):
        await outbox.enqueue(connection, WakeupKind.DECISION, referral, decision.id)
    for payout in subject.payouts:
        await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, str(payout.id), payout.id)


_HOLD: Final = statement(
    "SELECT 1 FROM payout WHERE payee = :payee AND state <> ALL(:over) ORDER BY id FOR UPDATE", over=OVER
)

#: What was told of the methods of a ``payee``.
METHODS_OF: Final = f"""
SELECT f.*, true AS batch_finished, 0 AS version, {referrals.TELLER}
FROM (SELECT fact_id FROM fact_key WHERE key = 'payee:' || {{payee}} OFFSET 0) AS fk
CROSS JOIN LATERAL (
    SELECT * FROM fact WHERE id = fk.fact_id AND type IN ('payee.method_set', 'payee.method_removed') OFFSET 0
) AS f
"""  # noqa: S608 (words of ours alone)

#: What waits, what is in the way, and when all letters about each change were settled, at least one of them sent. A
#: return that waits stands for itself: it pays no leg.
_FOUND: Final = statement(
    f"""
SELECT asked.payee, asked.rail, (
    SELECT coalesce(jsonb_agg(to_jsonb(f)), '[]') FROM ({METHODS_OF.format(payee="asked.payee")}) AS f
) AS methods, (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', l.id, 'referral', l.referral_id, 'amount_minor', l.amount_minor, 'currency', l.currency)), '[]')
    FROM leg l WHERE l.beneficiary = asked.payee AND l.rail = asked.rail AND l.state = :waiting
) AS legs, (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', p.id, 'generation', p.generation, 'state', p.state, 'destination', p.body->>'destination', 'legs', (
            SELECT jsonb_agg(jsonb_build_object('id', its.id, 'referral', its.referral_id,
                                                'amount_minor', its.amount_minor, 'currency', its.currency))
            FROM (
                SELECT l.id, l.referral_id, l.amount_minor, l.currency
                FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = p.id AND pl.live
                UNION ALL SELECT p.id, p.referral_id, p.amount_minor, p.currency WHERE p.returns IS NOT NULL
            ) AS its))), '[]')
    FROM payout p
    WHERE p.payee = asked.payee AND p.rail = asked.rail AND (
        p.state = ANY(:refused) OR (p.state = :approved AND p.key_used_at IS NULL
            AND (p.first_sent_at IS NOT NULL OR p.returns IS NOT NULL)))
      AND (p.returns IS NOT NULL OR EXISTS (SELECT 1 FROM payout_leg pl WHERE pl.payout_id = p.id AND pl.live))
) AS payouts, ARRAY(
    SELECT DISTINCT state FROM payout WHERE payee = asked.payee AND state = ANY(:in_the_way) ORDER BY state
) AS in_the_way, (
    SELECT coalesce(jsonb_object_agg(t.fact, t.told_at), '{{}}') FROM (
        SELECT split_part(n.occasion, ':', 2) AS fact,
               CASE WHEN bool_and(n.due_at IS NULL)
                    THEN max(n.settled_at) FILTER (WHERE n.state = :sent) END AS told_at
        FROM (SELECT DISTINCT referral_id FROM referral_key WHERE key = 'payee:' || asked.payee) AS its
        JOIN notice n ON n.referral_id = its.referral_id
        WHERE n.template = :changed AND n.recipient = asked.payee
        GROUP BY 1
    ) AS t
) AS told
FROM json_to_recordset(CAST(:asked AS json)) AS asked(payee text, rail text)
ORDER BY asked.payee, asked.rail
""",  # noqa: S608 (queries of ours alone)
    waiting=LegState.WAITING_METHOD,
    refused=REFUSALS - {PayoutState.WAITING_FUNDS},
    approved=PayoutState.APPROVED,
    in_the_way=IN_THE_WAY,
    sent=NoticeState.SENT,
    changed=Template.METHOD_CHANGED,
)
