"""Load what a judgement of a referral depends on: its row under the row's lock, then the rest in one statement.

The rest is read by a statement of its own, because PostgreSQL takes what a statement reads from before it waited for a
lock. So whatever was committed under the lock before is seen. What few verdicts depend on is looked up when one does.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.stored_claim import StoredClaim
from referral_rewards.domain.decisions.adjusting import adjustments_of
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.judging.approving import Approval
from referral_rewards.domain.judging.case_file import Assembled, CaseFile
from referral_rewards.domain.judging.verdict import LookUp
from referral_rewards.domain.referrals.case import case_on
from referral_rewards.domain.referrals.inquiries import Answers, Moment
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register import outbox
from referral_rewards.register.claims import dossier, reservations
from referral_rewards.register.claims.assembly import build_claim, to_the_point
from referral_rewards.register.clawbacks import cases as clawback_cases
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.locks import Lock
from referral_rewards.register.referrals import cases, inquiries

_CLAIM: Final = TypeAdapter(StoredClaim | None)
_IDS: Final = TypeAdapter(frozenset[UUID])


async def lock_order_of(connection: AsyncConnection, referral: str) -> None:
    """Lock the order, so that claims on it are assembled one after the other and the later sees the earlier."""
    await connection.execute(_LOCK_ORDER, {"space": int(Lock.ORDER), "referral": referral})


async def load(
    connection: AsyncConnection, row: Referral, now: datetime, answers: Answers | None, keys: KeyRing
) -> CaseFile:
    """Return what is on record about a referral whose row is locked, and take it off the list of those to be judged.

    What is put on the list later stays there: the same statement reads the decisions and payouts that could be why.
    """
    found = (await connection.execute(_LOAD, {"referral": row.id, "claim": row.claim_id})).one()
    genuine, forged = decisions.verified(found.decisions, keys)
    past = await cases.past_of(connection, found, keys)
    return CaseFile(
        row=row,
        now=now,
        past=past,
        case=case_on(row, now, past.facts, past),
        claim=_CLAIM.validate_python(found.claim),
        decisions=genuine,
        forged=forged,
        void=_IDS.validate_python(found.void),
        barred=frozenset(found.barred),
        legs=reservations.standing_legs(found.legs),
        is_given_up=found.is_given_up,
        former=frozenset(OrderName(*each) for each in found.former),
        redirected=decisions.verified(found.redirected, keys)[0],
        answers=answers,
    )


async def look_up(connection: AsyncConnection, file: CaseFile, what: LookUp) -> CaseFile:
    """Return the file with what the verdict depends on as well."""
    match what:
        case LookUp.RIVALS:
            return replace(file, rivals=await dossier.rivals(connection, file.begun))
        case LookUp.REPORT:
            report = await inquiries.open_report(connection, file.begun)
            return replace(file, report=() if report is None else (report,))


async def assemble(connection: AsyncConnection, file: CaseFile) -> Assembled:
    """Return the claim that the rules make now, from the register and the sources' answers.

    Raises:
        AnswersNeeded: if the file does not answer the question that the sources must be asked.
    """
    answers = to_the_point(file.begun, file.answers, Moment.ASSEMBLY)
    built = await build_claim(connection, file.begun, answers, file.adjustments(), file.approved_claim())
    return Assembled(uuid4(), *built)


async def load_approval(connection: AsyncConnection, file: CaseFile, claim: RewardClaim) -> Approval:
    """Lock what an approval of the claim reserves from, and return what that depends on.

    Raises:
        AnswersNeeded: if the file does not answer the question that the sources must be asked.
    """
    case = file.begun
    answers = to_the_point(case, file.answers, Moment.APPROVAL)
    await reservations.hold(connection, case, claim)
    adjustments = adjustments_of(claim, file.row.claim_id, file.decisions, file.barred)
    again = Assembled(uuid4(), *await build_claim(connection, case, answers, adjustments, claim))
    return Approval(file, claim, again, await reservations.ground(connection, case, claim, again.gathered.tax))


_LOCK_ORDER: Final = text("""
SELECT pg_advisory_xact_lock(:space, hashtext(coalesce(
    (SELECT nullif(order_id, '') FROM referral WHERE id = :referral), 'referral:' || :referral)))
""")

_LOAD: Final = text(f"""
{cases.LINKED}, made AS MATERIALIZED ({decisions.LINKED} WHERE d.referral_id = :referral), redirected AS MATERIALIZED (
    {decisions.LINKED} WHERE d.referral_id = ANY(ARRAY(
        SELECT ('payee ' || beneficiary) COLLATE "C" FROM leg WHERE referral_id = :referral
    ))
), {outbox.JUDGED}
SELECT {cases.PAST},
    (SELECT to_jsonb(c) FROM reward_claim c WHERE c.id = CAST(:claim AS uuid)) AS claim,
    (SELECT coalesce(jsonb_agg(to_jsonb(m) ORDER BY m.seq), '[]') FROM made m) AS decisions,
    ARRAY(SELECT decision_id FROM decision_effect WHERE decision_id IN (SELECT id FROM made) AND effect = 'void')
        AS void,
    ARRAY(
        SELECT name FROM app_user WHERE barred_at IS NOT NULL
        AND name IN (SELECT username FROM made UNION ALL SELECT username FROM redirected)
    ) AS barred, (SELECT coalesce(jsonb_agg(to_jsonb(m) ORDER BY m.seq), '[]') FROM redirected m) AS redirected,
    (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.role), '[]') FROM ({reservations.LEGS}) AS l) AS legs,
    {reservations.GIVEN_UP} AS is_given_up, {clawback_cases.FORMER} AS former
""")  # noqa: S608 (words of ours alone)
