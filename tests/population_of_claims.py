"""Programs and referrals that stress every row of SPEC §5, the same for the same seed.

Unlike the referrals of `population.py` these meet each other: few people refer and are referred, so that two hold one
order, one is referred twice, and a referrer comes back as a referee. They come in waves: what was approved of one wave
stands in the way of the next. In some worlds several stores give out the same order numbers, and a shop and a
processor both tell what was given back.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Any

from referral_rewards.domain.calendar import zone
from tests import telling

Event = dict[str, Any]
Terms = dict[str, Any]

#: A fact as `_World._add` takes it.
_Trouble = tuple[str, datetime, dict[str, Any]] | tuple[str, datetime, dict[str, Any], str]

#: Somebody was enrolled by then; the first wave is judged 300 days later.
BEGINNING = datetime(2025, 3, 1, tzinfo=UTC)
_ZONES = ("America/Toronto", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")
_KINDS = ("cash", "credit", "discount", "gift_card")
#: Amounts by currency whose percentages end on, beside and between halves of a minor unit.
_AMOUNTS = {
    "USD": ("80.00", "80.00", "50.00", "100.10", "99.95", "333.33", "1000.00", "49.99"),
    "JPY": ("8000", "8000", "5000", "9995", "105", "15", "12345"),
    "KWD": ("80.000", "50.005", "33.335", "100.050", "7.777"),
}
_MINUTE = timedelta(minutes=1)
#: The stores that facts of one world name, each as often as it stands here; None names none.
_SHOPS = (None, None, ("de", "fr"), ("de", "DE", "fr"), ("de", "fr", "fr", None), ("de", "de", "de", None))


@dataclass
class Wave:
    """Facts that are told together, and the time at which they are judged."""

    now: datetime
    events: list[Event]


@dataclass
class _Person:
    name: str
    parts: dict[str, str]
    fingerprint: str
    orders: list[tuple[str, datetime, Event]] = field(default_factory=list)


def population(seed: int, waves: int = 3, size: int = 12) -> tuple[dict[str, Terms], list[Wave]]:
    """One or two programs, and ``waves`` times ``size`` referrals in them; the facts of a wave come in no order."""
    return _World(Random(seed)).lived(waves, size)


class _World:
    """Builds the facts of everybody; remembers who was referred and what was bought."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.number = 0
        self.events: list[Event] = []
        self.programs = {name: self._terms(name) for name in ("friends", "partners")[: rng.choice((1, 2, 2))]}
        self.referrers = [self._person(f"ref{n}") for n in range(rng.choice((2, 3, 4)))]
        self.people: list[_Person] = []
        self.shops = rng.choice(_SHOPS)
        self.numbers: list[str] = []

    def lived(self, waves: int, size: int) -> tuple[dict[str, Terms], list[Wave]]:
        found = []
        for number in range(waves):
            now = BEGINNING + timedelta(days=300 + 100 * number)
            self.events = []
            if number == 0:
                for referrer in self.referrers:
                    self._enrol(referrer, now)
            for _ in range(size):
                self._refer(now - timedelta(days=self.rng.randrange(150, 240)), now)
            self.rng.shuffle(self.events)
            telling.bound(Random(f"tellers {now} {len(self.events)}"), self.events)
            found.append(Wave(now, self.events))
        return self.programs, found

    # -- terms

    def _terms(self, name: str) -> Terms:
        rng = self.rng
        currency = rng.choice(("USD", "USD", "JPY", "KWD"))
        rewards: dict[str, Any] = {"referrer": self._rule(currency)}
        if rng.random() < 0.7:
            rewards["referee"] = self._rule(currency)
        if rng.random() < 0.1:
            rewards = {"referee": self._rule(currency)}
        terms: Terms = {
            "program": name,
            "name": name,
            "effective_from": datetime(2024, 1, 1, tzinfo=UTC),
            "timezone": rng.choice(_ZONES),
            "currency": currency,
            "periods": {
                "expiry": {"email": "P30D"},
                "offer": rng.choice(("P30D", "P60D")),
                "grace": rng.choice(("P30D", "P7D", "P0D")),
                "return": rng.choice(("P14D", "P0D", "P120D") if name == "partners" else ("P14D", "P0D")),
                "arrival_allowance": "PT1H",
            },
            "qualifying": {
                "kinds": rng.choice((["purchase"], ["purchase", "account_opened"])),
                "new_customers_only": rng.random() < 0.5,
                "advocacy_permission_required": rng.random() < 0.2,
            },
            "rewards": rewards,
            "limits": self._limits(currency),
            "fraud": rng.choice(({}, {"threshold": 40, "weights": {"shared_ip": 25, "disposable_email": 45}})),
            "approval": {"routes": {kind: self._roles() for kind in _KINDS}},
            "payouts": {"timing": "immediate", "rails": dict.fromkeys(_KINDS, "account_credit")},
        }
        if rng.random() < 0.4:
            terms["qualifying"]["minimum"] = rng.choice(_AMOUNTS[currency])
        if "referrer" in rewards and rng.random() < 0.6:
            terms["partners"] = self._partners(currency)
        return terms

    def _roles(self) -> list[str]:
        return self.rng.sample(("finance", "program_owner", "operations"), self.rng.choice((1, 1, 2)))

    def _rate(self, currency: str) -> Terms:
        rng = self.rng
        if rng.random() < 0.4:
            return {"amount": _money(rng.choice((1, 5, 10, 25)), currency)}
        rate = {"percent": rng.choice(("10", "7.5", "33.3", "0.5", "15"))}
        return rate | ({"cap": _money(rng.choice((3, 8, 30)), currency)} if rng.random() < 0.5 else {})

    def _rule(self, currency: str) -> Terms:
        rng, kind = self.rng, self.rng.choice(_KINDS)
        shape = rng.random()
        if shape < 0.5:
            return {"kind": kind, **self._rate(currency)}
        if shape < 0.8:
            return {"kind": kind, "tiers": [{"from_rewarded": n, **self._rate(currency)} for n in (0, 1, 3)]}
        bounds = ("0", *sorted(set(_AMOUNTS[currency][1:4]), key=float))
        return {"kind": kind, "tiers": [{"from_amount": bound, **self._rate(currency)} for bound in bounds]}

    def _limits(self, currency: str) -> Terms:
        rng = self.rng
        limits: Terms = {}
        if rng.random() < 0.6:
            most: Terms = {"period": rng.choice(("P1Y", "P3M", "P150D", "P99D"))}
            if rng.random() < 0.6:
                most["rewards"] = rng.choice((1, 2, 4))
            if rng.random() < 0.6 or "rewards" not in most:
                most["amount"] = _money(rng.choice((7, 12, 26, 60)), currency)
            limits["per_referrer"] = most
        if rng.random() < 0.3:
            limits["per_reward"] = _money(rng.choice((4, 9, 20)), currency)
        if rng.random() < 0.4:
            limits["budget"] = _money(rng.choice((11, 40, 100)), currency)
        return limits

    def _partners(self, currency: str) -> list[Terms]:
        """Two rates of one partner, the second from the day on which the first ends, and one without an end."""
        day = (BEGINNING + timedelta(days=self.rng.randrange(60, 250))).date()
        until = day + timedelta(days=self.rng.choice((1, 30, 90)))
        first = {"partner": "gold", "valid_from": f"{day}", "valid_until": f"{until}", **self._rate(currency)}
        second = {"partner": "gold", "valid_from": f"{until}", "valid_until": f"{until + timedelta(days=60)}"}
        third = {"partner": "silver", "valid_from": f"{day}", **self._rate(currency)}
        return [first, second | self._rate(currency), third]

    # -- people

    def _person(self, name: str) -> _Person:
        rng = self.rng
        domain = rng.choice(("example.com", "example.org", "gmail.com", "googlemail.com"))
        self.number += 1
        parts = {
            "customer": f"c-{name}",
            "email": f"some.{name}@{domain}",
            "phone": f"+1416555{self.number:04d}",
            "device": f"d-{name}",
            "ip": f"198.51.100.{self.number % 250}",
            "name": f"{name} of {domain}",
            "address": f"{self.number} High Street",
        }
        return _Person(name, parts, f"fp-{name}")

    def _referee(self) -> _Person:
        """Somebody new, somebody known, or the referrer under another name."""
        rng = self.rng
        if self.people and rng.random() < 0.25:
            return rng.choice(self.people)
        person = self._person(f"p{len(self.people)}")
        twin = rng.choice(self.referrers)
        chance = rng.random()
        if chance < 0.12:
            part = rng.choice(("customer", "email", "phone", "device"))
            person.parts[part] = twin.parts[part]
        elif chance < 0.17:
            person.fingerprint = twin.fingerprint
        elif chance < 0.25:  # one household
            person.parts |= {part: twin.parts[part] for part in ("ip", "address")}
        elif chance < 0.3:
            person.parts["email"] = f"{person.name}@mailinator.com"
        self.people.append(person)
        return person

    def _told(self, person: _Person, *names: str) -> dict[str, str]:
        told = {name: person.parts[name] for name in names}
        if "email" in told:
            told["email"] = self._spelled(told["email"])
        if "phone" in told:
            told["phone"] = self._dialled(told["phone"])
        return told

    def _spelled(self, email: str) -> str:
        """The same address, as people write it."""
        local, domain = email.split("@")
        if domain in ("gmail.com", "googlemail.com"):
            domain = self.rng.choice(("gmail.com", "googlemail.com"))
            local = self.rng.choice((local, local.replace(".", "")))
        spelled = self.rng.choice((local, f"{local}+shop", local.upper()))
        return f"{spelled}@{self.rng.choice((domain, domain.upper()))}"

    def _dialled(self, phone: str) -> str:
        """The same number, as people write it."""
        area, office, line = phone[2:5], phone[5:8], phone[8:]
        return self.rng.choice((phone, f"+1 ({area}) {office}-{line}", f"001{area}{office}{line}"))

    # -- facts

    def _add(self, kind: str, when: datetime, data: dict[str, Any], source: str | None = None) -> Event:
        self.number += 1
        if "store" in data and data["store"] is None:
            data = {key: value for key, value in data.items() if key != "store"}
        event = {
            "specversion": "1.0",
            "id": f"e{self.number}",
            "source": source or ("acme/billing" if kind.startswith("conversion") else "acme/site"),
            "type": kind,
            "time": when.isoformat(),
            "data": data,
        }
        self.events.append(event)
        return event

    def _store(self, of: str | None) -> dict[str, str | None]:
        """The store that a fact names: mostly that of its order, at times another or none."""
        if not self.shops:
            return {}
        return {"store": of if self.rng.random() < 0.8 else self.rng.choice((*self.shops, None))}

    def _order_number(self) -> str:
        """A new number; where there are several stores, at times one that another order has."""
        if self.shops and self.numbers and self.rng.random() < 0.3:
            return self.rng.choice(self.numbers)
        self.numbers.append(f"o{self.number}")
        return self.numbers[-1]

    def _enrol(self, person: _Person, now: datetime) -> None:
        rng = self.rng
        for program in self.programs:
            when = BEGINNING - timedelta(days=rng.randrange(1, 200))
            if rng.random() < 0.1:
                when += timedelta(days=rng.randrange(150, 300))
            about = {"referrer": person.name, "program": program, "code": f"CODE-{person.name}-{program}"}
            about |= self._told(person, "customer", "email", *rng.sample(("phone", "device", "ip"), rng.randrange(3)))
            if rng.random() < 0.4:
                about["partner"] = rng.choice(("gold", "silver", "bronze"))
            self._add("referrer.enrolled", when, about)
            if rng.random() < 0.2:  # a second account of the same referrer
                again = {**about, "code": f"{about['code']}-2", "email": f"other.{person.name}@example.com"}
                person.parts["email"] = again["email"]
                self._add("referrer.enrolled", when + timedelta(days=rng.randrange(1, 300)), again)
            if rng.random() < 0.3:
                told = {"referrer": person.name, "program": program, "reason": "looked_into"}
                when = now - timedelta(days=rng.randrange(20, 100))
                self._add("referrer.suspended", when, told)
                if rng.random() < 0.6:
                    self._add("referrer.reinstated", when + timedelta(days=rng.choice((1, 5))), told)
        if rng.random() < 0.6:
            self._buy(person, BEGINNING + timedelta(days=rng.randrange(100)))

    def _refer(self, start: datetime, now: datetime) -> None:
        rng = self.rng
        program = rng.choice(list(self.programs))
        referrer, referee = rng.choice(self.referrers), self._referee()
        name = f"r{self.number}"
        start += timedelta(minutes=rng.randrange(24 * 60))
        if rng.random() < 0.15 and referee.orders:
            self._buy(referee, start - timedelta(days=rng.randrange(1, 40)))
        claimed_at = start
        sent = rng.random() < 0.7
        if sent:
            channel = rng.choice(("email", "social", "link", "word_of_mouth", "lead"))
            invited = self._told(referee, "email", *rng.sample(("phone", "name"), rng.randrange(3)))
            data = {"referral": name, "program": program, "referrer": referrer.name, "channel": channel}
            self._add("referral.sent", start, data | {"referee": invited})
            claimed_at += timedelta(minutes=rng.randrange(25 * 24 * 60))
        claim: dict[str, Any] = {"referral": name, "referee": self._claimant(referee)}
        if not sent:
            claim |= {"program": program, "channel": rng.choice(("link", "word_of_mouth"))}
            code = f"CODE-{referrer.name}-{program}"
            by_code = {"referrer_code": rng.choice((code, code, code.lower(), code.replace("-", " ")))}
            claim |= rng.choice((by_code, {"referrer": referrer.name}))
        consent = rng.choice((True, True, True, True, True, False, None))
        self._add("referral.claimed", claimed_at, claim | ({} if consent is None else {"consent": consent}))
        for _ in range(rng.choice((0, 1, 1, 1, 1, 1, 2))):
            self._convert(referee, program, claimed_at)
        for trouble in self._troubles(name, program, referrer, referee, claimed_at, now):
            self._add(*trouble)

    def _claimant(self, referee: _Person) -> dict[str, str]:
        extra = self.rng.sample(("customer", "customer", "phone", "device", "ip"), self.rng.randrange(1, 5))
        said = self._told(referee, "email", *extra)
        if "ip" in said and self.rng.random() < 0.5:  # as a server behind another logs it
            said["ip"] = f"::ffff:{said['ip']}"
        return said

    def _convert(self, referee: _Person, program: str, claimed_at: datetime) -> None:
        rng, terms = self.rng, self.programs[program]
        when = claimed_at + timedelta(minutes=rng.randrange(25 * 24 * 60))
        if terms.get("partners") and rng.random() < 0.4:
            # On, or a minute beside, the midnight at which a partner's rate begins or ends.
            one = rng.choice(terms["partners"])
            midnight = datetime.combine(
                datetime.fromisoformat(rng.choice([v for k, v in one.items() if k.startswith("valid")])).date(),
                time(),
                zone(terms["timezone"]),
            ).astimezone(UTC)
            beside = midnight + rng.choice((-_MINUTE, timedelta(0), _MINUTE))
            when = beside if claimed_at < beside < claimed_at + timedelta(days=25) else when
        self._buy(referee, when, terms["currency"])

    def _buy(self, person: _Person, when: datetime, currency: str = "USD") -> None:
        rng = self.rng
        names = rng.choice(
            (("email",), ("email", "customer"), ("customer", "email"), ("phone", "email"), ("customer",))
        )
        self.number += 1
        store = rng.choice(self.shops) if self.shops else None
        data: dict[str, Any] = {"order": self._order_number(), "store": store, "kind": "purchase"}
        data["customer"] = self._told(person, *names)
        if rng.random() < 0.15:
            data["kind"] = "account_opened"
        else:
            currency = rng.choice((currency,) * 9 + ("EUR",))
            data |= {"amount": rng.choice(_AMOUNTS.get(currency, ("80.00",))), "currency": currency}
        if rng.random() < 0.08:  # no program rewards it; it costs something, nothing, or says no amount
            data["kind"] = "newsletter_signup"
            data |= {"amount": "0.00", "currency": "USD"} if rng.random() < 0.3 else {}
            if rng.random() < 0.5:
                data = {key: value for key, value in data.items() if key not in ("amount", "currency")}
        if rng.random() < 0.8:
            data["new_customer"] = rng.random() < 0.9
        if rng.random() < 0.5:
            data["payment_fingerprint"] = person.fingerprint
        data |= {part: person.parts[part] for part in ("device", "ip") if rng.random() < 0.3}
        event = self._add("conversion.recorded", when, data)
        person.orders.append((data["order"], when, event))
        if rng.random() < 0.06:  # told again, in the same words or in others
            other = {**data, "customer": self._told(rng.choice(self.referrers), "email")}
            again = rng.choice((data, {**data, "new_customer": True}, {**data, "kind": "subscription"}, other))
            self._add("conversion.recorded", when + rng.choice((timedelta(0), timedelta(days=1))), dict(again))
        if self.shops and rng.random() < 0.1:  # told again, of another store or of none
            later = when + timedelta(days=rng.choice((0, 1, -1)))
            self._add("conversion.recorded", later, {**data, **self._store(rng.choice(self.shops))})

    def _troubles(
        self, name: str, program: str, referrer: _Person, referee: _Person, since: datetime, now: datetime
    ) -> Iterator[_Trouble]:
        rng = self.rng

        def later() -> datetime:
            return since + (now - since) * rng.random()

        def who(person: _Person) -> dict[str, str]:
            return self._told(person, rng.choice(("email", "email", "customer", "phone")))

        if rng.random() < 0.12:
            opened, issue = later(), f"i{self.number}"
            customer = who(rng.choice((referee, referee, referrer)))
            yield "customer.issue_opened", opened, {"customer": customer, "issue": issue}
            if rng.random() < 0.5:
                when = opened + timedelta(hours=rng.choice((-3, 3)))
                yield "customer.issue_resolved", when, {"customer": customer, "issue": issue}
        if rng.random() < 0.25:
            kind = rng.choice(("consent.granted", "consent.granted", "consent.withdrawn"))
            scope = rng.choice(("contact", "contact", "public_advocacy"))
            person = rng.choice((referee, referee, referrer))
            yield kind, later(), {"person": who(person), "scope": scope}
        if rng.random() < 0.06:
            yield "attribution.changed", later(), {"referral": name, "to_referrer": "somebody-else"}
        if rng.random() < 0.06:
            request = {"program": program, "referrer": referrer.name, "referee": who(referee)}
            yield "reward.requested", later(), request
        for order, bought_at, record in referee.orders:
            yield from self._after(order, record["data"], bought_at)

    def _after(self, order: str, bought: dict[str, Any], bought_at: datetime) -> Iterator[_Trouble]:
        """What became of an order, as a shop and a processor tell it."""
        rng, its = self.rng, {"order": order, **self._store(bought.get("store"))}
        if rng.random() < 0.15:
            opened = bought_at + timedelta(days=rng.randrange(1, 20))
            dispute = its | rng.choice(({}, {"dispute": f"d-{order}"}))
            yield "conversion.dispute_opened", opened, dispute | {"reason": "unknown"}
            if rng.random() < 0.5:
                ends = ("won", "inquiry_closed", "lost", "refunded", "prevented")
                outcome = dispute | {"outcome": rng.choice(ends)} | rng.choice(({}, {"amount": "5"}, {"amount": "12"}))
                yield "conversion.dispute_closed", opened + timedelta(days=rng.choice((-1, 1, 2))), outcome
        if rng.random() < 0.2:
            back: dict[str, Any] = its | {"kind": rng.choice(("refund", "return", "Refund"))}
            back |= rng.choice(({}, {"reversal": f"re-{order}"}))
            if rng.random() < 0.8:
                back["amount"] = rng.choice(("5", "1", "12", "1.005"))
            when = bought_at + timedelta(days=rng.randrange(1, 40))
            yield "conversion.reversed", when, back
            if rng.random() < 0.4:  # the processor tells the same, with its own id or none, or another amount
                copy = back | rng.choice(({}, {}, {"reversal": "re-third"}, {"amount": "6"})) | self._store(None)
                yield "conversion.reversed", when + timedelta(days=rng.choice((0, 1, -1))), copy, "acme/processor"
            if rng.random() < 0.2:
                failed = {key: back[key] for key in ("order", "store", "reversal") if key in back}
                told = when + timedelta(days=rng.choice((1, 9, -1)))
                yield "conversion.reversal_failed", told, failed, rng.choice(("acme/billing", "acme/processor"))
        if rng.random() < 0.1:
            edited: dict[str, Any] = its | {"amount": rng.choice(("40", "140", "9995", "33.335"))}
            edited |= rng.choice(({}, {}, {"currency": "USD"}, {"currency": "JPY"}))
            yield "conversion.amended", bought_at + timedelta(days=rng.choice((0, 1, 5, -2))), edited


def _money(major: int, currency: str) -> str:
    """An amount of the terms: small beside what is bought, so that limits are reached."""
    return {"JPY": f"{major * 100}", "KWD": f"{major}.005"}.get(currency, f"{major}.00")
