"""Filters in an address: an unknown one is refused, and an unknown program answered with the nearest."""

import pytest

from tests.desk import Desk

LISTS = ("referrals", "claims", "payouts", "clawbacks", "cycles")


@pytest.mark.parametrize("room", LISTS)
async def test_a_filter_that_a_list_does_not_have_is_refused_with_those_that_it_has(desk: Desk, room: str) -> None:
    answer = await desk.get(f"/v1/{room}?progam=acme-friends")
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert detail.startswith('Unknown filter "progam". Did you mean "program"? Available: ')
    assert {"after", "limit", "program"} <= set(detail.partition("Available: ")[2].split(", "))


@pytest.mark.parametrize("room", ["payees", "ledger/balance", "audit", "rails", "tokens"])
async def test_no_list_passes_over_a_filter(desk: Desk, room: str) -> None:
    answer = await desk.get(f"/v1/{room}?for=paula", as_="ada" if room == "audit" else "fiona")
    assert (answer.status_code, answer.json()["detail"].partition(".")[0]) == (422, 'Unknown filter "for"')


@pytest.mark.parametrize("room", LISTS)
async def test_a_program_that_nobody_knows_is_answered_with_the_nearest(desk: Desk, room: str) -> None:
    answer = await desk.get(f"/v1/{room}?program=acme-freinds")
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "program: there is no program 'acme-freinds'; did you mean 'acme-friends'?",
    )
    assert (await desk.get(f"/v1/{room}?program=acme-friends")).status_code == 200


async def test_probes_and_providers_may_add_what_they_like(desk: Desk) -> None:
    assert (await desk.api.get("/healthz?probe=1")).status_code == 200


async def test_a_body_is_told_what_would_be_right_too(desk: Desk) -> None:
    answer = await desk.api.post("/v1/reconciliations", json={"rail": "stripe_transfr"}, headers=desk.bearer("fiona"))
    assert answer.json()["detail"].endswith("did you mean 'stripe_transfer'?")
    answer = await desk.api.post("/v1/reconciliations", json={"rail": 5, "x": 1}, headers=desk.bearer("fiona"))
    assert answer.json()["detail"] == 'rail: 5 is a number; write it as text: "5"; x: is not known here; leave it out'
