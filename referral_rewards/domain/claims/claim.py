"""The reward claim: the record that a person decides on (SPEC §5).

It holds evidence, checks, flags, score, calculation and recommendation, and nothing personal: ids, hashes, amounts,
and sentences that name people by their ids.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict

from referral_rewards.domain.claims import approval, attribution, eligibility, fraud, rewards
from referral_rewards.domain.claims.adjustments import Adjustment, adjusters
from referral_rewards.domain.claims.approval import Requirement
from referral_rewards.domain.claims.digest import digest_of, dispute_digest
from referral_rewards.domain.claims.dossier import Dossier, Rival
from referral_rewards.domain.claims.findings import (
    DENYING_FLAGS,
    WAITED_FOR,
    CheckCode,
    Finding,
    Flag,
    Recommendation,
    Result,
)
from referral_rewards.domain.claims.flags import Raised, flags_of, of_rivals
from referral_rewards.domain.claims.rewards import CalculationLine, Leg, Promise, Reckoning
from referral_rewards.domain.facts import ids
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.orders import name_of
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.referrals.lifecycle import Reason

#: Checks that the core digest leaves out: those of what a leg waits for, which changes when it is paid, not what was
#: approved; and that of competing claims, which are included by their own digests.
_NOT_IN_CORE: Final = WAITED_FOR | {CheckCode.ATTRIBUTION_CLEAR}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Evidence(_Record):
    """A fact that a check is based on, or a source's answer when it was asked again.

    ``content_hash`` is a fact's salted commitment, or the SHA-256 of a source's response.
    """

    id: str
    what: str
    source: str
    reference: str
    observed_at: AwareDatetime
    content_hash: str


class Check(_Record):
    """One check of SPEC §5; ``evidence`` holds ids of the claim's evidence."""

    code: CheckCode
    result: Result
    sentence: str
    evidence: tuple[str, ...] = ()


class Contribution(_Record):
    """What a fraud signal added and why; ``fired`` is None for one that could not run."""

    signal: str
    weight: int
    fired: bool | None
    why: str = ""


class RewardClaim(_Record):
    """Everything a person needs for a decision, and the digest that the decision is made against.

    ``denial`` is the reason if the rules deny it by themselves; ``core_digest`` is the digest without competing claims,
    and ``calculated_digest`` that one as it would be without ``adjustments``. ``promises`` are the legs that the terms
    promise, also where nothing was calculated for one; ``fallen`` are adjustments of the claim before that no longer
    hold, because what is calculated changed. ``waits_for`` is the earlier referral of the same referrer and referee:
    while it lives nobody has to decide on this claim.
    """

    referral: str
    program: str
    version: int
    evidence: tuple[Evidence, ...]
    checks: tuple[Check, ...]
    flags: tuple[Raised, ...]
    score: int
    contributions: tuple[Contribution, ...]
    lines: tuple[CalculationLine, ...]
    legs: tuple[Leg, ...]
    currency: str
    promises: tuple[Promise, ...]
    adjustments: tuple[Adjustment, ...] = ()
    fallen: tuple[Adjustment, ...] = ()
    recommendation: Recommendation
    denial: Reason | None
    waits_for: str | None = None
    override: bool
    requirement: Requirement
    calculated_digest: str
    core_digest: str
    digest: str

    @property
    def flag_names(self) -> tuple[Flag, ...]:
        """Each flag once, in the order of their listing."""
        raised = {each.flag for each in self.flags}
        return tuple(flag for flag in Flag if flag in raised)

    @property
    def frozen(self) -> bool:
        """Whether a dispute of the conversion is open: until it ends the claim can't be approved."""
        return Flag.DISPUTE_OPEN in self.flag_names

    @property
    def results(self) -> dict[CheckCode, Result]:
        """The result of each check, in the order of SPEC §5."""
        return {check.code: check.result for check in self.checks}


def assemble(dossier: Dossier, *, reopened: bool = False) -> RewardClaim:
    """Return the claim of a dossier; ``reopened`` if a decision had denied it, which makes approving an override.

    Of the dossier's adjustments those hold that were made on what is calculated now. Never raises because of a
    dossier's content: whatever fails becomes a check that could not run.
    """
    calculated = _assembled(replace(dossier, adjustments=()), reopened=reopened)
    made_on = calculated.core_digest
    holding = tuple(each for each in dossier.adjustments if each.calculated == made_on)
    if holding:
        adjusted = _assembled(replace(dossier, adjustments=holding), reopened=reopened)
        return adjusted.model_copy(update={"calculated_digest": made_on})
    return calculated.model_copy(update={"fallen": dossier.adjustments}) if dossier.adjustments else calculated


