"""The claim of a referral that waits for a person: every check, flag, ground to deny, leg and route (SPEC §5).

Left out: the score but for three of its signals, tax, and what a reopened claim admits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from referral_rewards.audit.reading import disputes, orders, people, review, rewards
from referral_rewards.audit.reading.rewards import Leg
from referral_rewards.audit.reading.told import Told, links, of_kinds, of_type, standing
from referral_rewards.audit.reading.world import Referral, World

PASSED, FAILED, COULD_NOT_RUN = "passed", "failed", "could_not_run"
DENYING: Final = frozenset({"self_referral", "duplicate_claim"})


@dataclass(slots=True)
class Claim:
    """What the text makes of a referral that waits for a person."""

    checks: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    denials: list[str] = field(default_factory=list)  # in the order of the table; any may be the one that is told
    legs: list[Leg] = field(default_factory=list)
    routes: set[str] = field(default_factory=set)

    @property
    def recommendation(self) -> str:
        if self.denials or self.flags & DENYING:
            return "deny"
        return "review" if self.flags else "approve"

    def passes(self, *codes: str) -> None:
        """These checks pass."""
        self.checks |= dict.fromkeys(codes, PASSED)

    def check(self, code: str, holds: bool, *, flag: str | None = None, denial: str | None = None) -> None:
        """This check passes, or fails with its flag or its ground to deny."""
        self.checks[code] = PASSED if holds else FAILED
        if not holds and flag:
            self.flags.add(flag)
        if not holds and denial:
            self.denials.append(denial)

    def cannot_check(self, code: str, *, flagged: bool = True) -> None:
        """This check could not run; what can't be told for want of a referrer raises no flag of its own."""
        self.checks[code] = COULD_NOT_RUN
        if flagged:
            self.flags.add("check_could_not_run")


def lost(world: World, name: str) -> bool:
    """Whether the dispute over the referral could have been settled for another: one decision settles all."""
    mine = world.referrals[name]
    winners = (world.referrals[each.referral] for each in world.held if each.referral in world.referrals)
    return any(winner.referrer != mine.referrer and mine.meets(winner) for winner in winners)


def claim(world: World, name: str, answer: str, disposable: frozenset[str] = frozenset()) -> Claim:
    """The claim of a referral that §4 leaves awaiting approval.

    ``answer`` is what the source said of the conversion: confirmed, contradicted or unavailable. ``disposable`` are the
    domains of addresses that anybody can read. Once approved it is read as of now; before, what denied it by rule at
    any instant since its review began closed it.
    """
    mine = world.referrals[name]
    found = of_referral(mine, answer, disposable)
    if not any(each.referral == name for each in world.held):
        for code, denial in review.denials(mine):
            found.check(code, False, denial=denial)
        found.routes = routes(mine, found)
    return found


def of_referral(mine: Referral, answer: str, disposable: frozenset[str] = frozenset()) -> Claim:
    """The claim of a referral that has a conversion."""
    found = Claim()
    _judge_conversion(mine, found, answer)
    _judge_people(mine, found)
    if score(mine, disposable) >= (mine.terms.get("fraud") or {}).get("threshold", 50):
        found.flags.add("fraud_suspected")
    _judge_rivals(mine, found)
    _judge_consent_and_issues(mine, found)
    _judge_money(mine, found)
    _judge_the_rest(mine, found)
    found.routes = routes(mine, found)
    return found


def _judge_conversion(mine: Referral, found: Claim, answer: str) -> None:
    if answer == "unavailable":
        found.cannot_check("conversion_confirmed")
    else:
        found.check("conversion_confirmed", answer == "confirmed", flag="evidence_conflict")
    found.check("evidence_agrees", _evidence_agrees(mine), flag="evidence_conflict")
    found.passes("within_periods", "minimum_met", "conversion_not_reversed")  # §4 has decided
    found.passes("program_active")
    its = disputes.disputes(mine.world.apart, mine.q.order)
    found.check("no_open_dispute", all(each.counted for each in its), flag="dispute_open")
    gross = orders.amounts(mine.q, mine.world.apart).latest
    if mine.net is not None and gross is not None and mine.net < gross:
        found.flags.add("partial_refund")


