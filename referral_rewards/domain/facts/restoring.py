"""What restores counts only from whoever may tell what it undoes (SPEC §3, Intake).

| what restores | what it undoes: its teller may tell each of these |
|---|---|
| `conversion.reversal_failed` | the `conversion.reversed` of its id that its own source told |
| a higher `conversion.amended` | the record or the amendment whose amount it replaces |
| `conversion.dispute_closed` as won or as an inquiry | the `conversion.dispute_opened` of that dispute |
| `referrer.reinstated` | each `referrer.suspended` that stands |
| `customer.issue_resolved` | each `customer.issue_opened` of that issue that stands |
| `consent.granted`, a claim with consent | each `consent.withdrawn` or claim without consent that stands |

What may not undo all of that is on record, undoes only what it may, and is a conflict while the rest stands.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from referral_rewards.domain.facts.events import Fact


def may_undo(restoring: Fact, taking: Fact) -> bool:
    """Return whether what restores was told by somebody who may tell what it undoes."""
    return restoring.teller.rights.cover(taking.source, taking.type)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A fact that was to restore something, and what stands because its teller may not tell it."""

    fact: Fact
    standing: tuple[Fact, ...]

    @property
    def sentence(self) -> str:
        """What is in conflict, without a full stop."""
        stands = ", ".join(sorted({f"{each.type} of {each.source}" for each in self.standing}))
        return f"{self.fact.source} tells {self.fact.type} and may not tell {stands}, which stands"


@dataclass(frozen=True, slots=True)
class Standing:
    """The facts that took something and stand, oldest first, and the doubts about what was to undo them."""

    taking: tuple[Fact, ...]
    doubts: tuple[Doubt, ...] = ()


def standing(said: Iterable[Fact], takes: Callable[[Fact], bool]) -> Standing:
    """Return what stands of facts that take and facts that restore, whatever order they arrived in.

    Each that restores undoes all that was taken until then and that its teller may tell. At one instant what takes
    comes last: where facts can't be ordered, the cautious reading counts.
    """

    def order(fact: Fact) -> tuple[datetime, bool, str, str]:
        return (fact.occurred_at, takes(fact), fact.source, fact.event_id)

    taking, doubted = list[Fact](), list[Doubt]()
    for fact in sorted(said, key=order):
        if takes(fact):
            taking.append(fact)
            continue
        taking = [each for each in taking if not may_undo(fact, each)]
        if taking:
            doubted.append(Doubt(fact, tuple(taking)))
    left = {each.id for each in taking}
    still = (Doubt(each.fact, tuple(fact for fact in each.standing if fact.id in left)) for each in doubted)
    return Standing(tuple(taking), tuple(each for each in still if each.standing))