def _assembled(dossier: Dossier, *, reopened: bool) -> RewardClaim:
    """Return the claim with all of the dossier's adjustments."""
    findings = {code: eligibility.judge(code, dossier) for code in CheckCode}
    contributions = fraud.contributions(dossier)
    reckoning = _reckoning(dossier)
    flags = flags_of(dossier, findings, contributions, reckoning)
    names = {each.flag for each in flags}
    denial = next((finding.denial for finding in findings.values() if finding.denial), None)
    failures = {code for code, finding in findings.items() if finding.result is Result.FAILED}
    recommendation = _recommendation(names, denial, failures)
    override = reckoning.raised or approval.is_override(recommendation, names, failures, reopened=reopened)
    # A dispute's roles are required, but are not in the core digest: it would change as rivals come and go.
    own_names = {each.flag for each in flags if not of_rivals(each)}
    required = partial(
        approval.requirement,
        dossier.terms,
        reckoning.legs,
        override=override,
        adjusted_by=adjusters(dossier.adjustments),
    )
    # Who reopened a referral looks at it, whatever it waited for.
    waits_for = attribution.waits_for(dossier) if denial is None and not reopened else None
    core_digest = digest_of(_core(dossier, findings, flags, reckoning.legs, required(own_names), waits_for))
    heard = _heard(dossier)
    return RewardClaim(
        referral=dossier.referral,
        program=dossier.origin.program,
        version=dossier.version,
        evidence=(*_evidence(findings), *heard.values()),
        checks=tuple(
            Check(
                code=code,
                result=f.result,
                sentence=f.sentence,
                evidence=(*(str(fact.id) for fact in f.facts), *((heard[code].id,) if code in heard else ())),
            )
            for code, f in findings.items()
        ),
        flags=flags,
        score=fraud.score(contributions),
        contributions=tuple(Contribution(**each._asdict()) for each in contributions),
        lines=reckoning.lines,
        legs=reckoning.legs,
        currency=dossier.terms.currency,
        promises=reckoning.promises,
        adjustments=dossier.adjustments,
        recommendation=recommendation,
        denial=denial,
        waits_for=waits_for,
        override=override,
        requirement=required(names),
        calculated_digest=core_digest,
        core_digest=core_digest,
        digest=dispute_digest(core_digest, _competing(dossier)),
    )


def _reckoning(dossier: Dossier) -> Reckoning:
    """Return the legs; none if they can't be calculated, and then the checks of cap and budget could not run either."""
    try:
        return rewards.reckon(dossier)
    except Exception:
        return Reckoning()


def _competing(dossier: Dossier) -> tuple[Rival, ...]:
    """Return the competing claims; none if they can't be looked up, and then `attribution_clear` could not run."""
    try:
        return attribution.competitors(dossier)
    except Exception:
        return ()


def _recommendation(flags: set[Flag], denial: Reason | None, failures: set[CheckCode]) -> Recommendation:
    if denial is not None or flags & DENYING_FLAGS:
        return Recommendation.DENY
    # The periods decide a failed check without a flag: only a reopened claim can still show one.
    if flags or failures - WAITED_FOR:
        return Recommendation.REVIEW
    return Recommendation.APPROVE


def _evidence(findings: Mapping[CheckCode, Finding]) -> tuple[Evidence, ...]:
    """Return every fact that a check used, once, in the order in which they happened."""
    used = {fact.id: fact for finding in findings.values() for fact in finding.facts}
    return tuple(_cited(fact) for fact in sorted(used.values(), key=lambda fact: fact.precedence))


def _heard(dossier: Dossier) -> dict[CheckCode, Evidence]:
    """Return the answers of outside sources by the check they were needed for. The digest covers the facts reported."""
    q = dossier.conversion
    answers = {
        CheckCode.CONVERSION_CONFIRMED: (dossier.revalidation, f"order {q.name}" if q is not None else None),
        CheckCode.NO_OPEN_ISSUE: (dossier.customer_record, "the referee"),
    }
    return {
        code: Evidence(
            id=f"{answer.source}:{about}",
            what=f"answer about {about}",
            source=answer.source,
            reference=about,
            observed_at=dossier.now,
            content_hash=answer.content_hash,
        )
        for code, (answer, about) in answers.items()
        if answer is not None and about is not None and answer.content_hash is not None
    }


def _cited(fact: Fact) -> Evidence:
    name = name_of(fact)
    order = f", order {name}" if name else ""
    # A source may have put an address into its event id; our own id then stands for it.
    reference = fact.event_id if ids.id_problem(fact.event_id) is None else str(fact.id)
    return Evidence(
        id=str(fact.id),
        what=f"{label('fact', fact.type)}{order}",
        source=fact.source,
        reference=reference,
        observed_at=fact.occurred_at,
        content_hash=fact.digest,
    )


def _core(
    dossier: Dossier,
    findings: Mapping[CheckCode, Finding],
    flags: tuple[Raised, ...],
    legs: tuple[Leg, ...],
    required: Requirement,
    waits_for: str | None,
) -> dict[str, Any]:
    judged = {fact.digest for code, f in findings.items() if code not in WAITED_FOR for fact in f.facts}
    standing = [f"{each.flag} {each.about}" for each in flags if each.about not in WAITED_FOR and not of_rivals(each)]
    return {
        "referral": dossier.referral,
        "terms": [dossier.origin.program, str(dossier.version)],
        "facts": sorted(judged | {fact.digest for fact in dossier.requests}),
        "checks": {code: finding.result for code, finding in findings.items() if code not in _NOT_IN_CORE},
        "flags": sorted(standing),
        "legs": [leg.model_dump(mode="json") for leg in legs],
        "requirement": required.model_dump(mode="json", exclude_defaults=True),
        **({"waits_for": waits_for} if waits_for else {}),
        **_adjusted(dossier),
    }


def _adjusted(dossier: Dossier) -> dict[str, Any]:
    """Return what the digest says of the adjustments: each by the decision that made it."""
    made = [[str(each.decision), each.role, each.amount_minor] for each in dossier.adjustments]
    return {"adjustments": made} if made else {}
