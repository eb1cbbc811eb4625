"""An approver's desk in a test: a real register, the real API over it, people with tokens, and referrals to decide on.

Referrals are judged as a worker would judge them, at once and without one.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from activities.inquiries import Inquiries
from activities.referrals import Referrals
from models.session import Database
from referral_rewards.api import operating
from referral_rewards.api.dependencies import Parts
from referral_rewards.api.desk.session.visiting import cookie_name, csrf_of
from referral_rewards.api.metrics import Metrics
from referral_rewards.domain.facts.identity import Marker
from referral_rewards.domain.facts.rights import EVERYTHING, NOTHING, Rights
from referral_rewards.domain.people.authority import Scope
from referral_rewards.domain.people.second_factor import Factor
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register import outbox, programs
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.people import sessions, users
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.sources.http import RegisterSource
from referral_rewards.sources.port import Source
from tests.apps import lent
from tests.roles import Register
from tests.snapshots import Snapshots

PEPPER = bytes(range(32))
PROGRAM = (Path(__file__).parent.parent / "programs" / "acme-friends.yaml").read_text()
#: Each of the roles, by the one person here who holds it; and the site, which may tell us of facts.
PEOPLE = {"fiona": Role.FINANCE, "paula": Role.PROGRAM_OWNER, "oscar": Role.OPERATIONS, "ada": Role.ADMINISTRATOR}


@dataclass(frozen=True)
class Browser:
    """A signed-in person's browser without scripts: it reads pages and sends their forms."""

    client: httpx.AsyncClient
    csrf: str

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    async def send(self, path: str, **fields: Any) -> httpx.Response:
        """Sends a form with these fields, as a page of this session would."""
        return await self.client.post(path, data={"csrf": self.csrf, **fields})


@dataclass
class Desk:
    """The API, by an HTTP client, and what stands behind it."""

    database: Register
    parts: Parts
    app: FastAPI
    api: httpx.AsyncClient
    tokens: dict[str, str] = field(default_factory=dict)

    async def add_user(
        self,
        name: str,
        *roles: Role,
        scopes: Collection[Scope] = (),
        marks: Collection[str] = (),
        tells: Rights = EVERYTHING,
    ) -> None:
        async with self.database.transaction() as connection:
            told = tells if Scope.EVENTS_WRITE in scopes else NOTHING
            self.tokens[name] = await users.add(
                connection, name, roles=roles, scopes=scopes, marks=marks, tells=told, at=datetime.now(UTC)
            )

    async def publish(self, source: str = PROGRAM) -> None:
        async with self.database.transaction() as connection:
            await programs.publish(connection, source, by="tester", at=datetime.now(UTC))

    async def publish_another(self) -> None:
        """Another program, named `other`, that has no referral."""
        await self.publish(PROGRAM.replace("program: acme-friends", "program: other"))

    async def get(self, path: str, as_: str = "paula") -> httpx.Response:
        return await self.api.get(path, headers=self.bearer(as_))

    async def tell(self, body: Any, as_: str = "site") -> httpx.Response:
        return await self.api.post("/v1/events", json=body, headers=self.bearer(as_))

    async def decide(self, referral: str, kind: str, as_: str = "paula", **given: Any) -> httpx.Response:
        """A decision against the digest that is shown, unless another is given."""
        shown = (await self.get(f"/v1/claims/{referral}")).json()
        reason = {"approve": "terms_met", "release": "cleared"}.get(kind, "other")
        decision = {
            "kind": kind,
            "reason": reason,
            "note": "looked at it",
            "digest": shown.get("digest") or "",
            **given,
        }
        return await self.api.post(f"/v1/claims/{referral}/decisions", json=decision, headers=self.bearer(as_))

    def bearer(self, user: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[user]}"}

    @asynccontextmanager
    async def browser(self, user: str) -> AsyncIterator["Browser"]:
        """A browser in which the user is signed in."""
        async with self.database.transaction() as connection:
            token = await sessions.begin(connection, user, at=datetime.now(UTC), factor=Factor.NOT_ASKED)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        cookies = {cookie_name(secure=False): token}
        headers = {"Accept": "text/html"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://desk", cookies=cookies, headers=headers
        ) as client:
            yield Browser(client, csrf_of(token))

    async def metrics(self) -> str:
        """What the API tells Prometheus, counted just now."""
        async with self.database.reading() as connection:
            await operating.count(self.parts, connection)
        return operating.exposition(self.parts)().decode()

    async def judge(self, referral: str) -> ReferralStatus:
        """Judges a referral until it waits for a timer or a person, its wake-ups delivered."""
        return await judged(self.database.worker, self.parts.keys, referral)

    async def referral(self, name: str, *, order: str | None = None, **claim: Any) -> ReferralStatus:
        """A referral whose return period is over; ``claim`` are further fields of its referee."""
        told = await self.tell(life_of(name, order=order, **claim))
        assert told.status_code == 202, told.text
        return await self.judge(name)


