"""Everything about one referral, for whoever asks why it stands where it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.programs.terms import Terms, in_force
from referral_rewards.domain.referrals import periods
from referral_rewards.domain.referrals.conversions import conversions
from referral_rewards.domain.referrals.course import Course
from referral_rewards.domain.referrals.explanation import Situation, explain
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from referral_rewards.domain.referrals.origin import Origin, origin, referee_identity
from referral_rewards.register import programs
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.recording.admission import BEFORE_APPROVERS, REOPENABLE
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.closing import closing_digest
from referral_rewards.reporting import clawbacks, payouts
from referral_rewards.reporting.plain_values import instant, plain
from referral_rewards.reporting.referrals.letters import communication
from referral_rewards.reporting.referrals.listing import Wanted, listing


async def showing(connection: AsyncConnection, referral: str, keys: KeyRing) -> dict[str, Any]:
    """The referral in the form of the listing, with its periods, full claim, decisions, money, facts and history.

    Raises:
        NotFound: if nobody has heard of it.
    """
    row = await referrals.row(connection, referral)
    if row is None:
        raise NotFound("referral", referral)
    brief = [each async for each in listing(connection, Wanted(referral=referral))]
    life, made = await _life(connection, row), await _decisions(connection, row, keys)
    shown = brief[0] if brief else {"referral": referral, "status": None, "merged_into": row.merged_into}
    return {
        **shown,
        "round": row.round,
        "facts_version": row.facts_version,
        "judged_version": row.judged_version,
        "closed_at": instant(row.closed_at),
        "late_facts": row.late_facts,
        "moved_to": row.moved_to,
        "told": _told(row, life, made, await _money_back(connection, row)) if life and row.status else None,
        "periods": _periods(life) if life else None,
        "claim": plain((await connection.execute(_CLAIM, {"id": row.claim_id})).scalar_one_or_none()),
        "decisions": made,
        "inquiries": plain((await connection.execute(_INQUIRIES, {"referral": referral})).all()),
        "legs": plain((await connection.execute(_LEGS, {"referral": referral})).all()),
        "payouts": await _payouts(connection, referral),
        "clawbacks": await _cases(connection, referral),
        "facts": plain((await connection.execute(_FACTS, {"referral": referral})).all()),
        "appeals": plain((await connection.execute(_APPEALS, {"referral": referral})).all()),
        "history": plain(await referrals.steps(connection, referral)),
        "communication": await communication(connection, referral),
    }


async def _payouts(connection: AsyncConnection, referral: str) -> list[dict[str, Any]]:
    """What is paid to each side, with the life of the payout: its rewards, deductions and steps, and what to do."""
    rows = (await connection.execute(_PAYOUTS, {"referral": referral})).all()
    lives = {each["payout"]: each for each in await payouts.lives(connection, [row.payout for row in rows])}
    return [{**lives[str(row.payout)], **plain(row)} for row in rows]


async def _cases(connection: AsyncConnection, referral: str) -> list[dict[str, Any]]:
    """Its clawback cases, the first one first: what each is about, what is proposed, and what was done."""
    rows = (await connection.execute(_CLAWBACKS, {"referral": referral})).all()
    found = await clawbacks.cases(connection, clawbacks.Wanted(referral=referral, limit=len(rows))) if rows else []
    cases = {each["case"]: each for each in found}
    return [{**cases[str(row.case)], **plain(row)} for row in rows]


async def decidable(connection: AsyncConnection, referral: str, keys: KeyRing) -> dict[str, Any]:
    """What a decision on the referral would be made against now, and which kinds it takes.

    Raises:
        NotFound: if nobody has heard of it.
    """
    row = await referrals.row(connection, referral)
    if row is None:
        raise NotFound("referral", referral)
    claim = (await connection.execute(_CLAIM, {"id": row.claim_id})).scalar_one_or_none()
    closed = row.closed_at is not None
    takes: list[DecisionKind] = []
    if closed and row.status in REOPENABLE:
        takes = [DecisionKind.REOPEN]
    elif row.status in BEFORE_APPROVERS and claim is not None:
        moves = {Flag.ATTRIBUTION_CHANGED} & {each["flag"] for each in claim["flags"]}
        unfit = {DecisionKind.REOPEN} if moves else {DecisionKind.REOPEN, DecisionKind.REASSIGN}
        takes = [kind for kind in DecisionKind if kind not in unfit]
    return {
        "referral": row.id,
        "status": row.status,
        "reason": row.reason,
        "digest": closing_digest(row) if closed else claim["digest"] if claim else None,
        "takes": takes,
        "claim": claim,
        "decisions": await _decisions(connection, row, keys),
    }


@dataclass(frozen=True, slots=True)
class _Life:
    """What the four periods made of the facts that were judged, or that a closed referral closed with."""

    terms: Terms
    begun: Origin
    course: Course
    facts: list[Fact]
    judged_at: datetime


async def _life(connection: AsyncConnection, row: Any) -> _Life | None:
    linked = await referrals.facts(connection, row.id)
    last = row.closed_version if row.closed_version is not None else row.judged_version
    facts = [each.fact for each in linked if each.version <= last]
    judged_at = max([row.closed_at or row.began_at, *(fact.received_at for fact in facts)])
    begun = origin(facts, judged_at)
    if begun is None:
        return None
    bound = in_force(await programs.versions(connection, begun.program), begun.began_at)
    if bound is None:
        return None
    _, terms = bound
    return _Life(terms, begun, periods.course(facts, terms, judged_at, origin=begun), facts, judged_at)


def _periods(life: _Life) -> dict[str, Any]:
    course, minimum = life.course, life.terms.qualifying.minimum
    return {
        "timezone": life.terms.timezone,
        "began_at": instant(course.began_at),
        "began_by": life.begun.kind,
        "invitation_ends": instant(course.invite_ends),
        "claim_by": instant(course.claim_by),
        "claimed_at": instant(course.claimed_at),
        "offer_ends": instant(course.offer_ends),
        "return_ends": instant(course.return_ends),
        "minimum": str(minimum) if minimum is not None else None,
        "conversions": _conversions(life.facts, life.terms, life.judged_at),
    }


@dataclass(frozen=True, slots=True)
class _Moved:
    """When its rewards were paid and last taken back, and the reason code of the decision that took them back."""

    paid_at: datetime | None = None
    taken_back_at: datetime | None = None
    taken_back_for: str | None = None


async def _money_back(connection: AsyncConnection, row: Any) -> _Moved:
    if row.status not in (ReferralStatus.REWARDED, ReferralStatus.CLAWED_BACK):
        return _Moved()
    return _Moved(*(await connection.execute(_MOVED, {"referral": row.id})).one())


def _told(row: Any, life: _Life, made: Sequence[Mapping[str, Any]], moved: _Moved) -> dict[str, str | None]:
    """Where it stands, in words for the people whom it concerns."""
    denials = [each for each in made if each["genuine"] and each["kind"] == DecisionKind.DENY]
    denial = denials[-1] if denials else None
    return asdict(
        explain(
            Situation(
                status=ReferralStatus(row.status),
                reason=Reason(row.reason) if row.reason else None,
                terms=life.terms,
                began_at=life.course.began_at,
                deadline=row.deadline,
                claim_by=life.course.claim_by,
                offer_ends=life.course.offer_ends,
                converted_at=row.conversion_at,
                decided_for=denial["reason"] if denial else None,
                decided_at=datetime.fromisoformat(denial["decided_at"]) if denial else None,
                paid_at=moved.paid_at,
                taken_back_at=moved.taken_back_at,
                taken_back_for=moved.taken_back_for,
            )
        )
    )


def _conversions(facts: list[Fact], terms: Terms, judged_at: datetime) -> list[dict[str, Any]]:
    return [
        {
            "order": each.order,
            "kind": each.kind,
            "occurred_at": instant(each.occurred_at),
            "grace_ends": instant(terms.end(each.occurred_at, terms.periods.grace)) if each.of_kind else None,
            "gross_minor": each.gross_minor,
            "net_minor": each.net_minor,
            "currency": each.currency,
            "counts": each.counts and each.of_kind,
        }
        for each in conversions(facts, referee_identity(facts, judged_at), terms)
    ]


async def _decisions(connection: AsyncConnection, row: Any, keys: KeyRing) -> list[dict[str, Any]]:
    """The decisions with notes and what came of them; ``genuine`` is false for a row that nobody with a key wrote."""
    made, _ = await decisions.on_referral(connection, row.id, keys)
    genuine = {each.id for each in made}
    rows = (await connection.execute(_DECISIONS, {"referral": row.id})).all()
    effects = await decisions.effects(connection, [each.id for each in rows])
    return [
        {
            **plain(each),
            "genuine": each.id in genuine,
            "effects": [
                {"effect": effect.effect, "at": instant(effect.at), "why": effect.why}
                for effect in effects
                if effect.decision_id == each.id
            ],
        }
        for each in rows
    ]


_CLAIM: Final = text("SELECT body FROM reward_claim WHERE id = :id")

_DECISIONS: Final = text("""
SELECT d.id, d.seq, d.kind, d.username AS user, d.roles, d.reason, p.body->>'note' AS note, d.digest, d.decided_at
FROM decision d LEFT JOIN personal_data p ON p.subject_id = d.id WHERE d.referral_id = :referral ORDER BY d.seq
""")

_INQUIRIES: Final = text("""
SELECT asked_at, moment, source, subject, answer, sentence, content_hash FROM inquiry WHERE referral_id = :referral
ORDER BY asked_at, id
""")

_LEGS: Final = text("""
SELECT id AS leg, role, beneficiary, kind, amount_minor, currency, rail, state, approved_at
FROM leg WHERE referral_id = :referral ORDER BY approved_at, role DESC
""")

_PAYOUTS: Final = text("""
SELECT p.id AS payout, o.role, p.state, p.amount_minor, p.currency, p.rail, p.payee, p.first_sent_at,
       p.provider_reference, p.why, p.cycle_id AS cycle, p.updated_at
