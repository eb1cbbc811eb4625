"""A planted person is found in no history, log, metric, URL, id or search attribute, and in no table in clear."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from temporalio.testing import WorkflowEnvironment

from referral_rewards.notices.smtp import Smtp
from referral_rewards.search_attributes import SEARCH_ATTRIBUTES
from tests.api.test_event_sources import _send
from tests.desk import Desk, another_account, days_ago, event
from tests.installation import Installation
from tests.notices.mailbox import SENDER, mailbox
from tests.notices.posting import postman
from tests.vendors.stripe_life import MAPPING, connected, session
from tests.vendors.stripe_life import event as of_stripe

NAME: Final = "Zenobia Quillfeather"
EMAIL: Final = "zenobia.quillfeather@example.net"
PHONE: Final = "+14155550142"
STREET: Final = "77 Larkspur Crescent"
IBAN: Final = "DE02 1203 0000 0000 2020 51"
WORDS: Final = "Quillfeather says it was hers"
#: As each could stand somewhere. Searched without case; of bytes in hex, as tables are dumped.
PLANTED: Final = (
    *("zenobia", "quillfeather", EMAIL, EMAIL.replace("@", "%40"), "4155550142", "415-555-0142"),
    *("larkspur", IBAN, IBAN.replace(" ", ""), WORDS),
)


def traces(said: str) -> list[str]:
    """What of the planted person stands in a text, in clear or in hex."""
    lower = said.lower()
    return [each for each in PLANTED if each.lower() in lower or each.encode().hex() in lower]


def test_the_search_finds_what_is_there() -> None:
    for said in (
        NAME.upper(),
        EMAIL,
        f"/find?q={EMAIL.replace('@', '%40')}",
        PHONE,
        STREET,
        IBAN,
        f"{EMAIL}".encode().hex(),
    ):
        assert traces(said), said
    assert traces("dexter@example.com") == []


WHO: Final = {"email": EMAIL, "name": NAME, "phone": PHONE, "address": {"line1": STREET}}


def life() -> Iterator[dict[str, Any]]:
    """A referrer who enrols as planted, a friend of whom all is planted too, and an account with a name."""
    enrolled = {"referrer": "zen", "program": "acme-friends", "customer": "c-zen", **_other(WHO)}
    yield event("e-zen", "referrer.enrolled", days_ago(200), enrolled)
    yield another_account("zen") | {"id": "account-zen", "time": days_ago(100).isoformat()}
    referee = {"customer": "c-friend", **WHO}
    sent = {"referral": "rz", "program": "acme-friends", "referrer": "zen", "channel": "email", "referee": referee}
    yield event("rz-1", "referral.sent", days_ago(60), sent)
    claimed = {"referral": "rz", "referee": referee, "consent": True, "ip": "203.0.113.9"}
    yield event("rz-2", "referral.claimed", days_ago(50), claimed)


def _other(who: Mapping[str, Any]) -> dict[str, Any]:
    """Another mailbox and number of the same name: who refers oneself is denied."""
    return {**who, "email": f"not.{EMAIL}", "phone": "+14155550143"}


@asynccontextmanager
async def at_work(desk: Desk, environment: WorkflowEnvironment) -> AsyncIterator[Installation]:
    """The desk's register with workers of both kinds."""
    its = Installation(desk.database, environment, f"scan-{uuid4().hex[:8]}", desk.parts.signer, desk.parts.intake)
    async with its.workers():
        yield its


