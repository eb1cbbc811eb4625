"""Checks of the people: may this referrer be rewarded for this referee (SPEC §5)?"""

from referral_rewards.domain.claims.checks_of_conversion import NO_CONVERSION
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import (
    NO_REFERRER,
    Finding,
    Flag,
    could_not_run,
    failed,
    instant,
    passed,
    unanswerable,
)
from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import labels
from referral_rewards.domain.referrals.consent_and_issues import (
    latest_consent,
    latest_of_issues,
    open_issues,
    refused_in_review,
    suspended_in_review,
    suspensions,
    words_on_consent,
)
from referral_rewards.domain.referrals.conversions import Conversion, alike_conversions, conversions
from referral_rewards.domain.referrals.inquiries import Answer
from referral_rewards.domain.referrals.lifecycle import Reason
from referral_rewards.domain.referrals.origin import OriginKind


def program_active(dossier: Dossier) -> Finding:
    """The terms were in force when the referral began, and the program had not ended."""
    terms, began_at = dossier.terms, dossier.origin.began_at
    told = f"Version {dossier.version} of {terms.program} is in force from {instant(terms.effective_from)}"
    if (ended_at := dossier.program.ended_at) is not None and dossier.program.has_ended(began_at):
        told = f"{terms.program} ended {instant(ended_at)}; the referral began {instant(began_at)}."
        return failed(told, denial=Reason.PROGRAM_NOT_ACTIVE)
    if terms.effective_from <= began_at:
        return passed(f"{told}; the referral began {instant(began_at)}.")
    return failed(f"{told}, after the referral began.", denial=Reason.PROGRAM_NOT_ACTIVE)


def referrer_active(dossier: Dossier) -> Finding:
    """The referrer is not suspended now, and was not at any time since the review began.

    Only a reinstatement lifts a suspension: enrolling once more does not. One that comes after the suspension denied
    the reward is late: otherwise the order in which the two arrive would decide.
    """
    if dossier.referrer is None:
        return unanswerable(NO_REFERRER)
    said = dossier.of_referrer(FactType.REFERRER_SUSPENDED, FactType.REFERRER_REINSTATED)
    if stand := suspensions(said).taking:
        told = f"{dossier.referrer} has been suspended since {instant(stand[-1].occurred_at)}."
        return failed(told, stand[-1], denial=Reason.REFERRER_SUSPENDED)
    since, moved = dossier.review_began_at, dossier.acts.reassigned
    if since is not None and (past := suspended_in_review(said, max(since, moved.at) if moved else since)):
        told = f"{dossier.referrer} was suspended {instant(past.occurred_at)}, and it stood when this was reviewed."
        return failed(told, past, *said[-1:], denial=Reason.REFERRER_SUSPENDED)
    return passed(f"{dossier.referrer} is not suspended.", *said[-1:])


def referrer_enrolled_before_conversion(dossier: Dossier) -> Finding:
    """The referrer had joined the program when the conversion happened."""
    if dossier.referrer is None:
        return unanswerable(NO_REFERRER)
    enrolments, q = dossier.of_referrer(FactType.REFERRER_ENROLLED), dossier.conversion
    first = enrolments[0] if enrolments else None
    if first is not None and q is not None and first.occurred_at <= q.occurred_at:
        return passed(f"{dossier.referrer} enrolled {instant(first.occurred_at)}.", first)
    if first is not None and q is None:
        return could_not_run(NO_CONVERSION, first)
    told = f"enrolled only {instant(first.occurred_at)}, after the conversion" if first else "is not enrolled"
    return failed(f"{dossier.referrer} {told}.", *enrolments[:1], denial=Reason.REFERRER_NOT_ENROLLED)


def referee_is_new_customer(dossier: Dossier) -> Finding:
    """The referee was not a customer before the referral, if the terms require that."""
    if not dossier.terms.qualifying.new_customers_only:
        return passed("The program does not require new customers.")
    if dossier.conversion is None:
        return could_not_run(NO_CONVERSION)
    own = conversions(dossier.seen, dossier.referee_identity, dossier.terms, dossier.acts.orders)
    # Later conversions say nothing: by then the referee is a customer because of the referral.
    read = [c for c in own if _before_referral(dossier, c)]
    read += [c for c in own if not _before_referral(dossier, c)][:1]
    against = [(each, told) for each in read if (told := _makes_a_customer(dossier, each)) is not None]
    for each, told in against:
        if _is_certainly_theirs(dossier, each):
            return failed(told, each.record, denial=Reason.EXISTING_CUSTOMER)
    # Of another customer with the same mailbox only what is older can say anything.
    alike = alike_conversions(dossier.seen, dossier.referee_identity, dossier.terms)
    strangers = [each for each in alike if _before_referral(dossier, each)]
    against += [(each, told) for each in strangers if (told := _makes_a_customer(dossier, each)) is not None]
    if against:
        each, told = against[0]
        told += " Its address is the referee's only without the +tag: whether it is one person takes a person."
        return failed(told, each.record, flags=(Flag.EVIDENCE_CONFLICT,))
    return passed("There is no purchase from before the referral.", *(c.record for c in read))


