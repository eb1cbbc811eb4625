"""Whether the bank carried out a payment that was taken out of its file: two people must say the same of it.

Each person's latest word counts, and nobody confirms their own. That it was carried out takes the same reference of the
bank twice, and a word of somebody who let none of it out, as every confirmation does (SPEC §7, "Stopped in time").
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from referral_rewards.domain.decisions.act_kinds import MoneyAct
from referral_rewards.domain.decisions.decision import Decision, Made
from referral_rewards.domain.decisions.money_acts import ROLES
from referral_rewards.domain.facts import identity

#: What people say of it: it was paid, or it was not and won't be.
WORDS: Final = frozenset({MoneyAct.SETTLE_PAYOUT, MoneyAct.REFUSE_PAYOUT})


def words(history: Sequence[Made], digest: str) -> tuple[Made, ...]:
    """Return the latest word of each person on the payout with this digest, oldest first.

    Two accounts of one person are one person. The word of somebody who was barred since does not count.
    """
    latest: list[Made] = []
    for made in history:
        said = made.decision
        if said.kind in WORDS and said.digest == digest and not made.barred and said.roles & ROLES[MoneyAct(said.kind)]:
            latest = [each for each in latest if not _one_person(each, made)] + [made]
    return tuple(latest)


def agreed(spoken: Sequence[Made], let_out_by: Collection[str]) -> Made | None:
    """Return the word that confirmed another's, the first that did; None while no two people say the same.

    ``let_out_by`` are those who approved what it pays or released its cycle.
    """
    for number, second in enumerate(spoken):
        for first in spoken[:number]:
            if say_the_same(first.decision, second.decision) and _may_confirm(first, second, let_out_by):
                return second
    return None


def say_the_same(one: Decision, other: Decision) -> bool:
    """Return whether two words are the same: paid under one reference of the bank, or both not paid."""
    return (one.kind, _reference(one)) == (other.kind, _reference(other))


def barred(spoken: Sequence[Made], let_out_by: Mapping[str, str]) -> dict[MoneyAct, dict[str, str]]:
    """Return who may not say which word now, and why: whoever said it already, and whoever's word would not count.

    While people give different references, each of them may correct their own.
    """
    found: dict[MoneyAct, dict[str, str]] = {}
    for act in WORDS:
        said = [each.decision for each in spoken if each.decision.kind is act]
        sayers = [each.user for each in said]
        differ = len({_reference(each) for each in said}) > 1
        found[act] = {} if differ else dict.fromkeys(sayers, "said so already")
        if act is MoneyAct.SETTLE_PAYOUT and sayers and let_out_by.keys() >= set(sayers):
            found[act] = {**let_out_by, **found[act]}
    return found


def may_not_retry(history: Sequence[Made]) -> dict[str, str]:
    """Return who may not let a payment be sent again that was recorded as not paid, and why.

    A second person has to stand behind that it was not paid. Where two people recorded it, each is the other's second.
    """
    refusals: list[Made] = []
    for made in history:
        if made.decision.kind is MoneyAct.RETRY_PAYOUT:
            refusals = []  # what follows is about the next generation of its key
        elif made.decision.kind is MoneyAct.REFUSE_PAYOUT:
            refusals.append(made)
    standing = [each for each in refusals if not each.barred]
    if any(not _one_person(one, other) for one in standing for other in standing):
        return {}
    return dict.fromkeys((each.decision.user for each in refusals), "recorded that it was not paid")


def _may_confirm(first: Made, second: Made, let_out_by: Collection[str]) -> bool:
    if first.decision.kind is not MoneyAct.SETTLE_PAYOUT:
        return True
    return not {first.decision.user, second.decision.user} <= set(let_out_by)


def _reference(word: Decision) -> str | None:
    return None if word.details is None else word.details.get("reference")


def _one_person(one: Made, other: Made) -> bool:
    marks = [identity.of_kinds(each.marks, identity.SELF_REFERRAL_KINDS) for each in (one, other)]
    return one.decision.user == other.decision.user or bool(marks[0] & marks[1])
