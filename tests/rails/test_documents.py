"""What leaves for a provider is of the form that the provider's own document gives it."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from stripe._api_version import _ApiVersion

from referral_rewards.domain.payouts.rail_catalogue import pays_in, step_minor
from referral_rewards.domain.payouts.states import Accepted, Paid
from referral_rewards.local.sandbox.provider import Request, Response
from referral_rewards.rails import stripe_calls
from tests.rails import documents, pins, stripe_types
from tests.rails.cases import OUTSIDE, key
from tests.rails.documents import Document

_ORDER = {
    "type": "object",
    "required": ["amount"],
    "properties": {
        "amount": {"type": "integer"},
        "currency": {"type": "string", "format": "currency"},
        "note": {"type": "string", "maxLength": 5, "nullable": True},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "live": {"type": "boolean"},
    },
}
DOCUMENT = Document(
    {
        "openapi": "3.0.3",
        "servers": [{"url": "https://pay.example/api/v2"}],
        "paths": {
            "/orders/{id}": {
                "post": {
                    "parameters": [
                        {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 4}},
                        {"name": "limit", "in": "query", "schema": {"type": "integer"}},
                        {"name": "Request-Id", "in": "header", "required": True, "schema": {"type": "string"}},
                    ],
                    "requestBody": {
                        "required": True,
                        "content": {
                            kind: {"schema": {"$ref": "#/components/schemas/order"}}
                            for kind in ("application/json", "application/x-www-form-urlencoded")
                        },
                    },
                    "responses": {
                        "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/order"}}}}
                    },
                }
            },
            "/orders/{id}/cancel": {"post": {"responses": {"200": {}}}},
        },
        "components": {"schemas": {"order": _ORDER}},
    }
)
_AS_JSON = {"content-type": "application/json", "request-id": "1"}
_AS_FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8", "request-id": "1"}


def _request(
    document: Mapping[str, Any],
    headers: Mapping[str, str] = _AS_JSON,
    query: Mapping[str, str] | None = None,
    steps: tuple[str, ...] = ("api", "v2", "orders", "o1"),
    method: str = "POST",
) -> Request:
    return Request(method, steps, query or {}, headers, document)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (_request({"amount": 5, "currency": "usd", "note": None, "metadata": {"any": "thing"}}), None),
        (_request({"amount": "5", "live": "true", "metadata": {"a": "1"}}, _AS_FORM), None),
        (_request({"amount": 5}, query={"limit": "100"}), None),
        (_request({"amount": "5"}), "not of type 'integer'"),
        (_request({"amount": "five"}, _AS_FORM), "not of type 'integer'"),
        (_request({"amount": 5, "colour": "red"}), "Additional properties"),
        (_request({"currency": "usd"}), "'amount' is a required property"),
        (_request({"amount": 5, "currency": "USD"}), "is not a 'currency'"),
        (_request({"amount": 5, "note": "longer"}), "not valid under any of"),
        (_request({}), "the body is missing"),
        (_request({"amount": 5}, {"content-type": "text/plain", "request-id": "1"}), "text/plain is not taken"),
        (_request({"amount": 5}, {"content-type": "application/json"}), "header Request-Id is missing"),
        (_request({"amount": 5}, query={"page": "1"}), "query page is not known"),
        (_request({"amount": 5}, query={"limit": "many"}), "query limit"),
        (_request({"amount": 5}, steps=("api", "v2", "orders", "order1")), "path id"),
        (_request({"amount": 5}, steps=("api", "v2", "order", "o1")), "there is no POST"),
        (_request({}, {}, steps=("api", "v2", "orders", "o1", "cancel")), None),
        # An empty object is a body, too.
        (_request({}, {"content-length": "2"}, steps=("api", "v2", "orders", "o1", "cancel")), "not taken at all"),
        (_request({"amount": 5}, method="PUT"), "there is no PUT"),
    ],
    ids=lambda each: None if isinstance(each, Request) else str(each),
)
def test_a_request_is_held_to_all_that_the_document_says(request_: Request, said: str | None) -> None:
    wrong = DOCUMENT.wrong_in(request_)
    assert wrong == [] if said is None else len(wrong) == 1 and said in wrong[0]


@pytest.mark.parametrize(
    ("response", "wrong"),
    [
        (Response(200, {"amount": 5, "colour": "more than was asked for"}), 0),
        (Response(200, {}), 1),
        (Response(201, {"amount": 5}), 1),
        (Response(400, {"name": "whatever"}), 0),
    ],
)
def test_only_a_success_is_held_to_the_form_of_answers(response: Response, wrong: int) -> None:
    assert len(DOCUMENT.wrong_in_answer(_request({"amount": 5}), response)) == wrong


@pytest.mark.skipif(documents.FOLDER not in os.environ, reason=documents.MISSING)
@pytest.mark.parametrize("name", OUTSIDE)
async def test_every_request_is_of_the_form_that_its_provider_documents(name: str) -> None:
    """With the folder named, each of the other tests of a rail is held to it as well: see `cases`."""
    async with OUTSIDE[name]() as case:
        if documents.document(type(case.provider).__name__.lower()) is None:
            pytest.skip("the folder has no document of this provider")
        for number, currency in enumerate(["USD", "JPY", "KWD", "ISK", "MGA", "HUF", "UGX"]):
            asked = case.request(number, 500 * step_minor(name, currency), currency)
            answer = await case.rail.pay(asked, key(asked))
            if not pays_in(name, currency):
                continue
            assert isinstance(answer, Paid)
            await case.rail.look_up(asked, key(asked))
            await case.rail.poll(asked, key(asked), answer.reference)
            await case.rail.reverse(asked, answer, asked.amount_minor, f"clawback-{number}")
        asked = case.request(99, destination="" if case.destination else None)
        assert not isinstance(await case.rail.pay(asked, key(asked)), Accepted)


_FORM = {"content-type": "application/x-www-form-urlencoded"}
_TRANSFER = {"amount": "2500", "currency": "usd", "destination": "acct_1", "metadata": {"payout": "p1"}}
_CODE = {"promotion": {"type": "coupon", "coupon": "c1"}, "max_redemptions": "1"}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (_request(_TRANSFER, _FORM, steps=("v1", "transfers")), None),
        (_request({}, {}, {"created[gte]": "5", "limit": "100"}, ("v1", "transfers"), "GET"), None),
        (_request(_CODE, _FORM, steps=("v1", "promotion_codes")), None),
        (_request({"active": "false"}, _FORM, steps=("v1", "promotion_codes", "promo_1")), None),
        (_request({**_TRANSFER, "amount": "25.00"}, _FORM, steps=("v1", "transfers")), "$.amount is '25.00', no int"),
        (_request({**_TRANSFER, "colour": "red"}, _FORM, steps=("v1", "transfers")), "$.colour is not known"),
        (_request({"amount": "1", "currency": "usd"}, _FORM, steps=("v1", "transfers")), "$.destination is missing"),
        (_request({"coupon": "c1"}, _FORM, steps=("v1", "promotion_codes")), "$.promotion is missing"),
        (
            _request({"promotion": {"type": "sale"}}, _FORM, steps=("v1", "promotion_codes")),
            "$.promotion.type is 'sale', not one of ('coupon',)",
        ),
        (
            _request({"active": "no"}, _FORM, steps=("v1", "promotion_codes", "promo_1")),
            "$.active is 'no', no bool",
        ),
        (_request({}, {}, {"created[on]": "5"}, ("v1", "transfers"), "GET"), "$.created.on is not known"),
        (_request({}, {}, {"page": "5"}, ("v1", "transfers"), "GET"), "$.page is not known"),
        (_request(_TRANSFER, _FORM, steps=("v1", "payouts")), "the SDK calls no POST /v1/payouts"),
    ],
    ids=lambda each: None if isinstance(each, Request) else str(each),
)
def test_a_request_to_stripe_is_held_to_the_types_of_its_sdk(request_: Request, said: str | None) -> None:
    wrong = stripe_types.wrong_in(request_)
    assert wrong == [] if said is None else said in wrong


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({}, []),
        ({"description": None, "destination": {"object": "account"}}, []),
        ({"amount": "2500"}, ["$.amount is '2500', no int"]),
        ({"livemode": 0}, ["$.livemode is 0, no bool"]),
        ({"object": "payout"}, ["$.object is 'payout', not one of ('transfer',)"]),
        ({"metadata": {"payout": 1}}, ["$.metadata.payout is 1, no str"]),
        ({"reversals": []}, ["$.reversals is no list"]),
        ({"colour": "red"}, ["$.colour is not known"]),
        ({"id": ...}, ["$.id is missing"]),
    ],
    ids=str,
)
def test_an_answer_of_stripes_sandbox_is_held_to_the_types_of_its_sdk(parts: dict[str, Any], said: list[str]) -> None:
    none = {"object": "list", "data": [], "has_more": False, "url": "/v1/transfers"}
    whole = {
        "id": "tr_1",
        "object": "transfer",
        "amount": 2500,
        "amount_reversed": 0,
        "created": 1,
        "currency": "usd",
        "livemode": False,
        "metadata": {},
        "reversals": none,
        "reversed": False,
        **parts,
    }
    shown = {name: each for name, each in whole.items() if each is not ...}
    made, listed = (
        _request(_TRANSFER, _FORM, steps=("v1", "transfers")),
        _request({}, {}, {}, ("v1", "transfers"), "GET"),
    )
    assert stripe_types.wrong_in_answer(made, Response(200, shown)) == said
    page = {**none, "data": [shown]}
    assert stripe_types.wrong_in_answer(listed, Response(200, page)) == [
        each.replace("$", "$.data[0]", 1) for each in said
    ]


def test_the_types_are_of_the_version_that_we_ask_for() -> None:
    assert _ApiVersion.CURRENT == stripe_calls.VERSION


def test_a_document_is_the_one_that_was_read(tmp_path: Path) -> None:
    """What is fetched again is held to the hash of what was read; what has none yet is named with its own."""
    pinned, other = b"what was read", b"not read yet"
    (tmp_path / "paypal.json").write_bytes(pinned)
    (tmp_path / "stripe.json").write_bytes(other)
    known = {"paypal.json": hashlib.sha256(pinned).hexdigest()}
    assert pins.complaints(tmp_path, known) == []
    assert pins.unpinned(tmp_path, known) == [f"{hashlib.sha256(other).hexdigest()}  stripe.json"]
    (tmp_path / "paypal.json").write_bytes(other)
    (found,) = pins.complaints(tmp_path, known)
    assert found.startswith("paypal.json is not the document that was read: its SHA-256 is ")
    (tmp_path / "paypal.json").unlink()
    assert pins.complaints(tmp_path, known) == ["paypal.json is missing"]


def test_what_is_pinned_is_what_is_fetched() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    for name, digest in pins.PINS.items():
        assert re.fullmatch("[0-9a-f]{64}", digest)
        assert f"$(DOCUMENTS)/{name}" in makefile
