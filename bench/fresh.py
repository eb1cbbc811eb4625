"""New referrals of each sort for a register with a past, ready to be judged.

Their people already occur in that past: their referrers have brought friends, their networks have been seen.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from bench.past import BIG, CARRIER, MAIN, household, small_referrer
from referral_rewards.domain.claims.fraud import SIGNALS
from referral_rewards.domain.facts.events import Event, parse_event

#: The sorts: a small referrer's and the big one's referral, one of three rivals for a customer, the last of a ring of
#: three people, and one from a network that strangers share.
SORTS: Final = ("small", "big", "rivals", "ring", "crowd")
#: How many referrals of each sort have separate referrers in a past of ten thousand.
EACH_MAX: Final = 100
#: How many referrers the `alike` referrals are spread over.
_REFERRERS: Final = 100
#: Which of the ten referrers of a number compete for one customer.
_RIVALS: Final = (3, 4)


def name(sort: str, number: int) -> str:
    """Return the id of the referral to judge. `beside` returns the others that it needs."""
    return f"{sort}-{number}"


def beside(sort: str, number: int) -> list[str]:
    """Return the rivals, whose claims must be assembled first."""
    return [f"{name(sort, number)}-{rival}" for rival in _RIVALS] if sort == "rivals" else []


def events(sort: str, number: int, now: datetime) -> Iterator[Event]:
    """Yield the facts of a referral. Its purchase is old enough that the return period is over at ``now``.

    Referrals of one sort with different numbers below `EACH_MAX` share no people except the big referrer and the crowd.
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
    """Return the facts of the ``number``-th referral without any suspicion. There may be any number of them."""
    told = alike_name(number)
    person = {"customer": f"c-{told}", "email": f"{told}@example.com", "name": f"Ana {told}", "country": "CA"}
    return list(_life(told, small_referrer(number % _REFERRERS), person, household(10_000 + 4 * number), now))


def enrolments(now: datetime) -> Iterator[Event]:
    """Yield the enrolments of those who refer the `alike` ones, for a register without a past."""
    for number in range(_REFERRERS):
        program, referrer = small_referrer(number)
        data = {"program": program, "referrer": referrer, **_enrolled(number)}
        yield _event(f"enrolled-{number}", "referrer.enrolled", now - timedelta(days=400), data)


def alike_name(number: int) -> str:
    return f"alike-{number}"


def _life(told: str, by: tuple[str, str], person: Mapping[str, str], ip: str, now: datetime) -> Iterator[Event]:
    yield from _invited(told, by, person, now)
    yield _claimed(told, person, ip, now)
    bought = {"order": f"o-{told}", "kind": "purchase", "amount": "80.00", "currency": "USD", "new_customer": True}
    paid = {"payment_fingerprint": f"card-{told}", "ip": ip, "customer": person}
    yield _event(told, "conversion.recorded", now - timedelta(days=28), {**bought, **paid})


def all_events(numbers: Iterable[int], now: datetime) -> list[Event]:
    """Return the facts of the referrals of every sort."""
    return [event for number in numbers for sort in SORTS for event in events(sort, number, now)]


def terms(program: str) -> str:
    """Return terms in which every fraud signal has a weight, but all weights together raise no flag."""
    return _TERMS.format(program=program, weights=", ".join(f"{signal}: 3" for signal in SIGNALS))


def _enrolled(number: int) -> Mapping[str, str]:
    """Return the person who is a small referrer."""
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