FROM payouts_of(:referral) AS o JOIN payout p ON p.id = o.payout_id ORDER BY o.role DESC, o.live DESC, p.id
""")

_MOVED: Final = text("""
SELECT (SELECT max(p.settled_at) FROM payouts_of(:referral) AS o JOIN payout p ON p.id = o.payout_id) AS paid_at,
       back.updated_at, back.reason
FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
    SELECT b.updated_at, d.reason FROM clawback b JOIN decision d ON d.id = b.decision_id
    WHERE b.referral_id = :referral AND b.recovered_minor > 0 ORDER BY b.updated_at DESC LIMIT 1
) AS back ON true
""")

_CLAWBACKS: Final = text("""
SELECT id AS case, leg_id AS leg, fact_id AS fact, opened_at, why, state FROM clawback_case
WHERE referral_id = :referral
ORDER BY opened_at, leg_id
""")

# Their words are personal data: once erased they are gone, and that somebody appealed stays.
_APPEALS: Final = text("""
SELECT f.data->>'by' AS by, f.occurred_at AS at, p.body->>'why' AS words
FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id LEFT JOIN personal_data p ON p.subject_id = f.id
WHERE rf.referral_id = :referral AND f.type = 'referral.appealed' ORDER BY f.occurred_at, f.id
""")

# What came in after the closing is late: only a decision to reopen applies it.
_FACTS: Final = text("""
SELECT f.id AS fact, f.type, f.source, f.event_id, f.occurred_at, f.received_at, f.data, rf.version,
       r.closed_version IS NOT NULL AND rf.version > r.closed_version AS late
FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id JOIN referral r ON r.id = rf.referral_id
WHERE rf.referral_id = :referral ORDER BY f.occurred_at, f.source, f.event_id
""")
