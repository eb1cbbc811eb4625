"""What an entry of the queue is about, and what to do about it, in words."""

import textwrap
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from referral_rewards.domain.clawbacks.proposals import to_do as advice_on_case
from referral_rewards.domain.clawbacks.states import CaseState
from referral_rewards.domain.cycles.grouping import CarriedFor
from referral_rewards.domain.cycles.states import CycleState
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts.advice import to_do
from referral_rewards.domain.payouts.rail_catalogue import BY_HAND
from referral_rewards.domain.payouts.states import PayoutState
from referral_rewards.domain.referrals.lifecycle import PAID
from referral_rewards.reporting.clawbacks import exchange_of
from referral_rewards.reporting.queue.loose_ends import loose_end
from referral_rewards.reporting.queue.rows import EntryRow


def matter(row: EntryRow, now: datetime) -> tuple[str | None, str | None]:
    """What it is about, and what to do about it, where that is not to decide on the claim."""
    if row.cycle_due_on is not None and row.cycle_state is not None:
        about = f"payout cycle of {row.program}, due on {row.cycle_due_on:%Y-%m-%d}"
        return about, _with_a_cycle(row.cycle_state, row.cycle_carried or ())
    if row.payout_state is not None:
        return row.payout_why, _with_a_payout(row.payout_state, row)
    if row.case_state is not None:
        return row.about, _with_a_case(row.case_state, row)
    if row.exception in _WITH_A_RAIL:
        return f"{label('rail', row.subject)}: {row.about}", _with_a_rail(row.exception, row.subject)
    if row.exception is Waits.FORGOTTEN_PAYMENT:
        return _forgotten(row), _TO_DO[Waits.FORGOTTEN_PAYMENT]
    if row.exception is Waits.APPEAL:
        return _appeal(row, now), _TO_DO[Waits.APPEAL]
    if row.exception is Waits.LATE_FACT:
        about = f"{row.late_facts} late {'fact' if row.late_facts == 1 else 'facts'}"
        return about, _TO_DO_AFTER_PAYMENT if row.status in PAID else _TO_DO[Waits.LATE_FACT]
    return loose_end(row) or (row.about, _TO_DO.get(row.exception))


def _with_a_payout(state: PayoutState, row: EntryRow) -> str | None:
    assert row.payout_rail is not None  # every payout has a rail and a key
    assert row.payout_key is not None
    sent, given_up = row.payout_sent_at is not None, bool(row.payout_given_up)
    return to_do(state, sent=sent, given_up=given_up, rail=row.payout_rail, key=row.payout_key)


def _with_a_case(state: CaseState, row: EntryRow) -> str | None:
    assert row.room_minor is not None  # it is read with the state
    exchange = exchange_of(row.exchange_order, row.exchange_store, row.exchange_minor, row.exchange_currency)
    keys = row.in_review or ()
    overdue = display(row.waiting_minor or 0, row.case_currency or "") if row.overdue else None
    said = advice_on_case(state, room_minor=row.room_minor, keys_in_review=keys, exchange=exchange, overdue=overdue)
    return said or _KEPT


def _with_a_cycle(state: CycleState, carried: Iterable[Mapping[str, Any]]) -> str:
    below = any(each["why"] == CarriedFor.BELOW_MINIMUM for each in carried)
    return " ".join(filter(None, (_TO_DO_WITH_A_CYCLE[state], _BELOW_MINIMUM if below else None)))


def _with_a_rail(exception: str, rail: str) -> str:
    return _BY_THE_STATEMENT if exception == Waits.RAIL_HALTED and rail in BY_HAND else _WITH_A_RAIL[exception]


def _forgotten(row: EntryRow) -> str:
    """What the rail shows of a payment that the register had forgotten."""
    minor, currency, over = row.forgotten_minor, row.forgotten_currency, label("rail", row.forgotten_rail)
    amount = "" if minor is None or currency is None else f" of {display(minor, currency)}"
    whom = row.forgotten_payee or "somebody whom the rail does not name"
    return f"payment {row.forgotten_reference}{amount} to {whom} by {over}, which the register had forgotten"


def _appeal(row: EntryRow, now: datetime) -> str:
    """The appeal in its own words, who made it, and how long ago."""
    assert row.appealed_at is not None  # every fact has an instant
    words = textwrap.shorten(row.appeal or "", _APPEAL_LENGTH_MAX, placeholder=" …")
    appeal = f"Appeal by the {row.appealed_by or 'person concerned'}, {_ago(now - row.appealed_at)}"
    return f"{appeal}: “{words}”" if words else f"{appeal} (its text was erased)"


def _ago(since: timedelta) -> str:
    """``2 days ago``, ``1 hour ago``, ``just now``."""
    for number, unit in ((since.days, "day"), (since.seconds // 3600, "hour"), (since.seconds // 60, "minute")):
        if number > 0:
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"


#: So much of an appeal is shown in a list; the claim page shows all of it.
_APPEAL_LENGTH_MAX: Final = 200


_TO_DO_AFTER_PAYMENT: Final = (
    "Read what arrived after the watch. Reopen the referral, and it opens a clawback case for each paid reward that it "
    "affects; or open a case by hand. If nothing is to be taken back, leave it closed."
)
#: An offset waits for long, and just now a payout keeps all of it.
_KEPT: Final = "A payout that is under way keeps what is owed. Nothing is to be done before it has ended."

_TO_DO_WITH_A_CYCLE: Final = {
    CycleState.FROZEN: "Check the list, then release the cycle. If something is wrong with it, stop it.",
    CycleState.STOPPED: "Nothing more of it is sent. Find out why it was stopped. Once that is settled, resume it.",
}
_WITH_A_RAIL: Final[Mapping[str, str]] = {
    Waits.RAIL_HALTED: "Nothing is sent over it. Reconcile it and clear up what is unexplained; its page says what "
    "remains. Once nothing does, open the rail again.",
    Waits.RAIL_SHUT: "Give the payouts workers credentials that work, or settle it with the provider. One payout tries "
    "the rail every ten minutes; once it answers, the others go on by themselves.",
}
_BY_THE_STATEMENT: Final = (
    "Nothing is sent over it. Compare the bank’s statement with what was paid since the restore, then open the rail "
    "again."
)
_BELOW_MINIMUM: Final = (
    "It carries rewards below the minimum forward; a payee who leaves is paid theirs by a decision on the payee’s page."
)
_TO_DO: Final = {
    Waits.LATE_FACT: "Read what arrived late. If it changes the outcome, reopen the referral; else leave it closed.",
    Waits.APPEAL: "Look at the referral again. If the appeal is right, reopen the referral; else leave it closed. "
    "Whoever appealed is told either way.",
    Waits.FORGOTTEN_PAYMENT: "Say which payout it was, or record that it is not ours. Until then other payouts to its "
    "payee over this rail wait.",
}
