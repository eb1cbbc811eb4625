"""A payout as the subject of a decision: its digest, the acts that are possible now, and who may not decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions import bank_confirmations, redirect_advice
from referral_rewards.domain.decisions.decision import Asked, Decision
from referral_rewards.domain.decisions.key_releases import payout_digest
from referral_rewards.domain.decisions.money_acts import ActSubject, MoneyAct, SubjectKind, payout_takes
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payees import methods
from referral_rewards.domain.payouts.destinations import needs_method
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.rail_catalogue import BY_HAND
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.register import marks, outbox, tellers, typed_rows
from referral_rewards.register.cycles.subject import releasers
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.held import Held
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.outbox import WakeupKind
from referral_rewards.register.payees.subject import METHODS_OF
from referral_rewards.register.payouts.endings import GIVEN_UP
from referral_rewards.register.payouts.instructions import believed
from referral_rewards.register.referrals import rows as referrals

_A = MoneyAct
_EVER: Final = datetime.max.replace(tzinfo=UTC)
#: What was refused or came back waits in its payout, bound to the account that it was frozen for.
_CAME_BACK: Final = frozenset({PayoutState.REFUSED, PayoutState.RETURNED})


@dataclass(frozen=True, slots=True)
class _Shown(Payout):
    """A payout, whether it was given up after it was sent, and who approved what it pays and told facts of it, each
    with their marks."""

    program: str
    given_up: bool
    approvers: Sequence[str]
    marks_of_approvers: Mapping[str, Sequence[str]]
    tellers: Mapping[str, Sequence[str]]
    methods: Sequence[Mapping[str, Any]]

    @property
    def moved(self) -> str | None:
        """Why a retry would wait: it pays to the account that it was frozen for, and the payee has another one, or
        none; None if it would not. One that is named from a moment to come on counts already."""
        if self.state not in _CAME_BACK or not needs_method(self.rail):
            return None
        told = methods.of(self.payee, [each.fact for each in referrals.linked(self.methods)])
        where = told.destination_on(self.rail, _EVER)
        return None if where == self.body["destination"] else redirect_advice.before_a_retry(self.rail, where)


async def held(connection: AsyncConnection, asked: Asked, now: datetime, keys: KeyRing) -> Held:
    """Return the payout under the locks of the referrals that it pays, in order, and of its own row.

    Raises:
        NotFound: if there is no such payout.
    """
    payout = UUID(asked.subject)
    await lock(connection, payout)
    return Held(await decidable(connection, payout, keys), _wake)


async def lock(connection: AsyncConnection, payout: UUID) -> None:
    """Lock the rows of the referrals that a payout pays, in order, and then its own."""
    await referrals.hold_found(connection, _REFERRALS, payout)
    await connection.execute(_LOCK, {"id": payout})


async def shown(connection: AsyncConnection, payout: UUID, keys: KeyRing) -> ActSubject:
    """Return the payout as a subject, without a lock.

    Raises:
        NotFound: if there is no such payout.
    """
    row = await typed_rows.read_one(connection, _Shown, _ROW, {"id": payout})
    if row is None:
        raise NotFound("payout", str(payout))
    return await _subject(connection, row, keys)


async def decidable(connection: AsyncConnection, payout: UUID, keys: KeyRing) -> ActSubject:
    """Return the payout like `shown`, with the confirmations that can't take effect: others may still confirm it.

    Raises:
        NotFound: if there is no such payout.
    """
    subject = await shown(connection, payout, keys)
    invalid = [each.id for each in _open_confirmations(subject) if not await believed(connection, each, keys)]
    spoken = bank_confirmations.words(subject.history, subject.digest) if subject.needs_two else ()
    if bank_confirmations.agreed(spoken, subject.barred[_A.CONFIRM_PAYOUT]) is None:
        # One word alone has no effect: others may say the same, or something else.
        invalid += [each.decision.id for each in spoken]
    return replace(subject, invalid=frozenset(invalid))


async def _subject(connection: AsyncConnection, row: _Shown, keys: KeyRing) -> ActSubject:
    state, sent = row.state, row.key_used_at is not None
    history = await decisions.history_of(connection, [each for each in (row.id, row.cycle_id) if each], keys)
    own = tuple(each for each in history if each.decision.claim_id == row.id)
    on_cycle = [each for each in history if each.decision.claim_id != row.id]
    # A manual payment also needs a second person to confirm it: not one who approved or released it.
    let_out_by = dict.fromkeys(releasers(on_cycle), "released the cycle that it is of")
    let_out_by |= dict.fromkeys(row.approvers, "approved what it pays")
    needs_two = row.rail in BY_HAND and sent and state is PayoutState.MANUAL_REVIEW
    digest = payout_digest(row, row.generation, state)
    barred: dict[MoneyAct, dict[str, str]] = {
        _A.CONFIRM_PAYOUT: let_out_by,
        _A.RETRY_PAYOUT: bank_confirmations.may_not_retry(own),
    }
    if needs_two:
        barred |= bank_confirmations.barred(bank_confirmations.words(own, digest), let_out_by)
    return ActSubject(
        SubjectKind.PAYOUT,
        row.id,
        row.referral_id,
        row.program,
        row.currency,
        digest,
        payout_takes(state, sent=sent, given_up=row.given_up, rail=row.rail),
        await marks.of_payee(connection, row.payee),
        barred,
        history=own,
        needs_two=needs_two,
        told_by=tellers.told_by(row.tellers),
        obstacles={} if row.moved is None else {_A.RETRY_PAYOUT: row.moved},
        marks={each.decision.user: each.marks for each in history}
        | {name: frozenset(theirs) for name, theirs in row.marks_of_approvers.items()},
    )


def _open_confirmations(subject: ActSubject) -> list[Decision]:
    """Return the confirmations of the payout as it stands that nothing became of yet."""
    made = [each.decision for each in subject.history if not (each.effects or each.barred)]
    return [each for each in made if each.kind is _A.CONFIRM_PAYOUT and each.digest == subject.digest]


async def _wake(connection: AsyncConnection, decision: Decision, now: datetime) -> None:
    payout = decision.claim_id
    await outbox.enqueue(connection, WakeupKind.PAYOUT_DUE, str(payout), payout)


_REFERRALS: Final = text("""
    SELECT id FROM referral WHERE id IN (
        SELECT l.referral_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
        WHERE pl.payout_id = :id
          AND (pl.live OR NOT EXISTS (SELECT 1 FROM payout_leg WHERE payout_id = :id AND live OFFSET 0))
        UNION SELECT referral_id FROM payout WHERE id = :id AND returns IS NOT NULL
    ) ORDER BY id FOR UPDATE
