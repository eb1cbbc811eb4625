"""The fraud score: explainable, capped, and silent about nothing it could not look at."""

from dataclasses import replace
from typing import Any

import pytest

from referral_rewards.domain.claims import fraud
from referral_rewards.domain.claims.claim import Contribution as Stored
from referral_rewards.domain.claims.claim import assemble
from referral_rewards.domain.claims.dossier import Behaviour, Dossier, Similarity
from referral_rewards.domain.claims.findings import Flag, Sign
from referral_rewards.domain.claims.fraud import SIGNALS, Contribution, contributions, score
from tests.domain.dossiers import CALM, dossier, terms

#: What each signal that is not pure arithmetic on the referral's own facts reads.
READS_BEHAVIOUR = {
    "referral_ring": "ring",
    "hourly_velocity": "pace",
    "daily_velocity": "pace",
    "refund_rate": "refunds",
    "barred_elsewhere": "barred",
    "blocklisted": "blocked",
    "reused_instrument": "reused",
    "denied_instrument": "denied",
    "crowded_ip": "crowd",
    "paid_click": "clicks",
}
READS_PLAINTEXT = ("disposable_email", "masked_email", "similar_email", "shared_email_domain", "similar_name",
                   "country_mismatch")  # fmt: skip


def asked(signal: str, of: Dossier | None = None, **section: Any) -> Sign:
    """What the signal makes of a dossier under terms that give it a weight."""
    under = terms(fraud={"weights": {signal: 10}, **section})
    (found,) = contributions(replace(of or dossier(), terms=under))
    return Sign(found.fired, found.why)


@pytest.mark.parametrize("signal", SIGNALS)
def test_signal_is_silent_about_honest_people_and_says_why(signal: str) -> None:
    fired, why = asked(signal)
    assert fired is False
    assert why
    assert not why.endswith(".")
    assert len(why) < 100


@pytest.mark.parametrize(("signal", "part"), READS_BEHAVIOUR.items())
def test_signal_whose_behaviour_was_not_gathered_could_not_run(signal: str, part: str) -> None:
    assert asked(signal, dossier(behaviour=replace(CALM, **{part: None}))).fired is None
    assert asked(signal, dossier(behaviour=Behaviour())).fired is None


@pytest.mark.parametrize("signal", READS_PLAINTEXT)
def test_signal_whose_plaintext_was_not_read_could_not_run(signal: str) -> None:
    assert asked(signal, dossier(personal=None)).fired is None
    assert asked(signal, dossier(personal=Similarity())).fired is False


@pytest.mark.parametrize(
    ("signal", "section", "changes"),
    [
        ("blocked_site", {"blocked_sites": ["coupons.com"]}, {"behaviour": replace(CALM, sites=None)}),
        ("blocked_country", {"blocked_countries": ["GB"]}, {"personal": None}),
        ("reciprocal_referral", {}, {"reciprocal": None}),
        ("phase_of_the_moon", {}, {}),
    ],
)
def test_signal_without_its_input_could_not_run(signal: str, section: Any, changes: dict[str, Any]) -> None:
    assert asked(signal, dossier(**changes), **section).fired is None


def test_signal_that_breaks_could_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fraud, "SIGNALS", {"shared_ip": lambda dossier: 1 / 0})
    assert asked("shared_ip") == (None, "it failed with an error")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], 0),
        ([(30, True), (20, False), (15, None)], 30),
        ([(60, True), (40, True)], 100),
        ([(60, True), (41, True)], 100),
    ],
)
def test_score_is_the_capped_sum_of_what_fired(found: list[tuple[int, bool | None]], expected: int) -> None:
    assert score(tuple(Contribution("any", weight, fires) for weight, fires in found)) == expected


@pytest.mark.parametrize(("threshold", "suspected"), [(29, True), (30, True), (31, False)])
def test_fraud_is_suspected_from_the_threshold_on(threshold: int, suspected: bool) -> None:
    under = terms(fraud={"threshold": threshold, "weights": {"reciprocal_referral": 30}})
    claim = assemble(dossier(under=under, reciprocal=True))
    assert claim.score == 30
    assert (Flag.FRAUD_SUSPECTED in claim.flag_names) is suspected


def test_suspicion_names_the_signals_with_their_reasons() -> None:
    under = terms(fraud={"threshold": 30, "weights": {"reciprocal_referral": 20, "referral_ring": 20, "shared_ip": 5}})
    claim = assemble(dossier(under=under, reciprocal=True, behaviour=replace(CALM, ring=3)))
    assert [each.sentence for each in claim.flags] == [
        "The fraud score is 40, the threshold 30: they referred each other (the referee once referred the referrer); "
        "referral ring (3 people refer each other in a circle)."
    ]


@pytest.mark.parametrize(
    ("signal", "told"),
    [
        ("phase_of_the_moon", "The fraud signal “phase of the moon” could not run: there is no such signal."),
        ("similar_email", "The fraud signal “similar email addresses” could not run: the addresses could not be read."),
    ],
)
def test_signal_that_could_not_run_is_told_by_its_name(signal: str, told: str) -> None:
    claim = assemble(dossier(under=terms(fraud={"weights": {signal: 10}}), personal=None))
    assert [(each.flag, each.about, each.sentence) for each in claim.flags] == [
        (Flag.CHECK_COULD_NOT_RUN, signal, told)
    ]


def test_signal_without_a_weight_counts_for_nothing() -> None:
    assert contributions(dossier(under=terms(fraud={"weights": {"phase_of_the_moon": 0}}))) == ()


def test_contributions_stand_in_the_order_of_their_names() -> None:
    weights = dict.fromkeys(reversed(list(SIGNALS)), 1)
    found = contributions(dossier(under=terms(fraud={"weights": weights})))
    assert [each.signal for each in found] == sorted(SIGNALS)


def test_digest_takes_flags_and_neither_score_nor_reasons() -> None:
    under = terms(fraud={"threshold": 90, "weights": {"daily_velocity": 30, "crowded_ip": 30}})
    busy = replace(CALM, pace=replace(CALM.pace, day=40), crowd=9) if CALM.pace else CALM
    calm, suspect = assemble(dossier(under=under)), assemble(dossier(under=under, behaviour=busy))
    assert (calm.score, suspect.score) == (0, 60)
    assert calm.digest == suspect.digest
    unknown = assemble(dossier(under=under, behaviour=replace(CALM, crowd=None)))
    assert unknown.digest != calm.digest


def test_claim_stored_before_signals_gave_reasons_is_still_read() -> None:
    assert Stored.model_validate({"signal": "shared_ip", "weight": 15, "fired": True}).why == ""
