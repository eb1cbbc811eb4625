"""Where a referral stands: reads its facts and decisions under its row's lock, asks the rules, writes the verdict.

Every path to a verdict goes through `Judgement`: the first start, a wake-up, a reopening, a reset of the workflow.
Nothing is remembered anywhere else, so that a lost, late or repeated signal can't matter.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain import attribution, periods, tax
from referral_rewards.domain import claims as rules
from referral_rewards.domain.approval import DecisionKind
from referral_rewards.domain.claims import RewardClaim
from referral_rewards.domain.dossier import Answer, Dossier, SourceAnswer
from referral_rewards.domain.facts import Fact, FactType
from referral_rewards.domain.findings import CheckCode, Result
from referral_rewards.domain.lifecycle import CLOSED, Reason, ReferralStatus
from referral_rewards.domain.origin import origin
from referral_rewards.domain.ruling import Ruling, ruling
from referral_rewards.domain.standing import Standing
from referral_rewards.domain.terms import in_force
from referral_rewards.register import claims, decisions, dossier, programs, referrals, reservations, verdicts
from referral_rewards.register.decisions import Decision
from referral_rewards.register.dossier import Case
from referral_rewards.register.locks import Lock, lock
from referral_rewards.register.signing import KeyRing

_S = ReferralStatus
#: The first payment is committed: what it was for is frozen.
_PAID: Final = frozenset({_S.PAYING, _S.REWARDED, _S.CLAWED_BACK})
_BEFORE_A_PERSON: Final = frozenset({_S.AWAITING_APPROVAL, _S.ON_HOLD, _S.APPROVED})
_REVERSING: Final = frozenset({FactType.CONVERSION_REVERSED, FactType.DISPUTE_OPENED})
#: After the first payment these stop what was not sent yet.
_STOPPING: Final = _REVERSING | {
    FactType.REFERRER_SUSPENDED,
    FactType.ATTRIBUTION_CHANGED,
    FactType.CONSENT_WITHDRAWN,
    FactType.REFERRAL_WITHDRAWN,
}
_LATE_IN_ANY_CASE: Final = frozenset({FactType.REFERRAL_CLAIMED, FactType.REFERRAL_APPEALED})
_ABOUT_THE_ORDER: Final = _REVERSING | {FactType.DISPUTE_CLOSED}


def closing_digest(row: Any) -> str:
    """What a decision to reopen is made against: this closing of this referral, on the facts it was judged by."""
    said = f"{row.id}\n{row.round}\n{row.status}\n{row.reason}\n{row.closed_version}"
    return hashlib.sha256(said.encode()).hexdigest()


class Judgement:
    """Judges referrals; believes the decisions that ``keys`` verify."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    async def judge(self, connection: AsyncConnection, referral: str, now: datetime) -> Standing:
        """Where the referral stands at ``now``. Writes the verdict; closes, approves or reopens what is due."""
        row = await referrals.hold(connection, referral)
        if row is None or row.parked or row.merged_into:
            return await verdicts.set_aside(connection, row, now)
        if row.closed_at is not None:
            if not await self._reopened(connection, row, now):
                return await _still_closed(connection, row, now)
            row = await referrals.hold(connection, referral)
            assert row is not None
        case = await open_case(connection, row, now)
        if case is None:
            return await verdicts.set_aside(connection, row, now)
        if row.status in _PAID:
            return await self._after_payment(connection, case)
        if case.course.status is not _S.IN_REVIEW:
            return await _by_the_periods(connection, case)
        if row.claim_id is None or row.claim_version != row.facts_version:
            return await verdicts.write(connection, case, _S.IN_REVIEW)
        others = await dossier.rivals(connection, case)
        if await dossier.lost_to(connection, row.id, others):
            return await verdicts.close(connection, case, _S.DENIED, Reason.ATTRIBUTION_LOST)
        if dossier.fingerprint(others) != row.rivals_seen:
            return await verdicts.write(connection, case, _S.IN_REVIEW)
        return await self._by_decision(connection, case)

    async def assemble(
        self, connection: AsyncConnection, referral: str, now: datetime, answer: SourceAnswer
    ) -> Standing:
        """Prepares the reward claim of a referral in review, and judges what follows from it."""
        await self._lock_order(connection, referral)
        row = await referrals.hold(connection, referral)
        if row is None or row.closed_at or row.merged_into or row.status in _PAID:
            return await self.judge(connection, referral, now)
        case = await open_case(connection, row, now)
        if case is None or case.course.status is not _S.IN_REVIEW:
            return await self.judge(connection, referral, now)
        claim, gathered = await build_claim(connection, case, answer)
        if await dossier.lost_to(connection, row.id, gathered.rivals or ()):
            return await verdicts.close(connection, case, _S.DENIED, Reason.ATTRIBUTION_LOST)
        case = await self._put_forward(connection, case, claim, gathered)
        if claim.denial is not None and case.row.round == 1:
            return await verdicts.close(connection, case, _S.DENIED, claim.denial)
        return await self._by_decision(connection, case)

    async def _lock_order(self, connection: AsyncConnection, referral: str) -> None:
        """Claims on one order are assembled one after the other, so that the later one sees the earlier one."""
        row = await referrals.row(connection, referral)
        await lock(connection, Lock.ORDER, (row.order_id if row else None) or f"referral:{referral}")

    async def _put_forward(
        self, connection: AsyncConnection, case: Case, claim: RewardClaim, gathered: Dossier
    ) -> Case:
        """Makes a claim the one that a person decides on. The same digest keeps its decisions; a new one asks again."""
        row = case.row
        held = (await claims.current(connection, row.claim_id))[1] if row.claim_id else None
        claim_id = row.claim_id
        if held is None or held.digest != claim.digest:
            await self._void(connection, case, "the claim changed after the decision")
            claim_id = await claims.store(
                connection,
                claim,
                round_=row.round,
                facts_version=row.facts_version,
                approved_rewards=gathered.approved_rewards,
                at=case.now,
            )
        await referrals.write(
            connection,
            row,
            case.now,
            claim_id=claim_id,
            claim_version=row.facts_version,
            rivals_seen=dossier.fingerprint(gathered.rivals or ()),
        )
        if held is None or held.core_digest != claim.core_digest:
            await verdicts.wake_rivals(connection, gathered.rivals or (), case)
        return replace(case, row=await referrals.hold(connection, row.id))

    async def _by_decision(self, connection: AsyncConnection, case: Case) -> Standing:
        """Where a claim stands before its approvers."""
        if case.row.status not in _BEFORE_A_PERSON:
            # Judged anew and found the same, an approval stands; but only from before a person does any status lead on.
            await verdicts.write(connection, case, _S.AWAITING_APPROVAL)
            case = replace(case, row=await referrals.hold(connection, case.row.id))
        claim, _ = await claims.current(connection, case.row.claim_id)
        made = await self._decisions(connection, case)
        match ruling(claim.requirement, [decision.signoff for decision in made], claim.digest):
            case Ruling.DENIED:
                return await verdicts.close(connection, case, _S.DENIED, Reason.DENIED_BY_DECISION, claim)
            case Ruling.HELD:
                await reservations.cancel(connection, case, "put on hold")
                return await verdicts.write(connection, case, _S.ON_HOLD, claim)
            case Ruling.APPROVED:
                return await self._approved(connection, case, claim, made)
        await reservations.cancel(connection, case, "the approval no longer holds")
        return await verdicts.write(connection, case, _S.AWAITING_APPROVAL, claim)

    async def _approved(
        self, connection: AsyncConnection, case: Case, claim: RewardClaim, made: Sequence[Decision]
    ) -> Standing:
        """Reserves what was approved, if it still fits; else the claim is put forward anew, its approval void."""
        if await reservations.legs_of(connection, case.row.id):
            await self._release_tax_holds(connection, case)
            return await verdicts.write(connection, case, _S.APPROVED, claim)
        await lock(connection, Lock.RESERVATION, claim.program)
        answer = as_assembled(claim)
        again, gathered = await build_claim(connection, case, answer)
        approvals = [decision.id for decision in made if decision.kind is DecisionKind.APPROVE]
        if again.digest == claim.digest and claim.legs and all(leg.beneficiary for leg in claim.legs):
            try:
                async with connection.begin_nested():
                    await reservations.reserve(
                        connection,
                        case,
                        claim,
                        case.row.claim_id,
                        approvals,
                        waiting_for_tax=_waiting_for_tax(gathered, claim),
                    )
            except IntegrityError:
                # Another claim on the same order was approved while this one waited for the lock.
                await decisions.record_effect(
                    connection, approvals, "void", case.now, "the same order is already rewarded"
                )
                return await verdicts.write(connection, case, _S.IN_REVIEW)
            await decisions.record_effect(connection, approvals, "applied", case.now, "reserved")
            # One decision settles a dispute: from now on its other claims count as they stood when it was made.
            settled = {rival.referral: rival.core_digest for rival in attribution.competitors(gathered)}
            seen = [
                replace(rival, settled=True) if rival.referral in settled else rival for rival in gathered.rivals or ()
            ]
            await verdicts.wake_rivals(connection, seen, case)
            return await verdicts.write(
                connection,
                case,
                _S.APPROVED,
                claim,
                settled_rivals=settled or None,
                rivals_seen=dossier.fingerprint(seen),
            )
        if again.digest == claim.digest:
            # Nothing to pay, or nobody to pay it to: an approval of it changes nothing.
            await decisions.record_effect(connection, approvals, "void", case.now, "the claim has no payable leg")
            return await verdicts.write(connection, case, _S.AWAITING_APPROVAL, claim)
        case = await self._put_forward(connection, case, again, gathered)
        if again.denial is not None and case.row.round == 1:
            return await verdicts.close(connection, case, _S.DENIED, again.denial)
        return await verdicts.write(connection, case, _S.AWAITING_APPROVAL, again)

    async def _after_payment(self, connection: AsyncConnection, case: Case) -> Standing:
        """Once money was sent its conversion is frozen: what happens now stops the rest, or opens a clawback case."""
        row = case.row
        news = [each for each in await referrals.facts(connection, row.id) if each.version > row.claim_version]
        for fact in (each.fact for each in news if each.fact.occurred_at <= case.now):
            about_it = fact.order is None or fact.order == row.order_id
            if fact.type in _STOPPING and about_it:
                await reservations.stop_unsent(connection, case, f"{fact.type} after the first payment")
            if fact.type in _REVERSING and about_it:
                await reservations.open_clawback(connection, case, fact.id, f"{fact.type} of order {fact.order}")
        await self._release_tax_holds(connection, case)
        claim, _ = await claims.current(connection, row.claim_id)
        legs = await reservations.legs_of(connection, row.id)
        settled = all(leg.state in ("paid", "clawed_back") for leg in legs)
        if not settled:
            return await verdicts.write(connection, case, _S.PAYING, claim, claim_version=row.facts_version)
        rewarded_at = row.rewarded_at or case.now
        watched_until = case.terms.end(rewarded_at, case.terms.periods.watch)
        over = case.now >= watched_until
        return await verdicts.write(
            connection,
            case,
            _S.CLAWED_BACK if row.status == _S.CLAWED_BACK else _S.REWARDED,
            claim,
            claim_version=row.facts_version,
            rewarded_at=rewarded_at,
            wake_at=None if over else watched_until,
            closed_at=case.now if over else None,
            closed_version=row.facts_version if over else None,
        )

    async def _release_tax_holds(self, connection: AsyncConnection, case: Case) -> None:
        """Plans the legs whose payee has filed the form they waited for."""
        legs = await reservations.legs_of(connection, case.row.id)
        waiting = {leg.beneficiary for leg in legs if leg.state == "tax_hold"}
        filed = {
            fact.data["payee"]
            for fact in case.facts
            if fact.type is FactType.TAX_FORM_FILED and fact.data["payee"] in waiting
        }
        if filed:
            await reservations.release_tax_hold(connection, case.row.id, filed)
            await reservations.plan_due(connection, case)

    async def _decisions(self, connection: AsyncConnection, case: Case) -> tuple[Decision, ...]:
        """The genuine decisions on the current claim; a row that nobody with a key has written is noted as forged."""
        genuine, forged = await decisions.on_referral(connection, case.row.id, self._keys)
        await decisions.record_effect(connection, forged, "forged", case.now, "no signature that we believe")
        return tuple(decision for decision in genuine if decision.claim_id == case.row.claim_id)

    async def _void(self, connection: AsyncConnection, case: Case, why: str) -> None:
        """Voids the approval of the claim that is being replaced, and takes its reservations back."""
        await reservations.cancel(connection, case, why)
        if case.row.claim_id is not None:
            made = await self._decisions(connection, case)
            await decisions.record_effect(connection, [decision.id for decision in made], "void", case.now, why)

    async def _reopened(self, connection: AsyncConnection, row: Any, now: datetime) -> bool:
        """Whether somebody with the authority decided to reopen this very closing; if so, begins the next round."""
        if row.status not in CLOSED:
            return False
        made, _ = await decisions.on_referral(connection, row.id, self._keys)
        digest = closing_digest(row)
        found = [d for d in made if d.kind is DecisionKind.REOPEN and d.digest == digest]
        if not found:
            return False
        await decisions.record_effect(connection, [d.id for d in found], "applied", now, "reopened")
        await referrals.relisten(connection, row.id)
        await referrals.write(
            connection,
            row,
            now,
            round=row.round + 1,
            closed_at=None,
            closed_version=None,
            claim_id=None,
            rivals_seen=None,
        )
        return True