async def judged(
    database: Database, keys: KeyRing, referral: str, sources: Mapping[str, Source] | None = None
) -> ReferralStatus:
    """Where a referral stands once judged on everything that is known by now."""
    asking = Inquiries(database, Intake(PEPPER), {"register": RegisterSource(), **(sources or {})})
    judging = Referrals(database, keys, asking)
    while True:
        now = datetime.now(UTC)
        standing = await judging.judge(referral, now)
        if standing.status is ReferralStatus.IN_REVIEW:
            standing = await judging.assemble(referral, now)
        async with database.transaction() as connection:
            row = await referrals.row(connection, referral)
            waiting = [each for each in await outbox.claim(connection, 1000) if each.target == referral]
            await outbox.delivered(connection, [number for each in waiting for number in each.ids])
        if standing.status is not ReferralStatus.IN_REVIEW and row.judged_version == row.facts_version:
            return standing.status


@dataclass(frozen=True)
class Furniture:
    """What a furnished database has to be opened with: who signs, and the tokens of its people."""

    signer: Signer
    tokens: dict[str, str]


@asynccontextmanager
async def desk(database_url: str, furniture: Furniture | None = None, *, pooled: bool = False) -> AsyncIterator[Desk]:
    """A desk on a database that was furnished, or is now: with people, a published program and its referrer."""
    signer = furniture.signer if furniture is not None else Signer.generate()
    database = Register.at(database_url, pooled=pooled)
    parts = Parts(database.api, Intake(PEPPER), KeyRing.of([signer.public_entry()]), signer, Metrics())
    parts.ready.found(None)
    try:
        with lent(parts) as app:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as api:
                opened = Desk(database, parts, app, api, dict(furniture.tokens) if furniture is not None else {})
                if furniture is None:
                    await _fill(opened)
                yield opened
    finally:
        await database.close()


async def _fill(opened: Desk) -> None:
    for name, role in PEOPLE.items():
        await opened.add_user(name, role)
    await opened.add_user("site", scopes=(Scope.EVENTS_WRITE,))
    await opened.publish()
    await opened.tell([enrolment()])


async def furnish(database_url: str, *, also: Callable[[Desk], Awaitable[None]] | None = None) -> Furniture:
    """Furnishes a database for `desk` to be opened on copies of it, ``also`` with what a test's own needs."""
    async with desk(database_url) as opened:
        if also is not None:
            await also(opened)
        return Furniture(opened.parts.signer, opened.tokens)


@asynccontextmanager
async def desk_after(snapshots: Snapshots, also: Callable[[Desk], Awaitable[None]]) -> AsyncIterator[Desk]:
    """A desk where ``also`` was done before: once for the session, and copied for each test. A function of a module."""
    async with snapshots.of(_furnished(also)) as (url, furniture), desk(url, furniture) as opened:
        yield opened


@cache
def _furnished(also: Callable[[Desk], Awaitable[None]]) -> Callable[[str], Awaitable[Furniture]]:
    """The same function each time, by which a snapshot is known."""
    return partial(furnish, also=also)


def event(id_: str, type_: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    """A CloudEvent."""
    return {"specversion": "1.0", "id": id_, "source": "test", "type": type_, "time": at.isoformat(), "data": data}


def account(payee: str) -> dict[str, Any]:
    """A payee's bank account for payments by hand, told long before anything was approved."""
    data = {"payee": payee, "rail": "manual", "reference": f"account-of-{payee}"}
    return event(f"account-{payee}", "payee.method_set", days_ago(200), data)


def another_account(payee: str) -> dict[str, Any]:
    """Another one, told lately, with a name; as it is typed it could be personal."""
    data = {"payee": payee, "rail": "manual", "reference": "DE02 1203 0000 0000 2020 51", "name": "Dexter Miller"}
    return event(f"another-{payee}", "payee.method_set", days_ago(1), data)


def enrolment() -> dict[str, Any]:
    about = {"referrer": "dexter", "program": "acme-friends", "customer": "c-dexter", "email": "dexter@example.com"}
    return event("e-dexter", "referrer.enrolled", days_ago(300), about)


def life_of(name: str, *, order: str | None = None, **claim: Any) -> list[dict[str, Any]]:
    """The facts of a referral that was sent, claimed and bought on, with its return period over."""
    who = {"customer": f"c-{name}", "email": f"{name}@example.com"}
    sent = {"referral": name, "program": "acme-friends", "referrer": "dexter", "channel": "email", "referee": who}
    bought = {
        "order": order or f"o-{name}",
        "kind": "purchase",
        "customer": who,
        "amount": "80.00",
        "currency": "USD",
        "new_customer": True,
    }
    return [
        event(f"{name}-1", "referral.sent", days_ago(60), sent),
        event(
            f"{name}-2",
            "referral.claimed",
            days_ago(50),
            {"referral": name, "referee": {**who, **claim}, "consent": True},
        ),
        event(f"{name}-3", "conversion.recorded", days_ago(40), bought),
    ]


def days_ago(days: float) -> datetime:
    """Counted from one instant throughout a test: what a test tells twice is the same fact twice."""
    return this_test_began() - timedelta(days=days)


@cache
def this_test_began() -> datetime:
    """In whole seconds, UTC."""
    return datetime.now(UTC).replace(microsecond=0)


def marks(**identity: str) -> frozenset[str]:
    """The marks of a person, as `referrals user add` makes them."""
    return Marker(PEPPER).marks(identity)
