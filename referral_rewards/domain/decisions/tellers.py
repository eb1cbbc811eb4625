"""Nobody approves, or moves money for, what rests on a fact that they told themselves (SPEC §3, §6)."""

from collections.abc import Iterable, Mapping
from typing import Final

from referral_rewards.domain.claims.approval import Approver, DecisionKind
from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.events import Fact

#: The rule's name in a refusal.
RULE: Final = "told_by_oneself"
#: These only keep money back: whoever told a fact may still stop what rests on it.
KEEPING_BACK: Final = frozenset(
    {DecisionKind.DENY, DecisionKind.HOLD, DecisionKind.REQUEST_EVIDENCE, MoneyAct.CANCEL_PAYOUT, MoneyAct.STOP_CYCLE}
)


def tellers(facts: Iterable[Fact]) -> frozenset[str]:
    """Return the users who told any of these facts; none for what this installation recorded itself."""
    return frozenset(fact.teller.user for fact in facts if fact.teller.user is not None)


def objection(approver: Approver, kind: DecisionKind | MoneyAct, told_by: Mapping[str, frozenset[str]]) -> str | None:
    """Return why this person may not record such a decision; None if they may.

    ``told_by`` are the users who told the facts that it rests on, each with their marks: two accounts of one person are
    one person.
    """
    if kind in KEEPING_BACK:
        return None
    own = identity.of_kinds(approver.marks, identity.SELF_REFERRAL_KINDS)
    names = sorted(name for name, marks in told_by.items() if name == approver.user or own & marks)
    if not names:
        return None
    account = "" if approver.user in names else f" as {names[0]}"
    return f"you told a fact that it rests on{account}; another person must decide"
