"""Referrals told to a register that has a past, one after the other of each sort, ready to be judged.

Everybody in them is somebody to that past: their referrers brought friends before, their networks were seen before.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from bench.past import BIG, CARRIER, MAIN, household, small_referrer
from referral_rewards.domain.claims.fraud import SIGNALS
from referral_rewards.domain.facts.events import Event, parse_event

#: What is judged: a small referrer's and the big one's referral, one of three rivals for a customer, the last of a ring
#: of three people, and one from a network that strangers share.
SORTS: Final = ("small", "big", "rivals", "ring", "crowd")
#: So many of each sort find referrers of their own in a past of ten thousand.
EACH_MAX: Final = 100
#: Among so many referrers those that are alike are spread.
_REFERRERS: Final = 100
#: Whose referrers, of the ten that a number has, compete for one customer.
_RIVALS: Final = (3, 4)


def name(sort: str, number: int) -> str:
    """The referral that is judged; the others that it takes are beside it."""
    return f"{sort}-{number}"


def beside(sort: str, number: int) -> list[str]:
    """The claims that compete with it, to be assembled before it is."""
    return [f"{name(sort, number)}-{rival}" for rival in _RIVALS] if sort == "rivals" else []


def events(sort: str, number: int, now: datetime) -> Iterator[Event]:
    """What is told of it: bought so long ago that the return period is over at ``now``.

    Two of a sort with different numbers below `EACH_MAX` have nobody in common but the big referrer and the crowd.
    """
    told = name(sort, number)
    first = 10 * number
    person: Mapping[str, str] = {
        "customer": f"c-{told}",
        "email": f"{told}@example.com",
        "name": f"Brie {told}",
        "country": "CA",
    }
    ip = CARRIER if sort == "crowd" else household(20 * number + SORTS.index(sort))
    match sort:
        case "big":
            by = (MAIN, BIG)
        case "rivals":
            by = small_referrer(first + 2)
            for rival in _RIVALS:
                yield from _invited(f"{told}-{rival}", small_referrer(first + rival), person, now)
                yield _claimed(f"{told}-{rival}", person, ip, now)
        case "ring":
            by, person = small_referrer(first + 7), _enrolled(first + 5)
            yield from _invited(f"{told}-1", small_referrer(first + 5), _enrolled(first + 6), now)
            yield from _invited(f"{told}-2", small_referrer(first + 6), _enrolled(first + 7), now)
        case "crowd":
            by = small_referrer(first)
        case _:
            by = small_referrer(first + 1)
    yield from _life(told, by, person, ip, now)


def alike(number: int, now: datetime) -> list[Event]:
    """What is told of the ``number``-th of any number of referrals that nothing speaks against."""
    told = alike_name(number)
    person = {"customer": f"c-{told}", "email": f"{told}@example.com", "name": f"Ana {told}", "country": "CA"}
    return list(_life(told, small_referrer(number % _REFERRERS), person, household(10_000 + 4 * number), now))


def alike_name(number: int) -> str:
    return f"alike-{number}"


def _life(told: str, by: tuple[str, str], person: Mapping[str, str], ip: str, now: datetime) -> Iterator[Event]:
    yield from _invited(told, by, person, now)
    yield _claimed(told, person, ip, now)
    bought = {"order": f"o-{told}", "kind": "purchase", "amount": "80.00", "currency": "USD", "new_customer": True}
    paid = {"payment_fingerprint": f"card-{told}", "ip": ip, "customer": person}
    yield _event(told, "conversion.recorded", now - timedelta(days=28), {**bought, **paid})


def all_events(numbers: Iterable[int], now: datetime) -> list[Event]:
    """What is told of the referrals of every sort."""
    return [event for number in numbers for sort in SORTS for event in events(sort, number, now)]


def terms(program: str) -> str:
    """Terms under which every signal there is has a weight, and all of them together raise no suspicion."""
    return _TERMS.format(program=program, weights=", ".join(f"{signal}: 3" for signal in SIGNALS))


def _enrolled(number: int) -> Mapping[str, str]:
    """The person behind a small referrer."""
    _, referrer = small_referrer(number)
    return {"customer": f"c-{referrer}", "email": f"{referrer}@example.org"}


def _invited(told: str, by: tuple[str, str], person: Mapping[str, str], now: datetime) -> Iterator[Event]:
    program, referrer = by
    said = {"referral": told, "program": program, "referrer": referrer, "channel": "link"}
    invitation = {**said, "referee": {"email": person["email"]}}
    yield _event(told, "referral.sent", now - timedelta(days=30), invitation)


def _claimed(told: str, person: Mapping[str, str], ip: str, now: datetime) -> Event:
    referee = {**person, "device": f"d-{told}", "ip": ip, "user_agent": "a browser"}
    accepted = {"referral": told, "referee": referee, "consent": True}
    return _event(told, "referral.claimed", now - timedelta(days=29), accepted)


def _event(told: str, kind: str, at: datetime, data: Mapping[str, Any]) -> Event:
    stated = {"specversion": "1.0", "id": f"{told} {kind}", "source": "fresh", "type": kind}
    return parse_event({**stated, "time": at.isoformat(), "data": data})


_TERMS: Final = """
program: {program}
name: Every signal counts
effective_from: 2020-01-01T00:00:00Z
timezone: America/Toronto
currency: USD
periods:
  expiry: {{email: P30D}}
  offer: P30D
  grace: P30D
  return: P14D
qualifying:
  kinds: [purchase]
  minimum: "50.00"
rewards:
  referrer:
    kind: credit
    tiers:
      - {{from_rewarded: 0, amount: "25.00"}}
      - {{from_rewarded: 5, amount: "40.00"}}
  referee: {{kind: credit, percent: "10", cap: "40.00"}}
limits:
  per_referrer: {{rewards: 10000, period: P30D}}
  budget: "900000000.00"
fraud:
  threshold: 100
  weights: {{{weights}}}
approval: {{routes: {{credit: [program_owner]}}}}
payouts: {{timing: immediate, rails: {{credit: account_credit}}}}
tax: {{regime: us}}
"""
