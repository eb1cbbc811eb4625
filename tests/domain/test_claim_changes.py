"""What a person is told of a claim that changed while they looked at it."""

from typing import Any

import pytest

from referral_rewards.domain.claims.advice import advice, changes
from referral_rewards.domain.claims.approval import Requirement
from referral_rewards.domain.claims.claim import Check, RewardClaim, assemble
from referral_rewards.domain.claims.findings import CheckCode, Flag, Recommendation, Result
from referral_rewards.domain.programs.terms import Role
from tests.domain.dossiers import dossier


def claim(**changed: Any) -> RewardClaim:
    """A claim without anything against it, with other values."""
    made = assemble(dossier())
    return made.model_copy(update={"digest": "another", "core_digest": "another", **changed}) if changed else made


def result(code: CheckCode, result: Result) -> tuple[Check, ...]:
    """The checks of the claim, one of them with another result."""
    return tuple(
        check.model_copy(update={"result": result, "sentence": "It is so."}) if check.code is code else check
        for check in claim().checks
    )


LEG = claim().legs[0]


@pytest.mark.parametrize(
    ("changed", "what", "before", "after"),
    [
        (
            {"legs": (LEG.model_copy(update={"amount_minor": 100}), *claim().legs[1:])},
            "reward to the referrer",
            "25.00 USD account credit to dexter, account credit",
            "1.00 USD account credit to dexter, account credit",
        ),
        (
            {"legs": (LEG.model_copy(update={"beneficiary": "ann"}), *claim().legs[1:])},
            "reward to the referrer",
            "25.00 USD account credit to dexter, account credit",
            "25.00 USD account credit to ann, account credit",
        ),
        (
            {"legs": (LEG.model_copy(update={"destination": "acct_2"}), *claim().legs[1:])},
            "reward to the referrer",
            "to the earlier destination",
            "to another destination",
        ),
        (
            {"legs": claim().legs[1:]},
            "reward to the referrer",
            "25.00 USD account credit to dexter, account credit",
            None,
        ),
        ({"recommendation": Recommendation.DENY}, "recommendation", "approve", "deny"),
        (
            {"requirement": Requirement(routes=(Role.FINANCE, Role.OPERATIONS), people=2)},
            "approval by",
            "program owner (1 person)",
            "finance and operations (2 people)",
        ),
        (
            {"checks": result(CheckCode.PAYEE_KNOWN, Result.FAILED)},
            "check: payment method on file",
            "passed: ",
            "failed: It is so.",
        ),
        ({"evidence": claim().evidence[1:]}, "evidence", "referrer enrolled (", None),
        ({"version": 2}, "version of the terms", "1", "2"),
        ({"core_digest": claim().core_digest}, "competing claims", "as you saw them", "added, removed or changed"),
        ({"digest": "f" * 64}, "facts behind the claim", claim().digest[:12], "f" * 12),
    ],
)
def test_each_change_is_told_with_what_was_and_what_is(
    changed: dict[str, Any], what: str, before: str | None, after: str | None
) -> None:
    (found,) = changes(claim(), claim(**changed))
    assert found.what == what
    assert (found.before or "").startswith(before or "")
    assert (found.before is None, found.after is None) == (before is None, after is None)
    assert (found.after or "") == (after or "")


def test_one_claim_is_not_different_from_itself() -> None:
    assert changes(claim(), claim()) == []


def test_nothing_against_a_claim_is_said_in_one_sentence() -> None:
    assert advice(claim()) == "All checks passed and nothing is flagged."


def test_what_failed_and_what_could_not_run_is_named() -> None:
    unrun = result(CheckCode.NO_OPEN_ISSUE, Result.COULD_NOT_RUN)
    assert advice(claim(checks=unrun)) == "Checks that could not run: no open customer issue."


def test_a_missing_tax_form_speaks_against_nothing() -> None:
    waiting = result(CheckCode.TAX_CLEARED, Result.FAILED)
    assert advice(claim(checks=waiting)) == "All checks passed and nothing is flagged."


def test_flags_are_told_once_each() -> None:
    flags = tuple({"flag": Flag.LATE_FACT, "about": about, "sentence": "."} for about in ("a", "b"))
    made = RewardClaim.model_validate({**claim().model_dump(), "flags": flags})
    assert advice(made) == "Flags: late fact."


def test_where_only_the_payment_method_is_missing_it_is_said_what_to_do() -> None:
    missing = claim(checks=result(CheckCode.PAYEE_KNOWN, Result.FAILED))
    asked = "It is so. Ask for it: nothing is paid there before."
    assert advice(missing) == f"Nothing is flagged. {asked}"
    flag = {"flag": Flag.LATE_FACT, "about": "facts", "sentence": "."}
    also = RewardClaim.model_validate({**missing.model_dump(), "flags": (flag,)})
    assert advice(also) == f"Flags: late fact. {asked}"


@pytest.mark.parametrize("code", [CheckCode.PAYEE_KNOWN, CheckCode.TAX_CLEARED])
def test_a_check_of_the_payment_that_could_not_run_is_named(code: CheckCode) -> None:
    assert advice(claim(checks=result(code, Result.COULD_NOT_RUN))).startswith("Checks that could not run: ")
