"""`referrals sources`, as it is typed: what came, what an event would become, and reading kept ones again."""

import hmac
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from referral_rewards.vendors.access import ApiAccess, Pull
from tests.cli.conftest import Shell
from tests.vendors.stripe_life import LIFE, MAPPING, SECRET, connected, event, session, told


def _send(shell: Shell, document: dict[str, Any]) -> None:
    body, stamp = told(document).body, int(time.time())
    signed = hmac.digest(SECRET.encode(), f"{stamp}.".encode() + body, "sha256").hex()
    headers = {"stripe-signature": f"t={stamp},v1={signed}"}
    assert httpx.post(f"{shell.url}/v1/webhooks/stripe-orders", content=body, headers=headers).status_code == 200


def test_what_came_what_it_would_become_and_reading_it_again(shell: Shell) -> None:
    assert json.loads(shell("sources", "list", "--json").out) == []
    shell.event_sources["stripe-orders"] = connected()
    file = shell.file("event.json", json.dumps(LIFE[0]))
    tried = shell("sources", "try", "stripe-orders", file)
    assert tried.code == 0, tried.err
    (one,) = json.loads(tried.out)
    assert [fact["id"] for fact in one["facts"]] == ["cs_live_a1.claimed", "cs_live_a1.paid"]
    assert shell.ask("SELECT 1 FROM source_event") == []
    poison = event("evt_9", "checkout.session.completed", session(id="cs_9", metadata={"referral_code": ["no text"]}))
    spoiled = shell("sources", "try", "stripe-orders", shell.file("poison.json", json.dumps(poison)))
    assert (spoiled.code, json.loads(spoiled.out)[0]["outcome"]) == (1, "unreadable")

    _send(shell, LIFE[0])
    _send(shell, poison)
    _send(shell, {**LIFE[0], "id": "evt_t", "livemode": False})
    listed = shell("sources", "list").out
    assert "stripe-orders: checkout.session.completed, 1 ignored: it is no event of live mode" in listed
    assert "1 ignored, 1 read, 1 unreadable" in " ".join(listed.split())
    assert "stripe-orders: checkout.session.completed evt_9: code: is no text; map a path" in listed
    again = shell("sources", "replay", "stripe-orders", "--since", "2026-01-01")
    assert again.code == 1
    assert "evt_9: checkout.session.completed: code: is no text" in again.out
    assert "events: 1 ignored, 1 read, 1 unreadable; facts: 0 recorded now, 2 on record before" in again.out
    shell.event_sources["stripe-orders"] = connected(mapping=replace(MAPPING, paths={}))
    mended = shell("sources", "replay", "stripe-orders", "--event", "evt_9")
    assert (mended.code, mended.out) == (0, "events: 1 read; facts: 1 recorded now, 0 on record before\n")


def test_a_source_is_pulled_and_listed_with_how_that_went(shell: Shell) -> None:
    pull = Pull(timedelta(minutes=10), timedelta(hours=1))
    shell.event_sources["stripe-orders"] = replace(connected(), api=ApiAccess("https://api.stripe.com"), pull=pull)
    assert "never" in shell("sources", "list").out
    asked = shell("sources", "pull", "stripe-orders")
    assert asked.code == 0, asked.err
    assert asked.out.startswith("stripe-orders: asked for what happened since shortly before now")
    day = (datetime.now(UTC) - timedelta(days=20)).date()
    asked = shell("sources", "pull", "stripe-orders", "--since", f"{day}")
    assert f"asked for what happened since {day}T00:00:00Z" in asked.out
    shell.ask(
        "UPDATE source_cursor SET opened_at = now(), problem = 'it answered 500',"
        " succeeded_at = '2026-06-01T14:00:00Z',"
        " events_new = 3, events_known = 300, forgotten_since_at = now(), forgotten_until_at = now() RETURNING 1"
    )
    listed = shell("sources", "list").out
    assert "2026-06-01 14:00Z: 3 new, 300 known" in " ".join(listed.split())
    assert "stripe-orders: was asked, and it answered 500" in listed
    assert f"stripe-orders: is being asked for what happened since {day}" in listed
    assert "its vendor does not keep it any more" in listed


def test_every_problem_has_one_line(shell: Shell) -> None:
    shell.event_sources["stripe-orders"] = connected()
    for arguments, code, line in (
        (("try", "stripe-orders", "missing.json"), 2, "missing.json: can't be read: No such file or directory"),
        (("try", "strip-orders", shell.file("e.json", "{}")), 1, "did you mean 'stripe-orders'?"),
        (("replay", "stripe-orders", "--event", "evt_1"), 1, "there is no event of this source 'evt_1'"),
        (("replay", "stripe-orders", "--since", "soon"), 2, "--since"),
        (("pull", "stripe-orders"), 2, "stripe-orders is not pulled; give it an api and a pull in the file of sources"),
        (("pull", "strip-orders"), 1, "did you mean 'stripe-orders'?"),
        (("pull", "stripe-orders", "--since", "soon"), 2, "--since"),
    ):
        ran = shell("sources", *arguments)
        assert (ran.code, len(ran.problems)) == (code, 1), ran.err
        assert line in ran.err
