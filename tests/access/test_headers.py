"""What every answer of every route tells the browser, and how the scheme is known behind a proxy."""

import re
from itertools import product

import httpx
import pytest
from starlette.routing import Route

from referral_rewards.api.app import create_app
from referral_rewards.api.headers import ALWAYS, CONTENT_SECURITY_POLICY, FOREVER
from tests.desk import Desk

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ACCEPTS = ("text/html", "application/json")


def routes(desk: Desk) -> list[tuple[str, str]]:
    """Every method and address that the app knows, with `x` for whatever an address leaves open."""
    included = [getattr(each, "original_router", None) for each in desk.app.routes]
    known = [*desk.app.routes, *(route for router in included if router is not None for route in router.routes)]
    return sorted(
        (method, re.sub(r"\{[^}]*\}", "x", route.path))
        for route in known
        if isinstance(route, Route)
        for method in route.methods or ()
    )


def test_the_policy_is_this_one() -> None:
    assert CONTENT_SECURITY_POLICY == POLICY


async def test_every_route_answers_with_the_headers_whoever_asks_and_however(desk: Desk) -> None:
    async with desk.browser("ada") as browser:
        seen = set()
        for (method, path), client, accept in product(
            [*routes(desk), ("GET", "/nowhere")], (desk.api, browser.client), ACCEPTS
        ):
            answer = await client.request(method, path, headers={"Accept": accept})
            seen.add(answer.status_code)
            for name, value in ALWAYS.items():
                assert answer.headers.get(name) == value, (method, path, answer.status_code, name)
            assert answer.headers["Cache-Control"] in ("no-store", "no-cache"), (method, path)
            assert "Strict-Transport-Security" not in answer.headers
        assert {200, 401, 404} <= seen
        assert 500 not in seen


async def test_no_page_holds_what_the_policy_forbids(desk: Desk) -> None:
    forbidden = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|javascript:", re.IGNORECASE)
    async with desk.browser("ada") as browser:
        for path in sorted({path for method, path in routes(desk) if method == "GET"}):
            page = await browser.get(path)
            if page.headers.get("Content-Type", "").startswith("text/html"):
                assert forbidden.search(page.text) is None, path


async def test_what_is_unexpected_answers_with_the_headers_too(desk: Desk) -> None:
    def broken() -> None:
        raise RuntimeError("a mistake of ours")

    app = create_app(desk.parts)
    app.add_api_route("/broken", broken)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as api:
        answer = await api.get("/broken")
    assert answer.status_code == 500
    assert answer.headers["Content-Security-Policy"] == POLICY


@pytest.mark.parametrize(
    ("path", "caching"),
    [
        ("/static/desk.css?v=0123", FOREVER),
        ("/static/desk.css", "no-cache"),
        ("/static/none.css?v=0123", "no-cache"),
        ("/docs", "no-store"),
        ("/v1/claims", "no-store"),
    ],
)
async def test_only_files_under_their_digest_are_kept(desk: Desk, path: str, caching: str) -> None:
    assert (await desk.api.get(path)).headers["Cache-Control"] == caching


async def test_only_over_https_browsers_are_told_to_stay_there(desk: Desk) -> None:
    transport = httpx.ASGITransport(desk.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://desk.example.com") as client:
        told = (await client.get("/healthz")).headers["Strict-Transport-Security"]
    assert told == "max-age=63072000; includeSubDomains"