async def _by_the_periods(connection: AsyncConnection, case: Case) -> Standing:
    """Where the four periods leave a referral: waiting, or closed."""
    course = case.course
    if course.status in CLOSED:
        return await verdicts.close(connection, case, course.status, course.reason)
    if case.row.claim_id is not None:
        await reservations.cancel(connection, case, "the conversion no longer holds")
    return await verdicts.write(connection, case, course.status, claim_id=None)


async def _still_closed(connection: AsyncConnection, row: Any, now: datetime) -> Standing:
    """A closed referral stays as it is; facts that came late and bear on it are counted for the queue."""
    linked = await referrals.facts(connection, row.id)
    admitted = [each.fact for each in linked if each.version <= row.closed_version]
    late = [each.fact for each in linked if each.version > row.closed_version]
    bearing = [fact for fact in late if _bears_on(fact, row)]
    before, after = await _case(connection, row, now, admitted), await _case(connection, row, now, [*admitted, *late])
    if late and not bearing and _verdict(before) != _verdict(after):
        bearing = late
    untimely = len(before.course.untimely) if before else 0
    await referrals.write(connection, row, now, judged_version=row.facts_version, late_facts=untimely + len(bearing))
    return Standing(
        status=_S(row.status),
        reason=Reason(row.reason) if row.reason else None,
        facts_version=row.facts_version,
        closed=True,
        program=row.program or "",
    )


