"""The reward claim: what it recommends, what it asks for, and a digest that changes with what a person decides on."""

import json
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from referral_rewards.domain.claims import fraud
from referral_rewards.domain.claims.claim import RewardClaim, assemble
from referral_rewards.domain.claims.digest import digest_of, dispute_digest
from referral_rewards.domain.claims.dossier import Dossier, Rival, Similarity, TaxPosition, Usage
from referral_rewards.domain.claims.findings import CheckCode, Flag, Recommendation, Result
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.inquiries import Answer, SourceAnswer
from referral_rewards.domain.referrals.lifecycle import Reason, ReferralStatus
from tests.domain.build import at, bought, claimed, enrolled, fact, rated, requested, reversed_, sent
from tests.domain.dossiers import (
    BOUGHT,
    BRIE,
    CLAIMED,
    CONFIRMED,
    ENROLLED,
    FACTS,
    SENT,
    adjustment,
    dossier,
    linked,
    terms,
    told,
)

MIA = Rival("r2", "mia", "acme-friends", "o1", ReferralStatus.CLAIMED, True, same_referee=True, core_digest="c2")
#: The other, earlier, of two referrals by which dexter referred her.
TWIN = replace(MIA, referrer="dexter", claimed_at=at("2026-06-19"), began_at=at("2026-06-05"))
SUSPENDED = told("referrer.suspended", "2026-07-20", referrer="dexter", program="acme-friends")
GOLD = {"partner": "gold-7", "percent": "15", "valid_from": "2026-01-01", "valid_until": "2027-01-01"}
PARTNERED = told("referrer.enrolled", "2026-01-05", referrer="dexter", program="acme-friends", partner="gold-7",
                 customer="c-dexter")  # fmt: skip
#: Nobody knows whose code it was.
NAMELESS = dossier(origin=replace(dossier().origin, referrer=None), referrer_marks=frozenset())
BUDGET = terms(limits={"budget": "100.00"})


def test_claim_without_a_flaw_recommends_approval() -> None:
    claim = assemble(dossier())
    assert claim.recommendation is Recommendation.APPROVE
    assert (claim.flags, claim.denial, claim.override) == ((), None, False)
    assert set(claim.results.values()) == {Result.PASSED}
    assert [(leg.role, leg.beneficiary, leg.amount_minor) for leg in claim.legs] == [
        ("referrer", "dexter", 2500),
        ("referee", "c-brie", 800),
    ]
    assert (claim.requirement.routes, claim.requirement.people) == ((Role.PROGRAM_OWNER,), 1)


