"""The flags of a claim: everything for which a person must look at it, and why, in a sentence (SPEC §5, §6)."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict

from referral_rewards.domain import money
from referral_rewards.domain.claims import attribution, fraud
from referral_rewards.domain.claims.adjustments import in_force
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import CheckCode, Finding, Flag
from referral_rewards.domain.claims.rewards import Reckoning
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label


class Raised(BaseModel):
    """A flag, what raised it (a check's code or a signal's name) and why, for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flag: Flag
    about: str
    sentence: str


def of_rivals(raised: Raised) -> bool:
    """Return whether a flag stands for competing claims, which the digest covers by their own digests."""
    return raised.flag is Flag.DISPUTED_ATTRIBUTION and raised.about == CheckCode.ATTRIBUTION_CLEAR


def flags_of(
    dossier: Dossier,
    findings: Mapping[CheckCode, Finding],
    contributions: tuple[fraud.Contribution, ...],
    reckoning: Reckoning,
) -> tuple[Raised, ...]:
    """Return every flag of a claim, in the order of its checks."""
    raised = [
        Raised(flag=flag, about=code, sentence=finding.sentence)
        for code, finding in findings.items()
        for flag in finding.flags
    ]
    for each in contributions:
        if each.fired is None:
            told = f"The fraud signal “{label('signal', each.signal)}” could not run: {each.why}."
            raised.append(Raised(flag=Flag.CHECK_COULD_NOT_RUN, about=each.signal, sentence=told))
    score, threshold = fraud.score(contributions), dossier.terms.fraud.threshold
    fired = "; ".join(f"{label('signal', each.signal)} ({each.why})" for each in contributions if each.fired)
    if fired and score >= threshold:
        told = f"The fraud score is {score}, the threshold {threshold}: {fired}."
        raised.append(Raised(flag=Flag.FRAUD_SUSPECTED, about="fraud", sentence=told))
    if reckoning.partner is not None:
        told = f"The rate of partner {reckoning.partner} replaces the referrer's usual reward."
        raised.append(Raised(flag=Flag.PARTNER_EXCEPTION, about="partner", sentence=told))
    if dossier.requests:
        told = "The reward was requested by hand."
        raised.append(Raised(flag=Flag.MANUAL_REQUEST, about="request", sentence=told))
    if dossier.late_facts:
        told = "Facts arrived after the referral had closed."
        raised.append(Raised(flag=Flag.LATE_FACT, about="facts", sentence=told))
    if dossier.referrer is None and len(dossier.origin.owners) > 1:
        told = attribution.code_of_several(dossier)
        about = f"code of {listed(dossier.origin.owners)}"
        raised.append(Raised(flag=Flag.DISPUTED_ATTRIBUTION, about=about, sentence=told))
    return (*raised, *_flags_of_a_link(dossier), *_flags_of_adjustments(dossier, reckoning))


def _flags_of_a_link(dossier: Dossier) -> Iterator[Raised]:
    """Yield what is flagged if people linked the conversion by hand: it may belong to another referral."""
    link = dossier.linked_by_hand
    if link is None:
        return
    yield Raised(flag=Flag.LINKED_BY_HAND, about=f"order {link.name}", sentence=link.told)
    if dossier.matched_elsewhere is None:
        told = "Whether the order matches another referral could not be looked up."
        yield Raised(flag=Flag.CHECK_COULD_NOT_RUN, about="link", sentence=told)
    elif dossier.matched_elsewhere:
        told = f"Order {link.name} matches another referral: {listed(dossier.matched_elsewhere)}."
        yield Raised(flag=Flag.DISPUTED_ATTRIBUTION, about="link", sentence=told)


def _flags_of_adjustments(dossier: Dossier, reckoning: Reckoning) -> Iterator[Raised]:
    """Yield, for each adjusted leg, who set it, why, and both amounts."""
    adjusted = in_force(dossier.adjustments)
    for promise in reckoning.promises:
        if (each := adjusted.get(promise.role)) is not None:
            was, now = (
                money.display(minor, dossier.terms.currency) for minor in (promise.calculated_minor, each.amount_minor)
            )
            set_ = f"set to {now}" if each.amount_minor else "left out"
            why = label("decision_reason", each.reason)
            told = f"The {promise.role}'s reward was {set_} by {each.by} ({why}); {was} were calculated."
            yield Raised(flag=Flag.ADJUSTED, about=promise.role, sentence=told)