def _bears_on(fact: Fact, row: Any) -> bool:
    return fact.type in _LATE_IN_ANY_CASE or (fact.type in _ABOUT_THE_ORDER and fact.order == row.order_id)


def _verdict(case: Case | None) -> tuple[Any, ...] | None:
    """What a late fact would have to change to matter."""
    if case is None:
        return None
    q = case.course.conversion
    enrolled = any(fact.type is FactType.REFERRER_ENROLLED for fact in case.facts)
    return (case.version, case.course.status, case.course.reason, q and q.order, q and q.net_minor, enrolled)


def as_assembled(claim: RewardClaim) -> SourceAnswer:
    """What the source said when the claim was assembled."""
    check = next(check for check in claim.checks if check.code is CheckCode.CONVERSION_CONFIRMED)
    answers = {Result.PASSED: Answer.CONFIRMED, Result.FAILED: Answer.CONTRADICTED}
    return SourceAnswer(answers.get(check.result, Answer.UNAVAILABLE), check.sentence, "as assembled")


def _waiting_for_tax(gathered: Dossier, claim: RewardClaim) -> frozenset[str]:
    """The payees whose leg waits: over the threshold of their year without a form, or not to be told."""
    regime, year = gathered.terms.tax.regime, gathered.now.astimezone(gathered.terms.zone).year
    waiting = set()
    for leg in claim.legs:
        assert leg.beneficiary is not None
        position = gathered.tax.get(leg.beneficiary)
        if position is None or not tax.cleared(
            regime, year, position.year_total_minor + leg.amount_minor, position.form_on_file
        ):
            waiting.add(leg.beneficiary)
    return frozenset(waiting)


