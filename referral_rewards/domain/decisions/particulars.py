"""What a decision on a claim names beside its reason: a leg and its amount, a referrer, an order (SPEC §6)."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.errors import BadInput, Problem, none_of
from referral_rewards.domain.facts.ids import id_problem
from referral_rewards.domain.referrals.lifecycle import Side

#: The fields that each kind of decision takes; a kind that is not named takes none.
FIELDS: Final[Mapping[DecisionKind, tuple[str, ...]]] = {
    DecisionKind.ADJUST: ("leg", "amount_minor", "leave_out"),
    DecisionKind.REASSIGN: ("referrer",),
    DecisionKind.LINK: ("order",),
}
_ALL: Final = ("leg", "amount_minor", "leave_out", "referrer", "order", "reference")
_ORDER_LENGTH_MAX: Final = 200


def particulars(kind: DecisionKind, asked: Asked) -> dict[str, Any] | None:
    """Return the details that are signed with a decision on a claim, or None; a leg that is left out has amount zero.

    Raises:
        BadInput: with each field that is missing or wrong, or that this kind of decision does not take.
    """
    takes = FIELDS.get(kind, ())
    given = [name for name in _ALL if getattr(asked, name) not in (None, False)]
    problems = [Problem(name, f"{kind} takes no {name}") for name in given if name not in takes]
    problems += _PROBLEMS[kind](asked) if kind in _PROBLEMS else ()
    if problems:
        raise BadInput(problems)
    if kind is DecisionKind.ADJUST:
        return {"leg": asked.leg, "amount_minor": asked.amount_minor or 0}
    return {name: getattr(asked, name) for name in takes} or None


def _of_an_adjustment(asked: Asked) -> Iterator[Problem]:
    if asked.leg is None:
        yield Problem("leg", f"name the leg: {' or '.join(Side)}")
    elif asked.leg not in set(Side):
        yield Problem("leg", none_of(asked.leg, Side))
    if asked.leave_out is (asked.amount_minor is not None):
        yield Problem("amount_minor", "give either an amount or leave the leg out")
    elif asked.amount_minor is not None and asked.amount_minor <= 0:
        yield Problem("amount_minor", "must be above zero; to pay nothing, leave the leg out")


def _of_a_reassignment(asked: Asked) -> Iterator[Problem]:
    if not asked.referrer:
        yield Problem("referrer", "name the referrer by the id under which they enrolled")
    elif why := id_problem(asked.referrer):
        yield Problem("referrer", why)


def _of_a_link(asked: Asked) -> Iterator[Problem]:
    if not asked.order:
        yield Problem("order", "name the order by its id")
    elif len(asked.order) > _ORDER_LENGTH_MAX or not asked.order.isprintable():
        yield Problem("order", f"an order's id has 1 to {_ORDER_LENGTH_MAX} printable characters")


_PROBLEMS: Final = {
    DecisionKind.ADJUST: _of_an_adjustment,
    DecisionKind.REASSIGN: _of_a_reassignment,
    DecisionKind.LINK: _of_a_link,
}