def _evidence_agrees(mine: Referral) -> bool:
    known, order = mine.world.apart, mine.q.order
    recorded = of_type(known, "conversion.recorded")
    gross, _, differs = orders.amounts(mine.q, known)
    if gross is not None:
        differs = differs or disputes.taken(known, order, gross, mine.q.data["currency"])[1]
    else:
        differs = differs or any(each.is_doubted for each in disputes.disputes(known, order))
    own = {each.order for each in mine.conversions}
    homeless = of_type(mine.world.doubts.homeless, "conversion.recorded")
    differs = differs or order in mine.world.doubts.labels
    strange = [each for each in (*recorded, *homeless) if links(each.identity, mine.referee) and each.order not in own]
    return not differs and not strange and all(_agree(mine.q, each) for each in recorded if each.order == order)


def _agree(one: Told, other: Told) -> bool:
    """Two records of an order. One that says less than the other does not differ from it, as the product reads it."""
    said = [key for key in ("kind", "amount", "currency", "new_customer") if key in one.data and key in other.data]
    return all(one.data[key] == other.data[key] for key in said) and not _strangers(one, other)


def _strangers(one: Told, other: Told) -> bool:
    """Whether two people share nothing, though both name a part of the same kind."""
    kinds = ("customer", "email", "phone")
    comparable = any(of_kinds(one.marks, (kind,)) and of_kinds(other.marks, (kind,)) for kind in kinds)
    return comparable and not one.identity & other.identity


def _judge_people(mine: Referral, found: Claim) -> None:
    said = of_type(mine.world.known, "referrer.suspended", "referrer.reinstated")
    its = [each for each in said if mine.is_of_referrer(each)]
    stand, barred = standing(its, lambda fact: fact.type == "referrer.suspended")
    if barred:
        found.check("evidence_agrees", False, flag="evidence_conflict")
    if mine.referrer is None:
        _without_referrer(mine, found)
    else:
        found.check("referrer_active", not stand, denial="referrer_suspended")
        enrolments = [each for each in mine.world.of("referrer.enrolled") if mine.is_of_referrer(each)]
        enrolled = any(each.at <= mine.q.at for each in enrolments)
        found.check("referrer_enrolled_before_conversion", enrolled, denial="referrer_not_enrolled")
        _judge_self_referral(mine, found)
    _judge_newness(mine, found)


def _without_referrer(mine: Referral, found: Claim) -> None:
    for code in ("referrer_active", "referrer_enrolled_before_conversion", "not_self_referral"):
        found.cannot_check(code, flagged=False)
    found.flags.add("disputed_attribution" if len(mine.owners) > 1 else "unknown_referrer")


def _judge_self_referral(mine: Referral, found: Claim) -> None:
    referrer, referee = people.referrer_parts(mine), people.referee_parts(mine)
    if referrer and referee:
        shared = of_kinds(referrer & referee, ("customer", "email", "phone", "local_phone", "fingerprint", "device"))
        found.check("not_self_referral", not shared, flag="self_referral")
    else:
        found.cannot_check("not_self_referral")


def _judge_newness(mine: Referral, found: Claim) -> None:
    asked = mine.terms["qualifying"].get("new_customers_only", False)
    certain, doubtful = people.existing(mine) if asked else (False, False)
    if certain:
        found.check("referee_is_new_customer", False, denial="existing_customer")
    else:  # a mailbox that may be shared by tags denies nothing by rule
        found.check("referee_is_new_customer", not doubtful, flag="evidence_conflict")


def _judge_rivals(mine: Referral, found: Claim) -> None:
    duplicate, disputed = False, False
    for other in mine.world.referrals.values():
        if other.name == mine.name or not mine.meets(other):
            continue
        # The text leaves open whose reward counts ("already rewarded", whoever was) and when a claim lives (from the
        # referee's timely claim on): both are read as the product reads them, for the more careful.
        rewarded = any(each.referral == other.name for each in mine.world.held)
        duplicate |= rewarded or (other.lives and other.referrer == mine.referrer and other.place < mine.place)
        # What an approval settled stays part of what was decided.
        settled = other.name in mine.world.settled.get(mine.name, ())
        contends = settled or (other.lives and mine.label is not None and other.label == mine.label)
        disputed |= contends and other.referrer != mine.referrer
    found.check("not_duplicate", not duplicate, flag="duplicate_claim")
    moved_at = mine.acts.moved_at
    changed = any(moved_at is None or each.at > moved_at for each in mine.of("attribution.changed"))
    found.check("attribution_clear", not disputed and not changed)
    if disputed:
        found.flags.add("disputed_attribution")
    if changed:
        found.flags.add("attribution_changed")


