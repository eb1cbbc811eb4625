"""Referrals that stress every boundary of SPEC §4, the same for the same seed.

Dates are never drawn from the blue: each next fact lies on, or a hair beside, an end of a period that an earlier fact
began. Each referral has a referee of its own, so that no two of them meet.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests import oracle, telling

Event = dict[str, Any]
Terms = dict[str, Any]

PROGRAM = "acme-friends"
REFERRER = "dexter"
CODE = "DEXTER"

#: Zone, and instants at which its clocks change (Cairo's at midnight, Lord Howe's by half an hour).
_ZONES: dict[str, tuple[str, ...]] = {
    "America/Toronto": ("2025-03-09T07:00:00+00:00", "2025-11-02T06:00:00+00:00", "2026-03-08T07:00:00+00:00"),
    "Europe/London": ("2025-03-30T01:00:00+00:00", "2025-10-26T01:00:00+00:00"),
    "Australia/Lord_Howe": ("2025-04-05T15:00:00+00:00", "2025-10-04T15:30:00+00:00"),
    "Africa/Cairo": ("2025-04-24T22:00:00+00:00", "2025-10-30T21:00:00+00:00"),
    "Asia/Kolkata": (),
    "UTC": (),
}
_PERIODS = ("P30D", "P14D", "P7D", "P1M", "P2M", "P1M1D", "P1DT12H", "P1W", "P3D", "PT36H")
_HAIRS = (
    timedelta(0),
    timedelta(microseconds=1),
    timedelta(microseconds=-1),
    timedelta(seconds=1),
    timedelta(seconds=-1),
    timedelta(minutes=30),
    timedelta(minutes=-30),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(days=-1),
)
_DOMAINS = ("example.com", "example.org", "gmail.com", "googlemail.com")
_AMOUNTS = ("80.00", "80.00", "80.00", "50.00", "49.99", "50.01", "120.00", "0.00", "0.01", "500.00")


def population(seed: int, size: int = 60) -> tuple[Terms, list[Event]]:
    """One program and ``size`` referrals ``r0``, ``r1`` … in it; the facts come in no order."""
    rng = Random(seed)
    terms = terms_of(rng)
    events = [_enrolment()]
    for number in range(size):
        events += _Referral(rng, terms, f"r{number}").lived()
    rng.shuffle(events)
    telling.bound(Random(f"tellers {seed}"), events)
    return terms, events


def referrals(events: Sequence[Event]) -> list[str]:
    """The referrals that the facts name, in a stable order."""
    return sorted({e["data"]["referral"] for e in events if "referral" in e["data"]})


def instants(terms: Terms, events: Sequence[Event], referral: str) -> list[datetime]:
    """The instants at which the referral's verdict might change, each with its two neighbours, and one far beyond."""
    allowance = oracle.length(terms["periods"]["arrival_allowance"])
    found: set[datetime] = set()
    for event in events:
        if not _owned_by(event, referral):
            continue
        start = oracle.at(event)
        ends = [oracle.end(start, period, terms) for period in _periods_of(terms)]
        for instant in (start, *ends, *(end + allowance for end in ends)):
            found |= {instant + hair for hair in _HAIRS[:3]}
    return sorted(found | {max(found) + timedelta(days=500)}) if found else []


def terms_of(rng: Random) -> Terms:
    """Terms whose periods are seldom the same and sometimes nothing at all."""
    return {
        "program": PROGRAM,
        "name": "Acme refer a friend",
        "effective_from": datetime(2024, 1, 1, tzinfo=UTC),
        "timezone": rng.choice(tuple(_ZONES)),
        "currency": "USD",
        "periods": {
            "expiry": {"email": rng.choice(_PERIODS)}
            | ({"social": rng.choice(_PERIODS)} if rng.random() < 0.3 else {}),
            "offer": rng.choice(_PERIODS),
            "grace": rng.choice((*_PERIODS, "P0D")),
            "return": rng.choice((*_PERIODS, "P14D", "P0D")),
            "arrival_allowance": rng.choice(("PT1H", "PT1H", "PT0S", "PT5M")),
            "watch": "P60D",
            "day_boundary": rng.choice(("instant", "instant", "end_of_day")),
        },
        "qualifying": {
            "kinds": rng.choice(
                (["purchase"], ["purchase", "subscription", "account_opened"], ["purchase", "subscription"])
            ),
            "minimum": "50.00",
            "new_customers_only": False,
        },
        "rewards": {"referrer": {"kind": "credit", "amount": "25.00"}},
        "approval": {"routes": {"credit": ["program_owner"]}},
        "payouts": {"timing": "immediate", "rails": {"credit": "account_credit"}},
    }


