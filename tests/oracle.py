"""A second reading of SPEC §4: plain, slow, and written from the text alone, to hold the product's verdict against.

It reads raw CloudEvents (decoded JSON) and raw terms (parsed YAML), uses nothing of the product, and *lives* each
referral: it walks from instant to instant, knows at each only what had occurred, and stops at the first closing,
because a back-fill must reach the verdict of a referral lived in real time. Every fact counts as of a finished file,
so a closing waits for the arrival allowance past its deadline and for nothing else.
"""

import re
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from tests import oracle_of_disputes, oracle_of_orders, oracle_of_stores

Event = Mapping[str, Any]
Terms = Mapping[str, Any]

CLOSED = ("expired", "denied", "withdrawn")
_DECIMALS = {"JPY": 0, "KWD": 3}  # the rest of what the tests use has 2
_DURATION = re.compile(
    r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)


@dataclass(frozen=True)
class Stand:
    """Where a referral stands at an instant; ``wake`` is when that changes without any news."""

    status: str
    reason: str | None = None
    deadline: datetime | None = None
    order: str | None = None
    net_minor: int | None = None
    return_ends: datetime | None = None
    wake: datetime | None = None


def verdict(events: Sequence[Event], terms: Terms, referral: str, now: datetime) -> dict[str, Any] | None:
    """``status``, ``reason``, ``deadline``, ``order`` and ``net_minor`` of the referral at ``now``.

    None while nothing has begun it. ``deadline`` leaves the allowance out and is None when nothing is waited for.
    """
    stand = stood(events, terms, referral, now)
    if stand is None:
        return None
    said = {name: getattr(stand, name) for name in ("status", "reason", "deadline", "order", "net_minor")}
    return {**said, "order": oracle_of_stores.id_of(stand.order)}


def stood(events: Sequence[Event], terms: Terms, referral: str, now: datetime) -> Stand | None:
    """Where the referral stands at ``now``; its order by the label of `oracle_of_stores`."""
    facts = [event for event in _concerning(events, referral) if at(event) <= now]
    news = sorted({at(event) for event in facts})
    stand: Stand | None = None
    while True:
        wake = stand.wake if stand else None
        upcoming = [instant for instant in (*news, wake) if instant is not None and instant <= now]
        if not upcoming or (stand is not None and stand.status in CLOSED):
            break
        t = min(upcoming)
        news = [instant for instant in news if instant > t]
        stand = _stand([f for f in facts if at(f) <= t], terms, referral, t)
    return stand


def _stand(known: Sequence[Event], terms: Terms, referral: str, t: datetime) -> Stand | None:
    """The verdict at ``t`` on what had occurred by then, and on whether a withdrawal came in time."""
    stand = _undisturbed(known, terms, referral, t)
    if stand is None:
        return None
    # The closing that would else have come: of one that came it is the deadline (a denial "at once" has its own
    # instant), of an open one the deadline it waits for. Nothing but a person closes what has a conversion.
    closing = None if stand.order else stand.deadline
    for fact in _of(known, "referral.withdrawn"):
        if fact["data"]["referral"] == referral and (closing is None or at(fact) < closing):
            return Stand("withdrawn")
    if stand.status in CLOSED:
        return Stand(stand.status, stand.reason)
    return stand


