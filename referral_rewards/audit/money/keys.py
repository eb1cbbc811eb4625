"""The keys under which events are posted to the books, and how often each payment was settled and came back."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from referral_rewards.audit.money.records import Clawback, Leg, Payout, Step

_NAMESPACE: Final = UUID("c2d7f6f4-7d0a-5c39-8f5e-2f6e0c7e3b7d")
#: The steps that the database itself writes, one for each change of state.
MOVES: Final = frozenset({"planned", "moved"})


def entry_id(key: str) -> UUID:
    """Return the id of the transaction that is posted under a key."""
    return uuid5(_NAMESPACE, key)


@dataclass(frozen=True, slots=True)
class Event:
    """A payment that settled or came back (``kind``): under which key it is posted, and the step that says so."""

    kind: str
    key: str
    step: Step


def events(payout: Payout, steps: Iterable[Step]) -> Iterator[Event]:
    """Yield what a payout's history says was to be posted, oldest first.

    A payment that came back may be paid again under the same key of its provider: then the keys are numbered.
    """
    times: Counter[tuple[str, int]] = Counter()
    for step in steps:
        if step.act in MOVES and step.state in ("settled", "returned"):
            times[step.state, step.generation] += 1
            key = payment_key(step.state, payout.id, step.generation, times[step.state, step.generation])
            yield Event(step.state, key, step)


def payment_key(kind: str, payout: UUID, generation: int, time: int) -> str:
    """Return the key of a settlement or return of a payment."""
    name = f"{kind}:{payout}" if generation == 1 else f"{kind}:{payout}-{generation}"
    return name if time == 1 else f"{name}:{time}"


def of_payout(payout: Payout, steps: Iterable[Step]) -> list[str]:
    """Return every key under which this payout's history allows an entry, and the next that it does not."""
    known = tuple(steps)
    found = [event.key for event in events(payout, known)]
    generations = range(1, max([payout.generation, *(step.generation for step in known)]) + 1)
    for kind in ("settled", "returned"):
        for generation in generations:
            made = sum(step.act in MOVES and step.state == kind and step.generation == generation for step in known)
            found.append(payment_key(kind, payout.id, generation, made + 1))
    found += [f"credited:{payout.id}-{generation}" for generation in generations]
    return [*found, f"owed_again:{payout.id}", f"owed_no_more:{payout.id}"]


def of_leg(leg: Leg) -> list[str]:
    """Return the keys under which a leg is posted."""
    return [f"accrued:{leg.id}", f"released:{leg.id}"]


def of_clawback(clawback: Clawback) -> list[str]:
    """Return the keys under which a clawback is posted."""
    kinds = ("claimed_back", "claim_moved", "claim_dropped", "recovered", "written_off")
    return [*(f"{kind}:{clawback.id}" for kind in kinds), f"uncredited:{clawback.provider_key}"]
