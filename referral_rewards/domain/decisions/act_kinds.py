"""The decisions about money: which acts exist, on which subjects, with which reasons and details."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

#: The length of a bank's or a provider's reference of a payment.
REFERENCE_LENGTH_MAX: Final = 140


class SubjectKind(StrEnum):
    """The subject of a decision: a claim, or one of those about money."""

    CLAIM = "claim"
    PAYOUT = "payout"
    CLAWBACK_CASE = "clawback_case"
    CYCLE = "cycle"
    PAYEE = "payee"


class MoneyAct(StrEnum):
    """A decision about money. Its values differ from `DecisionKind`'s, because both are stored in one register."""

    RETRY_PAYOUT = "retry_payout"  # release a definitively refused one, under the next generation of its key
    SETTLE_PAYOUT = "settle_payout"  # the provider shows that it was paid, under this reference
    REFUSE_PAYOUT = "refuse_payout"  # the provider confirms that it was not paid and won't be
    CANCEL_PAYOUT = "cancel_payout"  # do not pay it any more
    CONFIRM_PAYOUT = "confirm_payout"  # the bank executed the instruction, under this reference
    REVERSE_CLAWBACK = "reverse_clawback"  # take an amount back at the provider
    OFFSET_CLAWBACK = "offset_clawback"  # deduct an amount from the payee's next payouts
    WRITE_OFF_CLAWBACK = "write_off_clawback"  # write an amount off
    DISMISS_CLAWBACK = "dismiss_clawback"  # the reward was right after all
    SETTLE_CLAWBACK = "settle_clawback"  # the provider shows that it was taken back, under this reference
    REFUSE_CLAWBACK = "refuse_clawback"  # the provider confirms that it was not taken back and won't be
    RELEASE_CYCLE = "release_cycle"  # pay the frozen list
    STOP_CYCLE = "stop_cycle"  # send nothing more of it
    RESUME_CYCLE = "resume_cycle"  # continue paying it
    REDIRECT_PAYEE = "redirect_payee"  # bind all that waits on a rail to the destination that its payee has now


_A = MoneyAct

SUBJECT_OF: Final[Mapping[MoneyAct, SubjectKind]] = {
    **dict.fromkeys(
        (_A.RETRY_PAYOUT, _A.SETTLE_PAYOUT, _A.REFUSE_PAYOUT, _A.CANCEL_PAYOUT, _A.CONFIRM_PAYOUT), SubjectKind.PAYOUT
    ),
    **dict.fromkeys(
        (
            *(_A.REVERSE_CLAWBACK, _A.OFFSET_CLAWBACK, _A.WRITE_OFF_CLAWBACK, _A.DISMISS_CLAWBACK),
            *(_A.SETTLE_CLAWBACK, _A.REFUSE_CLAWBACK),
        ),
        SubjectKind.CLAWBACK_CASE,
    ),
    **dict.fromkeys((_A.RELEASE_CYCLE, _A.STOP_CYCLE, _A.RESUME_CYCLE), SubjectKind.CYCLE),
    _A.REDIRECT_PAYEE: SubjectKind.PAYEE,
}

#: The reason codes of each act.
REASONS: Final[Mapping[MoneyAct, tuple[str, ...]]] = {
    _A.RETRY_PAYOUT: ("provider_problem_solved", "details_corrected", "funds_added", "dispute_settled", "other"),
    _A.SETTLE_PAYOUT: ("found_at_provider", "paid_outside", "other"),
    _A.REFUSE_PAYOUT: ("not_at_provider", "provider_confirmed", "other"),
    _A.CANCEL_PAYOUT: ("claim_changed", "payee_unreachable", "not_owed", "other"),
    _A.CONFIRM_PAYOUT: ("bank_statement", "receipt", "other"),
    _A.REVERSE_CLAWBACK: ("refund", "chargeback", "fraud", "paid_in_error", "other"),
    _A.OFFSET_CLAWBACK: ("refund", "chargeback", "fraud", "paid_in_error", "other"),
    _A.WRITE_OFF_CLAWBACK: ("not_worth_it", "payee_unreachable", "goodwill", "other"),
    _A.DISMISS_CLAWBACK: ("dispute_won", "reward_stands", "duplicate_case", "other"),
    _A.SETTLE_CLAWBACK: ("found_at_provider", "repaid", "other"),
    _A.REFUSE_CLAWBACK: ("not_at_provider", "provider_confirmed", "other"),
    _A.RELEASE_CYCLE: ("list_checked", "other"),
    _A.STOP_CYCLE: ("something_wrong", "funds_missing", "other"),
    _A.RESUME_CYCLE: ("cleared", "other"),
    _A.REDIRECT_PAYEE: ("confirmed_with_payee", "details_corrected", "other"),
}

NEEDS_REFERENCE: Final = frozenset({_A.SETTLE_PAYOUT, _A.CONFIRM_PAYOUT, _A.SETTLE_CLAWBACK})
NEEDS_AMOUNT: Final = frozenset({_A.REVERSE_CLAWBACK, _A.OFFSET_CLAWBACK, _A.WRITE_OFF_CLAWBACK})
