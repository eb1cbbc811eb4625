"""Reassignments and links: which of the signed decisions are complete, and what they come to (SPEC §6).

Nothing but verified decisions is read. Both acts take operations and the program owner, two people who sign the same
referrer or order on the same digest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from referral_rewards.domain.claims.approval import MOVE, DecisionKind, satisfied
from referral_rewards.domain.decisions.decision import Decision
from referral_rewards.domain.referrals.signed_acts import LinkedOrder, Reassignment, SignedActs

#: What is signed beside each of the acts: the name of the detail that says where it leads.
TARGETS: Final[Mapping[DecisionKind, str]] = {DecisionKind.REASSIGN: "referrer", DecisionKind.LINK: "order"}


@dataclass(frozen=True, slots=True)
class CompleteAct:
    """Decisions, oldest first, that together are enough; the last of them completed the act."""

    kind: DecisionKind
    target: str
    decisions: tuple[Decision, ...]

    @property
    def last(self) -> Decision:
        return self.decisions[-1]

    @property
    def users(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(decision.user for decision in self.decisions))


def target_of(decision: Decision) -> str | None:
    """Return the referrer or the order that a decision signs; None for any other kind of decision."""
    name = TARGETS.get(decision.kind) if isinstance(decision.kind, DecisionKind) else None
    found = (decision.details or {}).get(name) if name is not None else None
    return found if isinstance(found, str) else None


def complete_acts(made: Iterable[Decision], *kinds: DecisionKind) -> tuple[CompleteAct, ...]:
    """Return the complete acts of these kinds (of both without any), in the order in which they became complete."""
    begun: dict[tuple[object, ...], list[Decision]] = {}
    found: list[CompleteAct] = []
    for decision in sorted(made, key=lambda each: each.seq):
        target, kind = target_of(decision), decision.kind
        if target is None or not isinstance(kind, DecisionKind) or (kinds and kind not in kinds):
            continue
        its = begun.setdefault((kind, target, decision.claim_id, decision.digest), [])
        if _enough(its, kind):
            continue
        its.append(decision)
        if _enough(its, kind):
            found.append(CompleteAct(kind, target, tuple(its)))
    return tuple(found)


def signed_acts(made: Iterable[Decision]) -> SignedActs:
    """Return what the decisions on a referral come to: the latest reassignment, and each linked order once."""
    acts = complete_acts(made)
    moves = [_reassignment(act) for act in acts if act.kind is DecisionKind.REASSIGN]
    links: dict[str, LinkedOrder] = {}
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


def _enough(its: list[Decision], kind: DecisionKind) -> bool:
    return bool(its) and satisfied(MOVE, [each.signoff for each in its], its[0].digest, kind)


def _reassignment(act: CompleteAct) -> Reassignment:
    last = act.last
    return Reassignment(last.id, act.target, act.users, last.reason, last.decided_at)


def _link(act: CompleteAct) -> LinkedOrder:
    last = act.last
    return LinkedOrder(last.id, act.target, act.users, last.reason, last.decided_at)
