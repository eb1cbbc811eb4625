"""The life of a program for display: what was decided on it, its budget, and the decisions that it takes now."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.decisions.decision import Made
from referral_rewards.domain.decisions.program_acts import ProgramSubject, half_signed, lacks
from referral_rewards.domain.programs.life import state_words
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.decisions.signing import KeyRing
from referral_rewards.register.program_life import subject as programs
from referral_rewards.reporting import decisions
from referral_rewards.reporting.decisions import ActShown
from referral_rewards.reporting.shape import Instant, Shape


class HalfSigned(Shape):
    """An addition to the budget that lacks a signature, by another person who has a role that it ``lacks``."""

    amount_minor: int
    currency: str
    by: tuple[str, ...]
    lacks: tuple[Role, ...]


class ProgramLife(Shape):
    """Whether a program runs, and its budget; amounts in minor units of ``currency``, null without a budget.

    ``state`` says it in words. ``changes_at`` is when it next ends, is paused or is resumed by what was decided.
    ``budget_minor`` is the figure of the newest terms in force and all additions; approved rewards use it.
    """

    program: str
    state: str
    paused: bool
    ended: bool
    ended_at: Instant | None
    changes_at: Instant | None
    currency: str
    budget_of_terms_minor: int | None
    budget_minor: int | None
    used_minor: int
    half_signed: tuple[HalfSigned, ...]
    digest: str
    takes: tuple[MoneyAct, ...]
    decisions: tuple[ActShown, ...]


async def life(connection: AsyncConnection, program: str, now: datetime, keys: KeyRing) -> ProgramLife:
    """Return the life of a program.

    Raises:
        NotFound: if there is no such program.
    """
    subject = await programs.shown(connection, program, now, keys)
    stands = subject.life
    added = sum(each.amount_minor for each in stands.added if each.currency == subject.currency)
    return ProgramLife(
        program=program,
        state=state_words(stands, now),
        paused=stands.is_paused(now),
        ended=stands.has_ended(now),
        ended_at=stands.ended_at,
        changes_at=stands.next_change(now),
        currency=subject.currency,
        budget_of_terms_minor=None if subject.budget_minor is None else subject.budget_minor - added,
        budget_minor=subject.budget_minor,
        used_minor=int((await connection.execute(_USED, {"program": program})).scalar_one_or_none() or 0),
        half_signed=_half_signed(subject),
        digest=subject.digest,
        takes=tuple(act for act in MoneyAct if act in subject.takes),
        decisions=await decisions.on_subject(connection, subject.id, keys),
    )


def _half_signed(subject: ProgramSubject) -> tuple[HalfSigned, ...]:
    amounts: dict[tuple[int, str], list[Made]] = {}
    for each in half_signed(subject.history, subject.digest):
        details = each.decision.details or {}
        amounts.setdefault((details["amount_minor"], details["currency"]), []).append(each)
    return tuple(
        HalfSigned(amount_minor=amount_minor, currency=currency, by=_names(made), lacks=lacks(made))
        for (amount_minor, currency), made in amounts.items()
    )


def _names(made: Sequence[Made]) -> tuple[str, ...]:
    return tuple(sorted({each.decision.user for each in made}))


_USED: Final = text("SELECT amount_minor FROM held_total WHERE program = :program AND referrer = ''")
