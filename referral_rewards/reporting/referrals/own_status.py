"""A referral as one of its sides sees it: its own status, reward and letters, and nothing about the other side."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.labels import VOCABULARIES, label
from referral_rewards.domain.money import display
from referral_rewards.domain.payouts.states import Handed


def own_status(shown: Mapping[str, Any], side: Side, handed: Sequence[Handed] = ()) -> dict[str, Any]:
    """What a status page shows, of everything about the referral (`showing.py`), with what that side is ``handed``."""
    told = shown["told"]
    return {
        "status": shown["status"],
        "why": _why(shown, side) if told else "We are checking the invitation.",
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
             "state": label("letter_state_for_them", each["state"]), "text": each["text"]}
            for each in shown["communication"]
            if each["to"] == side and each["state"] in VOCABULARIES["letter_state_for_them"]
        ],
    }  # fmt: skip


def _state(shown: Mapping[str, Any], leg: Mapping[str, Any]) -> str:
    """Where a reward is, for whoever gets it. Of one that was taken back in part, what they keep."""
    if leg["state"] != "reserved":
        said, taken_minor = label("payment_for_them", leg["state"]), _taken_minor(shown, leg["role"])
        left_minor = leg["amount_minor"] - taken_minor
        if taken_minor and left_minor > 0:
            taken, left = (display(each, leg["currency"]) for each in (taken_minor, left_minor))
            return f"paid; {taken} taken back, {left} remain yours"
        return said
    its = [each for each in shown["payouts"] if each["role"] == leg["role"] and each["state"] != "cancelled"]
    if its and its[0]["state"] == "accepted" and its[0]["rail"] == "manual":
        return "payment is being processed by our bank"
    return label("payment_for_them", its[0]["state"] if its else "reserved")


def _why(shown: Mapping[str, Any], side: Side) -> str:
    """Why it stands there; of a reward that is paid as a whole, also what was taken back of this side's."""
    why: str = shown["told"]["why"]
    taken_minor = _taken_minor(shown, side) if shown["status"] == "rewarded" else 0
    paid = [leg for leg in shown["legs"] if leg["role"] == side and leg["state"] != "cancelled"]
    if not taken_minor or not paid:
        return why
    return f"{why} {display(taken_minor, paid[0]['currency'])} of it was taken back."


def _taken_minor(shown: Mapping[str, Any], side: str) -> int:
    """What came back of a side's reward; what was given up was not taken."""
    recovered = (
        each["recovered_minor"]
        for case in shown["clawbacks"]
        if case["role"] == side
        for each in case["clawbacks"]
        if each["kind"] != "write_off"
    )
    return sum(recovered)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
