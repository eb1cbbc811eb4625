"""From the evidence of a paid reward to the world in which its referral is read again."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from referral_rewards.audit.evidence import Evidence, Made, Version
from referral_rewards.audit.reading.periods import Linked
from referral_rewards.audit.reading.world import Acts, Published, Referral, World

#: What moving a referral to another referrer takes, or linking an order to it: these roles, by two people.
_MOVING: Final = frozenset({"operations", "program_owner"})
#: While a referral stands at one of these it claims its order.
_CLAIMING: Final = frozenset(
    {"claimed", "in_return_period", "in_review", "awaiting_approval", "on_hold", "approved", "paying", "rewarded"}
)


def world_of(evidence: Evidence) -> World:
    """What was known when the payment was committed."""
    reward, claim = evidence.reward, evidence.claim
    counts = {reward.referral: claim.first_approved_rewards} if claim is not None else {}
    decisions = {reward.referral: evidence.decisions, **evidence.rival_decisions}
    return World(
        events=[each.told for each in evidence.facts if reward.was_there(each.received_at, each.position)],
        programs={program: [_published(each) for each in its] for program, its in evidence.versions.items()},
        now=reward.at,
        held=[
            each.held
            for each in evidence.held
            if each.held.referral in evidence.rivals and reward.was_there(each.held.approved_at, each.position)
        ],
        closed=[rival for rival in evidence.rivals if not _claims(evidence, rival)],
        counts=counts,
        acts={name: acts_of(by_then(made, evidence)) for name, made in decisions.items()},
    )


def referral_of(evidence: Evidence) -> Referral | None:
    """The reward's referral as its facts tell of it; None if they don't."""
    return world_of(evidence).referrals.get(evidence.reward.referral)


def by_then(made: Iterable[Made], evidence: Evidence) -> list[Made]:
    """The decisions that were on record when the payment was committed."""
    return [each for each in made if evidence.reward.was_there(each.at, each.position)]


def acts_of(made: Sequence[Made]) -> Acts:
    """To whom people moved a referral, and which orders they linked: enough people, on the same digest."""
    begun: defaultdict[tuple[str, object, UUID, str], list[Made]] = defaultdict(list)
    acts = Acts()
    for each in made:
        target = each.details.get("referrer") if each.kind == "reassign" else each.details.get("order")
        if each.kind not in ("reassign", "link") or target is None:
            continue
        its = begun[each.kind, target, each.subject, each.digest]
        was_complete = enough(its, _MOVING, 2)
        its.append(each)
        if not was_complete and enough(its, _MOVING, 2):
            acts = _with(acts, each, str(target))
    return acts


def enough(made: Sequence[Made], roles: frozenset[str], people: int) -> bool:
    """Whether these decisions cover the roles, by so many different people who each hold one of them."""
    counting = [each for each in made if each.roles & roles]
    held = frozenset[str]().union(*(each.roles for each in counting))
    return bool(roles) and roles <= held and len({each.user for each in counting}) >= people


def _with(acts: Acts, completed_by: Made, target: str) -> Acts:
    if completed_by.kind == "reassign":
        return Acts(target, completed_by.at, acts.linked)
    return Acts(acts.referrer, acts.moved_at, Linked(acts.linked.orders | {target}))


def _claims(evidence: Evidence, rival: str) -> bool:
    """Whether the history of a rival has it claiming its order then."""
    reward = evidence.reward
    by_now = [each.status for each in evidence.steps.get(rival, ()) if reward.was_there(each.at, each.position)]
    return bool(by_now) and by_now[-1] in _CLAIMING


def _published(version: Version) -> Published:
    return Published(version.effective_from, version.terms)


def terms_in_force(versions: Mapping[str, Sequence[Version]], referral: Referral) -> Version:
    """The version that the referral is judged by."""
    able = [each for each in versions[referral.program] if each.effective_from <= referral.began_at]
    return max(able, key=lambda each: (each.effective_from, each.number))