def _judge_consent_and_issues(mine: Referral, found: Claim) -> None:
    said = people.word(mine, "contact")
    found.check("consent_given", said is True)
    if said is None:
        found.flags.add("consent_unclear")
    elif said is False:
        found.denials.append("consent_withdrawn")
    left = [standing(its, lambda fact: fact.type == "customer.issue_opened") for its in people.issues(mine)]
    found.check("no_open_issue", not any(stand for stand, _ in left), flag="unresolved_customer_issue")
    asked = mine.terms["qualifying"].get("advocacy_permission_required", False)
    scopes = ("contact", "public_advocacy") if asked else ("contact",)
    if any(barred for _, barred in left) or any(people.is_doubted(mine, scope) for scope in scopes):
        found.check("evidence_agrees", False, flag="evidence_conflict")
    permitted = people.word(mine, "public_advocacy") is True
    found.check("advocacy_permitted", not asked or permitted, flag="public_advocacy_not_permitted")


def _judge_money(mine: Referral, found: Claim) -> None:
    found.check("currency_matches", not is_foreign(mine), flag="currency_mismatch")
    result = reckoning(mine).result()
    found.legs = result.legs
    found.check("cap_available", not (result.capped or result.cap_reached))
    found.check("budget_available", not (result.budgeted or result.budget_exhausted))
    if result.capped or result.budgeted:
        found.flags.add("cap_limited")
    if result.cap_reached:
        found.denials.append("cap_reached")
    if result.budget_exhausted:
        found.flags.add("budget_exhausted")
    if result.partner:
        found.flags.add("partner_exception")
    if any(leg.beneficiary is None for leg in result.legs):
        found.cannot_check("payee_known", flagged=mine.referrer is not None)
    else:
        found.passes("payee_known")


def is_foreign(mine: Referral) -> bool:
    """Whether *the* conversion is in another currency than the program."""
    currency = mine.q.data.get("currency")
    return currency is not None and mine.net is not None and currency != mine.terms["currency"]


def reckoning(mine: Referral) -> rewards.Reckoning:
    """What the amounts of its claim are made from."""
    world = mine.world
    return rewards.Reckoning(
        terms=mine.terms,
        referrer=mine.referrer,
        customer=people.customer(mine),
        partner=people.partner(mine),
        earned_at=mine.q.at,
        net=mine.net,
        foreign=is_foreign(mine),
        held=[each for each in world.held if each.program == mine.program and each.referral != mine.name],
        count=world.counts.get(mine.name),
        now=world.now,
    )


def _judge_the_rest(mine: Referral, found: Claim) -> None:
    found.passes("tax_cleared")
    for request in mine.world.of("reward.requested"):
        if mine.is_of_referrer(request) and request.identity & mine.referee:
            found.flags.add("manual_request")
    if mine.requested:  # there is no invitation or claim to measure the periods from
        found.flags.add("manual_request")
        found.cannot_check("within_periods")
    if not links(mine.q.identity, mine.referee):
        found.flags.add("linked_by_hand")


def routes(mine: Referral, found: Claim) -> set[str]:
    """The roles that approving the claim takes (SPEC §6)."""
    rewarded: Mapping[str, Any] = mine.terms["rewards"]
    kinds = {leg.kind for leg in found.legs} or {rule["kind"] for rule in rewarded.values() if rule}
    needed = {role for kind in kinds for role in mine.terms["approval"]["routes"][kind]}
    if "partner_exception" in found.flags:
        needed.add("program_owner")
    if "disputed_attribution" in found.flags:
        needed |= {"operations", "program_owner"}
    if found.recommendation == "deny" or "fraud_suspected" in found.flags:
        needed |= {"finance", "operations"}
    return needed


def score(mine: Referral, disposable: frozenset[str]) -> int:
    """The fraud score as far as it is read here: a shared address of the network, and a disposable one of the mail."""
    weights = (mine.terms.get("fraud") or {}).get("weights") or {}
    said = (*mine.of("referral.sent"), *mine.of("referral.claimed"))
    enrolments = [each for each in mine.world.of("referrer.enrolled") if each.data["referrer"] == mine.referrer]
    seen = [of_kinds(each.marks, ("ip",)) for each in (*said, *mine.conversions)]
    theirs = [of_kinds(each.marks, ("ip",)) for each in enrolments]
    found = 0
    if frozenset[str]().union(*seen) & frozenset[str]().union(*theirs):
        found += weights.get("shared_ip", 0)
    if any(each.domains & disposable for each in said):
        found += weights.get("disposable_email", 0)
    return found
