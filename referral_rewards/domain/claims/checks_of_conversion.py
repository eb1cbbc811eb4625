"""Checks of the conversion: is it confirmed, consistent, in time, large enough and not reversed (SPEC §5)?"""

from typing import Final

from referral_rewards.domain import money
from referral_rewards.domain.claims import rewards
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import Finding, Flag, could_not_run, failed, instant, passed
from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.facts.restoring import Doubt
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.referrals.consent_and_issues import doubts, suspensions
from referral_rewards.domain.referrals.conversions import Conversion, contested_records
from referral_rewards.domain.referrals.inquiries import REGISTER, Answer, register_answer
from referral_rewards.domain.referrals.lifecycle import CLOSED
from referral_rewards.domain.referrals.order_amounts import in_words
from referral_rewards.domain.referrals.origin import OriginKind

NO_CONVERSION: Final = "There is no conversion on record for this reward."


def conversion_confirmed(dossier: Dossier) -> Finding:
    """The source confirmed the conversion when asked again: at the end of the return period and before each payment."""
    q, answer = dossier.conversion, dossier.revalidation
    if q is None:
        return could_not_run(NO_CONVERSION, *dossier.of(FactType.CONVERSION_REPORTED))
    if answer is None or answer.answer is Answer.UNAVAILABLE:
        told = f"{answer.source}: {answer.sentence}" if answer else "The source has not been asked again yet."
        return could_not_run(told, q.record)
    if answer.answer is Answer.CONTRADICTED:
        return failed(f"{answer.source}: {answer.sentence}", q.record, flags=(Flag.EVIDENCE_CONFLICT,))
    if answer.source == REGISTER:
        return passed(register_answer(q.name).sentence, q.record)
    return passed(f"{answer.source}: {answer.sentence}", q.record)


def evidence_agrees(dossier: Dossier) -> Finding:
    """All records of the order agree, and so do all invitations of the referral; whoever undid something may do so."""
    q, invitations = dossier.conversion, dossier.of(FactType.REFERRAL_SENT)
    if len({_invitation(fact) for fact in invitations}) > 1:
        told = "; ".join(f"{fact.source} says {', '.join(_invitation(fact))}" for fact in invitations)
        return failed(f"The invitations differ: {told}.", *invitations, flags=(Flag.EVIDENCE_CONFLICT,))
    contested = contested_records(dossier.seen, dossier.referee_identity, dossier.terms, dossier.acts.orders)
    told_of = tuple(f"{each.record.source} tells of {each.told}" for each in contested)
    records = tuple(each.record for each in contested)
    if q is None:
        told = f"{'; '.join(told_of)}."
        return failed(told, *records, flags=(Flag.EVIDENCE_CONFLICT,)) if contested else could_not_run(NO_CONVERSION)
    doubted = _doubts(dossier)
    conflicts = (*_differing_versions(q), *q.conflicts, *told_of, *(each.sentence for each in doubted))
    if not conflicts:
        agreed = f"All records of order {q.name} agree ({len(q.records)} on record){_amended(q)}."
        return passed(agreed, *q.records, *q.amendments)
    said = (fact for each in doubted for fact in (each.fact, *each.standing))
    its = (*q.records, *q.told_differently, *records, *said)
    return failed(f"{'; '.join(conflicts)}.", *its, flags=(Flag.EVIDENCE_CONFLICT,))


def _differing_versions(q: Conversion) -> tuple[str, ...]:
    """Return the sentence about records of the order that differ; none if they agree."""
    differing = [fact for fact in q.records if _contradicts(q.record, fact)]
    if not differing:
        return ()
    versions = "; ".join(f"{fact.source} says {_version(fact)}" for fact in (q.record, *differing))
    if any(_other_person(q.record, fact) for fact in differing):
        versions += "; they name different customers"
    return (f"The records of order {q.name} differ: {versions}",)


def _doubts(dossier: Dossier) -> list[Doubt]:
    """Return what was to lift a suspension, settle an issue or give consent, told by somebody who may not."""
    types = (FactType.ISSUE_OPENED, FactType.ISSUE_RESOLVED, FactType.CONSENT_GRANTED, FactType.CONSENT_WITHDRAWN)
    of_referee = (*dossier.of_referee(*types), *dossier.of(FactType.REFERRAL_CLAIMED))
    of_referrer = dossier.of_referrer(FactType.REFERRER_SUSPENDED, FactType.REFERRER_REINSTATED)
    scopes = ("contact", *(("public_advocacy",) if dossier.terms.qualifying.advocacy_permission_required else ()))
    return [*suspensions(of_referrer).doubts, *doubts(of_referee, scopes)]


def _amended(q: Conversion) -> str:
    """Return the words for both amounts of an order that was amended."""
    if not q.amendments:
        return ""
    return f"; its amount was amended from {in_words(q.record)} to {money.display(q.gross_minor, q.currency)}"


def _invitation(fact: Fact) -> tuple[str, str, str]:
    return (fact.data["program"], fact.data["referrer"], label("channel", fact.data["channel"]))