@pytest.mark.parametrize(
    ("case", "flags", "recommendation"),
    [
        (dossier(bought("2026-07-11", amount="9.00", source="crm")), ["evidence_conflict"], "review"),
        (dossier(referrer_marks=CLAIMED.marks), ["self_referral"], "deny"),
        (dossier(rivals=(TWIN,)), ["duplicate_claim"], "deny"),
        (dossier(rivals=(MIA,)), ["disputed_attribution"], "review"),
        (
            dossier(told("attribution.changed", "2026-07-20", referral="r1", to_referrer="mia")),
            ["attribution_changed"],
            "review",
        ),
        (dossier(under=BUDGET, usage=Usage(budget_minor=9000)), ["cap_limited"], "review"),
        (dossier(under=BUDGET, usage=Usage(budget_minor=10_000)), ["budget_exhausted"], "review"),
        (dossier(claimed("2026-06-20", consent=None, referee=BRIE), without=[CLAIMED]), ["consent_unclear"], "review"),
        (
            dossier(told("customer.issue_opened", "2026-07-20", customer={"customer": "c-brie"}, issue="case-5")),
            ["unresolved_customer_issue"],
            "review",
        ),
        (
            dossier(under=terms(qualifying={"advocacy_permission_required": True})),
            ["public_advocacy_not_permitted"],
            "review",
        ),
        (dossier(told("conversion.dispute_opened", "2026-07-20", order="o1")), ["dispute_open"], "review"),
        (dossier(bought("2026-07-10", currency="CAD"), without=[BOUGHT]), ["currency_mismatch"], "review"),
        (dossier(revalidation=None), ["check_could_not_run"], "review"),
        (dossier(PARTNERED, without=[ENROLLED], under=terms(partners=[GOLD])), ["partner_exception"], "review"),
        (
            dossier(under=terms(fraud={"weights": {"reciprocal_referral": 50}}), reciprocal=True),
            ["fraud_suspected"],
            "review",
        ),
        (dossier(reversed_("2026-07-12", amount="20.00")), ["partial_refund"], "review"),
        (
            dossier(
                told("conversion.dispute_closed", "2026-07-20", order="o1", outcome="lost", amount="9", currency="JPY")
            ),
            ["evidence_conflict"],
            "review",
        ),
        (dossier(requested("2026-07-15")), ["manual_request"], "review"),
        (dossier(late_facts=True), ["late_fact"], "review"),
        (NAMELESS, ["unknown_referrer"], "review"),
        (linked(), ["linked_by_hand"], "review"),
        (linked(matched_elsewhere=("r9",)), ["disputed_attribution", "linked_by_hand"], "review"),
        (linked(matched_elsewhere=None), ["check_could_not_run", "linked_by_hand"], "review"),
        (dossier(adjustments=(adjustment("referee", 700),)), ["adjusted"], "review"),
        (dossier(rivals=(TWIN, MIA)), ["duplicate_claim", "disputed_attribution"], "deny"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_flag_goes_to_a_person(case: Dossier, flags: list[str], recommendation: str) -> None:
    claim = assemble(case)
    assert list(claim.flag_names) == flags
    assert claim.recommendation == recommendation
    assert claim.denial is None


def test_every_flag_can_be_raised() -> None:
    marks = next(m for m in test_flag_goes_to_a_person.pytestmark if m.name == "parametrize")  # type: ignore[attr-defined]
    assert {flag for _, flags, _ in marks.args[1] for flag in flags} == set(Flag)


@pytest.mark.parametrize(
    ("case", "denial"),
    [
        (dossier(under=terms(effective_from="2026-06-02T00:00:00Z")), Reason.PROGRAM_NOT_ACTIVE),
        (dossier(SUSPENDED), Reason.REFERRER_SUSPENDED),
        (dossier(without=[ENROLLED], referrer_marks=ENROLLED.marks), Reason.REFERRER_NOT_ENROLLED),
        (dossier(bought("2026-05-01", order="o0")), Reason.EXISTING_CUSTOMER),
        (
            dossier(
                under=terms(
                    limits={"per_referrer": {"rewards": 1, "period": "P1Y"}},
                    rewards={"referrer": {"kind": "credit", "amount": "5.00"}, "referee": None},
                ),
                usage=Usage(rewards=1),
            ),
            Reason.CAP_REACHED,
        ),
        (dossier(claimed("2026-06-20", consent=False, referee=BRIE), without=[CLAIMED]), Reason.CONSENT_WITHDRAWN),
        (dossier(SUSPENDED, bought("2026-05-01", order="o0")), Reason.REFERRER_SUSPENDED),
    ],
)
def test_denial_by_rule_carries_its_reason(case: Dossier, denial: Reason) -> None:
    claim = assemble(case)
    assert claim.denial is denial
    assert claim.recommendation is Recommendation.DENY
    assert claim.override


@pytest.mark.parametrize("case", [dossier(), dossier(SUSPENDED), replace(dossier(), rivals=None)])
def test_claim_holds_every_check_in_the_order_of_the_table(case: Dossier) -> None:
    assert [check.code for check in assemble(case).checks] == list(CheckCode)


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"rivals": None}, {CheckCode.NOT_DUPLICATE, CheckCode.ATTRIBUTION_CLEAR}),
        ({"tax": {}}, {CheckCode.TAX_CLEARED}),
        ({"revalidation": None}, {CheckCode.CONVERSION_CONFIRMED}),
        ({"referrer_marks": frozenset()}, {CheckCode.NOT_SELF_REFERRAL}),
        (
            {"usage": None, "under": BUDGET},
            {CheckCode.CAP_AVAILABLE, CheckCode.BUDGET_AVAILABLE, CheckCode.PAYEE_KNOWN, CheckCode.TAX_CLEARED},
        ),
    ],
)
def test_source_that_fails_is_no_pass_of_its_checks(changes: dict[str, Any], codes: set[CheckCode]) -> None:
    claim = assemble(dossier(**changes))
    assert {code for code, result in claim.results.items() if result is Result.COULD_NOT_RUN} == codes
    assert claim.flag_names == (Flag.CHECK_COULD_NOT_RUN,)
    assert claim.recommendation is Recommendation.REVIEW


