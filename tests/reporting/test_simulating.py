"""Replays of a program's past: what other terms change, to the minor unit, and what a replay leaves as it is."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from models.session import Database
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.programs.terms import Terms, load_terms
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register import programs
from referral_rewards.register.facts import file_intake
from referral_rewards.register.facts.intake import Intake
from referral_rewards.reporting.simulation.comparison import compare
from referral_rewards.reporting.simulation.outcomes import Outcome, Verdict
from referral_rewards.reporting.simulation.simulating import Proposal, Simulation, simulate
from tests.desk import PEPPER, PROGRAM, desk, event
from tests.domain.build import acme, at

NOW = at("2026-12-01")
_numbers = count()
Event = dict[str, Any]
#: What a referral comes to: outcome, reason or flags, and the amounts of referrer and referee.
Told = tuple[str, str, int, int]

BOTH = ("approved", "", 2500, 800)


def enrolled(referrer: str = "dexter") -> Event:
    who = {"customer": f"c-{referrer}", "email": f"{referrer}@example.com"}
    return event(
        f"e-{referrer}", "referrer.enrolled", at("2026-01-05"), {"referrer": referrer, "program": "acme-friends", **who}
    )


def life(
    name: str,
    sent: str = "2026-03-01",
    *,
    referrer: str = "dexter",
    claim: int = 2,
    buy: int | None = 4,
    amount: str = "80.00",
    refund: tuple[int, str] | None = None,
    email: str | None = None,
    order: str | None = None,
    who: str | None = None,
) -> list[Event]:
    """The facts of one referral: days after its invitation of its claim, its purchase and a refund."""
    person = {"customer": f"c-{who or name}", "email": email or f"{who or name}@people.example"}
    start, order = at(sent), order or f"o-{name}"
    about = {"referral": name, "program": "acme-friends", "referrer": referrer, "channel": "email", "referee": person}
    claimed = {"referral": name, "referee": person, "consent": True}
    bought = {"order": order, "kind": "purchase", "customer": person, "amount": amount, "currency": "USD"}
    events = [
        event(f"{name}-sent", "referral.sent", start, about),
        event(f"{name}-claimed", "referral.claimed", _later(start, claim), claimed),
    ]
    if buy is not None:
        events.append(event(f"{order}-bought", "conversion.recorded", _later(start, buy), bought))
    if refund is not None:
        days, much = refund
        back = {"order": order, "kind": "refund", "amount": much}
        events.append(event(f"{order}-back", "conversion.reversed", _later(start, days), back))
    return events


def tier(rewarded: int, amount: str) -> dict[str, Any]:
    return {"from_rewarded": rewarded, "amount": amount}


def _later(start: datetime, days: int) -> datetime:
    return start + timedelta(days=days)


@asynccontextmanager
async def register(database_url: str, events: Sequence[Event], *versions: Terms) -> AsyncIterator[Database]:
    """A register that was told these facts under these terms, in one finished batch; nobody has judged anything."""
    database = Database.at(database_url)
    try:
        async with database.transaction() as connection:
            for terms in versions or (acme(),):
                # A process reads a version once: each one of these tests is one of its own.
                published_at = NOW + timedelta(microseconds=next(_numbers))
                await programs.publish(connection, yaml.safe_dump(terms.canonical()), by="tester", at=published_at)
            batch = await file_intake.open_batch(connection, "past", NOW)
            facts = [parse_event(each) for each in events]
            await Intake(PEPPER).record(connection, facts, received_at=NOW, batch=batch)
            await file_intake.finish(connection, batch, NOW)
        yield database
    finally:
        await database.close()


async def simulated(database: Database, terms: Terms, **asked: Any) -> Simulation:
    async with database.transaction() as connection:
        return await simulate(connection, Proposal(terms=terms, now=NOW, **asked), _unseen)


def _unseen(what: str, more: int, total: int) -> None:
    """Progress that nobody looks at."""


def told(verdict: Verdict) -> Told:
    return (
        verdict.outcome.value,
        verdict.reason or ", ".join(verdict.flags),
        verdict.referrer_minor,
        verdict.referee_minor,
    )


def changed(simulation: Simulation) -> dict[str, tuple[Told, Told]]:
    return {each.referral: (told(each.before), told(each.after)) for each in simulation.compared if each.changed}


@pytest.mark.parametrize(
    ("events", "terms", "expected"),
    [
        pytest.param(life("r", amount="100.00"), {"qualifying__minimum": "100.00"}, {}, id="just reaches the minimum"),
        pytest.param(
            life("r", amount="99.99"),
            {"qualifying__minimum": "100.00"},
            {"r": (("approved", "", 2500, 1000), ("expired", "no_conversion", 0, 0))},
            id="below a higher minimum",
        ),
        pytest.param(
            life("r", amount="120.00", refund=(6, "30.00")),
            {"qualifying__minimum": "100.00"},
            {"r": (("for_a_person", "partial_refund", 2500, 900), ("denied", "conversion_reversed", 0, 0))},
            id="below a higher minimum by a refund",
        ),
        pytest.param(life("r", buy=11), {"periods__offer": "P10D"}, {}, id="in the last of a shorter offer"),
        pytest.param(
            life("r", buy=12),
            {"periods__offer": "P10D"},
            {"r": (BOTH, ("expired", "no_conversion", 0, 0))},
            id="at the end of a shorter offer",
        ),
        pytest.param(
            life("r", claim=9),
            {"periods__expiry": {"email": "P8D"}, "periods__grace": "P1D"},
            {"r": (BOTH, ("expired", "grace_period_ended", 0, 0))},
            id="shorter invitation",
        ),
        pytest.param(
            life("r", amount="60.20"),
            {"rewards__referee__percent": "7.5"},
            {"r": (("approved", "", 2500, 602), ("approved", "", 2500, 452))},
            id="lower percent, rounded half-up",
        ),
        pytest.param(
            life("r", amount="60.18"),
            {"rewards__referee__percent": "7.5"},
            {"r": (("approved", "", 2500, 602), ("approved", "", 2500, 451))},
            id="lower percent, just below the half",
        ),
        pytest.param(
            life("r", refund=(30, "80.00")),
            {"periods__return": "P30D"},
            {"r": (BOTH, ("denied", "conversion_reversed", 0, 0))},
            id="refund within a longer return period only",
        ),
        pytest.param(
            life("r", refund=(10, "80.00")),
            {"periods__return": "P5D"},
            {"r": (("denied", "conversion_reversed", 0, 0), BOTH)},
            id="refund after a shorter return period",
        ),
        pytest.param(
            life("r", email="r@mailinator.com"),
            {"fraud__threshold": 25},
            {"r": (BOTH, ("for_a_person", "fraud_suspected", 2500, 800))},
            id="at a lower fraud threshold",
        ),
        pytest.param(life("r", email="r@mailinator.com"), {"fraud__threshold": 26}, {}, id="below the fraud threshold"),
        pytest.param(
            [*life("a"), *life("b", "2026-03-02")],
            {"limits__per_referrer__rewards": 1},
            {"b": (BOTH, ("for_a_person", "cap_limited", 0, 800))},
            id="a lower cap takes the second's referrer leg",
        ),
        pytest.param(
            [*life("a"), *life("b", "2026-03-02"), *life("c", "2026-04-20")],
            {
                "limits__per_referrer": {"rewards": 1, "period": "P40D"},
                "rewards": {"referrer": {"kind": "credit", "amount": "30.00"}},
            },
            {
                "a": (BOTH, ("approved", "", 3000, 0)),
                "b": (BOTH, ("denied", "cap_reached", 0, 0)),
                "c": (BOTH, ("approved", "", 3000, 0)),
            },
            id="a cap reached, and free again when its period is over",
        ),
        pytest.param(
            [*life("a"), *life("b", "2026-03-02")],
            {"limits__budget": "60.00"},
            {"b": (BOTH, ("for_a_person", "cap_limited", 2500, 200))},
            id="a smaller budget",
        ),
        pytest.param(
            [*life("a"), *life("b", "2026-03-02")],
            {"rewards__referrer__tiers": [tier(0, "25.00"), tier(1, "40.00")]},
            {"b": (BOTH, ("approved", "", 4000, 800))},
            id="an earlier tier",
        ),
        pytest.param(
            life("r"),
            {"currency": "EUR"},
            {"r": (BOTH, ("for_a_person", "currency_mismatch", 2500, 0))},
            id="another currency",
        ),
        pytest.param(life("r", "2026-11-28"), {"periods__offer": "P10D"}, {}, id="still waiting"),
    ],
)
async def test_other_terms_change(
    database_url: str, events: list[Event], terms: dict[str, Any], expected: dict[str, tuple[Told, Told]]
) -> None:
    async with register(database_url, [enrolled(), *events]) as database:
        assert changed(await simulated(database, acme(**terms))) == expected


PAST = [
    *(enrolled(), enrolled("brie")),
    *life("small", amount="60.00"),
    *life("large", "2026-03-03", amount="300.00"),
    *life("late", "2026-03-04", buy=25),
    *life("back", "2026-03-05", refund=(7, "80.00")),
    *life("never", "2026-03-06", buy=None),
    *life("sly", "2026-03-07", email="sly@mailinator.com"),
    *life("mine", "2026-03-08", who="wanted", order="o-wanted"),
    *life("yours", "2026-03-09", referrer="brie", who="wanted", order="o-wanted")[:2],
    *life("new", "2026-11-25"),
]
STRICTER = {
    "qualifying__minimum": "70.00",
    "periods__offer": "P20D",
    "fraud__threshold": 20,
    "rewards__referee__percent": "9",
}


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_the_order_of_facts_does_not_matter(database_url: str, seed: int) -> None:
    """Nor when we were told: the same past in any order, each fact by itself and long after."""
    shuffled = PAST.copy()
    random.Random(seed).shuffle(shuffled)
    async with register(database_url, []) as database:
        for each in shuffled:
            async with database.transaction() as connection:
                await Intake(PEPPER).record(connection, [parse_event(each)], received_at=NOW)
        simulation = await simulated(database, acme(**STRICTER))
    assert changed(simulation) == {
        "large": (("approved", "", 2500, 3000), ("approved", "", 2500, 2700)),
        "late": (BOTH, ("expired", "no_conversion", 0, 0)),
        "mine": (disputed(800), disputed(720)),
        "sly": (BOTH, ("for_a_person", "fraud_suspected", 2500, 720)),
        "small": (("approved", "", 2500, 600), ("expired", "no_conversion", 0, 0)),
        "yours": (disputed(800), disputed(720)),
    }


def disputed(referee_minor: int) -> Told:
    return ("for_a_person", "disputed_attribution", 2500, referee_minor)


async def test_figures_and_flows_add_up(database_url: str) -> None:
    async with register(database_url, PAST) as database:
        found = compare((await simulated(database, acme(**STRICTER))).compared)
    assert {(flow.before.value, flow.after.value): flow.referrals for flow in found.flows} == {
        ("approved", "approved"): 1,
        ("approved", "for_a_person"): 1,
        ("approved", "expired"): 2,
        ("for_a_person", "for_a_person"): 2,
        ("denied", "denied"): 1,
        ("expired", "expired"): 1,
        ("waiting", "waiting"): 1,
    }
    assert found.before.cost.both == {"USD": (2500 + 600) + (2500 + 3000) + 2 * (2500 + 800)}
    assert found.after.cost.both == {"USD": 2500 + 2700}
    assert found.after.if_approved.referee == {"USD": 3 * 720}
    assert found.before.flags == {"disputed_attribution": 2}
    assert found.after.flags == {"disputed_attribution": 2, "fraud_suspected": 1}
    assert sum(flow.cost_after["USD"] for flow in found.flows) == found.after.cost.both["USD"]


async def test_own_terms_change_nothing(database_url: str) -> None:
    async with register(database_url, PAST) as database:
        simulation = await simulated(database, acme())
    assert changed(simulation) == {}
    assert len(simulation.compared) == 9


async def test_the_new_terms_hold_whatever_day_they_name(database_url: str) -> None:
    async with register(database_url, PAST) as database:
        assert changed(await simulated(database, acme(effective_from="2027-01-01T00:00:00Z"))) == {}


async def test_each_referral_is_compared_with_the_version_bound_to_it(database_url: str) -> None:
    versions = (acme(), acme(effective_from="2026-05-01T00:00:00Z", rewards__referee__percent="20"))
    events = [enrolled(), *life("early"), *life("later", "2026-05-02")]
    async with register(database_url, events, *versions) as database:
        found = changed(await simulated(database, acme(rewards__referee__percent="15")))
    assert found == {
        "early": (BOTH, ("approved", "", 2500, 1200)),
        "later": (("approved", "", 2500, 1600), ("approved", "", 2500, 1200)),
    }


async def test_a_period_is_asked_about_and_what_came_before_it_still_takes_its_part_of_caps(database_url: str) -> None:
    events = [enrolled(), *life("a"), *life("b", "2026-03-02"), *life("c", "2026-03-03")]
    new = acme(limits__per_referrer__rewards=1)
    async with register(database_url, events) as database:
        found = await simulated(database, new, since=at("2026-03-02"), until=at("2026-03-03"))
    assert [each.referral for each in found.compared] == ["b"]
    assert changed(found) == {"b": (BOTH, ("for_a_person", "cap_limited", 0, 800))}


async def test_flagged_claims_reserve_only_if_they_are_to_be_approved(database_url: str) -> None:
    events = [enrolled(), *life("a", email="a@mailinator.com"), *life("b", "2026-03-02")]
    new = acme(limits__per_referrer__rewards=1, fraud__threshold=20)
    async with register(database_url, events) as database:
        left = await simulated(database, new)
        approved = await simulated(database, new, approve_flagged=True)
    assert changed(left) == {"a": (BOTH, ("for_a_person", "fraud_suspected", 2500, 800))}
    assert changed(approved)["b"] == (BOTH, ("for_a_person", "cap_limited", 0, 800))
    assert compare(left.compared).after.cost.both == {"USD": 3300}
    assert compare(approved.compared).after.cost.both == {"USD": 3300 + 800}


async def test_what_is_advised_against_is_never_approved(database_url: str) -> None:
    events = [enrolled(), *life("own", email="dexter@example.com")]
    async with register(database_url, events) as database:
        (own,) = (await simulated(database, acme(), approve_flagged=True)).compared
    assert (own.after.outcome, own.after.flags, own.after.cost_minor) == (Outcome.FOR_A_PERSON, ("self_referral",), 0)


async def test_one_referrer_is_rewarded_once_for_one_referee(database_url: str) -> None:
    """The second claim finds the first as this run has left it, not as the register has it."""
    events = [enrolled(), *life("a", who="one"), *life("b", "2026-05-01", who="one", order="o-second")]
    terms = acme(qualifying__new_customers_only=False)
    async with register(database_url, events, terms) as database:
        found = {each.referral: each.before for each in (await simulated(database, terms)).compared}
    assert (found["a"].outcome, found["b"].flags) == (Outcome.APPROVED, ("duplicate_claim",))


async def test_what_people_approved_and_denied_is_in_no_run(database_url: str) -> None:
    """A reward in the register takes nothing of a cap here, and a denial by a person does not outlast a replay."""
    async with desk(database_url) as opened:
        for name in ("a", "b"):
            await opened.referral(name)
        assert (await opened.decide("b", "approve")).status_code == 201
        assert await opened.judge("b") in (ReferralStatus.APPROVED, ReferralStatus.PAYING)
        assert (await opened.decide("a", "deny")).status_code == 201
        assert await opened.judge("a") is ReferralStatus.DENIED
        new = load_terms(PROGRAM.replace("rewards: 20", "rewards: 1"))
        async with opened.database.transaction() as connection:
            simulation = await simulate(connection, Proposal(terms=new, now=datetime.now(UTC)), _unseen)
    assert changed(simulation) == {"b": (BOTH, ("for_a_person", "cap_limited", 0, 800))}
    assert told(simulation.compared[0].after) == BOTH


async def test_nothing_is_written_and_nothing_can_be(database_url: str) -> None:
    async with register(database_url, PAST) as database:
        before = await _contents(database)
        async with database.transaction() as connection:
            await simulate(connection, Proposal(terms=acme(**STRICTER), now=NOW), _unseen)
            with pytest.raises(DBAPIError, match="read-only transaction"):
                async with connection.begin_nested():
                    await connection.execute(text("DELETE FROM outbox"))
        assert await _contents(database) == before


async def _contents(database: Database) -> dict[str, tuple[int, str]]:
    """How many rows each table has, and a hash of all of them."""
    async with database.transaction() as connection:
        tables = await connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        said = "SELECT count(*), coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') FROM {} AS t"
        return {
            name: tuple((await connection.execute(text(said.format(name)))).one())  # type: ignore[misc]
            for name in tables.scalars().all()
        }


async def test_a_program_without_referrals_costs_nothing(database_url: str) -> None:
    async with register(database_url, [enrolled()]) as database:
        simulation = await simulated(database, acme())
    found = compare(simulation.compared)
    assert (simulation.compared, found.flows, found.before.cost.both, found.currencies) == ((), (), {}, ())


async def test_referrals_without_terms_are_counted_and_left_out(database_url: str) -> None:
    events = [enrolled(), *life("early", "2026-01-10"), *life("later", "2026-05-01")]
    async with register(database_url, events, acme(effective_from="2026-04-01T00:00:00Z")) as database:
        simulation = await simulated(database, acme())
    assert ([each.referral for each in simulation.compared], simulation.unbound) == (["later"], 1)


async def test_a_program_that_nobody_published_is_not_found(database_url: str) -> None:
    async with register(database_url, []) as database:
        with pytest.raises(NotFound, match="'elsewhere'"):
            await simulated(database, acme(program="elsewhere"))


async def test_progress_is_told_of_every_step(database_url: str) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}
    async with register(database_url, PAST) as database, database.transaction() as connection:
        proposal = Proposal(terms=acme(**STRICTER), now=NOW)
        await simulate(connection, proposal, lambda what, more, total: seen.setdefault(what, []).append((more, total)))
    assert {what: sum(more for more, _ in steps) for what, steps in seen.items()} == {
        what: steps[-1][1] for what, steps in seen.items()
    }
    assert list(seen) == ["referrals", "claims under their own terms", "claims under the new terms"]
