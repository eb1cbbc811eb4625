"""A referral as one of its sides sees it: its own status, reward and letters, and nothing about the other side."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts.states import Handed

#: Where a leg stands, by its payout's state if it has one, in words for whoever gets it.
_PAYMENT: Final = {
    "reserved": "approved, and not paid yet",
    "tax_hold": "approved; it is paid once a tax form is on file",
    "planned": "approved, and paid with the next payout cycle",
    "approved": "approved, and about to be paid",
    "sending": "being paid",
    "unknown": "being paid",
    "paid": "paid",
    "settled": "paid",
    "clawed_back": "taken back",
}
#: What only people at the company need to know more of.
_LOOKED_INTO: Final = "approved; its payment is being looked into"
_LETTERS: Final = {
    "sent": "sent to you",
    "waiting": "on its way",
    "held": "is sent to you at a better hour",
}


def own_status(shown: Mapping[str, Any], side: Side, handed: Sequence[Handed] = ()) -> dict[str, Any]:
    """What a status page shows, of everything about the referral (`showing.py`), with what that side is ``handed``."""
    told = shown["told"]
    return {
        "status": shown["status"],
        "why": told["why"] if told else "The invitation is being looked at.",
        "next": told["next"] if told else None,
        "appeal": told["appeal"] if told else None,
        "appeals": [each for each in shown["appeals"] if each["by"] == side.value],
        "deadline": _instant(shown.get("deadline")),
        "rewards": [
            {"amount": display(leg["amount_minor"], leg["currency"]), "kind": leg["kind"], "state": _state(shown, leg)}
            for leg in shown["legs"]
            if leg["role"] == side and leg["state"] != "cancelled"
        ],
        "handed": [{"kind": each.kind, "what": each.what} for each in handed],
        "letters": [
            {"at": _instant(each["settled_at"] or each["planned_at"]), "subject": each["subject"], "what": each["what"],
             "state": _LETTERS[each["state"]], "text": each["text"]}
            for each in shown["communication"]
            if each["to"] == side and each["state"] in _LETTERS
        ],
    }  # fmt: skip


def _state(shown: Mapping[str, Any], leg: Mapping[str, Any]) -> str:
    if leg["state"] != "reserved":
        return _PAYMENT.get(leg["state"], _LOOKED_INTO)
    its = [each["state"] for each in shown["payouts"] if each["role"] == leg["role"]]
    payouts = [state for state in its if state != "cancelled"]
    return _PAYMENT.get(payouts[0] if payouts else "reserved", _LOOKED_INTO)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
