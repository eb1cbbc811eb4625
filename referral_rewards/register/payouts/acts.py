"""Carry out decisions on a payout: each once, and only if it verifies and nothing has changed since.

The signature covers the payout's digest. If the digest has changed, the decision is void and a person must decide
again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions import bank_confirmations
from referral_rewards.domain.decisions.money_acts import ROLES, ActSubject, MoneyAct
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payouts.answering import Moves, paid
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import REFUSALS, PayoutState
from referral_rewards.register import payout_history
from referral_rewards.register.decisions import effects
from referral_rewards.register.decisions.chain import Decision
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.payouts import endings, generations
from referral_rewards.register.payouts import rows as payout_rows
from referral_rewards.register.payouts import subject as payout_subject
from referral_rewards.register.people import users

_A = MoneyAct


async def carry_out(
    connection: AsyncConnection, payout: UUID, made: Sequence[Decision], now: datetime, keys: KeyRing
) -> bool:
    """Carry out those of the verified decisions ``made`` on it that are open, and return whether one moved the payout.

    The caller holds the rows of the payout and its referrals, and wakes the referrals.
    """
    moved = False
    for decision in await _open(connection, made):
        subject = await payout_subject.shown(connection, payout, keys)
        row = await payout_rows.read(connection, payout)
        if decision.kind is _A.CONFIRM_PAYOUT and row.state in (PayoutState.ACCEPTED, PayoutState.SETTLED):
            # The manual rail reads the confirmation itself and answers by it when polled.
            if row.state == PayoutState.SETTLED:
                await effects.record(connection, [decision.id], "applied", now, "settled")
            continue
        if (why_void := await _void(connection, decision, subject)) is not None:
            await effects.record(connection, [decision.id], "void", now, why_void)
            continue
        await payout_history.append(connection, payout, row.generation, now, decision.kind, _said(decision))
        if subject.needs_two and not _is_confirmed(subject, decision):
            await payout_rows.remark(connection, row, f"{_said(decision)}; another person must say the same", now, None)
            await effects.record(connection, [decision.id], "noted", now, "another person must say the same")
            continue
        await _apply(connection, row, decision, now)
        await effects.record(connection, [decision.id], "applied", now, "carried out")
        moved = True
    return moved


async def _open(connection: AsyncConnection, made: Sequence[Decision]) -> list[Decision]:
    """Return the decisions without an effect yet, oldest first."""
    if not made:
        return []
    noted = {each.decision_id for each in await effects.of(connection, [each.id for each in made])}
    return [each for each in made if each.id not in noted]


async def _void(connection: AsyncConnection, decision: Decision, subject: ActSubject) -> str | None:
    assert isinstance(decision.kind, MoneyAct)
    if decision.digest != subject.digest or decision.kind not in subject.takes:
        return "the payout changed after the decision"
    if not decision.roles & ROLES[decision.kind]:
        return "decided by somebody without the authority"
    if await users.barred(connection, [decision.user]):
        return f"{decision.user} has been barred since"
    return None


def _is_confirmed(subject: ActSubject, decision: Decision) -> bool:
    """Return whether this is the word that two people say: others may have said something else before them."""
    spoken = bank_confirmations.words(subject.history, subject.digest)
    agreed = bank_confirmations.agreed(spoken, subject.barred[_A.CONFIRM_PAYOUT])
    return agreed is not None and bank_confirmations.say_the_same(agreed.decision, decision)


def _said(decision: Decision) -> str:
    """Who decided what on it, and why: ``cancelled by fiona: not owed``."""
    done, why = label("decided", decision.kind), label("decision_reason", decision.reason)
    reference = (decision.details or {}).get("reference")
    return f"{done} by {decision.user}{f' under {reference}' if reference else ''}: {why}"


async def _apply(connection: AsyncConnection, row: Payout, decision: Decision, now: datetime) -> None:
    state, why = row.state, _said(decision)
    match decision.kind:
        case _A.RETRY_PAYOUT if state in REFUSALS:
            await generations.begin_next(connection, row, now)
        case _A.RETRY_PAYOUT:
            # Nothing was sent under this key; everything is verified again right before it is sent.
            await payout_rows.move(connection, row.id, PayoutState.APPROVED, now, None, None, timedelta(0))
        case _A.SETTLE_PAYOUT:
            assert decision.details is not None
            its = await endings.surroundings(connection, row, ())
            moves = Moves(PayoutState.SETTLED, why, decision.details["reference"], paid(given_up=its.known.given_up))
            await endings.save(connection, row, (), moves, now, its, wakes_others=False)
        case _A.REFUSE_PAYOUT:
            # A payout that was given up has nothing left to release: it goes back to cancelled.
            given_up = await endings.is_given_up(connection, row.id)
            to = PayoutState.CANCELLED if given_up else PayoutState.REFUSED
            await payout_rows.move(connection, row.id, to, now, why, None)
        case _A.CANCEL_PAYOUT:
            await payout_rows.move(connection, row.id, PayoutState.CANCELLED, now, why, None)
            await endings.cancelled(connection, row, now)
