"""Who is who: normal forms, ids that must be refused, and marks that can be compared but not read."""

import pytest

from referral_rewards.domain.facts.identity import (
    IDENTITY_KINDS,
    SELF_REFERRAL_KINDS,
    Marker,
    certainly_one,
    links,
    normal_alias,
    normal_email,
    normal_ip,
    normal_phone,
    of_kinds,
)
from referral_rewards.domain.facts.phones import Regions, region_problem

MARKER = Marker(b"a pepper of sixteen bytes")


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Brie@Example.COM", "brie@example.com"),
        ("  brie@example.com ", "brie@example.com"),
        ("brie+shop@example.com", "brie@example.com"),
        ("brie+a+b@example.com", "brie@example.com"),
        ("b.r.i.e@gmail.com", "brie@gmail.com"),
        ("b.rie+x@googlemail.com", "brie@gmail.com"),
        ("b.rie@example.com", "b.rie@example.com"),
        ("brie@example.com.", "brie@example.com"),
        ("+tag@example.com", "+tag@example.com"),
        ("ZOE\u0308@example.com", "zo\u00eb@example.com"),  # composed and not
        ("\uff42\uff52\uff49\uff45@example.com", "brie@example.com"),  # of full width
        ("br\u200bie@example.com", "brie@example.com"),  # with a space that nobody sees
        ("brie@B\u00fccher.example", "brie@xn--bcher-kva.example"),
        ("brie@xn--bcher-kva.example", "brie@xn--bcher-kva.example"),
        ("\u0130stanbul@example.com", "i\u0307stanbul@example.com"),
        ("not an address", ""),
        ("n/a", ""),
        ("@example.com", ""),
    ],
)
def test_email_has_one_normal_form(written: str, normal: str) -> None:
    assert normal_email(written) == normal


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("+1 (416) 555-0100", "+14165550100"),
        ("001 416 555 0100", "+14165550100"),
        ("+14165550100", "+14165550100"),
        ("416-555-0100", "4165550100"),
        ("\uff0b1\u00a0416\u2011555\u20110100", "+14165550100"),  # full width, hard spaces and hyphens
        ("\u0664\u0661\u0666\u0665\u0665\u0665\u0660\u0661\u0660\u0660", "4165550100"),  # Arabic digits
        ("+44 (0)20 7946 0018", "+442079460018"),
        ("+49 30 901820", "+4930901820"),
        ("no number", ""),
        ("0000000000", ""),
        ("123", ""),
    ],
)
def test_phone_has_one_normal_form(written: str, normal: str) -> None:
    assert normal_phone(written) == normal


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("203.0.113.88", "203.0.113.88"),
        (" 203.0.113.88 ", "203.0.113.88"),
        ("::ffff:203.0.113.88", "203.0.113.88"),
        ("::FFFF:cb00:7158", "203.0.113.88"),
        ("2001:0DB8:0:0:0:0:0:9", "2001:db8::/64"),
        ("2001:db8::9", "2001:db8::/64"),
        ("2001:db8::a", "2001:db8::/64"),  # the household of ::9
        ("2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::9", "2001:db8:0:1::/64"),  # and its neighbours
        ("2001:DB8:0:0001:a:b:c:d", "2001:db8:0:1::/64"),
        ("[2001:db8::9]:443", "2001:db8::/64"),
        ("[2001:db8::9]", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("203.0.113.88:50123", "203.0.113.88"),
        ("[::ffff:203.0.113.88]:443", "203.0.113.88"),
        ("::1", "::/64"),
        ("203.0.113.88, 10.0.0.1", "203.0.113.88, 10.0.0.1"),  # whose it is, is not guessed
        ("[not an address]:443", "[not an address]:443"),
        ("010.0.0.1", "010.0.0.1"),  # some read the zero as octal: it is left as it is
        ("unknown", "unknown"),
        (" ", ""),
    ],
)
def test_network_address_has_one_normal_form(written: str, normal: str) -> None:
    assert normal_ip(written) == normal
    marks = MARKER.marks({"ip": written})
    assert marks == (frozenset({MARKER.mark("ip", normal)}) if normal else frozenset())


def test_equal_persons_have_equal_marks() -> None:
    one = MARKER.marks({"email": "b.rie+x@gmail.com", "phone": "+1 416 555 0100"})
    other = MARKER.marks({"email": "Brie@googlemail.com", "phone": "+14165550100"})
    assert one == other
    assert len(one) == 2


@pytest.mark.parametrize("field", ["email", "phone", "device", "ip", "payment_fingerprint", "address", "name"])
def test_mark_does_not_show_what_it_stands_for(field: str) -> None:
    said = "brie@cheese.example" if field == "email" else "Brie 4165550100 Cheese"
    (mark,) = MARKER.marks({field: said})
    assert not any(word.lower() in mark for word in said.split())


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("Brie+Shop@Example.COM", "brie+shop@example.com"),
        ("b.rie+a.b@googlemail.com", "brie+a.b@gmail.com"),
        ("brie@example.com", "brie@example.com"),
        ("+tag@example.com", "+tag@example.com"),
        ("n/a", ""),
    ],
)
def test_address_as_such_keeps_its_tag(written: str, normal: str) -> None:
    assert normal_alias(written) == normal


