"""How a referral began, and who its referee is."""

import itertools

import pytest

from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import Channel
from referral_rewards.domain.referrals.origin import OriginKind, origin, referee_identity
from tests.domain.build import TICK, at, bought, claimed, enrolled, fact, requested, sent

NOW = at("2026-12-01")


def test_the_first_invitation_begins_a_referral() -> None:
    begun = origin([sent("2026-06-02"), sent("2026-06-01", channel="lead"), enrolled()], NOW)
    assert begun is not None
    assert (begun.kind, begun.began_at, begun.channel) == (OriginKind.SENT, at("2026-06-01"), Channel.LEAD)
    assert (begun.program, begun.referrer, begun.code) == ("acme-friends", "dexter", None)


def test_an_invitation_decides_even_over_an_earlier_claim() -> None:
    begun = origin([claimed("2026-05-01", begins=True), sent("2026-06-01")], NOW)
    assert begun is not None
    assert (begun.kind, begun.began_at) == (OriginKind.SENT, at("2026-06-01"))


def test_without_an_invitation_the_first_claim_begins_it() -> None:
    claims = [claimed("2026-06-20", begins=True), claimed("2026-06-15", begins=True, channel="word_of_mouth")]
    begun = origin([*claims, enrolled()], NOW)
    assert begun is not None
    assert (begun.kind, begun.began_at) == (OriginKind.CLAIM, at("2026-06-15"))
    assert (begun.referrer, begun.code, begun.channel) == ("dexter", "DEXTER", Channel.WORD_OF_MOUTH)


def test_a_request_begins_one_only_where_nothing_else_did() -> None:
    begun = origin([requested("2026-06-01")], NOW)
    assert begun is not None
    assert (begun.kind, begun.referrer, begun.channel) == (OriginKind.REQUEST, "dexter", None)
    with_claim = origin([requested("2026-06-01"), claimed("2026-07-01", begins=True)], NOW)
    assert with_claim is not None
    assert (with_claim.kind, with_claim.began_at) == (OriginKind.CLAIM, at("2026-07-01"))


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param([], id="nothing"),
        pytest.param([claimed("2026-06-01"), bought("2026-06-02")], id="a claim of an unknown referral"),
        pytest.param([sent(NOW + TICK)], id="an invitation of the future"),
    ],
)
def test_nothing_begins_by(facts: list[Fact]) -> None:
    assert origin(facts, NOW) is None


def test_an_invitation_of_this_very_instant_begins_one() -> None:
    assert origin([sent(NOW)], NOW) is not None


@pytest.mark.parametrize(
    ("why", "enrolments", "referrer"),
    [
        ("nobody has the code", [], None),
        ("another code", [enrolled(code="OTHER")], None),
        ("no code", [enrolled(code=None)], None),
        ("typed in another case", [enrolled(code="dexter")], "dexter"),
        ("typed with a hyphen and a space", [enrolled(code="Dex-T er")], "dexter"),
        ("typed on a wide keyboard, with a dash", [enrolled(code="ＤＥＸ\N{EN DASH}TER")], "dexter"),
        ("an exact spelling wins", [enrolled(code="dexter", referrer="mia"), enrolled("2026-02-01")], "dexter"),
        ("exact, but only later", [enrolled(code="dexter", referrer="mia"), enrolled("2026-07-01")], "mia"),
        ("another program", [enrolled(program="other")], None),
        ("enrolled later than the claim", [enrolled("2026-07-01")], "dexter"),
        ("not yet enrolled", [enrolled("2027-07-01")], None),
        ("two owners", [enrolled("2026-02-01", referrer="mia"), enrolled("2026-01-01")], None),
        ("a second owner after the claim", [enrolled("2026-06-02", referrer="mia"), enrolled("2026-06-01")], "dexter"),
        ("two owners after the claim", [enrolled("2026-06-03", referrer="mia"), enrolled("2026-06-02")], "dexter"),
        ("one enrolled twice", [enrolled("2026-02-01"), enrolled("2026-01-01", code="dexter")], "dexter"),
        ("one enrolled twice alike", [enrolled("2026-02-01"), enrolled("2026-01-01")], "dexter"),
    ],
)
def test_a_code_names_its_one_owner_in_the_program(why: str, enrolments: list[Fact], referrer: str | None) -> None:
    for facts in itertools.permutations([claimed("2026-06-01", begins=True), *enrolments]):
        begun = origin(facts, NOW)
        assert begun is not None
        assert (begun.referrer, begun.code) == (referrer, "DEXTER"), why


def test_the_owners_of_a_code_that_several_have_are_named() -> None:
    begun = origin([claimed("2026-06-01", begins=True), enrolled(), enrolled(referrer="mia")], NOW)
    assert begun is not None
    assert (begun.referrer, begun.owners) == (None, ("dexter", "mia"))


def test_a_named_referrer_needs_no_code() -> None:
    begun = origin([claimed("2026-06-01", begins=True, referrer="mia"), enrolled()], NOW)
    assert begun is not None
    assert begun.referrer == "mia"


def test_the_referee_is_the_union_of_invitation_and_claims() -> None:
    facts = [
        sent("2026-06-01", referee={"email": "brie@example.com"}),
        claimed("2026-06-02", referee={"customer": "c-brie"}),
        claimed("2026-06-03", referee={"phone": "+14165550100", "device": "d-1"}),
        requested("2026-06-04", referee={"customer": "c-finn"}),
        bought("2026-06-05", customer={"customer": "c-brie", "email": "other@example.com"}),
    ]
    assert {mark.split(":")[0] for mark in referee_identity(facts, NOW)} == {"email", "alias", "customer", "phone"}
    assert "customer:c-finn" not in referee_identity(facts, NOW)
    assert referee_identity(facts, at("2026-06-02") - TICK) == facts[0].identity


def test_a_request_says_who_the_referee_is_where_nothing_else_does() -> None:
    asked = requested("2026-06-04", referee={"customer": "c-finn"})
    assert referee_identity([asked], NOW) == {"customer:c-finn"}


def test_a_rating_begins_nothing() -> None:
    assert origin([fact("satisfaction.rated", "2026-06-01", {"referral": "r1", "score": 5})], NOW) is None