def _undisturbed(known: Sequence[Event], terms: Terms, referral: str, t: datetime) -> Stand | None:
    """The verdict at ``t`` if nobody withdraws. A closed stand carries the deadline at which it closed."""
    periods = terms["periods"]
    known = oracle_of_stores.told_apart(_in_turn(known), _one_customer)
    allowance = length(periods.get("arrival_allowance", "PT1H"))

    # R, and the channel
    sents = [f for f in _of(known, "referral.sent") if f["data"]["referral"] == referral]
    claims = [f for f in _of(known, "referral.claimed") if f["data"].get("referral") == referral]
    if not sents and not any("program" in f["data"] for f in claims):
        return None
    was_sent = bool(sents)
    first = sents[0] if was_sent else claims[0]
    r = at(first)
    channel = first["data"].get("channel")
    is_lead = was_sent and channel == "lead"

    # c: the first claim, not before R; a lead is claimed at R
    c: datetime | None = None
    if is_lead:
        c = r
    elif claims:
        c = max(r, at(claims[0]))

    # p: the referee's conversions of a kind in the terms
    referee = set[str]()
    for fact in (*sents, *claims):
        referee |= identity(fact["data"].get("referee") or {})
    conversions = [
        record
        for record in _orders(known).values()
        if record["data"]["kind"] in terms["qualifying"]["kinds"]
        and links(identity(record["data"]["customer"]), referee)
    ]

    # 1. Expiry
    invite_ends: datetime | None = None
    if was_sent and not is_lead and channel in periods["expiry"]:
        invite_ends = end(r, periods["expiry"][channel], terms)

    # 2. Claim
    door_openers = [x for x in conversions if r <= at(x) and (invite_ends is None or at(x) < invite_ends)]
    claim_by: datetime | None = None
    if invite_ends is not None:
        claim_by = max([invite_ends, *(end(at(x), periods["grace"], terms) for x in door_openers)])
    if c is None or (claim_by is not None and not c < claim_by):
        if claim_by is not None and t >= claim_by + allowance:
            why = "grace_period_ended" if door_openers else "invitation_not_claimed"
            return Stand("expired", why, deadline=claim_by)
        status = "purchased_unclaimed" if door_openers else "invited"
        return Stand(status, deadline=claim_by, wake=claim_by + allowance if claim_by is not None else None)

    # 3. Offer and grace
    offer_ends = end(c, periods["offer"], terms)

    def in_time(record: Event) -> bool:
        p = at(record)
        in_offer = c <= p < offer_ends
        in_grace = p < c < end(p, periods["grace"], terms)
        return (in_offer or in_grace) and (not was_sent or p >= r)

    candidates = [x for x in conversions if in_time(x)]
    qualifying = [x for x in candidates if _counts(x, _net(x, known), _reversed(x, known), terms)]
    if not qualifying:
        would_have = any(_counts(x, _largest(x, known), False, terms) for x in candidates)
        if would_have and t >= offer_ends:
            return Stand("denied", "conversion_reversed", deadline=t)
        if t >= offer_ends + allowance:
            return Stand("expired", "no_conversion", deadline=offer_ends)
        return Stand("claimed", deadline=offer_ends, wake=offer_ends if would_have else offer_ends + allowance)

    # 4. Return
    q = min(qualifying, key=lambda x: (at(x), x["data"]["order"]))
    net = _net(q, known)
    order, return_ends = q["data"]["order"], end(at(q), periods["return"], terms)
    net_minor = None if net is None else int(net.scaleb(_DECIMALS.get(q["data"]["currency"], 2)))
    if t < return_ends + allowance:
        return Stand("in_return_period", None, return_ends, order, net_minor, return_ends, return_ends + allowance)
    return Stand("awaiting_approval", None, None, order, net_minor, return_ends)


# -- conversions


def _orders(known: Sequence[Event]) -> dict[str, Event]:
    """One order is one conversion, the earliest record of it, whoever it names."""
    found: dict[str, Event] = {}
    for record in _of(known, "conversion.recorded"):
        found.setdefault(record["data"]["order"], record)
    return found


def amount(record: Event, known: Sequence[Event]) -> Decimal | None:
    """Its latest amount."""
    return oracle_of_orders.amounts(record, known)[0]


def _largest(record: Event, known: Sequence[Event]) -> Decimal | None:
    return oracle_of_orders.amounts(record, known)[1]


def _reversed(record: Event, known: Sequence[Event]) -> bool:
    return oracle_of_disputes.takes_any(known, record["data"]["order"])


def _net(record: Event, known: Sequence[Event]) -> Decimal | None:
    net = amount(record, known)
    if net is None:
        return None
    taken, _ = oracle_of_disputes.taken(known, record["data"]["order"], net, record["data"]["currency"])
    return max(net - taken, Decimal(0))


def _counts(record: Event, left: Decimal | None, is_reversed: bool, terms: Terms) -> bool:
    if left is None:
        return not is_reversed
    minimum = Decimal(terms["qualifying"].get("minimum", "0"))
    if record["data"]["currency"] != terms["currency"]:
        minimum = Decimal(0)
    return left > 0 and left >= minimum


# -- facts


def at(event: Event) -> datetime:
    """When it occurred, in UTC."""
    return datetime.fromisoformat(event["time"]).astimezone(UTC)


def _one_customer(one: Event, other: Event) -> bool:
    return links(identity(one["data"]["customer"]), identity(other["data"]["customer"]))


