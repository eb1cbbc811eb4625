"""The decisions about money and programs: which acts exist, on which subjects, with which reasons and details."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

#: The length of a bank's or a provider's reference of a payment.
REFERENCE_LENGTH_MAX: Final = 140


class SubjectKind(StrEnum):
    """The subject of a decision: a claim, or one of those about money and programs."""

    CLAIM = "claim"
    PAYOUT = "payout"
    REWARD = "reward"
    CLAWBACK_CASE = "clawback_case"
    CYCLE = "cycle"
    PAYEE = "payee"
    RAIL = "rail"
    FORGOTTEN_PAYMENT = "forgotten_payment"
    PROGRAM = "program"
    LEAVING_PAYEE = "leaving_payee"
    PILOT = "pilot"


class MoneyAct(StrEnum):
    """A decision about money or a program. Its values differ from `DecisionKind`'s: both are stored in one register."""

    RETRY_PAYOUT = "retry_payout"  # release a definitively refused one, under the next generation of its key
    SETTLE_PAYOUT = "settle_payout"  # the provider shows that it was paid, under this reference
    REFUSE_PAYOUT = "refuse_payout"  # the provider confirms that it was not paid and won't be
    CANCEL_PAYOUT = "cancel_payout"  # do not pay it any more
    CONFIRM_PAYOUT = "confirm_payout"  # the bank executed the instruction, under this reference
    OPEN_CLAWBACK = "open_clawback"  # open a case over an amount of a paid reward
    REVERSE_CLAWBACK = "reverse_clawback"  # take an amount back at the provider
    OFFSET_CLAWBACK = "offset_clawback"  # deduct an amount from the payee's next payouts
    WRITE_OFF_CLAWBACK = "write_off_clawback"  # write an amount off
    RETURN_CLAWBACK = "return_clawback"  # pay back an amount that was taken wrongly
    DISMISS_CLAWBACK = "dismiss_clawback"  # the reward was right after all
    SETTLE_CLAWBACK = "settle_clawback"  # the provider shows that it was taken back, under this reference
    REFUSE_CLAWBACK = "refuse_clawback"  # the provider confirms that it was not taken back and won't be
    RELEASE_CYCLE = "release_cycle"  # pay the frozen list
    STOP_CYCLE = "stop_cycle"  # send nothing more of it
    RESUME_CYCLE = "resume_cycle"  # continue paying it
    REDIRECT_PAYEE = "redirect_payee"  # bind all that waits on a rail to the destination that its payee has now
    REOPEN_RAIL = "reopen_rail"  # pay over it again after a restore of the register
    ASSIGN_PAYMENT = "assign_payment"  # the payment that the register had forgotten was this payout
    DISOWN_PAYMENT = "disown_payment"  # it belongs to no payout of ours
    PAUSE_PROGRAM = "pause_program"  # approve nothing and send nothing for the first time
    RESUME_PROGRAM = "resume_program"  # go on with it
    END_PROGRAM = "end_program"  # take no referral from then on, for good
    ADD_BUDGET = "add_budget"  # add an amount to the program's budget
    PAY_BELOW_MINIMUM = "pay_below_minimum"  # pay a payee less than the minimum in one cycle
    START_PILOT = "start_pilot"  # measure a program over one payout cycle or a period
    END_PILOT = "end_pilot"  # sign what a pilot came to


_A = MoneyAct

SUBJECT_OF: Final[Mapping[MoneyAct, SubjectKind]] = {
    **dict.fromkeys(
        (_A.RETRY_PAYOUT, _A.SETTLE_PAYOUT, _A.REFUSE_PAYOUT, _A.CANCEL_PAYOUT, _A.CONFIRM_PAYOUT), SubjectKind.PAYOUT
    ),
    _A.OPEN_CLAWBACK: SubjectKind.REWARD,
    **dict.fromkeys(
        (
            *(_A.REVERSE_CLAWBACK, _A.OFFSET_CLAWBACK, _A.WRITE_OFF_CLAWBACK, _A.RETURN_CLAWBACK),
            *(_A.DISMISS_CLAWBACK, _A.SETTLE_CLAWBACK, _A.REFUSE_CLAWBACK),
        ),
        SubjectKind.CLAWBACK_CASE,
    ),
    **dict.fromkeys((_A.RELEASE_CYCLE, _A.STOP_CYCLE, _A.RESUME_CYCLE), SubjectKind.CYCLE),
    _A.REDIRECT_PAYEE: SubjectKind.PAYEE,
    _A.REOPEN_RAIL: SubjectKind.RAIL,
    **dict.fromkeys((_A.ASSIGN_PAYMENT, _A.DISOWN_PAYMENT), SubjectKind.FORGOTTEN_PAYMENT),
    **dict.fromkeys(
        (_A.PAUSE_PROGRAM, _A.RESUME_PROGRAM, _A.END_PROGRAM, _A.ADD_BUDGET),
        SubjectKind.PROGRAM,
    ),
    _A.PAY_BELOW_MINIMUM: SubjectKind.LEAVING_PAYEE,
    **dict.fromkeys((_A.START_PILOT, _A.END_PILOT), SubjectKind.PILOT),
}

