"""Our reading of SPEC §5 against an independent one: random referrals that meet each other, some of them approved."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from sqlalchemy import text

from models.session import Database
from referral_rewards.audit.reading import claims as reading
from referral_rewards.audit.reading.claims import Claim
from referral_rewards.audit.reading.rewards import Held
from referral_rewards.audit.reading.world import Published, World
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.course import Standing
from referral_rewards.domain.referrals.inquiries import Answer, SourceAnswer
from referral_rewards.register import programs
from referral_rewards.register.decisions import chain as decisions
from referral_rewards.register.decisions.chain import NewDecision
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.facts import file_intake
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.judging.judgement import Judgement
from referral_rewards.register.referrals import cases as claims
from referral_rewards.register.referrals import rows
from tests import oracle, population_of_claims, telling
from tests.population_of_claims import Wave
from tests.register.judging import heard
from tests.seeds import partly

PEPPER = b"a pepper for tests only"
#: Every version is in force from the beginning.
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
#: The domain of addresses that anybody can read, of those that the populations use.
DISPOSABLE = frozenset({"mailinator.com"})
#: Statuses in which there is a claim to compare.
_OPEN = ("awaiting_approval", "approved")


@pytest.mark.parametrize("seed", partly(range(12), suite=(6,)))
async def test_the_register_comes_to_the_oracles_claims(database_url: str, seed: int) -> None:
    """Each wave is taken in, judged and compared; some of it is approved or denied, and all is compared again."""
    terms, waves = population_of_claims.population(seed, size=8)
    database = Database.at(database_url)
    try:
        differing, _ = await compare(database, terms, waves, random.Random(seed))
    finally:
        await database.close()
    assert not differing


async def compare(
    database: Database, terms: dict[str, Any], waves: list[Wave], rng: random.Random
) -> tuple[list[str], "Office"]:
    """Every difference between the register and the oracle, one line each."""
    office = Office(database, terms, rng)
    await office.publish()
    for wave in waves:
        await office.take_in(wave)
        await office.stand_all()
        await office.judge_until_nothing_changes()
        await office.compare_open()
        await office.decide_some()
        await office.judge_until_nothing_changes()
        await office.compare_open()
    return office.differing, office


@dataclass
class Office:
    """The register with the hands that judge and decide, and what the oracle has to know of it."""

    database: Database
    terms: dict[str, Any]
    rng: random.Random
    signer: Signer = field(default_factory=Signer.generate)
    events: list[Any] = field(default_factory=list)
    answers: dict[str, SourceAnswer] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    now: datetime = population_of_claims.BEGINNING
    compared: int = 0
    differing: list[str] = field(default_factory=list)

    @property
    def judgement_keys(self) -> KeyRing:
        return KeyRing.of([self.signer.public_entry()])

    @property
    def judgement(self) -> Judgement:
        return Judgement(self.judgement_keys)

    async def publish(self) -> None:
        async with self.database.transaction() as connection:
            for raw in self.terms.values():
                await programs.publish(connection, yaml.safe_dump(raw), by="tester", at=datetime.now(UTC))

    async def take_in(self, wave: Wave) -> None:
        intake = Intake(PEPPER)
        self.now = wave.now
        self.events += wave.events
        async with self.database.transaction() as connection:
            batch = await file_intake.open_batch(connection, f"{wave.now}", wave.now)
        facts = list(wave.events)
        while facts:
            size = self.rng.randint(1, 25)
            async with self.database.transaction() as connection:
                await telling.record(intake, connection, facts[:size], wave.now, batch)
            facts = facts[size:]
        async with self.database.transaction() as connection:
            await file_intake.finish(connection, batch, wave.now)

    async def stand_all(self) -> None:
        """Has every referral stand somewhere, so that none is assembled before those that it meets are known."""
        for name in await self._names():
            await self._heard(name, self.judgement.judge)

    async def judge_until_nothing_changes(self) -> None:
        """Until what each claim does to the others has reached them."""
        before: list[Any] = []
        while (after := await self._standing()) != before:
            before = after
            await self.judge_all()

    async def judge_all(self) -> None:
        names = await self._names()
        self.rng.shuffle(names)
        for name in names:
            await self.judge(name)

    async def judge(self, name: str) -> None:
        """Judged, and assembled whatever it was before: an open claim comes to what it would be if assembled now.

        One that this closes is compared at once: from here on only a decision to reopen it changes anything.
        """
        async with self.database.transaction() as connection:
            before = await rows.row(connection, name)
            rewarded = await self._rewarded_before(connection, name)
        standing = await self._heard(name, self.judgement.judge)
        if standing.status.value in (*_OPEN, "in_review") and not standing.closed:
            self.counts.setdefault(name, rewarded)
            standing = await self._heard(name, self.judgement.assemble)
        if standing.closed and before is not None and before.closed_at is None:
            await self._compare(name)

    async def _heard(self, name: str, act: Callable[..., Awaitable[Standing]]) -> Standing:
        """Judges or assembles with the source's answer, which is always the same for a referral."""
        kinds = (Answer.CONFIRMED,) * 8 + (Answer.CONTRADICTED, Answer.UNAVAILABLE)
        said = self.answers.setdefault(name, SourceAnswer(self.rng.choice(kinds), "Asked.", "register"))
        return await heard(self.database, act, name, self.now, said)

    async def decide_some(self) -> None:
        """Approves or denies about half of what waits, each judged at once.

        A request that begins a referral of its own is left alone: the oracle can't know the id it is given.
        """
        for name, row in (await self._rows()).items():
            if name.startswith("request-") or row.status != "awaiting_approval" or self.rng.random() < 0.4:
                continue
            kind = DecisionKind.DENY if self.rng.random() < 0.15 else DecisionKind.APPROVE
            async with self.database.transaction() as connection:
                claim, held = await claims.current(connection, row.claim_id)
                for user in ("olga", "peter"):
                    await self._decide(connection, claim, held.id, user, kind)
            await self.judge(name)

    async def _decide(self, connection: Any, claim: RewardClaim, id_: Any, user: str, kind: DecisionKind) -> None:
        roles = frozenset({Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER})
        made = NewDecision(claim.referral, id_, claim.digest, kind, user, roles, "terms_met", "looked at it", self.now)
        await decisions.append(connection, made, self.signer)

    async def compare_open(self) -> None:
        """Compares every referral that is not closed."""
        stood = await self._rows()
        world = await self._world(stood)
        for name, row in stood.items():
            if row.closed_at is None:
                await self._compare(name, world, row)

    async def _compare(self, name: str, world: World | None = None, row: Any = None) -> None:
        if world is None:
            stood = await self._rows()
            world, row = await self._world(stood, apart_from=name), stood[name]
        if name not in world.referrals:
            return
        self.compared += 1
        self.differing += [f"{self.now:%F} {name}: {line}" for line in await self._lines(name, world, row)]

    async def _lines(self, name: str, world: World, row: Any) -> list[str]:
        stand = world.referrals[name].stand
        if stand.status != "awaiting_approval":
            stood = (row.status, row.reason)
            return [] if stood == (stand.status, stand.reason) else [f"stands at {stood}, should at {stand}"]
        if row.reason == "denied_by_decision":
            return []
        if row.reason == "attribution_lost":
            return [] if reading.lost(world, name) else ["lost its attribution to nobody"]
        if row.claim_id is None:
            return [f"stands at {row.status} {row.reason}, §4 has it awaiting approval"]
        async with self.database.transaction() as connection:
            claim, _ = await claims.current(connection, row.claim_id)
        wanted = reading.claim(world, name, self.answers[name].answer.value, DISPOSABLE)
        return [*_differences(claim, wanted), *_misplaced(row, wanted)]

    async def _world(self, stood: dict[str, Any], apart_from: str = "") -> World:
        async with self.database.transaction() as connection:
            legs = await connection.execute(text("SELECT * FROM leg WHERE state <> 'cancelled'"))
            held = [
                Held(x.referral_id, x.program, x.referrer, x.order_key, x.role, x.amount_minor, x.approved_at)
                for x in legs
            ]
        closed = {name for name, row in stood.items() if row.closed_at is not None and name != apart_from}
        settled = {name: row.settled_rivals or () for name, row in stood.items()}
        published = {name: [Published(LONG_AGO, raw)] for name, raw in self.terms.items()}
        return World(oracle.all_told(self.events), published, self.now, held, closed, settled, self.counts)

    async def _rewarded_before(self, connection: Any, name: str) -> int:
        """The referrer's approved rewards so far, as a count of legs."""
        statement = text("""
        SELECT count(*) FROM leg l JOIN referral r USING (program, referrer)
        WHERE r.id = :name AND l.role = 'referrer' AND l.state <> 'cancelled' AND l.referral_id <> r.id
        """)
        return int((await connection.execute(statement, {"name": name})).scalar_one())

    async def _standing(self) -> list[Any]:
        """Where every referral stands, by which claim, and what is held: what a further judgement may change."""
        statement = text("""
        SELECT r.id, r.status, r.claim_id, l.role, l.amount_minor
        FROM referral r LEFT JOIN leg l ON l.referral_id = r.id AND l.state <> 'cancelled' ORDER BY 1, 4
        """)
        async with self.database.transaction() as connection:
            return list(await connection.execute(statement))

    async def _names(self) -> list[str]:
        return sorted(await self._rows())

    async def _rows(self) -> dict[str, Any]:
        async with self.database.transaction() as connection:
            names = (await connection.execute(text("SELECT id FROM referral"))).scalars().all()
            return {name: await rows.row(connection, name) for name in names}


