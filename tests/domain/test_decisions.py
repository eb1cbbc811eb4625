"""Whether a decision is recorded: one path for claims and money, tried on subjects that no database has seen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest

from referral_rewards.domain.claims.approval import REASON_CODES, Approver, DecisionKind, Requirement
from referral_rewards.domain.claims.claim import Raised, RewardClaim, assemble
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.decisions.basis import Basis
from referral_rewards.domain.decisions.claim_on_record import NO_CLAIM
from referral_rewards.domain.decisions.claim_subject import ClaimSubject, check_asked
from referral_rewards.domain.decisions.decision import Asked, Decision, Kind, Made, NewDecision, subject_kind
from referral_rewards.domain.decisions.money_acts import ActSubject, MoneyAct, SubjectKind
from referral_rewards.domain.decisions.moving import Candidate, OrderFound
from referral_rewards.domain.decisions.subject import Repeated, Subject, decide
from referral_rewards.domain.errors import (
    ActRefused,
    BadInput,
    DecisionRefused,
    NotAllowed,
    RequestInvalid,
    StaleDigest,
)
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from tests.domain.dossiers import dossier, terms

_K, _A, _S = DecisionKind, MoneyAct, ReferralStatus
NOW: Final = datetime(2026, 8, 1, 12, tzinfo=UTC)
CLAIM: Final = assemble(dossier())
#: Claims of programs and people of which something is missing.
ONE_SIDED: Final = dossier(under=terms(rewards={"referrer": {"kind": "credit", "amount": "25.00"}, "referee": None}))
UNKNOWN: Final = dossier(origin=replace(dossier().origin, referrer=None))
_NOBODY_S = CLAIM.legs[1].model_copy(update={"beneficiary": None})
NOBODY_S: Final = CLAIM.model_copy(update={"legs": (CLAIM.legs[0], _NOBODY_S)})
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


OLGA: Final = frozenset({"customer:c-olga"})


def by_two(kind: Kind, **details: Any) -> tuple[Made, Made]:
    """Decisions of two people who together have every role."""
    olga, oscar = (
        made(kind, user, seq=seq, roles=_EVERY_ROLE, details=details) for seq, user in enumerate(("olga", "oscar"), 1)
    )
    return olga, oscar


def disputed(*history: Made) -> ClaimSubject:
    """A claim of which another referrer's claim is a rival."""
    return of(on_claim(*history, claim=flagged(Flag.DISPUTED_ATTRIBUTION)), referrer="dexter")


