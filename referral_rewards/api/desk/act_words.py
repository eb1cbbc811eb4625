"""The words of the forms for decisions about money: the name of each act, its effect, and its reason codes."""

from collections.abc import Mapping
from typing import Final

from referral_rewards.domain.decisions.money_acts import MoneyAct

_A = MoneyAct

#: What a person does.
ACTS: Final[Mapping[MoneyAct, str]] = {
    _A.RETRY_PAYOUT: "Retry it",
    _A.SETTLE_PAYOUT: "It was paid",
    _A.REFUSE_PAYOUT: "It was not paid",
    _A.CANCEL_PAYOUT: "Cancel it",
    _A.CONFIRM_PAYOUT: "The bank executed it",
    _A.REVERSE_CLAWBACK: "Take it back at the provider",
    _A.OFFSET_CLAWBACK: "Keep it from later payouts",
    _A.WRITE_OFF_CLAWBACK: "Write it off",
    _A.DISMISS_CLAWBACK: "Dismiss the case",
    _A.SETTLE_CLAWBACK: "It was taken back",
    _A.REFUSE_CLAWBACK: "It was not taken back",
    _A.RELEASE_CYCLE: "Release the list",
    _A.STOP_CYCLE: "Stop the cycle",
    _A.RESUME_CYCLE: "Resume the cycle",
}

#: The effect of each act.
FOLLOWS: Final[Mapping[MoneyAct, str]] = {
    _A.RETRY_PAYOUT: "Everything is verified once more, and it is sent under a new key.",
    _A.SETTLE_PAYOUT: "It is booked as paid under the reference that you give, as a loss if it had been cancelled. "
    "Nothing is sent.",
    _A.REFUSE_PAYOUT: "It stands as refused, and somebody else may release it under a new key. If it had been "
    "cancelled, it is cancelled again.",
    _A.CANCEL_PAYOUT: "Nothing is sent any more, and what it would have paid is owed no longer.",
    _A.CONFIRM_PAYOUT: "It is booked as paid under the bank's reference.",
    _A.REVERSE_CLAWBACK: "The provider is asked to take so much back from the payee.",
    _A.OFFSET_CLAWBACK: "So much is kept from what the payee is paid next.",
    _A.WRITE_OFF_CLAWBACK: "So much is given up and booked as a loss.",
    _A.DISMISS_CLAWBACK: "The reward stays as it was paid, and the case is closed.",
    _A.SETTLE_CLAWBACK: "It is booked as recovered under the reference that you give.",
    _A.REFUSE_CLAWBACK: "Nothing counts as taken back by it, and it can be decided on anew.",
    _A.RELEASE_CYCLE: "Each payout of the list is verified once more, and sent.",
    _A.STOP_CYCLE: "What was not sent yet stays, until somebody resumes the cycle.",
    _A.RESUME_CYCLE: "It goes on where it was stopped; what was sent is not sent again.",
}

#: Each reason code in words. One code may serve several acts.
REASONS: Final[Mapping[str, str]] = {
    "provider_problem_solved": "What was wrong at the provider is solved",
    "details_corrected": "The payee's details were corrected",
    "funds_added": "Funds were added",
    "dispute_settled": "A dispute was settled",
    "found_at_provider": "The provider shows it",
    "paid_outside": "It was paid in another way",
    "not_at_provider": "The provider shows no such payment",
    "provider_confirmed": "The provider confirmed it",
    "claim_changed": "The claim changed",
    "payee_unreachable": "The payee can't be reached",
    "not_owed": "It is not owed",
    "bank_statement": "The bank statement shows it",
    "receipt": "There is a receipt",
    "refund": "The order was refunded",
    "chargeback": "The payment was charged back",
    "fraud": "Fraud",
    "paid_in_error": "It was paid in error",
    "not_worth_it": "Not worth the effort",
    "goodwill": "Goodwill",
    "dispute_won": "The dispute was won",
    "reward_stands": "The reward was right",
    "duplicate_case": "Another case is about the same",
    "repaid": "The payee paid it back",
    "list_checked": "The list was checked",
    "something_wrong": "Something is wrong",
    "funds_missing": "Funds are missing",
    "cleared": "Cleared",
    "other": "Another reason, which the note gives",
}
