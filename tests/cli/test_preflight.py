"""`referrals preflight` and what `program lint` and `program publish` tell of unclear terms."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from referral_rewards.sources.connecting import Place
from referral_rewards.sources.port import Endpoint
from referral_rewards.vendors.access import ApiAccess
from tests.cli.conftest import PROGRAM, Shell
from tests.vendors.stripe_life import connected

UNCLEAR = PROGRAM.read_text().replace("offer: P30D", "offer: P0D").replace('cap: "40.00"', 'cap: "5.00"')
SHOP = PROGRAM.read_text().replace("conversions: register", "conversions: shop")


@pytest.fixture
def shop() -> Iterator[str]:
    """The address of a source that answers."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.headers["Authorization"] == "Bearer sesame" else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: a test's output is the command's."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        serving.join()


def staff(shell: Shell) -> None:
    for name, role in [("fiona", "finance"), ("oscar", "operations")]:
        assert shell("user", "add", name, "--role", role).code == 0
        shell.confirm(name)


def test_lint_tells_what_is_unclear(shell: Shell) -> None:
    ran = shell("program", "lint", shell.file("unclear.yaml", UNCLEAR))
    assert (ran.code, ran.out) == (1, "")
    assert [line.partition(": ")[0] for line in ran.problems] == ["periods.offer", "rewards.referee.cap"]
    assert shell("program", "lint", shell.file("wrong.yaml", UNCLEAR.replace("USD", "XXQ"))).code == 2
    clear = shell("program", "lint", PROGRAM)
    assert (clear.code, clear.out) == (0, f"{PROGRAM}: the terms of acme-friends hold together\n")


def test_publishing_tells_what_is_unclear_and_publishes(shell: Shell) -> None:
    ran = shell("program", "publish", shell.file("unclear.yaml", UNCLEAR))
    assert (ran.code, ran.out) == (0, "acme-friends version 1 is published\n")
    assert [line.split(": ")[:2] for line in ran.problems] == [
        ["unclear", "periods.offer"],
        ["unclear", "rewards.referee.cap"],
    ]


def test_a_program_that_is_not_ready_is_refused_with_every_gap(shell: Shell) -> None:
    ran = shell("preflight", "acme-friends")
    assert (ran.code, ran.out, len(ran.problems)) == (1, "", 1)
    shell("program", "publish", shell.file("unclear.yaml", UNCLEAR))
    ran = shell("preflight", "acme-friends")
    assert (ran.code, ran.out) == (1, "")
    assert [line.partition(" ")[0] for line in ran.problems] == [*["terms:"] * 2, *["people:"] * 2]


def test_a_program_that_is_ready_says_what_was_looked_at(shell: Shell) -> None:
    shell.publish()
    staff(shell)
    ran = shell("preflight", "acme-friends")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "acme-friends is ready",
        "terms: version 1, in force from 2025-01-01 00:00 UTC; nothing is unclear",
        "billing: conversions: register (only our own records; no outside source is asked)",
        "rails: account credit in USD: account credit",
        "people: finance: fiona",
        "people: operations: oscar",
        "people: program owner: paula",
    ]
    told = json.loads(shell("preflight", "acme-friends", "--json").out)
    assert list(told) == ["program", "version", "ready", "gaps", "in_order"]
    assert (told["version"], told["ready"], told["gaps"], len(told["in_order"])) == (1, True, [], 6)
    assert shell("user", "bar", "fiona").code == 0
    ran = shell("preflight", "acme-friends", "--json")
    (gap,) = json.loads(ran.out)["gaps"]
    assert (ran.code, ran.err, gap["area"]) == (1, "", "people")
    assert gap["what"] == "nobody who can sign in has the role finance, which is needed for an override"


def test_terms_are_judged_before_they_are_published(shell: Shell) -> None:
    staff(shell)
    assert shell("preflight", "acme-friends", "--terms", PROGRAM).code == 0
    unclear = shell.file("unclear.yaml", UNCLEAR)
    assert len(shell("preflight", "acme-friends", "--terms", unclear).problems) == 2
    other = shell("preflight", "other", "--terms", PROGRAM)
    assert (other.code, other.problems) == (
        2,
        [f"--terms: {PROGRAM} holds the terms of acme-friends, not of other"],
    )
    assert shell("preflight", "acme-friends", "--terms", "nowhere.yaml").code == 2


def test_billing_is_asked_whether_it_is_there(shell: Shell, shop: str) -> None:
    staff(shell)
    terms = shell.file("shop.yaml", SHOP)
    (missing,) = shell("preflight", "acme-friends", "--terms", terms).problems
    assert missing == "billing: sources.conversions: shop is not connected; see docs/guides/sources.md"
    shell.sources["shop"] = Endpoint(shop, "wrong")
    (silent,) = shell("preflight", "acme-friends", "--terms", terms).problems
    assert silent.startswith("billing: sources.conversions: shop does not respond: ")
    shell.sources["shop"] = Endpoint(shop, "sesame")
    ran = shell("preflight", "acme-friends", "--terms", terms)
    assert (ran.code, ran.err) == (0, "")
    assert "billing: conversions: shop (responds)" in ran.out.splitlines()


def test_each_source_is_asked_whether_it_answers_and_what_may_be_read(shell: Shell, shop: str) -> None:
    assert shell("sources", "check").code == 0
    its: dict[str, Place] = {
        "shop": Endpoint(shop, "sesame"),
        "crm": Endpoint(shop, "wrong"),
        "stripe-orders": replace(connected(), api=ApiAccess(shop)),
    }
    shell.sources.update(its)
    ran = shell("sources", "check", "--json")
    found = {each["name"]: each for each in json.loads(ran.out)}
    assert (ran.code, {name: each["answers"] for name, each in found.items()}) == (
        1,
        {"crm": False, "shop": True, "stripe-orders": False},
    )
    assert [each["asked_as"] for each in found.values()] == ["our own form", "our own form", "stripe"]
    assert found["stripe-orders"]["rights"] == [
        {"what": "key", "why": "The key of its api is not set in this process."}
    ]
    said = " ".join(shell("sources", "check").out.split())
    assert "answers: It answered 401: our key is not accepted, or it may not read this." in said
