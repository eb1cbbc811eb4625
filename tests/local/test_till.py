"""The shop to buy at by hand: each form becomes webhooks that the local stack's sources take."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from referral_rewards.config.event_sources import load
from referral_rewards.local import event_sources
from referral_rewards.local.sandbox.app import Sandbox
from referral_rewards.local.sandbox.shops.till import Till
from referral_rewards.loopback import Message, Receive, Send, body_of, reply, served
from referral_rewards.vendors.port import Told

EMAIL = "pia@example.com"


class Api:
    """Takes webhooks as the API does, and keeps the facts of them."""

    def __init__(self, data: Path) -> None:
        self._sources = load(event_sources.written(data))
        self.facts: list[Any] = []
        self.status = 200

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        source = self._sources[scope["path"].rpartition("/")[2]]
        request = Told(await body_of(receive), {name.decode(): value.decode() for name, value in scope["headers"]})
        source.verify(request, datetime.now(UTC))
        self.facts += source.read(request).facts
        await reply(send, self.status, b'{"event": "recorded"}')


@pytest.mark.parametrize(
    ("kept", "more", "hears"), [(2, [], True), (2, ["billing"], True), (1, ["billing"], False), (0, [], False)]
)
def test_friends_are_sent_to_the_shop_if_a_file_of_ones_own_still_hears_it(
    kept: int, more: list[str], hears: bool, tmp_path: Path
) -> None:
    sources = yaml.safe_load(event_sources.written(tmp_path).read_text())["sources"]
    copy = tmp_path / "copy.yaml"
    copy.write_text(yaml.safe_dump({"sources": dict(list(sources.items())[:kept]) | {name: {} for name in more}}))
    assert event_sources.hear_the_shop({event_sources.SETTING: str(copy)}) is hears


@pytest.mark.parametrize("by", ["shop", "checkout"])
async def test_what_is_bought_and_given_back_is_told_by_whoever_sold_it(by: str, tmp_path: Path) -> None:
    api = Api(tmp_path)
    async with served(api) as url:
        till = Till.at(url, tmp_path / "keys")
        async with served(Sandbox("http://own", till=till)) as shop, httpx.AsyncClient(base_url=shop) as customer:
            form = {"email": EMAIL, "amount": "60", "by": by, "code": "MIRA-7", "program": "acme-friends"}
            bought = await customer.post("/shop/orders", data=form)
            order = bought.text.split()[1]
            back = await customer.post("/shop/refunds", data={"order": order, "amount": "20.00"})
    assert (bought.status_code, back.status_code) == (200, 200), bought.text + back.text
    types = {fact["type"]: fact["data"] for fact in api.facts}
    assert types["referral.claimed"]["referrer_code"] == "MIRA-7"
    assert types["referral.claimed"]["program"] == "acme-friends"
    assert types["conversion.recorded"]["customer"]["email"] == EMAIL
    assert types["conversion.recorded"]["amount"] == "60.00"
    assert types["conversion.reversed"]["amount"] == "20.00"


@pytest.mark.parametrize(
    ("path", "form", "status", "says"),
    [
        ("orders", {"email": "pia"}, 422, "email: write the address"),
        ("orders", {"email": EMAIL, "amount": "1.5"}, 422, "amount: '1.5' is no amount such as 80.00"),
        ("orders", {"email": EMAIL, "by": "amazon"}, 422, "by: 'amazon' is none of shop, checkout"),
        ("refunds", {"order": "7"}, 422, "order: '7' was not sold here"),
        ("gifts", {}, 422, "/shop/orders and /shop/refunds"),
        ("orders", {"email": EMAIL}, 502, "did not take it"),
    ],
)
async def test_what_can_not_be_sold_is_said_in_one_line(
    path: str, form: dict[str, str], status: int, says: str, tmp_path: Path
) -> None:
    api = Api(tmp_path)
    api.status = 401
    async with served(api) as url:
        till = Till.at(url, tmp_path / "keys")
        async with served(Sandbox("http://own", till=till)) as shop, httpx.AsyncClient(base_url=shop) as customer:
            answer = await customer.post(f"/shop/{path}", data=form)
    assert (answer.status_code, says in answer.text, answer.text.count("\n")) == (status, True, 1), answer.text


async def test_a_browser_is_shown_a_page_that_repeats_nothing_as_markup(tmp_path: Path) -> None:
    event_sources.secrets_of(tmp_path)
    till = Till.at("http://nowhere", tmp_path / "keys")
    async with served(Sandbox("http://own", till=till)) as shop, httpx.AsyncClient(base_url=shop) as customer:
        page = await customer.get("/shop", params={"ref": '"><b>', "program": "x"}, headers={"accept": "text/html"})
        plain = await customer.get("/shop")
    assert (page.status_code, "<b>" in page.text, "&quot;&gt;&lt;b&gt;" in page.text) == (200, False, True)
    assert plain.text == "Welcome.\n"
