"""Whether a decision is recorded: one path for claims and money, tried on subjects that no database has seen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from referral_rewards.domain.claims.approval import Approver, DecisionKind, Requirement
from referral_rewards.domain.claims.claim import Raised, RewardClaim, assemble
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.decisions.claim_subject import NO_CLAIM, Basis, ClaimSubject
from referral_rewards.domain.decisions.decision import Asked, Decision, Kind, Made, NewDecision, subject_kind
from referral_rewards.domain.decisions.money_acts import ActSubject, MoneyAct, SubjectKind
from referral_rewards.domain.decisions.subject import Repeated, Subject, decide
from referral_rewards.domain.errors import ActRefused, DecisionRefused, NotAllowed, RequestInvalid, StaleDigest
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from tests.domain.dossiers import dossier

_K, _A, _S = DecisionKind, MoneyAct, ReferralStatus
NOW: Final = datetime(2026, 8, 1, 12, tzinfo=UTC)
CLAIM: Final = assemble(dossier())
_CLAIM_ID, _PAYOUT = UUID(int=1), UUID(int=2)
OWNER: Final = frozenset({Role.PROGRAM_OWNER})
PAULA: Final = Approver("paula", OWNER, frozenset({"customer:c-paula"}))
FIONA: Final = Approver("fiona", frozenset({Role.FINANCE}))
_EVERY_ROLE: Final = frozenset({Role.PROGRAM_OWNER, Role.OPERATIONS, Role.FINANCE})
_MOVER: Final = Approver("olga", _EVERY_ROLE)
_TOGETHER: Final = {"together": True}


def made(kind: Kind, user: str = "pat", *, seq: int = 1, digest: str = CLAIM.digest, **known: Any) -> Made:
    """A decision on record: on the claim unless another digest or ``on`` is given."""
    names = ("note", "effects", "barred", "marks")
    of_made = {name: known.pop(name) for name in names if name in known}
    on, roles = known.pop("on", _CLAIM_ID), known.pop("roles", OWNER)
    at = NOW - timedelta(hours=1)
    decision = Decision(seq, UUID(int=100 + seq), "r1", on, digest, kind, user, roles, "other", at, **known)
    return Made(decision, **{"note": "looked", **of_made})


def on_claim(*history: Made, **changed: Any) -> ClaimSubject:
    """A claim that waits for its first approval, with this history or other fields."""
    basis = Basis(CLAIM.digest, CLAIM.requirement, frozenset({"customer:c-brie"}))
    waiting = ClaimSubject("r1", _S.AWAITING_APPROVAL, False, _CLAIM_ID, CLAIM, True, False, history, basis)
    return replace(waiting, **changed)


def closed(*history: Made, **changed: Any) -> ClaimSubject:
    basis = Basis("closing", Requirement(routes=(Role.PROGRAM_OWNER,), people=1), frozenset())
    without = {"closed": True, "claim": None, "claim_id": None, "basis": basis, "status": _S.EXPIRED}
    return on_claim(*history, **{**without, **changed})


def of(subject: ClaimSubject, **changed: Any) -> ClaimSubject:
    """The subject with another basis."""
    assert subject.basis is not None
    return replace(subject, basis=replace(subject.basis, **changed))


def flagged(flag: Flag) -> RewardClaim:
    return CLAIM.model_copy(update={"flags": (Raised(flag=flag, about="x", sentence="It is so."),)})


def asked(kind: Kind, **given: Any) -> Asked:
    return Asked(
        **{"subject": "r1", "reason": "other", "note": "looked", "digest": CLAIM.digest, **given, "kind": kind}
    )


def test_a_decision_that_every_rule_admits_is_signed_over_what_was_shown() -> None:
    answer = decide(on_claim(), asked(_K.APPROVE), PAULA, None, NOW)
    assert answer == NewDecision(
        "r1", _CLAIM_ID, CLAIM.digest, _K.APPROVE, "paula", OWNER, "other", "looked", NOW, details=None
    )


def test_a_closing_without_a_claim_is_reopened_under_the_id_of_no_claim() -> None:
    answer = decide(closed(), asked(_K.REOPEN, digest="closing"), PAULA, None, NOW)
    assert isinstance(answer, NewDecision)
    assert (answer.claim_id, answer.digest) == (NO_CLAIM, "closing")


_REFUSED_CLAIMS: Final[tuple[tuple[str, ClaimSubject, Kind, dict[str, Any], Approver, str], ...]] = (
    ("somebody decided since", on_claim(made(_K.HOLD, seq=7)), _K.DENY, {"seen": 6}, PAULA, "decided_meanwhile"),
    ("open", on_claim(), _K.REOPEN, {}, PAULA, "not_closed"),
    ("paid and watched", on_claim(status=_S.REWARDED), _K.REOPEN, {}, PAULA, "not_closed"),
    ("taken back for good", closed(status=_S.CLAWED_BACK, closed=False), _K.REOPEN, {}, PAULA, "no_exchange"),
    ("rewarded", on_claim(status=_S.REWARDED), _K.DENY, {}, PAULA, "payment_committed"),
    ("paying", on_claim(status=_S.PAYING), _K.HOLD, {}, PAULA, "payment_committed"),
    ("sent", on_claim(sent=True), _K.DENY, {}, PAULA, "payment_committed"),
    ("expired", closed(), _K.APPROVE, {}, PAULA, "closed"),
    ("without a claim", on_claim(claim=None, claim_id=None), _K.APPROVE, {}, PAULA, "no_claim"),
    ("never judged", on_claim(status=None, claim=None, claim_id=None), _K.APPROVE, {}, PAULA, "no_claim"),
    ("no terms in force", on_claim(basis=None), _K.APPROVE, {}, PAULA, "not_judged"),
    ("flagged", on_claim(claim=flagged(Flag.FRAUD_SUSPECTED)), _K.APPROVE, _TOGETHER, PAULA, "flagged"),
    ("news", on_claim(judged=False), _K.APPROVE, {}, PAULA, "facts_unjudged"),
    ("nobody asked", on_claim(), _K.REASSIGN, {}, _MOVER, "no_other_referrer"),
    ("denied", on_claim(made(_K.DENY)), _K.APPROVE, {}, PAULA, "already_denied"),
    ("denied by a barred user", on_claim(made(_K.DENY, barred=True)), _K.APPROVE, {}, PAULA, "already_denied"),
    ("approved", on_claim(made(_K.APPROVE)), _K.APPROVE, {}, PAULA, "already_approved"),
    ("disputed", on_claim(claim=flagged(Flag.DISPUTE_OPEN)), _K.APPROVE, {}, PAULA, "dispute_open"),
    ("held", on_claim(made(_K.HOLD)), _K.HOLD, {}, PAULA, "already_held"),
    ("not held", on_claim(), _K.RELEASE, {}, PAULA, "not_held"),
    ("released", on_claim(made(_K.HOLD), made(_K.RELEASE, seq=2)), _K.RELEASE, {}, PAULA, "not_held"),
    (
        *("moved", of(on_claim(made(_K.REASSIGN, roles=_EVERY_ROLE)), to="dora"), _K.APPROVE, {}, PAULA),
        "already_moved",
    ),
    (
        *("reopened", closed(made(_K.REOPEN, digest="closing", on=NO_CLAIM)), _K.REOPEN, {"digest": "closing"}),
        *(PAULA, "already_reopened"),
    ),
    ("their own", of(on_claim(), parties=PAULA.marks), _K.APPROVE, {}, PAULA, "own_claim"),
    (
        *("their own once moved", of(on_claim(), to="dora", parties_of_move=frozenset({"customer:c-olga"}))),
        *(_K.REASSIGN, {}, replace(_MOVER, marks=frozenset({"customer:c-olga"})), "own_claim"),
    ),
    ("entered by hand", of(on_claim(), entered_by=frozenset({"paula"})), _K.APPROVE, {}, PAULA, "entered_by_hand"),
)


@pytest.mark.parametrize(
    ("subject", "kind", "given", "approver", "rule"),
    [each[1:] for each in _REFUSED_CLAIMS],
    ids=[each[0] for each in _REFUSED_CLAIMS],
)
def test_a_decision_on_a_claim_that_a_rule_forbids_is_refused_by_its_name(
    subject: ClaimSubject, kind: Kind, given: dict[str, Any], approver: Approver, rule: str
) -> None:
    with pytest.raises(DecisionRefused) as refused:
        decide(subject, asked(kind, **given), approver, None, NOW)
    assert refused.value.rule == rule


_FOUR_EYES: Final = CLAIM.requirement.model_copy(update={"people": 2})


@pytest.mark.parametrize(
    ("before", "approver", "forbidden"),
    [
        (made(_K.APPROVE, "paula"), PAULA, True),
        (made(_K.APPROVE, "p2", marks=PAULA.marks), PAULA, True),
        (made(_K.APPROVE, "p2", marks=frozenset({"ip:x"})), replace(PAULA, marks=frozenset({"ip:x"})), False),
        (made(_K.APPROVE, "paula", barred=True), PAULA, True),
        (made(_K.APPROVE, "pat"), PAULA, False),
        (made(_K.APPROVE, "paula", digest="before"), PAULA, False),
        (made(_K.APPROVE, "paula", on=UUID(int=9)), PAULA, False),
        (made(_K.HOLD, "paula"), PAULA, False),
    ],
    ids=[
        *("same user", "same person", "same address", "barred", "another", "another digest", "another claim", "hold"),
    ],
)
def test_the_second_signature_is_of_another_person(before: Made, approver: Approver, forbidden: bool) -> None:
    subject = of(on_claim(before), requirement=_FOUR_EYES)
    refusal = subject.admits(approver)[_K.APPROVE]
    assert (isinstance(refusal, DecisionRefused) and refusal.rule == "different_people") is forbidden
    assert forbidden or refusal is None


@pytest.mark.parametrize("known", [{"barred": True}, {"effects": frozenset({"void"})}], ids=["barred", "void"])
def test_an_approval_that_no_longer_counts_leaves_room_for_another(known: dict[str, Any]) -> None:
    assert on_claim(made(_K.APPROVE, **known)).admits(PAULA)[_K.APPROVE] is None


@pytest.mark.parametrize("kind", [_K.DENY, _K.HOLD, _K.REQUEST_EVIDENCE])
def test_what_only_keeps_money_back_need_not_wait_for_news_to_be_judged(kind: DecisionKind) -> None:
    assert on_claim(judged=False).admits(PAULA)[kind] is None


@pytest.mark.parametrize("roles", [frozenset(), frozenset({Role.ADMINISTRATOR}), frozenset({Role.FINANCE})])
def test_only_who_holds_a_role_of_the_claim_decides_on_it(roles: frozenset[Role]) -> None:
    with pytest.raises(NotAllowed):
        decide(on_claim(), asked(_K.APPROVE), Approver("ada", roles), None, NOW)


@pytest.mark.parametrize("digest", ["", "0" * 64])
def test_a_claim_that_is_not_what_was_shown_is_not_decided_on(digest: str) -> None:
    with pytest.raises(StaleDigest):
        decide(on_claim(), asked(_K.APPROVE, digest=digest), PAULA, None, NOW)


_OLD: Final = made(_K.APPROVE, "paula", digest="before", on=UUID(int=9))
_HELD_AGAIN: Final = (made(_K.HOLD, "paula"), made(_K.RELEASE, "paula", seq=2))


@pytest.mark.parametrize(
    ("subject", "kind", "given", "first"),
    [
        (on_claim(made(_K.APPROVE, "paula")), _K.APPROVE, {}, 1),
        (on_claim(_OLD), _K.APPROVE, {"digest": "before"}, 1),
        (closed(made(_K.DENY, "paula")), _K.DENY, {}, 1),
        (on_claim(made(_K.APPROVE, "paula"), status=_S.REWARDED), _K.APPROVE, {}, 1),
        (on_claim(made(_K.APPROVE, "paula", seq=7)), _K.APPROVE, {"seen": 0}, 7),
        (on_claim(made(_K.HOLD, "paula")), _K.HOLD, {}, 1),
        (on_claim(*_HELD_AGAIN), _K.RELEASE, {}, 2),
        (on_claim(*_HELD_AGAIN), _K.HOLD, {}, None),
        (on_claim(made(_K.REQUEST_EVIDENCE, "paula", on=UUID(int=9))), _K.REQUEST_EVIDENCE, {}, None),
        (on_claim(made(_K.REQUEST_EVIDENCE, "paula")), _K.REQUEST_EVIDENCE, {"note": "in other words"}, None),
        (on_claim(made(_K.REQUEST_EVIDENCE, "paula", note=None)), _K.REQUEST_EVIDENCE, {}, None),
        (on_claim(made(_K.REQUEST_EVIDENCE, "paula")), _K.REQUEST_EVIDENCE, {"reason": "identity"}, None),
        (on_claim(made(_K.REQUEST_EVIDENCE, "pat")), _K.REQUEST_EVIDENCE, {}, None),
    ],
    ids=[
        *(
            "same",
            "claim changed",
            "closed since",
            "paid since",
            "made unseen",
            "hold",
            "release",
            "hold after release",
        ),
        *("same digest of another claim", "other words", "note erased", "other reason", "other person"),
    ],
)
def test_the_same_decision_on_a_claim_again_is_the_first_one(
    subject: ClaimSubject, kind: Kind, given: dict[str, Any], first: int | None
) -> None:
    answer = decide(subject, asked(kind, **given), PAULA, None, NOW)
    assert (answer.first.seq if isinstance(answer, Repeated) else None) == first


def on_payout(*history: Made, **changed: Any) -> ActSubject:
    """A payout that its rail refused, with this history or other fields."""
    takes = frozenset({_A.RETRY_PAYOUT, _A.CANCEL_PAYOUT, _A.CONFIRM_PAYOUT, _A.SETTLE_PAYOUT})
    refused = ActSubject(
        SubjectKind.PAYOUT, _PAYOUT, "r1", "acme-friends", "USD", "now", takes, frozenset({"customer:c-brie"})
    )
    return replace(refused, history=history, **changed)


def act(kind: MoneyAct, user: str = "olga", *, digest: str = "now", **known: Any) -> Made:
    return made(kind, user, digest=digest, on=_PAYOUT, **known)


@pytest.mark.parametrize(
    ("subject", "kind", "digest", "rule"),
    [
        (on_payout(), _A.RETRY_PAYOUT, "before", "stale"),
        (on_payout(act(_A.CANCEL_PAYOUT, digest="before")), _A.RETRY_PAYOUT, "before", "decided_meanwhile"),
        (on_payout(act(_A.CANCEL_PAYOUT)), _A.RETRY_PAYOUT, "now", "decided_meanwhile"),
        (on_payout(act(_A.CANCEL_PAYOUT, effects=frozenset({"void"}))), _A.RETRY_PAYOUT, "now", None),
        (on_payout(act(_A.CANCEL_PAYOUT, barred=True)), _A.RETRY_PAYOUT, "now", None),
        (on_payout(act(_A.CONFIRM_PAYOUT), invalid=frozenset({UUID(int=101)})), _A.RETRY_PAYOUT, "now", None),
        (
            on_payout(act(_A.CONFIRM_PAYOUT), invalid=frozenset({UUID(int=9)})),
            _A.RETRY_PAYOUT,
            "now",
            "decided_meanwhile",
        ),
        (on_payout(takes=frozenset()), _A.RETRY_PAYOUT, "now", "not_now"),
        (on_payout(parties=frozenset({"customer:c-fi"})), _A.RETRY_PAYOUT, "now", "own_claim"),
        (on_payout(barred={_A.RETRY_PAYOUT: {"fiona": "did"}}), _A.RETRY_PAYOUT, "now", "different_people"),
        (
            on_payout(barred={_A.RETRY_PAYOUT: {"fi": "did"}}, marks={"fi": frozenset({"customer:c-fi"})}),
            *(_A.RETRY_PAYOUT, "now", "different_people"),
        ),
        (
            on_payout(barred={_A.RETRY_PAYOUT: {"fi": "did"}}, marks={"fi": frozenset({"ip:x"})}),
            *(_A.RETRY_PAYOUT, "now", None),
        ),
    ],
    ids=[
        *("changed", "changed by a person", "decided", "decided and void", "decided by a barred user"),
        *("confirmed by who may not", "another is invalid", "not in this state", "own", "who did the first step"),
        *("another account of theirs", "only the same address"),
    ],
)
def test_a_decision_on_money_that_a_rule_forbids_is_refused_by_its_name(
    subject: ActSubject, kind: MoneyAct, digest: str, rule: str | None
) -> None:
    fiona = replace(FIONA, marks=frozenset({"customer:c-fi", "ip:x"}))
    try:
        answer: object = decide(subject, asked(kind, subject=str(_PAYOUT), digest=digest), fiona, None, NOW)
    except ActRefused as refusal:
        answer = refusal.rule
    assert (answer if rule is not None else isinstance(answer, NewDecision)) == (rule or True)


@pytest.mark.parametrize(
    ("subject", "given", "details", "first"),
    [
        (on_payout(act(_A.SETTLE_PAYOUT, "fiona", details={"reference": "x"})), {}, {"reference": "x"}, True),
        (
            on_payout(act(_A.SETTLE_PAYOUT, "fiona", digest="before", effects=frozenset({"applied"}))),
            *({"digest": "before"}, None, True),
        ),
        (on_payout(act(_A.SETTLE_PAYOUT, "fiona", effects=frozenset({"applied"}))), {}, None, False),
    ],
    ids=["same", "carried out", "carried out and nothing changed"],
)
def test_the_same_decision_on_money_again_is_the_first_one(
    subject: ActSubject, given: dict[str, Any], details: dict[str, Any] | None, first: bool
) -> None:
    answer = decide(subject, asked(_A.SETTLE_PAYOUT, **{"digest": "now", **given}), FIONA, details, NOW)
    assert isinstance(answer, Repeated) is first


@pytest.mark.parametrize(
    ("build", "kind", "digest"), [(on_claim, _K.DENY, CLAIM.digest[:12]), (on_payout, _A.RETRY_PAYOUT, "no")]
)
def test_a_shortened_digest_is_said_to_be_one(build: Callable[[], Subject], kind: Kind, digest: str) -> None:
    approver = Approver("olga", _EVERY_ROLE)
    with pytest.raises(RequestInvalid, match="is shortened; all"):
        decide(build(), asked(kind, digest=digest), approver, None, NOW)


def test_what_concerns_no_referral_is_listed_under_its_program() -> None:
    answer = decide(on_payout(referral=None), asked(_A.CANCEL_PAYOUT, digest="now"), FIONA, None, NOW)
    assert isinstance(answer, NewDecision)
    assert answer.referral == "program acme-friends"


def test_every_kind_of_decision_has_a_kind_of_subject() -> None:
    assert {subject_kind(kind) for kind in (*DecisionKind, *MoneyAct)} == set(SubjectKind)


def test_a_move_is_never_judged_without_those_who_would_benefit_from_it() -> None:
    with pytest.raises(AssertionError):
        of(on_claim(), to="dora").admits(_MOVER)
    loaded = of(on_claim(), to="dora", parties_of_move=frozenset({"customer:c-dora"}))
    assert loaded.admits(_MOVER)[_K.REASSIGN] is None