class _Referral:
    """Builds the facts of one referral; remembers which instants its next fact might want to touch."""

    def __init__(self, rng: Random, terms: Terms, name: str) -> None:
        self.rng, self.terms, self.name = rng, terms, name
        self.events: list[Event] = []
        self.touchable: list[datetime] = []
        self.orders: list[str] = []
        domain = rng.choice(_DOMAINS)
        self.email = f"brie.{name}@{domain}"
        self.phone = f"+1416555{int(name[1:]) % 10000:04d}"
        #: What of the referee the next fact may know; a claim can add to the union what the invitation didn't know.
        self.known: dict[str, str] = {"email": self.email}
        #: Where the referee's orders are sold; None: nobody tells of stores.
        self.shops = rng.choice((None, None, ("de", "de", "de", None, "fr"), ("de", "fr")))

    def lived(self) -> list[Event]:
        rng = self.rng
        start = self._start()
        sent = rng.random() < 0.8
        if rng.random() < 0.3:
            return self._through_grace(start, sent)
        if sent:
            channel = rng.choice(("email", "email", "email", "social", "link", "word_of_mouth", "lead"))
            self._sent(start, channel)
            if rng.random() < 0.05:
                self._sent(self._near(), rng.choice(("email", "link")))
        else:
            self._claim(start, begins=True)
        acts = ["claim"] * rng.choice((0, 1, 1, 1, 2)) + ["convert"] * rng.choice((0, 1, 2, 2, 3, 4))
        rng.shuffle(acts)
        for act in acts:
            if act == "claim":
                self._claim(self._near(), begins=not sent)
            else:
                self._convert(self._near())
        if sent and rng.random() < 0.08:
            self._claim(start - rng.choice((timedelta(microseconds=1), timedelta(hours=5), timedelta(days=3))), False)
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            if self.orders:
                self._reverse(self._near())
        if rng.random() < 0.15:
            self._add("referral.withdrawn", self._near(), {"referral": self.name, "by": "referrer"})
        return self.events

    def _through_grace(self, start: datetime, sent: bool) -> list[Event]:
        """Bought on an end of the invitation, claimed on the end of that purchase's grace, at times bought twice."""
        rng, periods = self.rng, self.terms["periods"]
        bought = start + rng.choice(_HAIRS)
        if sent:
            channel = rng.choice(tuple(periods["expiry"]))
            self._sent(start, channel)
            bought = rng.choice((start, oracle.end(start, periods["expiry"][channel], self.terms)))
            bought += rng.choice(_HAIRS[:3])
        for _ in range(rng.choice((1, 1, 2))):
            self._convert(bought)
        self._claim(oracle.end(bought, periods["grace"], self.terms) + rng.choice(_HAIRS[:3]), begins=not sent)
        if rng.random() < 0.3:
            self._reverse(self._near())
        return self.events

    def _start(self) -> datetime:
        """Any time of 2025, or one whose first deadline falls on a change of the clocks."""
        rng = self.rng
        changes = _ZONES[self.terms["timezone"]]
        if changes and rng.random() < 0.4:
            change = datetime.fromisoformat(rng.choice(changes))
            beside = timedelta(minutes=rng.choice((-60, -30, -15, 0, 15, 30, 45, 60)))
            return change + beside - timedelta(days=rng.choice((0, 7, 14, 28, 30, 31, 44)))
        month_end = rng.random() < 0.2
        day = datetime(2025, 1, 31 if month_end else 1, rng.randrange(24), rng.choice((0, 30)), tzinfo=UTC)
        return day if month_end else day + timedelta(days=rng.randrange(360))

    def _near(self) -> datetime:
        """On, or a hair beside, an instant that matters to what is already there; at times just soon after it."""
        if self.rng.random() < 0.4:
            return min(self.touchable) + timedelta(hours=self.rng.randrange(30 * 24))
        return self.rng.choice(self.touchable) + self.rng.choice(_HAIRS)

    def _add(self, kind: str, when: datetime, data: dict[str, Any], source: str | None = None) -> None:
        number = len(self.events)
        if self.shops and "order" in data and (store := self.rng.choice(self.shops)):
            data = {**data, "store": store}
        self.events.append(
            {
                "specversion": "1.0",
                "id": f"{self.name}-{number}",
                "source": source or ("acme/billing" if kind.startswith("conversion") else "acme/site"),
                "type": kind,
                "time": when.isoformat(),
                "data": data,
            }
        )
        self.touchable.append(when)
        self.touchable += [oracle.end(when, period, self.terms) for period in _periods_of(self.terms)]

    def _sent(self, when: datetime, channel: str) -> None:
        data = {"referral": self.name, "program": PROGRAM, "referrer": REFERRER, "channel": channel}
        self._add("referral.sent", when, {**data, "referee": dict(self.known)})

    def _claim(self, when: datetime, begins: bool) -> None:
        rng = self.rng
        referee = {"customer": f"c-{self.name}"} if rng.random() < 0.7 else {}
        if rng.random() < 0.7 or not referee:
            referee["email"] = self._spelled(self.email)
        if rng.random() < 0.2:
            referee["phone"] = self.phone
        self.known |= referee
        data: dict[str, Any] = {"referral": self.name, "referee": referee, "consent": True}
        if begins:
            data |= {"program": PROGRAM, "channel": rng.choice(("link", "word_of_mouth", "social"))}
            data |= rng.choice(({"referrer_code": CODE}, {"referrer": REFERRER}))
        self._add("referral.claimed", when, data)

    def _convert(self, when: datetime) -> None:
        rng = self.rng
        if self.orders and rng.random() < (0.4 if self.shops else 0.1):
            order = rng.choice(self.orders)
        else:
            order = f"o-{self.name}-{rng.randrange(100)}"
            self.orders.append(order)
        customer = rng.choice(
            (
                {"email": self._spelled(self.email)},
                {"email": self._spelled(self.email)},
                {"customer": f"c-{self.name}"},
                {"customer": f"c-{self.name}", "email": self.email},
                {"phone": self.phone, "email": f"other-{self.name}@example.net"},
                {"customer": f"c-{self.name}", "email": f"other-{self.name}@example.net"},
                {"email": f"stranger-{self.name}@example.net"},
            )
        )
        data: dict[str, Any] = {"order": order, "kind": rng.choice(("purchase",) * 4 + ("subscription",))}
        if rng.random() < 0.12:
            data["kind"] = "account_opened"
        else:
            currency = rng.choice(("USD",) * 6 + ("EUR", "JPY"))
            amount = rng.choice(_AMOUNTS)
            data |= {"amount": amount.split(".")[0] if currency == "JPY" else amount, "currency": currency}
        self._add("conversion.recorded", when, data | {"customer": customer, "new_customer": True})

    def _reverse(self, when: datetime) -> None:
        rng = self.rng
        if rng.random() < 0.4:
            self._dispute(when)
            return
        data: dict[str, Any] = {
            "order": rng.choice(self.orders),
            "kind": rng.choice(("refund", "return", "cancellation", "chargeback_lost", "Refund", "goodwill")),
        }
        if rng.random() < 0.2:
            self._amend(when, data["order"])
        if rng.random() < 0.6:
            data["reversal"] = rng.choice((f"re-{data['order']}", "re-other"))
        if rng.random() < 0.5:
            data["amount"] = rng.choice(("10", "30", "30.0", "70", "80", "1000", "10.005"))
            data |= rng.choice(({}, {}, {"currency": "USD"}, {"currency": "EUR"}))
        self._add("conversion.reversed", when, data)
        if rng.random() < 0.3:  # another system tells the same, with or without the id, or another amount
            change = rng.choice(({}, {}, {"reversal": "re-third"}, {"amount": "31"}))
            self._add("conversion.reversed", when + rng.choice(_HAIRS), data | change, source="acme/processor")
        if rng.random() < 0.3:
            of = rng.choice(({"reversal": data["reversal"]}, {})) if "reversal" in data else {}
            for source in rng.choice((("acme/billing",), ("acme/billing", "acme/processor"), ("acme/processor",))):
                failed = when + timedelta(days=rng.choice((0, 1, -1, 20)))
                self._add("conversion.reversal_failed", failed, {"order": data["order"], **of}, source=source)

    def _amend(self, when: datetime, order: str) -> None:
        """An order edited up or down, at times in another currency or before it was placed."""
        amount = self.rng.choice(("10", "49.99", "50", "140", "140.001"))
        currency = self.rng.choice(({}, {}, {"currency": "USD"}, {"currency": "JPY"}))
        moment = when + self.rng.choice((*_HAIRS, timedelta(days=-9)))
        self._add("conversion.amended", moment, {"order": order, "amount": amount, **currency})

    def _dispute(self, when: datetime) -> None:
        """Some of the facts of a dispute: its opening, its end, or both; not always with an id or an amount."""
        rng, order = self.rng, self.rng.choice(self.orders)
        its: dict[str, Any] = {"order": order} | rng.choice(({}, {"dispute": f"d-{order}"}, {"dispute": "d-other"}))
        if rng.random() < 0.7:
            self._add("conversion.dispute_opened", when, its | rng.choice(({}, {"amount": "30"})))
        if rng.random() < 0.8:
            outcome = rng.choice(("won", "inquiry_closed", "lost", "refunded", "prevented"))
            end = when + timedelta(days=rng.choice((0, 0, 1, -1, 9)))
            self._add("conversion.dispute_closed", end, its | {"outcome": outcome} | rng.choice(({}, {"amount": "70"})))

    def _spelled(self, email: str) -> str:
        """The same address, as people write it."""
        local, domain = email.split("@")
        if domain in ("gmail.com", "googlemail.com"):
            domain = self.rng.choice(("gmail.com", "googlemail.com"))
            local = self.rng.choice((local, local.replace(".", "")))
        return self.rng.choice(
            (f"{local}@{domain}", f"{local}+shop@{domain}", f"{local.upper()}@{domain}", f"{local}@{domain.upper()}")
        )


def _enrolment() -> Event:
    data = {"referrer": REFERRER, "program": PROGRAM, "code": CODE, "customer": "c-dexter"}
    return {
        "specversion": "1.0",
        "id": "enrolled",
        "source": "acme/site",
        "type": "referrer.enrolled",
        "time": "2024-01-02T00:00:00+00:00",
        "data": data,
    }


def _periods_of(terms: Terms) -> list[str]:
    periods = terms["periods"]
    return [*periods["expiry"].values(), periods["offer"], periods["grace"], periods["return"]]


def _owned_by(event: Event, referral: str) -> bool:
    return str(event["id"]).startswith(f"{referral}-")