def _makes_a_customer(dossier: Dossier, conversion: Conversion) -> str | None:
    """Say why whoever has a conversion is no new customer; None if it does not show that."""
    if conversion.new_customer is False:
        return f"Order {conversion.name} says that the customer is not new."
    if _before_referral(dossier, conversion) and conversion.is_a_purchase:
        return f"Order {conversion.name} of {instant(conversion.occurred_at)} is older than the referral."
    return None


def _is_certainly_theirs(dossier: Dossier, conversion: Conversion) -> bool:
    by_hand = any(map(conversion.which.is_named, dossier.acts.orders))
    return by_hand or identity.certainly_one(conversion.record.identity, dossier.referee_identity)


def not_self_referral(dossier: Dossier) -> Finding:
    """Referrer and referee share no email, phone, customer id, payment instrument or device."""
    if dossier.referrer is None:
        return unanswerable(NO_REFERRER)
    kinds = identity.SELF_REFERRAL_KINDS
    of_referrer, of_referee = (identity.of_kinds(m, kinds) for m in (dossier.referrer_marks, dossier.referee_marks))
    if not of_referrer or not of_referee:
        return could_not_run(f"Nothing on record identifies the {'referee' if of_referrer else 'referrer'}.")
    if common := of_referrer & of_referee:
        shared = listed(labels("mark", sorted({mark.partition(":")[0] for mark in common})))
        told = tuple(fact for fact in dossier.seen if fact.marks & common)
        return failed(f"Referrer and referee share the same {shared}.", *told, flags=(Flag.SELF_REFERRAL,))
    return passed("Referrer and referee share no identity, payment instrument or device.")


def consent_given(dossier: Dossier) -> Finding:
    """The referee's latest consent fact on being contacted is yes, and was not a no since the review began."""
    words = words_on_consent(dossier.seen, dossier.referee_identity)
    latest = latest_consent(words, "contact")
    if latest is None:
        return failed("There is no consent on record for the referee.", flags=(Flag.CONSENT_UNCLEAR,))
    fact, given = latest
    since = dossier.review_began_at
    if given and since is not None and (past := refused_in_review(words, since)):
        told = f"Consent was refused or withdrawn {instant(past.occurred_at)}, and that stood when this was reviewed."
        return failed(told, past, fact, denial=Reason.CONSENT_WITHDRAWN)
    if given:
        return _silent_customers(dossier) or passed(f"Consent was given {instant(fact.occurred_at)}.", fact)
    return failed(
        f"Consent was refused or withdrawn {instant(fact.occurred_at)}.", fact, denial=Reason.CONSENT_WITHDRAWN
    )


def no_open_issue(dossier: Dossier) -> Finding:
    """The referee has no unresolved issue."""
    said = dossier.of_referee(FactType.ISSUE_OPENED, FactType.ISSUE_RESOLVED)
    if still_open := open_issues(said):
        names = ", ".join(sorted(fact.data["issue"] for fact in still_open))
        return failed(f"Unresolved customer issues: {names}.", *still_open, flags=(Flag.UNRESOLVED_ISSUE,))
    words = latest_of_issues(said).values()
    return _silent_customers(dossier) or passed("The referee has no unresolved issues.", *words)


def advocacy_permitted(dossier: Dossier) -> Finding:
    """The referee permits public advocacy, if the terms require that."""
    if not dossier.terms.qualifying.advocacy_permission_required:
        return passed("The program does not require permission for public advocacy.")
    latest = latest_consent(words_on_consent(dossier.seen, dossier.referee_identity), "public_advocacy")
    if latest is not None and latest[1]:
        return _silent_customers(dossier) or passed(
            f"Permission was given {instant(latest[0].occurred_at)}.", latest[0]
        )
    told = "was withdrawn" if latest else "was never given"
    evidence = latest[:1] if latest else ()
    return failed(f"Permission for public advocacy {told}.", *evidence, flags=(Flag.ADVOCACY_NOT_PERMITTED,))


def _silent_customers(dossier: Dossier) -> Finding | None:
    """Return the finding for a check that would otherwise pass, if the source of customers that the terms name gave no
    usable answer: that source may know otherwise. None if it answered."""
    source, record = dossier.terms.sources.customers, dossier.customer_record
    if source is None or (record is not None and record.answer is Answer.CONFIRMED):
        return None
    return could_not_run(f"{source}: {record.sentence}" if record else f"{source} has not been asked yet.")


def _before_referral(dossier: Dossier, conversion: Conversion) -> bool:
    """Whether a conversion is too early for this referral: before ``R`` or, if a claim began it, before its grace too.

    A request for a reward comes after the order that it names: a conversion before that order makes the referee an
    existing customer.
    """
    began_at, grace = dossier.origin.began_at, dossier.terms.periods.grace
    if dossier.origin.kind is OriginKind.REQUEST and dossier.conversion is not None:
        began_at = min(began_at, dossier.conversion.occurred_at)
    if dossier.origin.kind is not OriginKind.CLAIM:
        return conversion.occurred_at < began_at
    return conversion.occurred_at < began_at and dossier.terms.end(conversion.occurred_at, grace) <= began_at
