"""The rules of the front door: links, sessions, limits, suppression, what one side sees of the other, and colours."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from referral_rewards.domain.facts.ids import code_problem
from referral_rewards.site import pages
from referral_rewards.site.rules import colours, limits, links, people, tokens
from referral_rewards.site.rules.limits import Due, Fate, Limit
from referral_rewards.site.rules.links import Link, Objection

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
LINK = Link("acme-friends", "c-dexter", links.expiring(NOW, timedelta(days=1)))


@pytest.mark.parametrize(("zone", "day"), [("America/Toronto", "30 November 2026"), ("UTC", "1 December 2026")])
def test_a_day_is_that_of_the_program(zone: str, day: str) -> None:
    assert pages.day(datetime(2026, 12, 1, 3, 51, tzinfo=UTC), zone) == day


@pytest.mark.parametrize(
    ("secret", "changed", "now", "told"),
    [
        (NEW, {}, NOW, None),
        (OLD, {}, NOW, None),
        (OTHER, {}, NOW, Objection.FORGED),
        (NEW, {"customer": "c-brie"}, NOW, Objection.FORGED),
        (NEW, {"program": "other"}, NOW, Objection.FORGED),
        (NEW, {"expires": LINK.expires + 1}, NOW, Objection.FORGED),
        (NEW, {}, NOW + timedelta(days=1, seconds=-1), None),
        (NEW, {}, NOW + timedelta(days=1), Objection.EXPIRED),
    ],
)
def test_a_link_opens_what_it_was_signed_for_while_it_lasts(
    secret: bytes, changed: dict[str, object], now: datetime, told: Objection | None
) -> None:
    signed = links.signature(secret, LINK)
    assert links.objection([NEW, OLD], replace(LINK, **changed), signed, now) is told


@pytest.mark.parametrize(
    ("link", "told"),
    [
        (Link("p", "c", links.expiring(NOW, links.LIFETIME_MAX)), None),
        (Link("p", "c", links.expiring(NOW, links.LIFETIME_MAX) + 1), Objection.TOO_LONG),
        (Link("p", "dexter@example.com", LINK.expires), Objection.NO_ID),
        (Link("p", "c\nq", LINK.expires), Objection.NO_ID),
        (Link("p\nq", "c", LINK.expires), Objection.NO_ID),
    ],
)
def test_a_signed_link_can_still_be_refused(link: Link, told: Objection | None) -> None:
    assert links.objection([NEW], link, links.signature(NEW, link), NOW) is told


def test_a_session_is_ours_whole_and_not_over() -> None:
    session = tokens.OwnSession("acme-friends", "c-dexter", int(NOW.timestamp()) + 1)
    token = tokens.session_token(NEW, session)
    assert tokens.session_of(NEW, token, NOW) == session
    assert tokens.session_of(NEW, token, NOW + timedelta(seconds=1)) is None
    assert tokens.session_of(OTHER, token, NOW) is None
    body, _, proof = token.partition(".")
    for forged in ("", ".", body, f"{body[:-1]}.{proof}", f"{body}.{proof[:-1]}", "é.é"):
        assert tokens.session_of(NEW, forged, NOW) is None


@pytest.mark.parametrize(
    ("form", "after", "age"),
    [
        ("claim of A", timedelta(), timedelta()),
        ("claim of A", timedelta(seconds=3), timedelta(seconds=3)),
        ("claim of B", timedelta(), None),
        ("claim of A", tokens.FORM_LASTS, tokens.FORM_LASTS),
        ("claim of A", tokens.FORM_LASTS + timedelta(seconds=1), None),
    ],
)
def test_a_stamp_tells_how_long_ago_its_form_was_shown(form: str, after: timedelta, age: timedelta | None) -> None:
    stamped = tokens.stamp(NEW, "claim of A", NOW, "nonce")
    assert tokens.age_of_stamp(NEW, form, stamped, NOW + after) == age
    assert tokens.age_of_stamp(OTHER, form, stamped, NOW + after) is None


def test_a_form_has_one_id_and_another_form_another() -> None:
    one, other = (tokens.stamp(NEW, "f", NOW, nonce) for nonce in "ab")
    assert tokens.id_of_form(one) == tokens.id_of_form(one) != tokens.id_of_form(other)


def test_a_code_is_made_again_from_the_secret_alone() -> None:
    code = tokens.code_of(NEW, "p", "c")
    assert code == tokens.code_of(NEW, "p", "c")
    others = [tokens.code_of(NEW, "p", "c", 1), tokens.code_of(NEW, "p", "d"), tokens.code_of(OTHER, "p", "c")]
    assert code not in others
    assert code_problem(tokens.shown_code(code)) is None
    assert (len(code), set(code) & set("0O1ILU")) == (10, set())


@pytest.mark.parametrize(("earlier", "allowed"), [(0, True), (2, True), (3, False), (4, False)])
def test_a_limit_allows_so_many(earlier: int, allowed: bool) -> None:
    assert Limit("x", 3, timedelta(days=1)).allows(earlier) is allowed


@pytest.mark.parametrize(
    ("address", "counted_by"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_an_address_is_counted_by_its_network(address: str, counted_by: str) -> None:
    assert limits.network_of(address) == counted_by


@pytest.mark.parametrize(("tries", "seconds"), [(0, 5), (1, 5), (2, 10), (3, 20), (8, 640), (9, 900), (10_000, 900)])
def test_what_was_tried_in_vain_waits_ever_longer(tries: int, seconds: int) -> None:
    assert limits.pause_after(tries) == timedelta(seconds=seconds)


DUE = Due(asked_at=NOW, suppressed=False, letters=0, open=True)


@pytest.mark.parametrize(
    ("due", "after", "fate"),
    [
        (DUE, timedelta(), Fate.SEND),
        (replace(DUE, letters=2), timedelta(), Fate.SEND),
        (replace(DUE, letters=3), timedelta(), Fate.TOO_MANY),
        (replace(DUE, suppressed=True), timedelta(), Fate.SUPPRESSED),
        (replace(DUE, suppressed=True, open=None), timedelta(days=9), Fate.SUPPRESSED),
        (replace(DUE, open=False), timedelta(), Fate.CLOSED),
        (replace(DUE, open=None), timedelta(), Fate.WAIT),
        (replace(DUE, open=None), timedelta(days=3), Fate.GIVEN_UP),
        (DUE, timedelta(days=3, seconds=-1), Fate.SEND),
        (DUE, timedelta(days=3), Fate.GIVEN_UP),
        # Noon in UTC is 8 in Toronto.
        (replace(DUE, hours=("08:00", "20:00")), timedelta(), Fate.SEND),
        (replace(DUE, hours=("08:01", "20:00")), timedelta(), Fate.WAIT),
        (replace(DUE, hours=("06:00", "08:00")), timedelta(), Fate.WAIT),
        (replace(DUE, hours=("20:00", "08:01")), timedelta(), Fate.SEND),
        (replace(DUE, hours=("20:00", "08:00")), timedelta(), Fate.WAIT),
    ],
)
def test_what_becomes_of_an_invitation(due: Due, after: timedelta, fate: Fate) -> None:
    assert limits.fate_of(due, NOW + after, ZoneInfo("America/Toronto")) is fate


@pytest.mark.parametrize(
    ("email", "seen"),
    [
        ("brie@example.com", "b•••@e•••.com"),
        (" B.Rie+x@Mail.Example.co.uk", "b•••@m•••.uk"),
        ("b@e.io", "b•••@e•••.io"),
    ],
)
def test_a_referrer_sees_a_mask_of_whom_they_invited(email: str, seen: str) -> None:
    assert people.masked(email) == seen


@pytest.mark.parametrize("typed", ["brie@example.com", " Brie+a@mail.example.co.uk ", "b.r@xn--bcher-kva.example"])
def test_an_address_is_taken(typed: str) -> None:
    assert people.address_of(typed) == typed.strip()


@pytest.mark.parametrize(
    "typed",
    [
        *("", "brie", "brie@", "@example.com", "brie@example", "a@b@example.com", "brie@example..com"),
        *("b rie@example.com", "brie@example.com\nBcc: x@example.com", "Brie <brie@example.com>", ".b@example.com"),
        *("b..r@example.com", "a,b@example.com", f"{'a' * 250}@example.com", "brie\u200b@example.com"),
    ],
)
def test_what_is_no_address_is_not_written_to(typed: str) -> None:
    assert people.address_of(typed) is None


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("", ""),
        ("Dexter", "Dexter"),
        ("  Anne  Marie ", "Anne Marie"),
        ("Ó’Brien", "Ó’Brien"),
        ("Mary-Lou", "Mary-Lou"),
        ("dexter@example.com", None),
        ("win at evil.example", None),
        ("https://evil", None),
        ("+1 416 555 0100", None),
        ("Click here to win", None),
        ("<b>x</b>", None),
        ("x" * 41, None),
        ("Dex\u202eter", None),
    ],
)
def test_a_first_name_leads_nobody_elsewhere(typed: str, shown: str | None) -> None:
    assert people.first_name(typed) == shown


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#767676", "#ffffff", 4.54),
        ("#0000ff", "#ffffff", 8.59),
    ],
)
def test_the_contrast_of_two_colours_is_that_of_wcag(one: str, other: str, found: float) -> None:
    assert round(colours.contrast(one, other), 2) == found
    assert colours.contrast(one, other) == colours.contrast(other, one)


@pytest.mark.parametrize(
    ("theme", "told"),
    [
        ({}, []),
        ({"accent": "#0b6b3a"}, []),
        ({"accent": "#88aaff"}, ["on_accent on accent", "accent on ground", "accent on raised"]),
        ({"accent": "red"}, ["is no colour such as #1f4fd8"]),
        ({"acent": "#0b6b3a"}, ["is none of accent, edge"]),
    ],
)
def test_a_theme_that_nobody_could_read_is_refused(theme: dict[str, str], told: list[str]) -> None:
    found = [each.what for each in colours.problems("theme", theme)]
    assert [any(words in each for each in found) for words in told] == [True] * len(told)
    assert len(found) == len(told)
