"""The life of a program: what its signed acts say, who may sign them, and what they change for its referrals."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.claims.findings import CheckCode, Result
from referral_rewards.domain.decisions.decision import Asked, Decision, Made
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.decisions.program_acts import ProgramSubject, check_asked, life_of, subject, takes
from referral_rewards.domain.decisions.subject import Repeated, decide
from referral_rewards.domain.errors import ActRefused, NotAllowed, RequestInvalid
from referral_rewards.domain.programs.life import Added, Life, Turn, newest, paused_words, program_id
from referral_rewards.domain.programs.terms import Role, Terms
from referral_rewards.domain.referrals.explanation import Situation, explain
from referral_rewards.domain.referrals.lifecycle import Reason
from referral_rewards.domain.referrals.lifecycle import ReferralStatus as S
from referral_rewards.domain.referrals.origin import origin
from referral_rewards.domain.referrals.periods import Course, course, reopened
from tests.domain.build import TICK, acme, at, backfilled, bought, claimed, requested, sent, withdrawn
from tests.domain.dossiers import dossier, terms
from tests.domain.test_eligibility import verdict

_A = MoneyAct
TERMS = acme(limits__budget="100.00")
NOW = at("2026-06-10")
DAY = timedelta(days=1)
END = at("2026-06-15")
ENDED = Life(ended_at=END)
EVER_AFTER = at("2030-01-01")
OWNER = Approver("paula", frozenset({Role.PROGRAM_OWNER}))
FINANCE = Approver("fiona", frozenset({Role.FINANCE}))


def act(
    kind: MoneyAct, decided_at: datetime = NOW, by: Approver = OWNER, digest: str = "d", **details: Any
) -> Decision:
    return Decision(
        seq=1,
        id=uuid4(),
        referral="program acme-friends",
        claim_id=program_id("acme-friends"),
        digest=digest,
        kind=kind,
        user=by.user,
        roles=by.roles,
        reason="other",
        decided_at=decided_at,
        details=details or None,
    )


def addition(by: Approver, amount_minor: int = 500, digest: str = "d", currency: str = "USD") -> Decision:
    return act(_A.ADD_BUDGET, by=by, digest=digest, amount_minor=amount_minor, currency=currency)


def life(*made: Decision) -> Life:
    return life_of(made, "acme-friends")


def test_without_an_act_a_program_runs() -> None:
    assert life() == Life()
    assert not life().has_ended(EVER_AFTER)
    assert not life().is_paused(EVER_AFTER)


def test_an_act_holds_from_its_time_or_its_decision_on_and_never_before_its_decision() -> None:
    assert life(act(_A.END_PROGRAM)).ended_at == NOW
    assert life(act(_A.END_PROGRAM, holds_from=(NOW + DAY).isoformat())).ended_at == NOW + DAY
    assert life(act(_A.END_PROGRAM, holds_from=(NOW - DAY).isoformat())).ended_at == NOW
    assert life(act(_A.PAUSE_PROGRAM, holds_from=(NOW - DAY).isoformat())).turns == (Turn(NOW, paused=True),)


def test_an_end_is_final() -> None:
    later = act(_A.END_PROGRAM, NOW + DAY)
    assert life(act(_A.END_PROGRAM), later, act(_A.RESUME_PROGRAM, NOW + DAY)).ended_at == NOW


def test_what_begins_at_the_end_begins_too_late() -> None:
    assert not ENDED.has_ended(END - TICK)
    assert ENDED.has_ended(END)


@pytest.mark.parametrize(
    ("turns", "paused_from", "paused_until"),
    [
        ([("pause", 0, 0)], 0, None),
        ([("pause", 0, 2)], 2, None),
        ([("pause", 0, 0), ("resume", 1, 1)], 0, 1),
        ([("pause", 0, 0), ("resume", 0, 3)], 0, 3),
        # A later decision counts from its own time on, whatever was planned before.
        ([("pause", 0, 3), ("resume", 1, 1)], None, None),
        ([("pause", 0, 0), ("resume", 0, 3), ("pause", 1, 1)], 0, None),
        ([("pause", 0, 3), ("resume", 0, 3)], None, None),
    ],
    ids=["at once", "planned", "resumed", "until then", "called off", "extended", "of one time the later decision"],
)
def test_a_program_is_paused_from_a_pause_to_a_resumption(
    turns: list[tuple[str, int, int]], paused_from: int | None, paused_until: int | None
) -> None:
    made = [
        act(_A(f"{kind}_program"), NOW + DAY * by, holds_from=(NOW + DAY * day).isoformat()) for kind, by, day in turns
    ]
    stands = life(*made)
    for day in range(-1, 6):
        expected = paused_from is not None and paused_from <= day and (paused_until is None or day < paused_until)
        assert stands.is_paused(NOW + DAY * day) is expected, day


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=6), st.integers(-1, 10))
def test_the_next_turn_is_the_first_instant_at_which_it_is_otherwise(turns: list[tuple[int, bool]], day: int) -> None:
    stands = Life(turns=tuple(Turn(NOW + DAY * when, paused) for when, paused in turns))
    moment = NOW + DAY * day
    others = [NOW + DAY * when for when in range(day + 1, 10)]
    expected = next((each for each in others if stands.is_paused(each) is not stands.is_paused(moment)), None)
    assert stands.next_turn(moment) == expected


def test_the_next_change_is_the_end_or_a_turn_whichever_comes_first() -> None:
    stands = Life(ended_at=END, turns=(Turn(END - DAY, paused=True), Turn(END + DAY, paused=False)))
    assert stands.next_change(NOW) == END - DAY
    assert stands.next_change(END - DAY) == END
    assert stands.next_change(END) == END + DAY
    assert stands.next_change(END + DAY) is None


@pytest.mark.parametrize("roles", [{Role.FINANCE}, {Role.OPERATIONS}, {Role.ADMINISTRATOR}, set()])
def test_a_decision_by_somebody_without_the_role_says_nothing_of_a_program(roles: set[Role]) -> None:
    by = Approver("olga", frozenset(roles))
    kinds = (_A.END_PROGRAM, _A.PAUSE_PROGRAM)
    assert life(*(act(kind, by=by) for kind in kinds)) == Life()


def test_a_decision_on_another_program_says_nothing_of_this_one() -> None:
    assert life_of([act(_A.END_PROGRAM)], "other") == Life()


_BOTH = Approver("bob", frozenset({Role.FINANCE, Role.PROGRAM_OWNER}))


@pytest.mark.parametrize(
    ("made", "added"),
    [
        ([addition(FINANCE)], []),
        ([addition(FINANCE), addition(OWNER)], [500]),
        ([addition(OWNER), addition(FINANCE)], [500]),
        ([addition(_BOTH)], []),
        ([addition(_BOTH), addition(_BOTH)], []),
        ([addition(_BOTH), addition(FINANCE)], [500]),
        ([addition(FINANCE), addition(Approver("frank", FINANCE.roles))], []),
        ([addition(FINANCE), addition(OWNER, 600)], []),
        ([addition(FINANCE), addition(OWNER, 600), addition(FINANCE, 600)], [600]),
        ([addition(FINANCE), addition(OWNER, digest="later")], []),
        ([addition(FINANCE), addition(OWNER), addition(OWNER)], [500]),
        ([addition(FINANCE), addition(OWNER), addition(FINANCE, digest="e"), addition(OWNER, digest="e")], [500, 500]),
        ([addition(FINANCE), addition(OWNER, currency="EUR")], []),
    ],
)
def test_an_addition_takes_finance_and_the_program_owner_on_one_amount(made: list[Decision], added: list[int]) -> None:
    assert life(*made).added == tuple(Added(each, "USD") for each in added)


def test_the_budget_is_the_newest_figure_in_force_and_all_additions_in_its_currency() -> None:
    lower = acme(limits__budget="80.00", effective_from="2026-07-01T00:00:00Z")
    versions = [(1, TERMS), (2, lower)]
    stands = Life(added=(Added(500, "USD"), Added(700, "EUR"), Added(1, "USD")))
    for moment, figure in ((NOW, 10000), (at("2026-07-01"), 8000)):
        current = newest(versions, moment)
        assert current is not None
        assert stands.budget_minor(current) == figure + 501
    assert stands.budget_minor(acme(limits={})) is None


# What a decision needs.


def made(*decisions: Decision, **known: Any) -> tuple[Made, ...]:
    return tuple(Made(each, "looked at it", **known) for each in decisions)


def shown(*history: Made, asked: Asked | None = None, now: datetime = NOW) -> ProgramSubject:
    return subject("acme-friends", TERMS, history, now, asked)


def asked(kind: MoneyAct, digest: str, **given: Any) -> Asked:
    return Asked("acme-friends", kind, "other", "looked at it", digest, **given)


def decided(kind: MoneyAct, by: Approver, *history: Made, now: datetime = NOW, **given: Any) -> Any:
    wanted = asked(kind, given.pop("digest", None) or shown(*history, now=now).digest, **given)
    return decide(shown(*history, asked=wanted, now=now), wanted, by, check_asked(wanted), now)


def test_the_program_owner_pauses_resumes_and_ends_a_program() -> None:
    new = decided(_A.END_PROGRAM, OWNER, at=END)
    assert (new.claim_id, new.referral, new.details) == (
        *(program_id("acme-friends"), "program acme-friends"),
        {"holds_from": END.isoformat()},
    )
    assert decided(_A.PAUSE_PROGRAM, OWNER).details is None


@pytest.mark.parametrize("kind", [_A.PAUSE_PROGRAM, _A.END_PROGRAM])
def test_finance_alone_does_not(kind: MoneyAct) -> None:
    with pytest.raises(NotAllowed, match="program owner"):
        decided(kind, FINANCE)


@pytest.mark.parametrize(
    ("when", "what"), [(NOW - TICK, "never holds before its decision"), (at("2100-01-01"), "ten years")]
)
def test_a_time_before_the_decision_or_far_ahead_is_refused(when: datetime, what: str) -> None:
    with pytest.raises(RequestInvalid, match=what):
        decided(_A.END_PROGRAM, OWNER, at=when)


def test_the_same_act_again_is_the_first_one_and_a_second_end_is_refused() -> None:
    first = shown().digest
    history = made(act(_A.END_PROGRAM, digest=first))
    assert isinstance(decided(_A.END_PROGRAM, OWNER, *history, digest=first), Repeated)
    with pytest.raises(ActRefused, match="you can"):
        decided(_A.END_PROGRAM, OWNER, *history)


@pytest.mark.parametrize(
    ("stands", "able"),
    [
        (Life(), {_A.PAUSE_PROGRAM, _A.END_PROGRAM}),
        (Life(turns=(Turn(NOW, paused=True),)), {_A.RESUME_PROGRAM, _A.END_PROGRAM}),
        (Life(turns=(Turn(NOW + DAY, paused=True),)), {_A.PAUSE_PROGRAM, _A.RESUME_PROGRAM, _A.END_PROGRAM}),
        (
            Life(turns=(Turn(NOW, paused=True), Turn(NOW + DAY, paused=False))),
            {_A.PAUSE_PROGRAM, _A.RESUME_PROGRAM, _A.END_PROGRAM},
        ),
        (ENDED, {_A.PAUSE_PROGRAM}),
    ],
    ids=["running", "paused", "to be paused", "to be resumed", "ended"],
)
def test_a_program_takes_what_changes_it(stands: Life, able: set[MoneyAct]) -> None:
    assert takes(stands, TERMS, NOW) == able | {_A.ADD_BUDGET}
    assert takes(stands, acme(limits={}), NOW) == able


def test_the_second_signature_on_an_addition_is_another_persons() -> None:
    digest, amount = shown().digest, {"amount_minor": 500, "currency": "USD"}
    history = made(addition(FINANCE, digest=digest))
    assert decided(_A.ADD_BUDGET, OWNER, *history, **amount).details == amount
    assert isinstance(decided(_A.ADD_BUDGET, FINANCE, *history, **amount), Repeated)
    history = made(addition(FINANCE, digest=digest), marks=frozenset({"customer:c-1"}))
    with pytest.raises(ActRefused) as refused:
        decided(_A.ADD_BUDGET, Approver("fi", OWNER.roles, frozenset({"customer:c-1"})), *history, **amount)
    assert refused.value.rule == "different_people"
    with pytest.raises(NotAllowed):
        decided(_A.ADD_BUDGET, Approver("oscar", frozenset({Role.OPERATIONS})), **amount)


def test_the_signature_of_somebody_barred_since_is_no_first_one() -> None:
    digest, amount = shown().digest, {"amount_minor": 500, "currency": "USD"}
    history = made(addition(FINANCE, digest=digest), barred=True)
    new = decided(_A.ADD_BUDGET, OWNER, *history, **amount)
    assert new.digest != digest
    second = addition(OWNER, digest=new.digest)
    assert life(*(each.decision for each in history), second).added == ()


@pytest.mark.parametrize(
    ("kind", "given", "where"),
    [
        (_A.ADD_BUDGET, {"amount_minor": 500}, "currency"),
        (_A.ADD_BUDGET, {"currency": "USD"}, "amount"),
        (_A.ADD_BUDGET, {"amount_minor": 500, "currency": "EUR"}, "USD"),
        (_A.ADD_BUDGET, {"amount_minor": 500, "currency": "USD", "at": END}, "time"),
        (_A.PAUSE_PROGRAM, {"currency": "USD"}, "currency"),
        (_A.PAUSE_PROGRAM, {"amount_minor": 5}, "amount"),
    ],
)
def test_what_an_act_does_not_take_is_refused(kind: MoneyAct, given: dict[str, Any], where: str) -> None:
    with pytest.raises(RequestInvalid, match=where):
        decided(kind, _BOTH, **given)


# What an end changes for referrals.


def lives(*facts: Any, now: datetime = EVER_AFTER, stands: Life = ENDED, under: Terms = TERMS) -> Course:
    begun = origin(facts, now)
    assert begun is not None
    return course(facts, under, now, origin=begun, program=stands)


def closing(stood: Course) -> tuple[S, Reason | None, datetime | None]:
    return stood.status, stood.reason, stood.closes_at


_DENIED = (S.DENIED, Reason.PROGRAM_NOT_ACTIVE)


@pytest.mark.parametrize(
    "facts",
    [
        [sent(END)],
        [sent(END), claimed(END + DAY), bought(END + DAY)],
        [claimed(END, begins=True)],
        [requested(END)],
        [sent(END, channel="lead")],
        [sent(END, channel="word_of_mouth")],
        [sent(END), withdrawn(END)],
    ],
    ids=["sent", "bought", "claimed", "requested", "lead", "word of mouth", "withdrawn at once"],
)
def test_a_referral_that_begins_at_the_end_is_denied_at_once(facts: list[Any]) -> None:
    assert closing(lives(*facts)) == (*_DENIED, END)
    assert closing(lives(*facts, now=END)) == (*_DENIED, END)
    assert closing(lives(*backfilled(facts))) == (*_DENIED, END)


def test_one_that_began_a_tick_before_lives_on() -> None:
    facts = [sent(END - TICK), claimed(END + DAY), bought(END + DAY)]
    assert lives(*facts).status is S.IN_REVIEW
    assert lives(claimed(END - TICK, begins=True), bought(END + DAY)).status is S.IN_REVIEW


_LAST = at("2026-07-15")


@pytest.mark.parametrize("channel", ["word_of_mouth", "link", "social"])
def test_what_was_sent_before_and_never_expires_is_claimable_for_the_longest_expiry_after_the_end(channel: str) -> None:
    invited = sent("2026-06-01", channel=channel)
    assert closing(lives(invited)) == (S.EXPIRED, Reason.INVITATION_NOT_CLAIMED, _LAST)
    assert lives(invited, claimed(_LAST - TICK), now=_LAST).status is S.CLAIMED
    late = lives(invited, claimed(_LAST))
    assert closing(late) == (S.EXPIRED, Reason.INVITATION_NOT_CLAIMED, _LAST)
    assert [each.type for each in late.untimely] == ["referral.claimed"]
    assert lives(invited, stands=Life()).deadline is None


def test_a_purchase_keeps_no_door_open_longer() -> None:
    # Without an end it could be claimed until 30 days after the purchase.
    facts = [sent("2026-06-14"), bought("2026-07-10"), claimed("2026-07-20")]
    assert lives(*facts, stands=Life()).status is S.IN_REVIEW
    assert closing(lives(*facts)) == (S.EXPIRED, Reason.INVITATION_NOT_CLAIMED, _LAST)


def test_an_invitation_by_email_expires_by_its_own_period_if_that_is_sooner() -> None:
    stood = lives(sent("2026-06-01"))
    assert closing(stood) == (S.EXPIRED, Reason.INVITATION_NOT_CLAIMED, at("2026-07-01"))


def test_a_reopened_referral_that_began_after_the_end_fails_the_check_of_its_program() -> None:
    facts = [sent(END), claimed(END + DAY), bought(END + DAY)]
    begun = origin(facts, EVER_AFTER)
    assert begun is not None
    stood = reopened(facts, TERMS, EVER_AFTER, origin=begun, program=ENDED)
    assert (stood.status, stood.conversion is None) == (S.IN_REVIEW, False)


@given(st.permutations([sent("2026-06-14"), claimed("2026-06-20"), bought("2026-06-21"), bought(END, order="o2")]))
def test_the_order_of_arrival_does_not_matter(facts: Iterable[Any]) -> None:
    shuffled = list(facts)
    assert lives(*shuffled).status is S.IN_REVIEW
    assert lives(*backfilled(shuffled)).status is S.IN_REVIEW


def test_a_claim_of_an_ended_program_fails_its_check() -> None:
    began_at = dossier().origin.began_at
    assert verdict(CheckCode.PROGRAM_ACTIVE, dossier(program=Life(ended_at=began_at + TICK)))[0] is Result.PASSED
    ended = dossier(program=Life(ended_at=began_at))
    assert verdict(CheckCode.PROGRAM_ACTIVE, ended) == (Result.FAILED, Reason.PROGRAM_NOT_ACTIVE)


def test_the_reason_names_the_day_of_the_end() -> None:
    said = explain(
        Situation(
            status=S.DENIED, reason=Reason.PROGRAM_NOT_ACTIVE, terms=TERMS, began_at=END + DAY, program_ended_at=END
        )
    ).why
    assert "ended on 15 June 2026" in said
    assert "began on 16 June 2026" in said


def test_a_pause_is_said_with_its_end() -> None:
    assert paused_words("acme", Life(), NOW) is None
    endless = paused_words("acme", Life(turns=(Turn(NOW, paused=True),)), NOW)
    assert endless is not None
    assert "until somebody resumes it" in endless
    ends = paused_words("acme", Life(turns=(Turn(NOW, paused=True), Turn(END, paused=False))), NOW)
    assert ends is not None
    assert "until 2026-06-15 12:00 UTC" in ends


def test_a_budget_that_is_raised_leaves_room_and_one_that_is_lowered_takes_nothing_reserved() -> None:
    tight = terms(limits={"budget": "1.00"})
    assert verdict(CheckCode.BUDGET_AVAILABLE, dossier(under=tight))[0] is Result.FAILED
    raised = Life(added=(Added(1_000_000, "USD"),))
    assert verdict(CheckCode.BUDGET_AVAILABLE, dossier(under=tight, program=raised))[0] is Result.PASSED
    wide = terms(limits={"budget": "10000.00"})
    assert verdict(CheckCode.BUDGET_AVAILABLE, dossier(under=tight, newest=wide))[0] is Result.PASSED
    assert verdict(CheckCode.BUDGET_AVAILABLE, dossier(under=wide, newest=tight))[0] is Result.FAILED
    usage = dossier().usage
    assert usage is not None
    reserved = type(usage)(reserved_minor=1_000_000)
    assert verdict(CheckCode.BUDGET_AVAILABLE, dossier(under=wide, newest=tight, usage=reserved))[0] is Result.PASSED