def _side(**person: str) -> frozenset[str]:
    return MARKER.marks(person) | MARKER.aliases(person)


ANNA = "orders+anna@clinic.example"
BERT = "orders+bert@clinic.example"


@pytest.mark.parametrize(
    ("one", "other", "linked", "certain"),
    [
        (_side(email=ANNA, customer="c-anna"), _side(email=BERT, customer="c-bert"), False, False),
        (_side(email=ANNA), _side(email=BERT, customer="c-bert"), True, False),
        (_side(email=ANNA, customer="c-anna"), _side(email=BERT), True, False),
        (_side(email=ANNA), _side(email=BERT), True, False),
        (_side(email=ANNA, customer="c-anna"), _side(email="orders@clinic.example", customer="c-o"), False, False),
        # Whatever else they share tells that they are one, also of two customer ids.
        (_side(email=ANNA, customer="c-anna"), _side(email=ANNA, customer="c-bert"), True, True),
        (_side(email=ANNA, customer="c-anna"), _side(email=BERT, customer="c-anna"), True, True),
        (_side(phone="+14165550100", customer="c-1"), _side(phone="+1 416 555 0100", customer="c-2"), True, True),
        (_side(email=ANNA), _side(email="anna@clinic.example"), False, False),
        (frozenset(), frozenset(), False, False),
    ],
)
def test_shared_mailbox_links_no_two_named_customers(
    one: frozenset[str], other: frozenset[str], linked: bool, certain: bool
) -> None:
    assert (links(one, other), links(other, one)) == (linked, linked)
    assert (certainly_one(one, other), certainly_one(other, one)) == (certain, certain)


def test_customer_id_stays_readable() -> None:
    assert MARKER.marks({"customer": "c-brie"}) == {"customer:c-brie"}


def test_marks_of_another_pepper_differ() -> None:
    assert MARKER.mark("email", "brie@example.com") != Marker(b"another pepper, 16+").mark("email", "brie@example.com")


def test_equal_values_of_different_kinds_have_different_marks() -> None:
    assert MARKER.mark("device", "x").partition(":")[2] != MARKER.mark("ip", "x").partition(":")[2]


@pytest.mark.parametrize("part", [None, {}, {"email": ""}, {"email": "  "}, {"email": 7}, {"shoe_size": "44"}])
def test_field_that_says_nothing_of_a_person_makes_no_mark(part: dict[str, object] | None) -> None:
    assert MARKER.marks(part) == frozenset()


PERSON = {"customer": "c-brie", "email": "Brie@Example.com", "phone": "+1 416 555 0100", "name": "Brie Example"}


@pytest.mark.parametrize(
    "part", [None, {}, PERSON, {**PERSON, "email": "n/a"}, {"email": " ", "phone": 7, "ip": "::1"}]
)
def test_within_a_batch_the_same_marks_are_made(part: dict[str, object] | None) -> None:
    batch = MARKER.for_batch()
    assert batch.marks(part) == batch.marks(part) == MARKER.marks(part)


def test_short_pepper_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Marker(b"short")


def test_kinds_are_told_apart_by_their_whole_name() -> None:
    marks = {"ip:1", "email:2", "emailish:3"}
    assert of_kinds(marks, ("email",)) == {"email:2"}
    assert of_kinds(marks, ()) == frozenset()


@pytest.mark.parametrize(
    ("written", "region", "normal"),
    [
        ("(416) 555-0173", "CA", "+14165550173"),
        ("1 416 555 0173", "CA", "+14165550173"),
        ("020 7946 0018", "GB", "+442079460018"),
        ("+49 30 901820", "CA", "+4930901820"),  # its own country wins
        ("0049 30 901820", "CA", "+4930901820"),
        ("555-0173", "CA", "5550173"),  # without its area code it is another number in each town
        ("7946 0018", "GB", "79460018"),
        ("(416) 555-0173", None, "4165550173"),
        ("123", "CA", ""),
        ("n/a", "CA", ""),
        ("0000000000", None, ""),
    ],
)
def test_phone_without_a_country_is_read_by_the_region(written: str, region: str | None, normal: str) -> None:
    assert normal_phone(written, region) == normal


def test_region_of_the_source_wins_over_that_of_the_installation() -> None:
    marker = Marker(b"a pepper of sixteen bytes", Regions("CA", {"london": "GB"})).for_batch()
    written = {"phone": "020 7946 0018"}
    london, paper = marker.marks(written, source="london"), marker.marks({"phone": "416 555 0173"}, source="paper")
    assert london == MARKER.marks({"phone": "+442079460018"})
    assert paper == marker.marks({"phone": "416 555 0173"}) == MARKER.marks({"phone": "+14165550173"})
    assert marker.marks(written, source="paper") != london


def test_phone_of_no_known_country_links_nothing_and_still_shows_a_self_referral() -> None:
    here, there = MARKER.marks({"phone": "416-555-0173"}), MARKER.marks({"phone": "(416) 555-0173"})
    assert here == there
    assert not links(here, there)
    assert not of_kinds(here, IDENTITY_KINDS)
    assert of_kinds(here, SELF_REFERRAL_KINDS) == here


@pytest.mark.parametrize("region", ["ca", "Canada", "XX", ""])
def test_unknown_region_is_a_problem(region: str) -> None:
    assert region_problem("CA") is None
    assert region_problem(region)
