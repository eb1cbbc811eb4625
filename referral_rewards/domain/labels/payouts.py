"""What we call the codes of payouts, their legs and steps, and the rails that pay them."""

from collections.abc import Mapping
from typing import Final

from referral_rewards.domain.labels.decisions import DECIDED
from referral_rewards.domain.payouts.rail_catalogue import CATALOGUE

_PAYOUT_STATE: Final = {
    "planned": "planned",
    "approved": "approved",
    "sending": "sending",
    "accepted": "accepted by the provider",
    "settled": "settled",
    "returned": "returned",
    "refused": "refused",
    "waiting_funds": "waiting for funds",
    "unknown": "outcome unknown",
    "manual_review": "manual review",
    "cancelled": "cancelled",
}

_LEG_STATE: Final = {
    "reserved": "to be paid",
    "tax_hold": "waiting for a tax form",
    "waiting_method": "waiting for a payment method",
    "paid": "paid",
    "clawed_back": "clawed back",
    "cancelled": "cancelled",
}

#: Where a payment stands, for the referrer or referee who gets it: by its leg, or by the leg's payout if it has one.
_PAYMENT_FOR_THEM: Final = {
    "reserved": "approved, not paid yet",
    "tax_hold": "approved; it is paid once we have a tax form from you",
    "waiting_method": "approved; it is paid once we know where to pay it to",
    "planned": "approved; it is paid with the next payout cycle",
    "approved": "approved; it is about to be paid",
    "sending": "payment is being processed",
    "unknown": "payment is being processed",
    "accepted": "payment is being processed",
    "waiting_funds": "approved; payment is being prepared",
    "refused": "approved; payment is being prepared",
    "returned": "the payment came back to us; we are looking into it",
    "manual_review": "payment is being processed",
    "paid": "paid",
    "settled": "paid",
    "clawed_back": "taken back",
}

_STEP: Final = {
    "planned": "planned",
    "moved": "changed state",
    "recorded": "recorded",
    "sent": "sent to the provider",
    "looked_up": "looked up at the provider",
    "polled": "asked the provider",
    "answered": "answer that changed nothing",
    "shut_out": "provider refused access",
    "topped_up": "account funded",
    "adopted": "found after a restore",
}

#: Each kind of code by its name, with the words of its codes.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "payout_state": _PAYOUT_STATE,
    "leg_state": _LEG_STATE,
    "payment_for_them": _PAYMENT_FOR_THEM,
    "step": {**_STEP, **DECIDED},
    "rail": {name: facts.title for name, facts in CATALOGUE.items()},
    "rail_state": {"open": "open", "halted": "halted"},
    "forgotten_state": {
        "waiting": "waiting for a person",
        "assigned": "assigned",
        "adopted": "booked",
        "disowned": "not ours",
    },
}