def test_claim_that_comes_to_no_leg_says_that_there_is_nothing_to_pay() -> None:
    under = terms(rewards={"referrer": None})
    no_amount = bought("2026-07-10", amount=None, kind="account_opened")
    claim = assemble(dossier(no_amount, without=[BOUGHT], under=under))
    assert (claim.legs, claim.flags, claim.recommendation) == ((), (), Recommendation.APPROVE)
    known = next(check for check in claim.checks if check.code is CheckCode.PAYEE_KNOWN)
    assert known.sentence == "There is nothing to pay."
    assert claim.requirement.routes == (Role.PROGRAM_OWNER,)


def test_missing_tax_form_makes_a_leg_wait_and_nothing_else() -> None:
    claim = assemble(dossier(tax={"dexter": TaxPosition(10**6), "c-brie": TaxPosition()}))
    assert claim.results[CheckCode.TAX_CLEARED] is Result.FAILED
    assert claim.recommendation is Recommendation.APPROVE
    assert len(claim.legs) == 2


def test_a_missing_payment_method_makes_a_leg_wait_and_nothing_else() -> None:
    """A decision on it stays good when the method of another rail, or the same one again, is told of."""
    under = terms(rewards={"referrer": {"kind": "cash", "amount": "25.00"}})
    without = assemble(dossier(under=under))
    assert without.results[CheckCode.PAYEE_KNOWN] is Result.FAILED
    assert (without.flags, without.recommendation, without.override) == ((), Recommendation.APPROVE, False)

    def named(rail: str, day: int) -> Fact:
        return told("payee.method_set", f"2026-07-{day}", payee="dexter", rail=rail, reference="acct_1")

    other = assemble(dossier(named("paypal_payouts", 11), under=under))
    assert other.digest == without.digest
    once = assemble(dossier(named("stripe_transfer", 11), under=under))
    again = assemble(dossier(named("stripe_transfer", 11), named("stripe_transfer", 12), under=under))
    assert once.results[CheckCode.PAYEE_KNOWN] is Result.PASSED
    assert once.digest == again.digest
    # Where the money goes is part of what a person decides on.
    assert once.digest != without.digest


@pytest.mark.parametrize("kind", ["gift_card", "discount", "credit"])
def test_a_reward_that_needs_no_method_is_recommended_without_a_flag(kind: str) -> None:
    known = frozenset({"email:e1"})
    claim = assemble(
        dossier(under=terms(rewards={"referrer": {"kind": kind, "amount": "25.00"}}), referrer_marks=known)
    )
    assert (claim.flags, claim.recommendation) == ((), Recommendation.APPROVE)
    assert set(claim.results.values()) == {Result.PASSED}


def test_manual_request_without_an_order_goes_to_a_person() -> None:
    claim = assemble(dossier(requested("2026-07-15", order=None, referee=BRIE), without=[SENT, CLAIMED, BOUGHT]))
    assert claim.recommendation is Recommendation.REVIEW
    assert set(claim.flag_names) >= {Flag.MANUAL_REQUEST, Flag.CHECK_COULD_NOT_RUN}
    assert {leg.role: leg.amount_minor for leg in claim.legs} == {"referrer": 2500}


@pytest.mark.parametrize(
    ("changes", "override", "people"),
    [
        ({}, False, 1),
        ({"rivals": (MIA,)}, False, 1),
        ({"rivals": (TWIN,)}, True, 2),
        ({"referrer_marks": CLAIMED.marks}, True, 2),
    ],
)
def test_override_takes_two_people(changes: dict[str, Any], override: bool, people: int) -> None:
    claim = assemble(dossier(**changes))
    assert (claim.override, claim.requirement.people) == (override, people)


def test_approving_a_reopened_denial_is_an_override() -> None:
    claim = assemble(dossier(), reopened=True)
    assert claim.recommendation is Recommendation.APPROVE
    assert (claim.override, claim.requirement.people) == (True, 2)
    assert claim.digest != assemble(dossier()).digest


@pytest.mark.parametrize(
    "case",
    [
        dossier(),
        dossier(SUSPENDED, rivals=(MIA, TWIN), revalidation=None),
        dossier(under=terms(fraud={"weights": {"similar_email": 60, "unheard_of": 1}})),
    ],
)
def test_claim_survives_json(case: Dossier) -> None:
    claim = assemble(case)
    assert RewardClaim.model_validate_json(claim.model_dump_json()) == claim


