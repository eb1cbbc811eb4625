"""Reassignments and links: which of the signed decisions are complete, and what they come to (SPEC §6).

Nothing but verified decisions is read. Both acts take operations and the program owner, two people who sign the same
referrer or order on the same digest.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from referral_rewards.domain.claims.approval import MOVE, DecisionKind, satisfied
from referral_rewards.domain.decisions.decision import Decision, Kind
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.referrals.case import acts_of
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.domain.referrals.signed_acts import LinkedOrder, Reassignment, SignedActs

#: A referrer to whom a claim moves, or an order that a referral hears of.
Target = str | OrderName


@dataclass(frozen=True, slots=True)
class CompleteAct:
    """Decisions, oldest first, that together are enough; the last of them completed the act."""

    kind: DecisionKind
    target: Target
    decisions: tuple[Decision, ...]

    @property
    def last(self) -> Decision:
        return self.decisions[-1]

    @property
    def users(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(decision.user for decision in self.decisions))


def target_of(decision: Decision) -> Target | None:
    """Return the referrer or the order that a decision signs; None for any other kind of decision."""
    said = {name: value for name, value in (decision.details or {}).items() if isinstance(value, str)}
    return target(decision.kind, said.get("referrer"), said.get("order"), said.get("store"))


def target(kind: Kind, referrer: str | None, order: str | None, store: str | None) -> Target | None:
    """Return where an act of this kind leads that names these; None if it is of a kind that leads nowhere."""
    if kind is DecisionKind.REASSIGN:
        return referrer
    return OrderName(order, store) if kind is DecisionKind.LINK and order is not None else None


def complete_acts(made: Iterable[Decision], *kinds: DecisionKind) -> tuple[CompleteAct, ...]:
    """Return the complete acts of these kinds (of both without any), in the order in which they became complete."""
    begun: dict[tuple[object, ...], list[Decision]] = {}
    found: list[CompleteAct] = []
    for decision in sorted(made, key=lambda each: each.seq):
        leads_to, kind = target_of(decision), decision.kind
        if leads_to is None or not isinstance(kind, DecisionKind) or (kinds and kind not in kinds):
            continue
        its = begun.setdefault((kind, leads_to, decision.claim_id, decision.digest), [])
        if _enough(its, kind):
            continue
        its.append(decision)
        if _enough(its, kind):
            found.append(CompleteAct(kind, leads_to, tuple(its)))
    return tuple(found)


def signed_acts(made: Iterable[Decision]) -> SignedActs:
    """Return what the decisions on a referral come to: the latest reassignment, and each linked order once."""
    acts = complete_acts(made)
    moves = [_reassignment(act) for act in acts if act.kind is DecisionKind.REASSIGN]
    links: dict[Target, LinkedOrder] = {}
    for act in acts:
        if act.kind is DecisionKind.LINK:
            links.setdefault(act.target, _link(act))
    return SignedActs(moves[-1] if moves else None, tuple(links.values()))


def supported(acts: SignedActs, made: Iterable[Decision]) -> bool:
    """Return whether verified decisions stand behind everything that a referral's row says was decided about it.

    An earlier reassignment is supported too: a later one waits while the claim is on hold.
    """
    complete = complete_acts(made)
    moves = [_reassignment(act) for act in complete if act.kind is DecisionKind.REASSIGN]
    links = [_link(act) for act in complete if act.kind is DecisionKind.LINK]
    return (acts.reassigned is None or acts.reassigned in moves) and all(link in links for link in acts.links)


@dataclass(frozen=True, slots=True)
class Pending:
    """What decisions on a referral come to, its row does not say so yet, and the decisions that say it."""

    acts: SignedActs
    decisions: tuple[UUID, ...]
    orders: frozenset[OrderName]


def holds(row: Referral, made: Sequence[Decision]) -> bool:
    """Return whether verified decisions support what the referral's row says was decided about it."""
    acts = acts_of(row)
    moved_to = acts.reassigned.referrer if acts.reassigned is not None else None
    return row.moved_to == moved_to and supported(acts, made)


def pending(row: Referral, made: Sequence[Decision]) -> Pending | None:
    """Return what verified decisions come to beyond what the referral's row says; None if nothing."""
    acts, known = signed_acts(made), acts_of(row)
    if acts == known:
        return None
    done = {link.id for link in known.links} | ({known.reassigned.id} if known.reassigned is not None else set())
    new = [act for act in complete_acts(made) if act.last.id not in done]
    orders = frozenset(_link(act).name for act in new if act.kind is DecisionKind.LINK)
    return Pending(acts, tuple(each.id for act in new for each in act.decisions), orders)


def _enough(its: list[Decision], kind: DecisionKind) -> bool:
    return bool(its) and satisfied(MOVE, [each.signoff for each in its], its[0].digest, kind)


def _reassignment(act: CompleteAct) -> Reassignment:
    last = act.last
    assert isinstance(act.target, str)
    return Reassignment(last.id, act.target, act.users, last.reason, last.decided_at)


def _link(act: CompleteAct) -> LinkedOrder:
    last = act.last
    assert isinstance(act.target, OrderName)
    return LinkedOrder(last.id, act.target.id, act.users, last.reason, last.decided_at, act.target.store)