async def test_a_planted_person_shows_nowhere(
    desk: Desk, temporal_env: WorkflowEnvironment, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    urls: list[str] = []

    async def note(request: httpx.Request) -> None:
        urls.append(str(request.url))

    desk.api.event_hooks["request"].append(note)
    desk.app.state.parts = replace(desk.parts, event_sources={"stripe-orders": connected("stripe-orders", MAPPING)})
    async with at_work(desk, temporal_env) as its:
        assert (await desk.tell(list(life()))).status_code == 202
        bought = int(days_ago(40).timestamp())
        details = {"email": EMAIL, "name": NAME, "phone": PHONE, "address": {"line1": STREET, "country": "US"}}
        checkout = session(
            created=bought, customer="c-friend", customer_details=details, metadata={"first_order": "yes"}
        )
        heard = await _send(desk, of_stripe("evt_zen", "checkout.session.completed", checkout, bought))
        assert heard.json()["facts"] == 1, heard.text
        ignored = of_stripe("evt_zen_2", "customer.updated", {"object": "customer", "email": EMAIL.upper()}, bought)
        assert (await _send(desk, ignored)).json()["facts"] == 0, "nothing is made of it, and it is kept"
        await its.settled("rz", among=frozenset({"in_return_period"}))
        await its.pass_time("rz", timedelta(hours=2))  # the allowance for what arrives late
        await its.settled("rz", among=frozenset({"awaiting_approval", "denied"}))
        approved = await desk.decide("rz", "approve", note=f"{NAME} was called at {PHONE}")
        assert approved.status_code < 300, approved.text
        await its.settled("rz", among=frozenset({"rewarded"}))
        async with mailbox() as (box, where), postman(desk, Smtp(where(), SENDER)) as man:
            for hours in range(3, 48, 9):  # whatever the hours in which people may be written to
                await man.deliver(datetime.now(UTC) + timedelta(hours=hours))
            assert box.letters
        appealed = {"referral": "rz", "by": "referee", "why": WORDS}
        await desk.tell([event("rz-9", "referral.appealed", days_ago(0), appealed)])
        await its.settled("rz", among=frozenset({"rewarded"}))
        async with desk.browser("fiona") as browser:
            for page in ("/queue", "/referrals/rz", "/payouts"):
                assert (await browser.get(page)).status_code in (200, 404)
        looked = await desk.api.post(
            "/v1/looks", json={"payee": "zen", "why": "redirect"}, headers=desk.bearer("fiona")
        )
        assert NAME in looked.text, "it is there to be found"
        assert await _tables(desk) == {}
        for what in ("export", "erase"):
            body = {"email": [EMAIL]}
            done = await desk.api.post(f"/v1/persons/{what}", json=body, headers=desk.bearer("ada"))
            assert done.status_code < 300, done.text
            assert (NAME in done.text) == (what == "export")
        assert (done.json()["waits"], done.json()["payloads_blanked"]) == ([], 2)
        seen = await _histories(its)
    assert "referral-rz" in seen
    logs = "".join((*capfd.readouterr(), caplog.text))
    assert "facts_recorded" in logs
    for where_, said in {
        "histories": seen,
        "URLs": "\n".join(urls),
        "metrics": await desk.metrics(),
        "logs": logs,
    }.items():
        assert traces(said) == [], where_
    assert await _tables(desk) == {}


async def _histories(its: Installation) -> str:
    """Every history of the desk's runs, with their memos and search attributes."""
    client, said = its.environment.client, []
    names = [f"referral-{row.id}" for row in await _rows(its, "SELECT id FROM referral WHERE status IS NOT NULL")]
    names += [f"payout-{row.id}" for row in await _rows(its, "SELECT id FROM payout")]
    for name in names:
        handle = client.get_workflow_handle(name)
        known = await handle.describe()
        attributes = {each.name: known.typed_search_attributes.get(each) for each in SEARCH_ATTRIBUTES}
        said += [name, (await handle.fetch_history()).to_json(), str(attributes), json.dumps(await known.memo())]
    return "\n".join(said)


async def _rows(its: Installation, statement: str) -> list[Any]:
    async with its.database.reading() as connection:
        return list((await connection.execute(text(statement))).all())


async def _tables(desk: Desk) -> dict[str, list[str]]:
    """What of the planted person stands in a row of a table, as it would in a dump."""
    found = {}
    async with desk.database.reading() as connection:
        tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        for (table,) in (await connection.execute(text(tables))).all():
            rows = await connection.execute(text(f'SELECT CAST(t AS text) FROM "{table}" t'))
            if its := sorted({each for (row,) in rows for each in traces(row)}):
                found[table] = its
    return found