def _in_turn(known: Sequence[Event]) -> list[Event]:
    return sorted(known, key=lambda f: (at(f), f["source"], f["id"]))


def _of(known: Sequence[Event], kind: str) -> list[Event]:
    return sorted((f for f in known if f["type"] == kind), key=lambda f: (at(f), f["source"], f["id"]))


def _concerning(events: Sequence[Event], referral: str) -> list[Event]:
    """What can matter to the referral at any time: facts that name it, and all of each order its referee is in."""
    naming = [e for e in events if e["data"].get("referral") == referral]
    referee = set[str]()
    for event in naming:
        referee |= identity(event["data"].get("referee") or {})
    orders = {
        e["data"]["order"] for e in _of(events, "conversion.recorded") if identity(e["data"]["customer"]) & referee
    }
    about_orders = [e for e in events if e["type"].startswith("conversion.") and e["data"].get("order") in orders]
    return naming + about_orders


def identity(person: Mapping[str, Any]) -> set[str]:
    """The parts of a person that a conversion may match by."""
    parts = set()
    if person.get("customer"):
        parts.add("customer " + person["customer"])
    if person.get("email"):
        parts.add("email " + normal_email(person["email"]))
        parts.add("tagged " + normal_tagged(person["email"]))
    if person.get("phone"):
        parts.add("phone " + normal_phone(person["phone"]))
    return parts


def links(one: set[str], other: set[str]) -> bool:
    """Whether a conversion of one is the other's: a mailbox shared by tags links no two named customers (SPEC §3)."""
    shared = {part.split(" ")[0] for part in one & other}
    named = [any(part.startswith("customer ") for part in side) for side in (one, other)]
    return bool(shared - {"email"}) or ("email" in shared and not all(named))


def normal_tagged(email: str) -> str:
    """The same with its ``+tag``."""
    local, domain = email.strip().lower().rsplit("@", 1)
    name, plus, tag = local.partition("+")
    return normal_email(f"{name}@{domain}").replace("@", plus + tag + "@")


def normal_email(email: str) -> str:
    """Lower case, ``+tag`` dropped, gmail.com and googlemail.com one, dots ignored there (SPEC §5)."""
    local, domain = email.strip().lower().rsplit("@", 1)
    local = local.split("+")[0]
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def normal_phone(phone: str) -> str:
    """E.164 of an international number without a trunk zero."""
    digits = re.sub(r"\D", "", phone)
    return "+" + (digits[2:] if phone.strip().startswith("00") else digits)


# -- arithmetic


def end(start: datetime, period: str, terms: Terms) -> datetime:
    """When a period that starts at ``start`` ends, in UTC: the first instant that is too late."""
    zone = _zone(terms["timezone"])
    months, days, exact = _parts(period)
    calendar = start
    if months or days:
        wall = start.astimezone(zone).replace(tzinfo=None)
        month_index = wall.year * 12 + (wall.month - 1) + months
        year, month = divmod(month_index, 12)
        last = monthrange(year, month + 1)[1]
        wall = wall.replace(year=year, month=month + 1, day=min(wall.day, last)) + timedelta(days=days)
        calendar = _instant(wall, zone)
    ends = max(start, calendar + exact)
    if terms["periods"].get("day_boundary", "instant") == "end_of_day":
        day = ends.astimezone(zone).date()
        if ends != _midnight(day, zone):
            ends = _midnight(day + timedelta(days=1), zone)
    return ends


@cache
def _zone(name: str) -> ZoneInfo:
    """From the pinned package, whatever the host has."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def length(period: str) -> timedelta:
    """An exact length of time, such as the allowance; a day of it is 24 hours."""
    months, days, exact = _parts(period)
    assert not months
    return timedelta(days=days) + exact


def _parts(period: str) -> tuple[int, int, timedelta]:
    found = _DURATION.fullmatch(period)
    assert found, period
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in found.groups()[:6])
    exact = timedelta(hours=hours, minutes=minutes, seconds=float(found[7] or 0))
    return years * 12 + months, weeks * 7 + days, exact


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """A wall-clock time as an instant: a skipped one moves forward by the gap, a repeated one is its first.

    PEP 495's ``fold=0`` is both: in a gap it reads with the offset before the change.
    """
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return _instant(datetime.combine(day, time.min), zone)