def _misplaced(row: Any, wanted: Claim) -> list[str]:
    if (row.status == "denied") == bool(wanted.denials):
        return []
    return [f"stands at {row.status} {row.reason}, denials are {wanted.denials}"]


def _differences(claim: RewardClaim, wanted: Claim) -> list[str]:
    lines = []
    found = {code.value: result.value for code, result in claim.results.items()}
    for code in sorted(found.keys() | wanted.checks.keys()):
        if found.get(code) != wanted.checks.get(code):
            lines.append(f"check {code} is {found.get(code)}, should be {wanted.checks.get(code)}")
    for flag in sorted({flag.value for flag in claim.flag_names} ^ wanted.flags):
        lines.append(f"flag {flag} is {'missing' if flag in wanted.flags else 'raised'}")
    if (claim.denial or "none") not in (wanted.denials or ["none"]):
        lines.append(f"denial is {claim.denial}, should be one of {wanted.denials}")
    legs = {(leg.role.value, leg.beneficiary, leg.kind.value, leg.amount_minor) for leg in claim.legs}
    should = {(leg.role, leg.beneficiary, leg.kind, leg.amount_minor) for leg in wanted.legs}
    if legs != should:
        lines.append(f"legs are {sorted(map(str, legs))}, should be {sorted(map(str, should))}")
    if lines:
        return lines  # what follows is made from these
    if claim.recommendation.value != wanted.recommendation:
        lines.append(f"recommends {claim.recommendation}, should {wanted.recommendation}")
    if {role.value for role in claim.requirement.routes} != wanted.routes:
        lines.append(f"routes are {sorted(claim.requirement.routes)}, should be {sorted(wanted.routes)}")
    return lines