def within_periods(dossier: Dossier) -> Finding:
    """The claim and the conversion came in time."""
    course, q = dossier.course, dossier.conversion
    if dossier.origin.kind is OriginKind.REQUEST:
        asked = dossier.of(FactType.REWARD_REQUESTED)
        return could_not_run(
            "The reward was requested by hand: there is no invitation or claim to measure the periods from.", *asked
        )
    said = dossier.of(FactType.REFERRAL_SENT, FactType.REFERRAL_CLAIMED)
    if q is None or course.claimed_at is None or course.status in CLOSED:
        why = label("reason", course.reason) if course.reason else "nothing qualifies"
        return failed(f"The periods ended without a reward: {why}.", *said)
    dates = f"claimed {instant(course.claimed_at)}, converted {instant(q.occurred_at)}"
    if course.return_ends is None:  # a person reopened the referral: by the periods this conversion does not qualify
        return failed(f"Referral began {instant(course.began_at)}, {dates}: outside the periods.", *said, q.record)
    returned = f"return period ended {instant(course.return_ends)}"
    return passed(f"Referral began {instant(course.began_at)}, {dates}, {returned}.", *said, q.record)


def minimum_met(dossier: Dossier) -> Finding:
    """The remaining amount of the conversion reaches the program's minimum."""
    q, minimum = dossier.conversion, dossier.terms.qualifying.minimum
    if q is None:
        return could_not_run(NO_CONVERSION)
    if minimum is None or q.net_minor is None:
        return passed("The program has no minimum." if minimum is None else "This kind of conversion has no amount.")
    net, currency = money.display(q.net_minor, q.currency), dossier.terms.currency
    if q.currency != currency:
        return passed(f"The minimum is in {currency} and does not apply to {net}.", q.record)
    told = f"The net amount is {net}; the minimum is {money.display(dossier.terms.minor(minimum), currency)}."
    reached = q.net_minor >= dossier.terms.minor(minimum)
    return (passed if reached else failed)(told, q.record, *q.taken_by)


def conversion_not_reversed(dossier: Dossier) -> Finding:
    """The conversion was not fully reversed."""
    q = dossier.conversion
    if q is None:
        return could_not_run(NO_CONVERSION)
    if not q.taken_by:
        return passed(f"Order {q.name} was not reversed.", q.record)
    if not q.net_minor:
        return failed(f"Order {q.name} was reversed in full.", q.record, *q.taken_by)
    if q.net_minor == q.gross_minor:  # what was told can't be read in the order's currency, and takes nothing by itself
        return passed(f"Nothing was taken of order {q.name}.", q.record, *q.taken_by)
    left = f"{money.display(q.net_minor, q.currency)} of {money.display(q.gross_minor, q.currency)}"
    return passed(
        f"Order {q.name} was reversed in part: {left} remains.", q.record, *q.taken_by, flags=(Flag.PARTIAL_REFUND,)
    )


def no_open_dispute(dossier: Dossier) -> Finding:
    """No dispute of the conversion is open. Where only a reversal tells that one was lost, its closing is awaited."""
    q = dossier.conversion
    if q is None:
        return could_not_run(NO_CONVERSION)
    said = sorted((fact for each in q.disputes for fact in each.facts), key=lambda fact: fact.precedence)
    still_open = [each for each in q.disputes if not each.closings]
    if still_open:
        since = instant(still_open[-1].openings[-1].occurred_at)
        told = f"A payment dispute about order {q.name} has been open since {since}."
        return failed(told, *said, flags=(Flag.DISPUTE_OPEN,))
    return passed(f"There is no open payment dispute about order {q.name}.", *said)


def currency_matches(dossier: Dossier) -> Finding:
    """The conversion is in the program's currency."""
    q = dossier.conversion
    if q is None:
        return could_not_run(NO_CONVERSION)
    if not rewards.same_currency(dossier):
        told = f"Order {q.name} is in {q.currency}, the program in {dossier.terms.currency}: percentages are left out."
        return failed(told, q.record, flags=(Flag.CURRENCY_MISMATCH,))
    return passed(f"The reward is in {dossier.terms.currency}." if q.currency else "The conversion has no amount.")


def _contradicts(one: Fact, other: Fact) -> bool:
    """Whether two records of one order differ in what the verdict reads."""
    said = ("kind", "amount", "currency")
    if [_said(one, name) for name in said] != [_said(other, name) for name in said]:
        return True
    news = {fact.data["new_customer"] for fact in (one, other) if "new_customer" in fact.data}
    return len(news) > 1 or _other_person(one, other)


def _said(record: Fact, name: str) -> str | int | None:
    """Return a field of a conversion's record; an amount in minor units, because 80 and 80.00 are equal."""
    value: str | None = record.data.get(name)
    return money.to_minor(value, record.data["currency"]) if name == "amount" and value is not None else value


def _other_person(one: Fact, other: Fact) -> bool:
    """Whether two records name different customers: for a kind of identity both have marks, and share none."""
    pairs = [
        (identity.of_kinds(one.marks, (k,)), identity.of_kinds(other.marks, (k,))) for k in identity.IDENTITY_KINDS
    ]
    return any(a and b and not a & b for a, b in pairs)


def _version(record: Fact) -> str:
    amount, currency = record.data.get("amount"), record.data.get("currency")
    new = {True: ", new customer", False: ", no new customer", None: ""}[record.data.get("new_customer")]
    return f"{record.data['kind']}, {f'{amount} {currency}' if amount is not None else 'no amount'}{new}"
