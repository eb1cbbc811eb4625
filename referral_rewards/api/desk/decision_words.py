"""The words of the decision forms: what follows from each decision on money or on many claims, and the keys of a form.

What decisions and their reasons are called stands in `domain.labels`.
"""

from collections.abc import Mapping
from typing import Final

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions.money_acts import MoneyAct

_K = DecisionKind
_A = MoneyAct

#: The key that chooses each kind of decision in a browser with scripts.
KEYS: Final[Mapping[DecisionKind, str]] = {
    _K.APPROVE: "a",
    _K.DENY: "d",
    _K.HOLD: "h",
    _K.RELEASE: "r",
    _K.REQUEST_EVIDENCE: "e",
    _K.REASSIGN: "m",
    _K.REOPEN: "o",
}

#: What follows from a decision on money.
FOLLOWS: Final[Mapping[MoneyAct, str]] = {
    _A.RETRY_PAYOUT: "The payout is verified again and sent under a new idempotency key.",
    _A.SETTLE_PAYOUT: "The payout is booked as paid under your reference; if it had been cancelled, it is booked as a "
    "loss. Nothing is sent.",
    _A.REFUSE_PAYOUT: "The payout becomes refused. Somebody else can then retry it under a new idempotency key. If it "
    "had been cancelled, it is cancelled again.",
    _A.CANCEL_PAYOUT: "Nothing more is sent, and the rewards in this payout are no longer owed.",
    _A.CONFIRM_PAYOUT: "The payout is booked as paid under the bank reference.",
    _A.REVERSE_CLAWBACK: "The provider is asked to take this amount back from the payee.",
    _A.OFFSET_CLAWBACK: "This amount is deducted from the payee's next payouts.",
    _A.WRITE_OFF_CLAWBACK: "This amount is not recovered and is booked as a loss.",
    _A.DISMISS_CLAWBACK: "The payee keeps the reward, and the case is closed.",
    _A.SETTLE_CLAWBACK: "The amount is booked as recovered under your reference.",
    _A.REFUSE_CLAWBACK: "Nothing counts as recovered, and the case can be decided again.",
    _A.RELEASE_CYCLE: "Every payout in the cycle is verified again and sent.",
    _A.STOP_CYCLE: "Payouts that were not sent yet wait until somebody resumes the cycle.",
    _A.RESUME_CYCLE: "The cycle continues where it was stopped. Nothing that was sent is sent again.",
}

#: What follows from a decision on many claims at once.
FOLLOWS_TOGETHER: Final[Mapping[DecisionKind, str]] = {
    _K.APPROVE: "Each claim is judged again. Where your signature is the last one missing, the reward is reserved and "
    "paid.",
    _K.DENY: "Each referral is closed without a reward, and the people concerned are told. Only reopening it can "
    "correct this.",
    _K.HOLD: "Nothing is paid until somebody releases the hold.",
    _K.RELEASE: "Claims on hold wait for their approvers again, or continue if they were approved.",
    _K.REQUEST_EVIDENCE: "The people concerned are asked for evidence. The claims stay in the queue.",
}