""")

_LOCK: Final = text("SELECT 1 FROM payout WHERE id = :id FOR UPDATE")

_ITS_REFERRALS: Final = """
    SELECT l.referral_id FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id WHERE pl.payout_id = :id
    UNION SELECT referral_id FROM payout WHERE id = :id AND returns IS NOT NULL
"""

_ROW: Final = text(f"""
    WITH approver AS MATERIALIZED (
        SELECT DISTINCT d.username AS name FROM payout_leg pl JOIN leg l ON l.id = pl.leg_id
        JOIN decision d ON CAST(d.id AS text) = ANY(l.decisions)
        WHERE pl.payout_id = :id AND pl.live
        UNION
        SELECT d.username FROM payout p JOIN decision d ON d.claim_id = p.returns AND d.kind = 'return_clawback'
        WHERE p.id = :id
    )
    SELECT p.*, p.body->>'program' AS program, {GIVEN_UP} AS given_up, ARRAY(SELECT name FROM approver) AS approvers,
           (SELECT coalesce(jsonb_agg(to_jsonb(f)), '[]') FROM ({METHODS_OF.format(payee="p.payee")}) AS f) AS methods,
           coalesce((SELECT json_object_agg(u.name, u.marks) FROM app_user u JOIN approver USING (name)), '{{}}')
               AS marks_of_approvers, {tellers.of_referrals(_ITS_REFERRALS)} AS tellers
    FROM payout p WHERE p.id = :id
""")  # noqa: S608 (a constant of ours)
