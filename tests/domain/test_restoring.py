"""What restores counts only from whoever may tell what it undoes (SPEC §3), in whatever order the facts arrived."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any, Final

import pytest

from referral_rewards.domain.claims import eligibility
from referral_rewards.domain.claims.findings import CheckCode, Flag, Result
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.facts.restoring import standing
from referral_rewards.domain.facts.rights import Rights, Teller, rights
from referral_rewards.domain.referrals.consent_and_issues import doubts, latest_consent, open_issues, suspensions
from referral_rewards.domain.referrals.conversions import Conversion, conversions
from referral_rewards.domain.referrals.disputes import DisputeState
from tests.domain.build import BRIE, MARKER, acme, bought, fact
from tests.domain.dossiers import dossier

TERMS: Final = acme()
SHOP: Final = rights(["shop"], ["conversion.*"])
#: May tell that something failed or ended, but not what took it.
NARROW: Final = rights(["shop"], ["conversion.recorded", "conversion.reversal_failed", "conversion.dispute_closed"])
OTHERS: Final = rights(["bank"], ["*"])
BOTH: Final = rights(["bank", "shop"], ["conversion.*"])


def told(type_: str, day: int, may: Rights, source: str = "shop", **data: Any) -> Fact:
    found = fact(type_, f"2026-07-{day:02}", {"order": "o1", **data}, source=source)
    return replace(found, teller=Teller("somebody", None, may))


def order(*facts: Fact) -> Conversion:
    """The order by these facts, which read the same however they arrived."""
    record = replace(bought("2026-07-01", source="shop"), teller=Teller("shop", None, SHOP))
    identity = frozenset(MARKER.marks(BRIE))
    found = [conversions([record, *arrived], identity, TERMS)[0] for arrived in permutations(facts)]
    assert all((each.net_minor, each.conflicts) == (found[0].net_minor, found[0].conflicts) for each in found)
    return found[0]


def reversed_(source: str = "shop", may: Rights = SHOP, **data: Any) -> Fact:
    return told("conversion.reversed", 5, may, source, **{"kind": "refund", "amount": "30.00", "reversal": "x1"} | data)


REVERSALS: Final = (
    ("by who may tell it", [reversed_(), told("conversion.reversal_failed", 6, SHOP, reversal="x1")], 8000, False),
    ("by who may not", [reversed_(), told("conversion.reversal_failed", 6, NARROW, reversal="x1")], 5000, True),
    ("before its reversal", [reversed_(), told("conversion.reversal_failed", 4, NARROW, reversal="x1")], 5000, True),
    (
        "first by who may not",
        [
            reversed_(),
            told("conversion.reversal_failed", 6, NARROW, reversal="x1"),
            told("conversion.reversal_failed", 7, SHOP, reversal="x1"),
        ],
        8000,
        False,
    ),
    (
        "one of two sources by who may not",
        [
            reversed_(),
            reversed_("bank", OTHERS),
            told("conversion.reversal_failed", 6, SHOP, reversal="x1"),
            told(
                "conversion.reversal_failed", 6, rights(["bank"], ["conversion.reversal_failed"]), "bank", reversal="x1"
            ),
        ],
        5000,
        True,
    ),
    ("of a reversal that nobody told", [told("conversion.reversal_failed", 6, NARROW, reversal="x1")], 8000, False),
)


@pytest.mark.parametrize(
    ("facts", "net_minor", "conflict"), [case[1:] for case in REVERSALS], ids=[c[0] for c in REVERSALS]
)
def test_a_failed_reversal_counts_from_whoever_may_tell_reversals(
    facts: Sequence[Fact], net_minor: int, conflict: bool
) -> None:
    found = order(*facts)
    assert (found.net_minor, bool(found.conflicts)) == (net_minor, conflict)


def amended(day: int, amount: str, may: Rights, source: str = "shop") -> Fact:
    return told("conversion.amended", day, may, source, amount=amount)


AMENDMENTS: Final = (
    ("up by who may tell the record", [amended(3, "90.00", SHOP)], 9000, False),
    ("up by who may not", [amended(3, "90.00", OTHERS, "bank")], 8000, True),
    ("down by who may not", [amended(3, "10.00", OTHERS, "bank")], 1000, False),
    ("to the same by who may not", [amended(3, "80.00", OTHERS, "bank")], 8000, False),
    ("down by another, up by the first", [amended(3, "10.00", OTHERS, "bank"), amended(4, "80.00", SHOP)], 1000, True),
    ("down by another, up by both's", [amended(3, "10.00", OTHERS, "bank"), amended(4, "80.00", BOTH)], 8000, False),
    (
        "up by who may not, then down by who may",
        [amended(3, "90.00", OTHERS, "bank"), amended(4, "70.00", SHOP)],
        7000,
        False,
    ),
    ("before the record by who may not", [amended(1, "90.00", OTHERS, "bank")], 8000, True),
)


@pytest.mark.parametrize(
    ("facts", "net_minor", "conflict"), [case[1:] for case in AMENDMENTS], ids=[case[0] for case in AMENDMENTS]
)
def test_a_higher_amount_counts_from_whoever_may_tell_the_one_it_replaces(
    facts: Sequence[Fact], net_minor: int, conflict: bool
) -> None:
    found = order(*facts)
    assert (found.net_minor, bool(found.conflicts)) == (net_minor, conflict)


def opened(may: Rights = SHOP, source: str = "shop", day: int = 5, **data: Any) -> Fact:
    return told("conversion.dispute_opened", day, may, source, amount="30.00", **data)


def closed(outcome: str, may: Rights, source: str = "shop", day: int = 8, **data: Any) -> Fact:
    return told("conversion.dispute_closed", day, may, source, outcome=outcome, **data)


_OPEN, _OVER, _TAKEN = DisputeState.OPEN, DisputeState.NOTHING_TAKEN, DisputeState.TAKEN
DISPUTES: Final = (
    ("won, by who may open one", [opened(), closed("won", SHOP)], [_OVER], False),
    ("won, by who may not", [opened(), closed("won", NARROW)], [_OPEN], True),
    (
        "an inquiry, by who may not",
        [opened(dispute="d1"), closed("inquiry_closed", OTHERS, "bank", dispute="d1")],
        [_OPEN],
        True,
    ),
    ("lost, by who may not open one", [opened(), closed("lost", NARROW)], [_TAKEN], False),
    (
        "closed before it is dated, by who may not",
        [opened(dispute="d1"), closed("won", NARROW, day=4, dispute="d1")],
        [_OPEN],
        True,
    ),
    (
        "first by who may not, then by who may",
        [opened(), closed("won", NARROW), closed("won", SHOP, day=9)],
        [_OVER],
        False,
    ),
    ("won by who may not, then lost", [opened(), closed("won", NARROW), closed("lost", SHOP, day=9)], [_TAKEN], True),
    (
        "two, the first won by who may not, one by who may",
        [opened(), opened(day=6), closed("won", NARROW), closed("won", SHOP, day=9)],
        [_OVER, _OPEN],
        False,
    ),
    (
        "opened by two, won by who may tell one",
        [opened(dispute="d1"), opened(OTHERS, "bank", dispute="d1"), closed("won", SHOP, dispute="d1")],
        [_OPEN],
        True,
    ),
)


@pytest.mark.parametrize(("facts", "states", "conflict"), [case[1:] for case in DISPUTES], ids=[c[0] for c in DISPUTES])
def test_a_dispute_ends_well_only_by_whoever_may_tell_that_it_was_opened(
    facts: Sequence[Fact], states: Sequence[DisputeState], conflict: bool
) -> None:
    found = order(*facts)
    assert [each.state for each in found.disputes] == states
    assert any("may not tell" in sentence for sentence in found.conflicts) is conflict


CRM: Final = rights(["crm"], ["customer.*", "consent.*", "referrer.*"])
HELP: Final = rights(["help"], ["customer.*", "consent.*", "referrer.*"])
BOTH_DESKS: Final = rights(["crm", "help"], ["*"])
#: What takes, what restores, and their data.
PAIRS: Final = (
    (FactType.REFERRER_SUSPENDED, FactType.REFERRER_REINSTATED, {"referrer": "dexter", "program": "acme-friends"}),
    (FactType.ISSUE_OPENED, FactType.ISSUE_RESOLVED, {"customer": BRIE, "issue": "i1"}),
    (FactType.CONSENT_WITHDRAWN, FactType.CONSENT_GRANTED, {"person": BRIE, "scope": "contact"}),
)
#: By day: what takes (True) or restores, of which source, by whom; then what stands, and what is doubted.
COURSES: Final = (
    ("restored by the same", [(1, True, "crm", CRM), (2, False, "crm", CRM)], 0, 0),
    ("restored by another", [(1, True, "crm", CRM), (2, False, "help", HELP)], 1, 1),
    ("restored by another who may tell both", [(1, True, "crm", CRM), (2, False, "help", BOTH_DESKS)], 0, 0),
    ("restored at the same instant", [(1, True, "crm", CRM), (1, False, "crm", CRM)], 1, 0),
    ("restored before", [(2, True, "crm", CRM), (1, False, "help", HELP)], 1, 0),
    ("taken by two, restored by one", [(1, True, "crm", CRM), (2, True, "help", HELP), (3, False, "crm", CRM)], 1, 1),
    (
        "taken by two, restored by both",
        [(1, True, "crm", CRM), (2, True, "help", HELP), (3, False, "crm", CRM), (4, False, "help", HELP)],
        0,
        0,
    ),
    (
        "restored by another, then by the same",
        [(1, True, "crm", CRM), (2, False, "help", HELP), (3, False, "crm", CRM)],
        0,
        0,
    ),
    ("only restored", [(1, False, "help", HELP)], 0, 0),
)


@pytest.mark.parametrize("pair", PAIRS, ids=[str(pair[1]) for pair in PAIRS])
@pytest.mark.parametrize(("course", "stand", "doubted"), [case[1:] for case in COURSES], ids=[c[0] for c in COURSES])
def test_what_was_taken_from_a_person_stands_until_whoever_may_tell_it_restores_it(
    pair: tuple[FactType, FactType, dict[str, Any]],
    course: Sequence[tuple[int, bool, str, Rights]],
    stand: int,
    doubted: int,
) -> None:
    takes, restores, data = pair
    facts = [
        replace(
            fact(takes if taking else restores, f"2026-07-{day:02}", data, source=source),
            teller=Teller("somebody", None, may),
        )
        for day, taking, source, may in course
    ]
    for arrived in permutations(facts):
        found = standing(arrived, lambda each: each.type is takes)
        assert (len(found.taking), len(found.doubts)) == (stand, doubted)
    readers = {
        FactType.REFERRER_SUSPENDED: lambda: bool(suspensions(facts).taking),
        FactType.ISSUE_OPENED: lambda: bool(open_issues(facts)),
        FactType.CONSENT_WITHDRAWN: lambda: (latest_consent(facts, "contact") or (None, True))[1] is False,
    }
    assert readers[takes]() is bool(stand)
    if takes is not FactType.REFERRER_SUSPENDED:
        assert len(doubts(facts, ["contact"])) == doubted


def test_what_was_lifted_by_who_may_not_stands_and_raises_a_conflict() -> None:
    about = {"referrer": "dexter", "program": "acme-friends"}
    suspended = replace(fact("referrer.suspended", "2026-07-01", about, source="crm"), teller=Teller("c", None, CRM))
    lifted = fact("referrer.reinstated", "2026-07-02", about, source="help")
    for teller, conflict in ((Teller("h", None, HELP), True), (Teller("a", None, BOTH_DESKS), False)):
        case = dossier(suspended, replace(lifted, teller=teller))
        agrees = eligibility.judge(CheckCode.EVIDENCE_AGREES, case)
        assert (Flag.EVIDENCE_CONFLICT in agrees.flags) is conflict
        assert (eligibility.judge(CheckCode.REFERRER_ACTIVE, case).result is Result.FAILED) is conflict
