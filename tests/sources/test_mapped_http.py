"""The guide's example of a system with a mapping, as it stands there: asked over real HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from referral_rewards.domain.referrals.inquiries import Answer
from referral_rewards.domain.referrals.versions import NOTHING, OnRecord, Version
from referral_rewards.loopback import served
from referral_rewards.sources.mapped import MappedSource
from tests.domain.build import at
from tests.sources import mapped
from tests.sources.told import LONG, SHORT, SOON, Misbehaving, silent
from tests.sources.vendors import Held

KNOWN = OnRecord(ours=Version(amount="80.00", currency="USD"), until=at("2026-07-24"), customer="c-brie")
ISSUES = {"path": "tickets", "map": {"id": "id", "time": "opened", "resolved_at": "closed"}}


def answers() -> list[dict[str, Any]]:
    """The two answers that the guide shows, as they stand there."""
    blocks = mapped.GUIDE.read_text().split("A complete example:")[1].split("```")
    return [json.loads(each.removeprefix("json\n")) for each in blocks if each.startswith("json\n")][:2]


@asynccontextmanager
async def asked(app: Any, *, patience: float = LONG, **changes: Any) -> AsyncIterator[MappedSource]:
    async with served(app) as url, httpx.AsyncClient(follow_redirects=False, trust_env=False) as client:
        endpoint = mapped.endpoint(url, **changes)
        yield MappedSource("legacy-shop", endpoint, client, patience_seconds=patience, pauses=SOON)


async def test_the_guides_answers_confirm_the_order_and_tell_the_refund() -> None:
    order, account = answers()
    both = Held("hubspot", {"api/orders/o-77": order, "api/accounts/c-brie": account, "api/status": {}}, key="k-1")
    async with asked(both) as source:
        told = await source.order("o-77", None, KNOWN)
        assert await source.reachable() is None
    assert told.answer.answer is Answer.CONFIRMED
    assert told.answer.sentence == "It knows order o-77, 80.00 USD; 20.00 of it was taken back."
    assert told.answer.content_hash is not None
    (refund,) = told.facts
    assert (refund.source, refund.type) == ("acme/legacy-shop", "conversion.reversed")
    assert refund.public == {
        "order": "o-77", "kind": "refund", "reversal": "r-1", "amount": "20.00", "currency": "USD",
    }  # fmt: skip
    assert sorted(both.asked) == ["api/accounts/c-brie", "api/orders/o-77", "api/status"]


@pytest.mark.parametrize(
    ("app", "patience", "answer", "said"),
    [
        (Misbehaving((404, b"")), LONG, Answer.CONTRADICTED, "It knows no order o-77."),
        (
            Misbehaving((401, b"")), LONG, Answer.UNAVAILABLE,
            "It answered 401: our key is not accepted, or it may not read this.",
        ),
        (Misbehaving((503, b"")), LONG, Answer.UNAVAILABLE, "It answered 503."),
        (Misbehaving((302, b"", {"location": "/"})), LONG, Answer.UNAVAILABLE, "It answered 302."),
        (Misbehaving((200, b"<html>")), LONG, Answer.UNAVAILABLE, "Its answer is no JSON."),
        (Misbehaving((200, b"x" * 2_000_000)), LONG, Answer.UNAVAILABLE, "Its answer is too long to be one."),
        (silent, SHORT / 10, Answer.UNAVAILABLE, "It could not be reached (TimeoutError)."),
    ],
)  # fmt: skip
async def test_a_system_that_does_not_answer_as_it_should_never_passes(
    app: Any, patience: float, answer: Answer, said: str
) -> None:
    async with asked(app, patience=patience) as source:
        told = await source.order("o-77", None, KNOWN)
    assert (told.answer.answer, told.answer.sentence, list(told.facts)) == (answer, said, [])


async def test_without_the_customer_that_it_has_to_be_asked_about_nothing_is_asked() -> None:
    shop = Misbehaving((200, b"{}"))
    async with asked(shop) as source:
        told = await source.order("o-77", None, NOTHING)
    assert told.answer.sentence == "It has to be asked about a customer, and none is known."


@pytest.mark.parametrize("odd", ["a/b", "../x", "a?b", "a b", "{store}"])
async def test_an_id_stays_one_step_of_the_address(odd: str) -> None:
    shop = Misbehaving((404, b""))
    async with asked(shop, account=None) as source:
        await source.order(odd, None, KNOWN)
    ((path, _),) = shop.requests
    assert (path.count("/"), path.startswith("/api/orders/")) == (3, True)


async def test_the_issues_of_a_customer_are_told_each_under_its_id() -> None:
    tickets = [
        {"id": 9, "opened": "2026-07-20T08:00:00Z", "closed": None},
        {"id": 8, "opened": "2026-07-01T08:00:00Z", "closed": "2026-07-02T08:00:00Z"},
    ]
    crm = Misbehaving((200, json.dumps({"tickets": tickets}).encode()))
    part = {"url": "https://shop.example/people/{customer}", "issues": ISSUES}
    async with asked(crm) as source:
        assert (await source.customer("c-brie")).answer.answer is Answer.UNAVAILABLE
    async with served(crm) as url, asked(crm, customer=part | {"url": f"{url}/people/{{customer}}"}) as source:
        told = await source.customer("c-brie")
    assert told.answer.answer is Answer.CONFIRMED
    assert [(each.type.value, each.public["issue"]) for each in told.facts] == [
        ("customer.issue_opened", "9"),
        ("customer.issue_opened", "8"),
        ("customer.issue_resolved", "8"),
    ]
    assert {each.public["customer"]["customer"] for each in told.facts} == {"c-brie"}