#: A pilot ends with what was measured; for any other reason it ends early, with a no.
PILOT_MEASURED: Final = "pilot_measured"

#: The reason codes of each act.
REASONS: Final[Mapping[MoneyAct, tuple[str, ...]]] = {
    _A.RETRY_PAYOUT: ("provider_problem_solved", "details_corrected", "funds_added", "dispute_settled", "other"),
    _A.SETTLE_PAYOUT: ("found_at_provider", "bank_statement", "paid_outside", "other"),
    _A.REFUSE_PAYOUT: ("not_at_provider", "provider_confirmed", "other"),
    _A.CANCEL_PAYOUT: ("claim_changed", "payee_unreachable", "not_owed", "other"),
    _A.CONFIRM_PAYOUT: ("bank_statement", "receipt", "other"),
    _A.OPEN_CLAWBACK: ("refund", "chargeback", "fraud", "paid_in_error", "other"),
    _A.REVERSE_CLAWBACK: ("refund", "chargeback", "fraud", "paid_in_error", "other"),
    _A.OFFSET_CLAWBACK: ("refund", "chargeback", "fraud", "paid_in_error", "other"),
    _A.WRITE_OFF_CLAWBACK: ("not_worth_it", "payee_unreachable", "goodwill", "other"),
    _A.RETURN_CLAWBACK: ("taken_in_error", "dispute_won", "refund_failed", "other"),
    _A.DISMISS_CLAWBACK: ("dispute_won", "reward_stands", "duplicate_case", "other"),
    _A.SETTLE_CLAWBACK: ("found_at_provider", "repaid", "other"),
    _A.REFUSE_CLAWBACK: ("not_at_provider", "provider_confirmed", "other"),
    _A.RELEASE_CYCLE: ("list_checked", "other"),
    _A.STOP_CYCLE: ("something_wrong", "funds_missing", "other"),
    _A.RESUME_CYCLE: ("cleared", "other"),
    _A.REDIRECT_PAYEE: ("confirmed_with_payee", "details_corrected", "other"),
    _A.REOPEN_RAIL: ("reconciled", "statement_compared", "other"),
    _A.ASSIGN_PAYMENT: ("same_reward", "payee_confirmed", "other"),
    _A.DISOWN_PAYMENT: ("another_installation", "paid_by_hand", "other"),
    _A.PAUSE_PROGRAM: ("something_wrong", "fraud", "funds_missing", "other"),
    _A.RESUME_PROGRAM: ("cleared", "other"),
    _A.END_PROGRAM: ("campaign_over", "fraud", "budget_used_up", "other"),
    _A.ADD_BUDGET: ("more_referrals", "campaign_extended", "other"),
    _A.PAY_BELOW_MINIMUM: ("payee_leaves", "required_by_law", "other"),
    _A.START_PILOT: ("new_program", "new_terms", "pilot_repeated", "other"),
    _A.END_PILOT: (PILOT_MEASURED, "something_wrong", "fraud", "funds_missing", "other"),
}

#: The reference of `ASSIGN_PAYMENT` is the id of the payout.
NEEDS_REFERENCE: Final = frozenset({_A.SETTLE_PAYOUT, _A.CONFIRM_PAYOUT, _A.SETTLE_CLAWBACK, _A.ASSIGN_PAYMENT})
NEEDS_AMOUNT: Final = frozenset(
    {
        *(_A.OPEN_CLAWBACK, _A.REVERSE_CLAWBACK, _A.OFFSET_CLAWBACK, _A.WRITE_OFF_CLAWBACK, _A.RETURN_CLAWBACK),
        _A.ADD_BUDGET,
    }
)
#: These may name the time from which they hold; without one they hold from their decision on.
TAKES_TIME: Final = frozenset({_A.PAUSE_PROGRAM, _A.RESUME_PROGRAM, _A.END_PROGRAM})
