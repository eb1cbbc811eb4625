"""Attribution: which other referrals dispute a conversion, and which make a second reward for it."""

from dataclasses import replace
from typing import Any

import pytest

from referral_rewards.domain.claims.attribution import (
    attribution_clear,
    competitors,
    duplicates,
    lost,
    not_duplicate,
    waits_for,
)
from referral_rewards.domain.claims.dossier import Rival
from referral_rewards.domain.claims.findings import Flag, InputMissing, Result
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from tests.domain.build import TICK, at
from tests.domain.dossiers import dossier, told

S = ReferralStatus
OVER = {S.EXPIRED, S.DENIED, S.WITHDRAWN, S.CLAWED_BACK}
MIA = Rival("r2", "mia", "acme-friends", "o1", S.CLAIMED, timely_claim=True, same_referee=True)
#: The other of two referrals by which dexter referred her, claimed a day before.
TWIN = replace(MIA, referrer="dexter", claimed_at=at("2026-06-19"), began_at=at("2026-06-05"))
R, C = at("2026-06-01"), at("2026-06-20")


@pytest.mark.parametrize(
    ("change", "disputed"),
    [
        ({}, True),
        ({"same_referee": False}, True),  # the same order is enough
        ({"order": None}, False),  # the same referee without it is not
        ({"order": "o2"}, False),
        ({"order": None, "same_referee": False}, False),
        ({"program": "other"}, True),
        ({"program": "other", "same_referee": False}, True),
        ({"program": "other", "order": "o2"}, False),
        ({"timely_claim": False}, False),
        ({"referrer": "dexter"}, False),
        ({"referrer": None}, True),
        ({"referral": "r1"}, False),
        *[({"status": status}, status not in OVER) for status in S],
        ({"status": S.DENIED, "settled": True}, True),
        ({"status": S.DENIED, "settled": True, "timely_claim": False}, False),
    ],
)
def test_dispute_is_between_referrers_with_timely_claims(change: dict[str, Any], disputed: bool) -> None:
    case = dossier(rivals=(replace(MIA, **change),))
    assert bool(competitors(case)) is disputed
    found = attribution_clear(case)
    assert (Flag.DISPUTED_ATTRIBUTION in found.flags) is disputed
    assert (found.result is Result.FAILED) is disputed


@pytest.mark.parametrize(
    ("change", "duplicate"),
    [
        ({}, True),
        ({"order": "o2", "same_referee": True}, True),
        ({"order": "o1", "same_referee": False}, True),
        ({"order": "o2", "same_referee": False}, False),
        ({"program": "other"}, True),
        ({"program": "other", "order": "o2"}, False),
        ({"timely_claim": False}, False),
        ({"timely_claim": False, "rewarded": True}, True),
        ({"referral": "r1"}, False),
        ({"referrer": "mia"}, False),
        ({"referrer": "mia", "rewarded": True}, True),
        # Of two of one referrer the later alone: by its claim, then by its beginning, then by its id.
        ({"claimed_at": C - TICK}, True),
        ({"claimed_at": C + TICK}, False),
        ({"claimed_at": C, "began_at": R - TICK}, True),
        ({"claimed_at": C, "began_at": R + TICK}, False),
        ({"claimed_at": C, "began_at": R}, False),
        ({"claimed_at": C, "began_at": R, "referral": "r0"}, True),
        ({"claimed_at": C + TICK, "rewarded": True}, True),
        *[({"status": status}, status not in OVER) for status in S],
        ({"status": S.DENIED, "settled": True}, False),
    ],
)
def test_duplicate_is_a_second_claim_of_one_referrer_or_a_second_reward(
    change: dict[str, Any], duplicate: bool
) -> None:
    case = dossier(rivals=(replace(TWIN, **change),))
    assert bool(duplicates(case)) is duplicate
    found = not_duplicate(case)
    assert found.flags == ((Flag.DUPLICATE_CLAIM,) if duplicate else ())
    assert found.result is (Result.FAILED if duplicate else Result.PASSED)


