"""Persons on the desk: found without a trace in an address, shown without what was told, exported and erased."""

import json

from tests.desk import Desk
from tests.persons.test_persons import rows

EMAIL = "R1+shop@Example.com"


async def test_an_administrator_finds_exports_and_erases_a_person_and_no_address_names_them(desk: Desk) -> None:
    await desk.referral("r1", first_name="Brie Larsen")
    async with desk.browser("ada") as ada:
        found = await ada.send("/persons/find", email=EMAIL)
        assert found.status_code == 200
        assert found.headers["Cache-Control"] == "no-store"
        for said in ("Customer c-r1", "referral.claimed", "awaiting approval", "Referral r1 is awaiting approval"):
            assert said in found.text
        assert "Brie Larsen" not in found.text
        assert await rows(desk, "SELECT 1 FROM audit_event WHERE act = 'person.exported'") == []

        copy = await ada.send("/persons/export", email=EMAIL)
        assert copy.headers["Content-Disposition"].startswith("attachment")
        assert "Brie Larsen" in str(json.loads(copy.text))
        (look,) = await rows(desk, "SELECT actor, subject, details FROM audit_event WHERE act = 'person.exported'")
        assert (look.actor, look.subject) == ("ada", "c-r1")
        assert "email:" not in str(look.details), "the log is kept for good and holds no mark"

        unsure = await ada.send("/persons/erase", email=EMAIL)
        assert unsure.status_code == 422
        assert await rows(desk, "SELECT 1 FROM person_erasure") == []
        sent = await ada.send("/persons/erase", email=EMAIL, sure="yes")
        assert (sent.status_code, sent.headers["Location"]) == (303, "/persons?done=true")
        listed = (await ada.get(sent.headers["Location"])).text
        assert "Referral r1 is awaiting approval" in listed
        assert "Found by an address or a number" in listed
    told = (await desk.metrics()).splitlines()
    assert "referrals_erasings_waiting 1.0" in told


async def test_who_is_not_found_is_told_so_without_what_was_typed(desk: Desk) -> None:
    async with desk.browser("ada") as ada:
        for typed, said in (
            ({"email": "who@example.com"}, "Nothing is on record about this person."),
            ({"email": "n/a who"}, "is no email address"),
            ({"customer": "who@example.com"}, "ustomer"),
            ({}, "at least one of referrer, customer, email, phone"),
        ):
            answer = await ada.send("/persons/find", **typed)
            assert answer.status_code == 422
            assert said in answer.text
            assert "who@" not in answer.text


async def test_nobody_but_administrators_sees_persons(desk: Desk) -> None:
    async with desk.browser("fiona") as fiona:
        assert (await fiona.get("/persons")).status_code == 403
        for act in ("find", "export", "erase"):
            assert (await fiona.send(f"/persons/{act}", customer="c-r1", sure="yes")).status_code == 403
