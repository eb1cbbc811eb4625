"""A payee who leaves: a signed decision pays them once, in one cycle, although they are due less than the minimum."""

from collections.abc import Iterable, Sequence
from uuid import UUID, uuid5

from referral_rewards.domain.cycles.grouping import DueLeg, Minimum
from referral_rewards.domain.decisions.act_kinds import MoneyAct, SubjectKind
from referral_rewards.domain.decisions.decision import Decision, Made
from referral_rewards.domain.decisions.money_acts import ROLES, ActSubject, subject_digest

_ACT = MoneyAct.PAY_BELOW_MINIMUM


def leaving_id(cycle: UUID, payee: str) -> UUID:
    """Return the id that a decision to pay this payee below the minimum signs. It is of one cycle, so it pays once."""
    return uuid5(cycle, f"below the minimum\x00{payee}")


def is_exempt(made: Iterable[Made], cycle: UUID, payee: str) -> bool:
    """Return whether verified decisions exempt the payee from the minimum of the cycle."""
    return exemption(made, cycle, payee) is not None


def exemption(made: Iterable[Made], cycle: UUID, payee: str) -> Decision | None:
    """Return the verified decision that exempts the payee from the minimum of the cycle; None if there is none."""
    name = leaving_id(cycle, payee)
    its = [each for each in made if each.decision.claim_id == name and each.decision.kind is _ACT]
    return next((e.decision for e in its if e.decision.roles & ROLES[_ACT] and not e.barred), None)


def leaving_payee(
    program: str,
    payee: str,
    cycle: UUID,
    minimum: Minimum | None,
    currency: str,
    due: Sequence[DueLeg],
    parties: frozenset[str],
    history: Sequence[Made],
) -> ActSubject:
    """Return the payee as the subject of a decision; ``due`` are their legs that no payout pays yet.

    It takes the decision while something is due in the minimum's currency, and less than the minimum.
    """
    amount_minor = sum(leg.amount_minor for leg in due if leg.currency == currency)
    is_below = minimum is not None and amount_minor > 0 and minimum.missed_by(amount_minor, currency)
    able = is_below and not is_exempt(history, cycle, payee)
    shown = {
        "payee": payee,
        "cycle": cycle,
        "minimum": None if minimum is None else minimum.amount_minor,
        "due": sorted([str(leg.id), leg.amount_minor] for leg in due),
        "exempt": is_exempt(history, cycle, payee),
    }
    return ActSubject(
        SubjectKind.LEAVING_PAYEE,
        leaving_id(cycle, payee),
        None,
        program,
        currency,
        subject_digest(shown),
        frozenset({_ACT} if able else ()),
        parties,
        history=tuple(history),
    )