@pytest.mark.parametrize(
    ("others", "first", "denial"),
    [
        ([], None, None),
        ([TWIN], "r2", None),
        ([replace(TWIN, claimed_at=C + TICK)], None, None),
        # Approved is not rewarded yet: the payment may still be stopped.
        ([replace(TWIN, status=S.APPROVED, rewarded=True)], "r2", None),
        ([replace(TWIN, status=S.PAYING, rewarded=True)], "r2", None),
        ([replace(TWIN, status=S.REWARDED, rewarded=True)], "r2", Reason.DUPLICATE_CLAIM),
        ([replace(TWIN, status=S.REWARDED, rewarded=True, claimed_at=C + TICK)], None, None),
        # One mailbox may be shared by tags: a person decides, now. One order is one order.
        ([replace(TWIN, order="o2", only_mailbox=True)], None, None),
        ([replace(TWIN, order="o2", only_mailbox=True, status=S.REWARDED, rewarded=True)], None, None),
        (
            [replace(TWIN, order="o1", only_mailbox=True, status=S.REWARDED, rewarded=True)],
            "r2",
            Reason.DUPLICATE_CLAIM,
        ),
        ([replace(MIA, status=S.REWARDED, rewarded=True)], None, None),
        ([replace(TWIN, status=S.EXPIRED)], None, None),
        # Who was rewarded for her beside the two is for a person to see.
        ([TWIN, replace(MIA, referral="r3", rewarded=True)], None, None),
        ([replace(TWIN, status=S.EXPIRED), replace(TWIN, referral="r3")], "r3", None),
    ],
)
def test_the_later_of_two_waits_for_the_earlier_and_closes_when_that_one_is_rewarded(
    others: list[Rival], first: str | None, denial: Reason | None
) -> None:
    case = dossier(rivals=tuple(others))
    assert waits_for(case) == first
    assert not_duplicate(case).denial is denial


def test_two_without_a_known_referrer_wait_for_nobody() -> None:
    case = dossier(rivals=(replace(TWIN, referrer=None),))
    nobody = replace(case, origin=replace(case.origin, referrer=None))
    assert duplicates(nobody) == ()


def test_request_to_move_the_attribution_is_flagged_and_moves_nothing() -> None:
    move = told("attribution.changed", "2026-07-20", referral="r1", from_referrer="dexter", to_referrer="mia")
    case = dossier(move)
    found = attribution_clear(case)
    assert (found.result, found.flags, found.facts) == (Result.FAILED, (Flag.ATTRIBUTION_CHANGED,), (move,))
    assert case.referrer == "dexter"


def test_dispute_and_move_are_both_told() -> None:
    move = told("attribution.changed", "2026-07-20", referral="r1", to_referrer="mia")
    found = attribution_clear(dossier(move, rivals=(MIA,)))
    assert found.flags == (Flag.DISPUTED_ATTRIBUTION, Flag.ATTRIBUTION_CHANGED)
    assert "mia (referral r2)" in found.sentence


def test_competitors_come_in_one_order() -> None:
    others = tuple(replace(MIA, referral=name) for name in ("r9", "r3", "r5"))
    assert [rival.referral for rival in competitors(dossier(rivals=others))] == ["r3", "r5", "r9"]


@pytest.mark.parametrize("rule", [competitors, duplicates])
def test_rivals_that_could_not_be_looked_up_are_not_taken_for_none(rule: Any) -> None:
    with pytest.raises(InputMissing):
        rule(dossier(rivals=None))


@pytest.mark.parametrize(
    ("change", "is_lost"),
    [
        ({}, False),
        ({"rewarded": True}, False),  # it is rewarded, and nobody settled a dispute with us
        ({"won": True}, False),  # what it was approved for was cancelled since
        ({"rewarded": True, "won": True}, True),
        ({"rewarded": True, "won": True, "status": S.CLAWED_BACK}, True),
    ],
)
def test_a_dispute_is_lost_to_a_rewarded_rival_whose_approval_settled_it(change: dict[str, Any], is_lost: bool) -> None:
    assert lost([replace(MIA, **change)]) is is_lost
    assert lost([MIA, replace(MIA, referral="r3", **change)]) is is_lost
