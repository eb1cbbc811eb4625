"""The vocabulary of a verdict (SPEC §5): checks and their results, signs of fraud, and the flags that require a review.

A sign is the result of one fraud signal on a dossier, in words that a person can check.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.referrals.lifecycle import Reason


class CheckCode(StrEnum):
    """Every check of SPEC §5, in the order of its table. A claim holds all of them, always."""

    CONVERSION_CONFIRMED = "conversion_confirmed"
    EVIDENCE_AGREES = "evidence_agrees"
    WITHIN_PERIODS = "within_periods"
    MINIMUM_MET = "minimum_met"
    CONVERSION_NOT_REVERSED = "conversion_not_reversed"
    PROGRAM_ACTIVE = "program_active"
    REFERRER_ACTIVE = "referrer_active"
    REFERRER_ENROLLED = "referrer_enrolled_before_conversion"
    REFEREE_IS_NEW = "referee_is_new_customer"
    NOT_SELF_REFERRAL = "not_self_referral"
    NOT_DUPLICATE = "not_duplicate"
    ATTRIBUTION_CLEAR = "attribution_clear"
    CAP_AVAILABLE = "cap_available"
    BUDGET_AVAILABLE = "budget_available"
    CONSENT_GIVEN = "consent_given"
    NO_OPEN_ISSUE = "no_open_issue"
    ADVOCACY_PERMITTED = "advocacy_permitted"
    NO_OPEN_DISPUTE = "no_open_dispute"
    CURRENCY_MATCHES = "currency_matches"
    PAYEE_KNOWN = "payee_known"
    TAX_CLEARED = "tax_cleared"


class Result(StrEnum):
    """The result of a check. One that could not run is never a pass."""

    PASSED = "passed"
    FAILED = "failed"
    COULD_NOT_RUN = "could_not_run"


class Flag(StrEnum):
    """A reason why a person must review the claim."""

    EVIDENCE_CONFLICT = "evidence_conflict"
    SELF_REFERRAL = "self_referral"
    DUPLICATE_CLAIM = "duplicate_claim"
    DISPUTED_ATTRIBUTION = "disputed_attribution"
    ATTRIBUTION_CHANGED = "attribution_changed"
    CAP_LIMITED = "cap_limited"
    BUDGET_EXHAUSTED = "budget_exhausted"
    CONSENT_UNCLEAR = "consent_unclear"
    UNRESOLVED_ISSUE = "unresolved_customer_issue"
    ADVOCACY_NOT_PERMITTED = "public_advocacy_not_permitted"
    DISPUTE_OPEN = "dispute_open"
    CURRENCY_MISMATCH = "currency_mismatch"
    CHECK_COULD_NOT_RUN = "check_could_not_run"
    PARTNER_EXCEPTION = "partner_exception"
    FRAUD_SUSPECTED = "fraud_suspected"
    PARTIAL_REFUND = "partial_refund"
    MANUAL_REQUEST = "manual_request"
    LATE_FACT = "late_fact"
    UNKNOWN_REFERRER = "unknown_referrer"
    LINKED_BY_HAND = "linked_by_hand"
    ADJUSTED = "adjusted"


class Recommendation(StrEnum):
    """What the rules recommend. It approves nothing: a person does."""

    APPROVE = "approve"
    REVIEW = "review"
    DENY = "deny"


#: What a reward waits for after its approval (SPEC §7). It is no objection to the claim and not in the digest, so that
#: what arrives later voids no decision.
WAITED_FOR: Final = frozenset({CheckCode.PAYEE_KNOWN, CheckCode.TAX_CLEARED})

#: The flags that recommend a denial, not only a review.
DENYING_FLAGS: Final = frozenset({Flag.SELF_REFERRAL, Flag.DUPLICATE_CLAIM})


class InputMissing(LookupError):
    """An input of a rule could not be gathered. The message is a sentence for people, with nothing personal in it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of one check: a sentence for people, the facts it is based on, and the resulting flags or denial."""

    result: Result
    sentence: str
    facts: tuple[Fact, ...] = ()
    flags: tuple[Flag, ...] = ()
    denial: Reason | None = None


def passed(sentence: str, *facts: Fact, flags: tuple[Flag, ...] = ()) -> Finding:
    """Return a finding that the check passed."""
    return Finding(Result.PASSED, sentence, facts, flags)


def failed(sentence: str, *facts: Fact, flags: tuple[Flag, ...] = (), denial: Reason | None = None) -> Finding:
    """Return a finding that the check failed: a person reviews (``flags``) or the rules deny (``denial``)."""
    return Finding(Result.FAILED, sentence, facts, flags, denial)


def could_not_run(sentence: str, *facts: Fact) -> Finding:
    """Return a finding that the check could not run, which is a flag for a person and never a pass."""
    return Finding(Result.COULD_NOT_RUN, sentence, facts, (Flag.CHECK_COULD_NOT_RUN,))


def instant(moment: datetime) -> str:
    """Format a moment for sentences: to the minute, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def unanswerable(sentence: str, *facts: Fact) -> Finding:
    """Return a finding that the check could not run for want of what another flag of the claim asks a person for."""
    return Finding(Result.COULD_NOT_RUN, sentence, facts)


#: Said by a check of the referrer while nobody knows who that is.
NO_REFERRER: Final = "The referrer is not known yet."


class Sign(NamedTuple):
    """Whether the signal fired (None: its input could not be read), and why: a phrase with the numbers that names no
    person."""

    fired: bool | None
    why: str


#: Pure: the same dossier gives the same sign.
Signal = Callable[[Dossier], Sign]


def unread(what: str) -> Sign:
    """The sign of a signal that could not run for want of this."""
    return Sign(None, f"{what} could not be read")
