"""What is gathered of a program before it runs: its newest terms, who can sign in, and which sources answer."""

import json

from sqlalchemy import text

from referral_rewards.domain.payouts.rail_catalogue import OF_OURS
from referral_rewards.domain.people.authority import Scope
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.readiness.gaps import gaps, in_order
from referral_rewards.domain.readiness.staffing import Person
from referral_rewards.local.fake_source import FakeSource
from referral_rewards.register.people import passwords, users
from referral_rewards.reporting.programs.preflight import readiness
from referral_rewards.sources.http import RegisterSource
from tests.desk import Desk, days_ago, marks
from tests.domain.build import acme
from worker.build import rails

FINANCE, OWNER, OPS = Role.FINANCE, Role.PROGRAM_OWNER, Role.OPERATIONS


async def people(desk: Desk, program: str = "acme-friends") -> dict[str, Person]:
    found = await readiness(desk.database, program, {}, desk.parts.keys)
    return {person.name: person for person in found.people}


async def test_the_example_is_ready_with_one_person_for_each_role(desk: Desk) -> None:
    found = await readiness(desk.database, "acme-friends", {"register": RegisterSource()}, desk.parts.keys)
    assert (found.version, found.rails, found.sources) == (1, OF_OURS, {"register": None})
    assert gaps(found) == []


async def test_whoever_can_not_sign_in_does_not_count(desk: Desk) -> None:
    everybody = await people(desk)
    assert {name: person.roles for name, person in everybody.items()} == {
        "ada": {Role.ADMINISTRATOR},
        "fiona": {FINANCE},
        "oscar": {OPS},
        "paula": {OWNER},
    }
    async with desk.database.transaction() as connection:
        await users.bar(connection, "fiona", at=days_ago(1))
        await connection.execute(text("UPDATE api_token SET revoked_at = now() WHERE username = 'oscar'"))
        await users.new_token(connection, "paula", label="second", scopes=users.OF_A_PERSON, at=days_ago(1))
        await connection.execute(
            text(
                "UPDATE api_token SET revoked_at = now() WHERE created_at ="
                " (SELECT min(created_at) FROM api_token WHERE username = 'paula')"
            )
        )
    assert sorted(await people(desk)) == ["ada", "paula"]


async def test_who_refers_or_enters_facts_is_known(desk: Desk) -> None:
    await desk.add_user("dexter", OWNER, marks=marks(email="Dexter@example.com"))
    await desk.add_user("brie", OWNER, marks=marks(email="brie@example.com"))
    await desk.add_user("clerk", OPS, scopes=(Scope.EVENTS_WRITE,))
    known = await people(desk)
    assert [name for name, person in known.items() if person.is_referrer] == ["dexter"]
    assert [name for name, person in known.items() if person.enters_facts] == ["clerk"]
    found = await readiness(desk.database, "acme-friends", {"register": RegisterSource()}, desk.parts.keys)
    named = (
        "clerk approves and may also tell facts (every type of every source): clerk can't approve what rests on them"
    )
    assert [each.what for each in in_order(found) if "clerk" in each.what and "tell" in each.what] == [named]
    assert not any(person.is_referrer for person in (await people(desk, "acme-friend")).values())
    assert not any(person.is_referrer for person in (await people(desk, "acme-friends0")).values())


async def test_only_the_sources_that_the_terms_name_are_asked(desk: Desk) -> None:
    shop, crm, other = FakeSource("shop"), FakeSource("crm"), FakeSource("other")
    crm.down = other.down = True
    proposed = acme(sources={"conversions": "shop", "customers": "crm"})
    sources = {"shop": shop, "crm": crm, "other": other}
    found = await readiness(desk.database, "acme-friends", sources, desk.parts.keys, proposed=proposed)
    assert (found.version, found.terms) == (None, proposed)
    assert found.sources == {"shop": None, "crm": await crm.reachable()}
    assert [str(gap)[:38] for gap in gaps(found)] == ["billing: sources.customers: crm does n"]


async def test_the_newest_version_is_judged(desk: Desk) -> None:
    newer = acme(effective_from="2026-12-31T00:00:00Z", periods__watch="P0D")
    await desk.publish(json.dumps(newer.canonical()))  # JSON is YAML too
    found = await readiness(desk.database, "acme-friends", {}, desk.parts.keys)
    assert (found.version, [gap.what.split(":")[0] for gap in gaps(found)]) == (2, ["periods.watch"])


async def test_a_program_that_nobody_published_has_no_terms(desk: Desk) -> None:
    found = await readiness(desk.database, "nobody", {}, desk.parts.keys)
    assert (found.terms, found.version, len(gaps(found))) == (None, None, 1)


async def test_the_rails_said_to_be_connected_are_those_that_workers_pay_over(desk: Desk) -> None:
    assert rails(desk.database, desk.parts.keys).keys() == OF_OURS


async def test_who_approves_with_a_password_alone_is_named(desk: Desk) -> None:
    hashed = await passwords.hash_of("correct horse battery")
    async with desk.database.transaction() as connection:
        for name in ("paula", "fiona", "site"):
            await passwords.keep(connection, name, hashed)
        await connection.execute(
            text("INSERT INTO second_factor (username, secret, enrolled_at) VALUES ('fiona', 'sealed', now())")
        )
    found = await readiness(desk.database, "acme-friends", {"register": RegisterSource()}, desk.parts.keys)
    assert [each.what for each in in_order(found) if "second factor" in each.what] == [
        "no second factor is set up by paula"
    ]