def test_claim_holds_nothing_personal() -> None:
    person = {"email": "brie@example.com", "phone": "+16475550100", "name": "Brie Cheese", "ip": "203.0.113.9",
              "address": "1 Elm Street", "customer": "c-brie"}  # fmt: skip
    secret = ("brie@", "dexter@", "+1647", "Cheese", "203.0.113", "Elm")
    invitation = fact("referral.sent", "2026-06-01", {**SENT.data, "referee": person})
    invited = replace(
        invitation, event_id="to brie@example.com"
    )  # intake refuses such an id, a claim does not rely on it
    issue = told("customer.issue_opened", "2026-07-20", customer=person, issue="case-5")
    method = told("payee.method_set", "2026-07-20", payee="dexter", rail="stripe_transfer", reference="dexter@x.com")
    under = terms(
        rewards={"referrer": {"kind": "cash", "amount": "25.00"}},
        fraud={"threshold": 1, "weights": dict.fromkeys(fraud.SIGNALS, 5)},
    )
    case = dossier(invited, claimed("2026-06-20", referee=person), issue, method, without=[SENT, CLAIMED], under=under)
    dump = assemble(replace(case, referrer_marks=case.referee_marks, rivals=(MIA,))).model_dump_json()
    assert [part for part in secret if part in dump] == []
    assert f"method:{method.id}" in dump


def test_evidence_names_each_fact_once_and_checks_cite_it() -> None:
    claim = assemble(dossier())
    cited = {name for check in claim.checks for name in check.evidence}
    assert [each.id for each in claim.evidence] == [str(each.id) for each in FACTS]
    assert cited == {each.id for each in claim.evidence}
    assert [each.content_hash for each in claim.evidence] == [each.digest for each in FACTS]


def test_order_of_arrival_changes_nothing() -> None:
    expected = assemble(dossier())
    for order in permutations(FACTS):
        assert assemble(replace(dossier(), facts=order)) == expected


FRAUD = terms(fraud={"threshold": 90, "weights": {"reciprocal_referral": 30, "similar_email": 20}})
LIMITED = terms(limits={"per_referrer": {"rewards": 9, "amount": "900.00", "period": "P1Y"}, "budget": "9000.00"})


@pytest.mark.parametrize(
    ("base", "again"),
    [
        (dossier(), dossier(now=at("2026-09-01"))),
        (dossier(under=FRAUD), dossier(under=FRAUD, reciprocal=True)),
        (dossier(under=FRAUD), dossier(under=FRAUD, personal=Similarity("dexter@x.com", "dexter@y.com"))),
        (dossier(under=LIMITED), dossier(under=LIMITED, usage=Usage(2, 50_000, 800_000))),
        (dossier(), dossier(tax={"dexter": TaxPosition(10**6), "c-brie": TaxPosition(1)})),
        (dossier(), dossier(tax={})),
        (dossier(), dossier(approved_rewards=3)),
        (dossier(), dossier(rated("2026-07-20"))),
        (dossier(), dossier(told("conversion.amended", "2026-07-20", order="o1", amount="80.00"))),
        (dossier(), dossier(told("payee.tax_form_filed", "2026-07-20", payee="dexter", form="W-9"))),
        (dossier(), dossier(revalidation=replace(CONFIRMED, sentence="it stands, read at noon"))),
        (dossier(), dossier(rivals=(replace(MIA, timely_claim=False),))),
        (dossier(), dossier(manual_entry_by=frozenset({"ann"}))),
        (dossier(rivals=(MIA,)), dossier(rivals=(replace(MIA, status=ReferralStatus.IN_REVIEW),))),
        (dossier(rivals=(MIA,)), dossier(rivals=(replace(MIA, status=ReferralStatus.DENIED, settled=True),))),
    ],
    ids=["time", "score", "email score", "remaining caps", "tax state", "tax unknown", "tier not reached",
         "satisfaction", "the same amount again", "tax form",
         "the source's words", "a claim too late", "who entered it", "a rival's status",
         "a settled dispute"],
)  # fmt: skip
def test_digest_stays_where_a_person_would_not_be_asked_again(base: Dossier, again: Dossier) -> None:
    assert assemble(again).digest == assemble(base).digest


CASH = terms(rewards={"referrer": {"kind": "cash", "amount": "25.00"}})


def method(reference: str, time: str = "2026-07-20") -> Any:
    return told("payee.method_set", time, payee="dexter", rail="stripe_transfer", reference=reference)