async def open_case(connection: AsyncConnection, row: Any, now: datetime) -> Case | None:
    """What the four periods say of the referral on all its facts; None if it has none that began it yet."""
    linked = await referrals.facts(connection, row.id)
    return await _case(connection, row, now, [each.fact for each in linked])


async def _case(connection: AsyncConnection, row: Any, now: datetime, facts: Sequence[Fact]) -> Case | None:
    admitted = await _admitted(connection, row, facts)
    # Clocks of two machines may differ: what has happened once has happened.
    now = max(now, row.judged_at or now)
    begun = origin(admitted, now)
    if begun is None:
        return None
    bound = in_force(await programs.versions(connection, begun.program), begun.began_at)
    if bound is None:
        return None
    version, terms = bound
    lived = periods.course if row.round == 1 else periods.reopened
    course = lived(admitted, terms, now, origin=begun)
    return Case(row, now, version, terms, begun, admitted, course)


async def _admitted(connection: AsyncConnection, row: Any, facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """The facts without the withdrawals that came too late: after an approval that stands, or before a reopening that
    was made in spite of them."""
    withdrawals = [fact for fact in facts if fact.type is FactType.REFERRAL_WITHDRAWN]
    if not withdrawals:
        return tuple(facts)
    legs = await reservations.legs_of(connection, row.id)
    approved_at = min((leg.approved_at for leg in legs), default=None)
    void = [f for f in withdrawals if row.round > 1 or (approved_at is not None and f.occurred_at >= approved_at)]
    return tuple(fact for fact in facts if fact not in void)


async def build_claim(connection: AsyncConnection, case: Case, answer: SourceAnswer) -> tuple[RewardClaim, Dossier]:
    """The claim as the rules see it now, and what they saw."""
    frozen = await claims.frozen_count(connection, case.row.id, case.row.round)
    gathered = await dossier.gather(connection, case, answer=answer, approved_rewards=frozen)
    return rules.assemble(gathered, reopened=case.row.round > 1), gathered