_REFUSED_CLAIMS: Final[tuple[tuple[str, ClaimSubject, Kind, dict[str, Any], Approver, str], ...]] = (
    ("somebody decided since", on_claim(made(_K.HOLD, seq=7)), _K.DENY, {"seen": 6}, PAULA, "decided_meanwhile"),
    ("open", on_claim(), _K.REOPEN, {}, PAULA, "not_closed"),
    ("paid and watched", on_claim(status=_S.REWARDED), _K.REOPEN, {}, PAULA, "not_closed"),
    ("taken back for good", closed(status=_S.CLAWED_BACK, closed=False), _K.REOPEN, {}, PAULA, "no_exchange"),
    ("rewarded", on_claim(status=_S.REWARDED, sent=True), _K.DENY, {}, PAULA, "payment_committed"),
    ("paying", on_claim(status=_S.PAYING, sent=True), _K.HOLD, {}, PAULA, "payment_committed"),
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
        *("moved", on_claim(*by_two(_K.REASSIGN, referrer="dora")), _K.APPROVE, {}, PAULA),
        "already_moved",
    ),
    (
        *("reopened", closed(made(_K.REOPEN, digest="closing", on=NO_CLAIM)), _K.REOPEN, {"digest": "closing"}),
        *(PAULA, "already_reopened"),
    ),
    ("their own", of(on_claim(), parties=PAULA.marks), _K.APPROVE, {}, PAULA, "own_claim"),
    (
        *("their own once moved", of(disputed(), candidate=Candidate("dora", True, OLGA)), _K.REASSIGN),
        *({"referrer": "dora"}, replace(_MOVER, marks=OLGA), "own_claim"),
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


@pytest.mark.parametrize("kind", [_K.DENY, _K.HOLD])
@pytest.mark.parametrize("status", [_S.PAYING, _S.REWARDED])
def test_while_no_payment_counts_a_claim_is_decided_on_as_before_the_first(status: ReferralStatus, kind: Kind) -> None:
    assert decide(on_claim(status=status, sent=False), asked(kind), PAULA, None, NOW)
    with pytest.raises(DecisionRefused) as refused:
        decide(on_claim(status=_S.CLAWED_BACK, sent=False), asked(kind), PAULA, None, NOW)
    assert refused.value.rule == "payment_committed"


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


def test_a_move_is_never_recorded_without_knowing_to_whom_it_leads() -> None:
    wanted = asked(_K.REASSIGN, referrer="dora")
    with pytest.raises(AssertionError):
        decide(disputed(), wanted, _MOVER, {"referrer": "dora"}, NOW)
    answer = decide(of(disputed(), candidate=DORA), wanted, _MOVER, {"referrer": "dora"}, NOW)
    assert isinstance(answer, NewDecision)
    assert answer.details == {"referrer": "dora"}


DORA: Final = Candidate("dora", True, frozenset({"customer:c-dora"}))
ORDER: Final = OrderFound(OrderName("o9"), True, False, frozenset({"customer:c-buyer"}))


@pytest.mark.parametrize(
    ("subject", "given", "rule"),
    [
        (of(disputed(), candidate=DORA), {}, None),
        (of(disputed(), candidate=replace(DORA, enrolled=False)), {}, "not_enrolled"),
        (of(disputed(), candidate=replace(DORA, referrer="dexter")), {"referrer": "dexter"}, "same_referrer"),
        (of(disputed(by_two(_K.REASSIGN, referrer="dora")[0]), candidate=DORA), {}, "different_people"),
        (of(disputed(by_two(_K.REASSIGN, referrer="mia")[0]), candidate=DORA), {}, None),
        (of(disputed(*by_two(_K.REASSIGN, referrer="mia")), candidate=DORA), {}, "already_moved"),
        (of(on_claim(), candidate=DORA), {}, "no_other_referrer"),
    ],
    ids=["allowed", "enrolled later", "theirs", "signed", "signed another", "moved", "undisputed"],
)
def test_whom_a_claim_may_be_moved_to(subject: ClaimSubject, given: dict[str, str], rule: str | None) -> None:
    wanted = {"referrer": "dora", **given}
    assert _rule(subject, asked(_K.REASSIGN, note="in other words", **wanted), wanted) == rule


@pytest.mark.parametrize(
    ("subject", "rule"),
    [
        (of(on_claim(), order=ORDER), None),
        (of(on_claim(claim=None, claim_id=None, status=_S.CLAIMED), order=ORDER), None),
        (of(on_claim(), order=replace(ORDER, known=False)), "order_unknown"),
        (of(on_claim(), order=replace(ORDER, heard=True)), "order_heard"),
        (of(on_claim(), order=replace(ORDER, marks=OLGA)), "own_claim"),
        (of(on_claim(by_two(_K.LINK, order="o9")[0]), order=ORDER), "different_people"),
        (of(on_claim(by_two(_K.LINK, order="o8")[0]), order=ORDER), None),
        (of(on_claim(*by_two(_K.LINK, order="o9")), order=ORDER), "already_linked"),
        (of(on_claim(status=_S.PAYING, sent=True), order=ORDER), "payment_committed"),
        (of(on_claim(sent=True), order=ORDER), "payment_committed"),
        (of(on_claim(status=None), order=ORDER), "no_claim"),
    ],
    ids=[
        *("a claim", "no claim", "unknown", "heard", "own purchase", "signed", "signed another", "linked"),
        *("paying", "sent", "never judged"),
    ],
)
def test_which_order_may_be_linked(subject: ClaimSubject, rule: str | None) -> None:
    wanted = {"order": "o9"}
    mover = replace(_MOVER, marks=OLGA)
    assert _rule(subject, asked(_K.LINK, note="in other words", **wanted), wanted, mover) == rule


def test_an_order_is_linked_to_a_closed_referral_under_its_closing() -> None:
    answer = decide(
        of(closed(), order=ORDER), asked(_K.LINK, digest="closing", order="o9"), _MOVER, {"order": "o9"}, NOW
    )
    assert isinstance(answer, NewDecision)
    assert (answer.claim_id, answer.digest) == (NO_CLAIM, "closing")


@pytest.mark.parametrize(
    ("subject", "given", "rule"),
    [
        (on_claim(), {"leg": "referee", "amount_minor": 700}, None),
        (on_claim(), {"leg": "referee", "amount_minor": 4000}, None),
        (on_claim(), {"leg": "referee", "amount_minor": 4001}, "too_much"),
        (on_claim(), {"leg": "referrer", "amount_minor": 999_900}, None),
        (on_claim(), {"leg": "referee", "amount_minor": 800}, "unchanged"),
        (on_claim(), {"leg": "referrer", "leave_out": True}, None),
        (on_claim(claim=assemble(ONE_SIDED)), {"leg": "referee", "leave_out": True}, "not_promised"),
        (on_claim(claim=assemble(ONE_SIDED)), {"leg": "referrer", "leave_out": True}, "nothing_left"),
        (on_claim(made(_K.HOLD)), {"leg": "referee", "leave_out": True}, "on_hold"),
        (on_claim(made(_K.DENY)), {"leg": "referee", "leave_out": True}, "already_denied"),
        (on_claim(made(_K.APPROVE)), {"leg": "referee", "leave_out": True}, None),
        (on_claim(made(_K.ADJUST)), {"leg": "referee", "leave_out": True}, "already_adjusted"),
        (on_claim(made(_K.ADJUST, barred=True)), {"leg": "referee", "leave_out": True}, None),
        (on_claim(*by_two(_K.REASSIGN, referrer="dora")), {"leg": "referee", "leave_out": True}, "already_moved"),
        (on_claim(sent=True), {"leg": "referee", "leave_out": True}, "payment_committed"),
        (closed(), {"leg": "referee", "leave_out": True}, "closed"),
    ],
)
def test_which_leg_may_be_adjusted_and_how_far(subject: ClaimSubject, given: dict[str, Any], rule: str | None) -> None:
    if subject.claim is not None:
        subject = of(subject, digest=subject.claim.digest)
        given = {**given, "digest": subject.digest}
    wanted = asked(_K.ADJUST, **given)
    assert _rule(subject, wanted, check_asked(wanted), Approver("fred", frozenset({Role.FINANCE}))) == rule


def test_an_adjustment_signs_the_calculation_that_it_replaces() -> None:
    wanted = asked(_K.ADJUST, leg="referrer", leave_out=True)
    answer = decide(on_claim(), wanted, PAULA, check_asked(wanted), NOW)
    assert isinstance(answer, NewDecision)
    assert answer.details == {"leg": "referrer", "amount_minor": 0, "calculated": CLAIM.core_digest}


@pytest.mark.parametrize("by", [{"user": "paula"}, {"user": "p2", "marks": PAULA.marks}], ids=["user", "person"])
def test_whoever_adjusted_a_claim_does_not_approve_it(by: dict[str, Any]) -> None:
    adjusted = made(_K.ADJUST, on=UUID(int=9), digest="before", **by)
    requirement = CLAIM.requirement.model_copy(update={"excluded": (by["user"],)})
    refusal = of(on_claim(adjusted), requirement=requirement).admits(PAULA)[_K.APPROVE]
    assert isinstance(refusal, DecisionRefused)
    assert refusal.rule == "different_people"


@pytest.mark.parametrize(
    ("claim", "rule", "pointer"),
    [
        (CLAIM.model_copy(update={"legs": ()}), "nothing_to_pay", "adjust it to set an amount, or deny it"),
        (assemble(UNKNOWN), "no_beneficiary", "reassign the claim to name one, or adjust it to leave"),
        (NOBODY_S, "no_beneficiary", "wait for a fact that names one, or adjust it to leave"),
    ],
    ids=["no leg", "no referrer", "no customer"],
)
def test_an_approval_that_can_have_no_effect_is_refused_with_what_can_be_done(
    claim: RewardClaim, rule: str, pointer: str
) -> None:
    refusal = of(on_claim(claim=claim), digest=claim.digest).admits(PAULA)[_K.APPROVE]
    assert isinstance(refusal, DecisionRefused)
    assert refusal.rule == rule
    assert pointer in refusal.why


def _limited(most_minor: dict[str, int | None], legs: tuple[str, ...] = ()) -> RewardClaim:
    """The claim with these legs alone, and so much left for each side."""
    promises = tuple(each.model_copy(update={"most_minor": most_minor.get(each.role)}) for each in CLAIM.promises)
    kept = tuple(leg for leg in CLAIM.legs if leg.role in legs)
    return CLAIM.model_copy(update={"promises": promises, "legs": kept})


@pytest.mark.parametrize(
    ("claim", "rule"),
    [
        (_limited({"referrer": 0, "referee": 0}), "nothing_to_adjust"),
        (_limited({"referrer": 0, "referee": 1}), None),
        (_limited({"referrer": 0, "referee": None}), None),
        (_limited({"referrer": 0, "referee": 0}, legs=("referrer",)), "nothing_to_adjust"),
        (_limited({"referrer": 0, "referee": 0}, legs=("referrer", "referee")), None),
        (_limited({"referrer": 5000, "referee": 0}, legs=("referrer",)), None),
        (CLAIM.model_copy(update={"promises": (), "legs": ()}), "nothing_to_adjust"),
    ],
    ids=["nothing left", "a cent", "no limit", "the only leg", "one of two", "another amount", "no promise"],
)
def test_an_adjustment_is_on_offer_only_where_one_is_possible(claim: RewardClaim, rule: str | None) -> None:
    refusal = of(on_claim(claim=claim), digest=claim.digest).admits(PAULA)[_K.ADJUST]
    assert (refusal and refusal.rule) == rule


def test_a_second_reward_for_one_order_is_not_approved() -> None:
    refusal = on_claim(rewarded_by="r0").admits(PAULA)[_K.APPROVE]
    assert isinstance(refusal, DecisionRefused)
    assert (refusal.rule, "referral r0 was rewarded for the same order" in refusal.why) == ("order_rewarded", True)


_CLOSINGS: Final = (_S.EXPIRED, _S.DENIED, _S.WITHDRAWN, _S.REWARDED, _S.CLAWED_BACK)


@pytest.mark.parametrize("status", _CLOSINGS)
@pytest.mark.parametrize(
    ("known", "rule"),
    [
        ({"unanswered": True}, None),
        ({"unanswered": True, "sent": True}, None),
        ({"unanswered": False}, "closed"),
        ({"unanswered": True, "judged": False}, "facts_unjudged"),
    ],
)
def test_what_came_late_is_answered_by_leaving_it_closed(
    status: ReferralStatus, known: dict[str, Any], rule: str | None
) -> None:
    subject = of(closed(status=status, known=7, **known))
    wanted = asked(_K.DENY, digest=subject.digest)
    assert _rule(subject, wanted, check_asked(wanted), PAULA) == rule
    assert (_K.DENY in subject.takes) == bool(known["unanswered"])


def test_a_decision_on_a_closing_signs_how_many_facts_were_seen() -> None:
    subject = closed(known=7, unanswered=True)
    for kind in (_K.DENY, _K.REOPEN):
        answer = decide(subject, asked(kind, digest=subject.digest), PAULA, None, NOW)
        assert isinstance(answer, NewDecision)
        assert answer.details == {"facts_known": 7}


def test_one_answer_to_what_came_late_is_enough() -> None:
    subject = closed(made(_K.DENY, digest=closed().digest, on=NO_CLAIM), known=7, unanswered=True)
    assert _rule(subject, asked(_K.DENY, digest=subject.digest), None, PAULA) == "already_answered"


def _rule(
    subject: ClaimSubject, wanted: Asked, details: dict[str, Any] | None, approver: Approver = _MOVER
) -> str | None:
    try:
        decide(subject, wanted, approver, details, NOW)
    except DecisionRefused as refusal:
        return refusal.rule
    return None


@pytest.mark.parametrize(
    ("kind", "given", "where"),
    [
        (_K.ADJUST, {}, ["leg", "amount_minor"]),
        (_K.ADJUST, {"leg": "friend", "leave_out": True}, ["leg"]),
        (_K.ADJUST, {"leg": "referee", "leave_out": True, "amount_minor": 5}, ["amount_minor"]),
        (_K.ADJUST, {"leg": "referee", "amount_minor": 0}, ["amount_minor"]),
        (_K.ADJUST, {"leg": "referee", "amount_minor": -1}, ["amount_minor"]),
        (_K.ADJUST, {"leg": "referee", "amount_minor": 5, "referrer": "x"}, ["referrer"]),
        (_K.REASSIGN, {}, ["referrer"]),
        (_K.REASSIGN, {"referrer": "mia@example.com"}, ["referrer"]),
        (_K.REASSIGN, {"referrer": "mia", "order": "o1"}, ["order"]),
        (_K.LINK, {}, ["order"]),
        (_K.LINK, {"order": "a\nb"}, ["order"]),
        (_K.LINK, {"order": "x" * 201}, ["order"]),
        (_K.APPROVE, {"order": "o1", "leave_out": True}, ["leave_out", "order"]),
    ],
)
def test_what_a_decision_names_is_checked_field_by_field(
    kind: DecisionKind, given: dict[str, Any], where: list[str]
) -> None:
    with pytest.raises(BadInput) as refused:
        check_asked(asked(kind, **{"reason": REASON_CODES[kind][0], **given}))
    assert [problem.where for problem in refused.value.problems] == where