@pytest.mark.parametrize(
    ("base", "other"),
    [
        (dossier(), dossier(told("conversion.amended", "2026-07-20", order="o1", amount="90.00"))),
        (dossier(), dossier(referral="r9")),
        (dossier(), dossier(version=2)),
        (dossier(), dossier(bought("2026-07-10T12:00:00.1", source="crm"))),
        (dossier(), dossier(revalidation=SourceAnswer(Answer.CONTRADICTED, "no", "stripe"))),
        (dossier(), dossier(rivals=(TWIN,))),
        # Somebody has to decide on the one, nobody on the other.
        (dossier(rivals=(TWIN,)), dossier(rivals=(TWIN, replace(MIA, referral="r3", rewarded=True)))),
        (dossier(), dossier(late_facts=True)),
        (dossier(), dossier(under=terms(rewards={"referrer": {"kind": "credit", "amount": "25.01"}}))),
        (dossier(), dossier(under=terms(rewards={"referrer": {"kind": "gift_card", "amount": "25.00"}}))),
        (dossier(), dossier(under=terms(payouts={"rails": {**CASH.payouts.rails, "credit": "manual"}}))),
        (dossier(), dossier(claimed("2026-06-19", referee={**BRIE, "customer": "c-other"}))),
        (dossier(method("acct_1"), under=CASH), dossier(method("acct_2"), under=CASH)),
        (dossier(), dossier(under=terms(approval={"routes": {**CASH.approval.routes, "credit": ["finance"]}}))),
        (dossier(), dossier(under=terms(approval={"four_eyes_from": "33.00"}))),
        (dossier(), dossier(rivals=(MIA,))),
        (dossier(rivals=(MIA,)), dossier(rivals=(replace(MIA, core_digest="c3"),))),
        (dossier(rivals=(MIA,)), dossier(rivals=(replace(MIA, core_digest=None),))),
        (dossier(rivals=(MIA,)), dossier(rivals=(MIA, replace(MIA, referral="r3")))),
        (dossier(), dossier(requested("2026-07-15"))),
        (dossier(under=FRAUD), dossier(under=FRAUD, personal=None)),
    ],
    ids=["another amount", "referral", "terms version", "facts judged", "check result", "duplicate",
         "rewarded duplicate", "flag",
         "amount", "kind", "rail", "beneficiary", "destination", "routes", "people", "competing claim",
         "competing claim changed", "competing claim not assembled", "another competing claim", "request",
         "signal that could not run"],
)  # fmt: skip
def test_digest_changes_with_what_a_person_decides_on(base: Dossier, other: Dossier) -> None:
    assert assemble(base).digest != assemble(other).digest


def test_core_digest_knows_nothing_of_competing_claims() -> None:
    alone, disputed = assemble(dossier()), assemble(dossier(rivals=(MIA,)))
    assert alone.core_digest == alone.digest == disputed.core_digest != disputed.digest


def test_claims_of_one_dispute_have_one_digest() -> None:
    mine = assemble(dossier())
    invited = sent("2026-06-02", referral="r2", referrer="mia")
    hers_alone = dossier(
        enrolled("2026-01-05", referrer="mia", code=None), invited, without=[ENROLLED, SENT], referral="r2"
    )
    hers = assemble(hers_alone)
    assert mine.core_digest != hers.core_digest
    rival = replace(MIA, core_digest=hers.core_digest)
    me = Rival("r1", "dexter", "acme-friends", "o1", ReferralStatus.CLAIMED, True, core_digest=mine.core_digest)
    assert assemble(dossier(rivals=(rival,))).digest == assemble(replace(hers_alone, rivals=(me,))).digest


def test_dispute_digest_does_not_depend_on_the_order_of_claims() -> None:
    one, other = replace(MIA, core_digest="c1"), replace(MIA, referral="r3", core_digest="c2")
    assert dispute_digest("c0", (one, other)) == dispute_digest("c0", (other, one))
    assert dispute_digest("c0", ()) == "c0"


def test_digest_is_of_the_canonical_form() -> None:
    assert digest_of({"b": 1, "a": ["é"]}) == digest_of(json.loads('{"a":["é"],"b":1}'))
    assert digest_of({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"


@pytest.mark.parametrize("content", [{"a": 1.5}, {"a": [{"b": 0.0}]}])
def test_float_never_enters_a_digest(content: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="float"):
        digest_of(content)


def test_what_an_outside_source_answered_is_evidence_and_no_part_of_the_digest() -> None:
    said = SourceAnswer(Answer.CONFIRMED, "It knows order o1.", "shop", content_hash="ab" * 32)
    claim, again = (assemble(dossier(revalidation=replace(said, content_hash=h))) for h in ("ab" * 32, "cd" * 32))
    cited = next(each for each in claim.evidence if each.source == "shop")
    confirmed = next(check for check in claim.checks if check.code == "conversion_confirmed")
    assert (cited.reference, cited.content_hash) == ("order o1", "ab" * 32)
    assert cited.id in confirmed.evidence
    assert claim.digest == again.digest
