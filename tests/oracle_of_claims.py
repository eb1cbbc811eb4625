"""A second reading of SPEC §5: plain, slow, and written from the text alone, to hold the product's claims against.

It reads raw CloudEvents and raw terms like `oracle.py`, which says where each referral stands (§4), and judges the
claim of one that waits for a person: every check, flag, ground to deny, leg and route. Who the referrals are is
`oracle_of_referrals.py`, what they earn `oracle_of_rewards.py`.

Left to the product's own tests: the score but for three of its signals, tax, and what a reopened claim admits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests import oracle, oracle_of_disputes, oracle_of_orders, oracle_of_rewards
from tests.oracle import Event, at
from tests.oracle_of_referrals import Referral, World
from tests.oracle_of_rewards import Leg
from tests.telling import may_tell

PASSED, FAILED, COULD_NOT_RUN = "passed", "failed", "could_not_run"
#: Statuses of §4 in which a referral holds a timely claim of its referee.
_HOLDING = ("claimed", "in_return_period", "awaiting_approval")
_DENYING = frozenset({"self_referral", "duplicate_claim"})
_DISPOSABLE = frozenset({"mailinator.com"})  # the one that the populations use


@dataclass
class Claim:
    """What the text makes of a referral that waits for a person."""

    checks: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    denials: list[str] = field(default_factory=list)  # in the order of the table; any may be the one that is told
    legs: list[Leg] = field(default_factory=list)
    routes: set[str] = field(default_factory=set)

    @property
    def recommendation(self) -> str:
        if self.denials or self.flags & _DENYING:
            return "deny"
        return "review" if self.flags else "approve"

    def passes(self, *codes: str) -> None:
        self.checks |= dict.fromkeys(codes, PASSED)

    def check(self, code: str, holds: bool, *, flag: str | None = None, denial: str | None = None) -> None:
        self.checks[code] = PASSED if holds else FAILED
        if not holds and flag:
            self.flags.add(flag)
        if not holds and denial:
            self.denials.append(denial)

    def cannot_check(self, code: str) -> None:
        self.checks[code] = COULD_NOT_RUN
        self.flags.add("check_could_not_run")


def lost(world: World, name: str) -> bool:
    """Whether the dispute over the referral could have been settled for another: one decision settles all."""
    mine = world.referrals[name]
    winners = (world.referrals[each.referral] for each in world.held)
    return any(winner.referrer != mine.referrer and _meets(mine, winner) for winner in winners)


def claim(world: World, name: str, answer: str) -> Claim:
    """The claim of a referral that §4 leaves awaiting approval.

    ``answer`` is what the source said of the conversion: confirmed, contradicted or unavailable.
    """
    mine, found = world.referrals[name], Claim()
    _judge_conversion(mine, found, answer)
    _judge_people(mine, found)
    _judge_rivals(mine, found)
    _judge_consent_and_issues(mine, found)
    _judge_money(mine, found)
    _judge_the_rest(mine, found)
    found.routes = _routes(mine, found)
    return found


# -- the table, row by row


def _judge_conversion(mine: Referral, found: Claim, answer: str) -> None:
    if answer == "unavailable":
        found.cannot_check("conversion_confirmed")
    else:
        found.check("conversion_confirmed", answer == "confirmed", flag="evidence_conflict")
    records = [e["data"] for e in mine.world.of("conversion.recorded") if e["data"]["order"] == mine.order]
    known, order = mine.world.known, mine.q["data"]["order"]
    gross, _, differs = oracle_of_orders.amounts(mine.q, known)
    if gross is not None:
        differs = differs or oracle_of_disputes.taken(known, order, gross, mine.q["data"]["currency"])[1]
    else:
        differs = differs or any(each.is_doubted for each in oracle_of_disputes.disputes(known, order))
    doubted, homeless = mine.world.doubts
    strange = [
        e
        for e in (*mine.world.of("conversion.recorded"), *(e for e in homeless if e["type"] == "conversion.recorded"))
        if oracle.links(oracle.identity(e["data"]["customer"]), mine.referee)
        and e["data"]["order"] not in {each["data"]["order"] for each in mine.conversions}
    ]
    differs = differs or order in doubted
    agree = not differs and not strange and all(_agree(mine.q["data"], each) for each in records)
    found.check("evidence_agrees", agree, flag="evidence_conflict")
    found.passes("within_periods", "minimum_met", "conversion_not_reversed")  # §4 has decided
    found.passes("program_active")
    ends = oracle_of_disputes.disputes(mine.world.known, mine.order) if mine.order else []
    found.check("no_open_dispute", all(each.counted for each in ends), flag="dispute_open")
    if mine.net is not None and gross is not None and mine.net < gross:
        found.flags.add("partial_refund")


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Two records of an order. One that says less than the other does not differ from it, as the product reads it."""
    said = [key for key in ("kind", "amount", "currency", "new_customer") if key in one and key in other]
    return all(one[key] == other[key] for key in said) and not _strangers(one["customer"], other["customer"])


def _strangers(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two people share nothing, though both name a part of the same kind."""
    comparable = any(one.get(part) and other.get(part) for part in ("customer", "email", "phone"))
    return comparable and not oracle.identity(one) & oracle.identity(other)


def _judge_people(mine: Referral, found: Claim) -> None:
    suspensions = [
        e
        for e in mine.world.known
        if e["type"] in ("referrer.suspended", "referrer.reinstated") and _is_of(mine, e["data"])
    ]
    stand, barred = _left(suspensions, "referrer.suspended")
    active = not stand
    if barred:
        found.check("evidence_agrees", False, flag="evidence_conflict")
    found.check("referrer_active", active, denial="referrer_suspended")
    enrolments = [e for e in mine.world.of("referrer.enrolled") if _is_of(mine, e["data"])]
    enrolled = any(at(e) <= at(mine.q) for e in enrolments)
    found.check("referrer_enrolled_before_conversion", enrolled, denial="referrer_not_enrolled")
    asked = mine.terms["qualifying"].get("new_customers_only", False)
    certain, doubtful = _existing(mine) if asked else (False, False)
    if certain:
        found.check("referee_is_new_customer", False, denial="existing_customer")
    else:  # a mailbox that may be shared by tags denies nothing by rule
        found.check("referee_is_new_customer", not doubtful, flag="evidence_conflict")
    shared = _referrer_parts(mine) & _referee_parts(mine)
    found.check("not_self_referral", not shared, flag="self_referral")
    if _score(mine) >= mine.terms.get("fraud", {}).get("threshold", 50):
        found.flags.add("fraud_suspected")


def _judge_rivals(mine: Referral, found: Claim) -> None:
    duplicate, disputed = False, False
    for other in mine.world.referrals.values():
        if other.name == mine.name or not _meets(mine, other):
            continue
        # The text leaves open whose reward counts ("already rewarded", whoever was) and when a claim lives (from the
        # referee's timely claim on): both are read as the product reads them, for the more careful.
        live = not other.closed and other.stand.status in _HOLDING
        rewarded = any(each.referral == other.name for each in mine.world.held)
        duplicate |= rewarded or (live and other.referrer == mine.referrer and _place(other) < _place(mine))
        # What an approval settled stays part of what was decided.
        settled = other.name in mine.world.settled.get(mine.name, ())
        contends = settled or (live and mine.order is not None and other.order == mine.order)
        disputed |= contends and other.referrer != mine.referrer
    found.check("not_duplicate", not duplicate, flag="duplicate_claim")
    changed = bool(mine.of("attribution.changed"))
    found.check("attribution_clear", not disputed and not changed)
    if disputed:
        found.flags.add("disputed_attribution")
    if changed:
        found.flags.add("attribution_changed")


def _place(referral: Referral) -> tuple[datetime, datetime, str]:
    """Where a referral stands among its referrer's of one referee: by its claim, then its beginning, then its id."""
    lead = any(sent["data"]["channel"] == "lead" for sent in referral.of("referral.sent")[:1])
    claims = [] if lead else referral.of("referral.claimed")
    claimed_at = max([referral.began_at, *(at(claim) for claim in claims[:1])])
    return claimed_at, referral.began_at, referral.name


def _judge_consent_and_issues(mine: Referral, found: Claim) -> None:
    said = _consent(mine)
    found.check("consent_given", said is True)
    if said is None:
        found.flags.add("consent_unclear")
    elif said is False:
        found.denials.append("consent_withdrawn")
    issues: dict[str, list[Event]] = {}
    for event in mine.world.known:
        about = event["data"].get("customer") if event["type"].startswith("customer.issue_") else None
        if about and oracle.links(oracle.identity(about), mine.referee):
            issues.setdefault(event["data"]["issue"], []).append(event)
    left = [_left(its, "customer.issue_opened") for its in issues.values()]
    found.check("no_open_issue", not any(stand for stand, _ in left), flag="unresolved_customer_issue")
    advised = ("public_advocacy",) if mine.terms["qualifying"].get("advocacy_permission_required", False) else ()
    if any(barred for _, barred in left) or any(_is_doubted(mine, scope) for scope in ("contact", *advised)):
        found.check("evidence_agrees", False, flag="evidence_conflict")
    asked = mine.terms["qualifying"].get("advocacy_permission_required", False)
    permitted = _word(mine, "public_advocacy") is True
    found.check("advocacy_permitted", not asked or permitted, flag="public_advocacy_not_permitted")


def _judge_money(mine: Referral, found: Claim) -> None:
    currency = mine.q["data"].get("currency")
    matches = currency is None or mine.net is None or currency == mine.terms["currency"]
    found.check("currency_matches", matches, flag="currency_mismatch")
    reckoned = oracle_of_rewards.Reckoning(
        terms=mine.terms,
        referrer=mine.referrer,
        customer=_customer(mine),
        partner=_partner(mine),
        earned_at=at(mine.q),
        net=mine.net,
        foreign=not matches,
        held=[e for e in mine.world.held if e.program == mine.program and e.referral != mine.name],
        count=mine.world.counts.get(mine.name),
        now=mine.world.now,
    )
    result = reckoned.result()
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
        found.cannot_check("payee_known")
    else:
        found.passes("payee_known")


def _judge_the_rest(mine: Referral, found: Claim) -> None:
    found.passes("tax_cleared")
    for request in mine.world.of("reward.requested"):
        data = request["data"]
        if _is_of(mine, data) and oracle.identity(data.get("referee") or {}) & mine.referee:
            found.flags.add("manual_request")


def _routes(mine: Referral, found: Claim) -> set[str]:
    promised = {rule["kind"] for rule in mine.terms["rewards"].values()}
    kinds = {leg.kind for leg in found.legs} or promised
    routes = {role for kind in kinds for role in mine.terms["approval"]["routes"][kind]}
    if "partner_exception" in found.flags:
        routes.add("program_owner")
    if "disputed_attribution" in found.flags:
        routes |= {"operations", "program_owner"}
    if found.recommendation == "deny" or "fraud_suspected" in found.flags:
        routes |= {"finance", "operations"}
    return routes


# -- who is who


def _is_of(mine: Referral, data: Mapping[str, Any]) -> bool:
    return (data.get("referrer"), data.get("program")) == (mine.referrer, mine.program)


def _meets(mine: Referral, other: Referral) -> bool:
    """Whether another referral claims the same order, or in this program the same referee."""
    same_referee = other.program == mine.program and bool(other.referee & mine.referee)
    return same_referee or (mine.order is not None and other.order == mine.order)


def _existing(mine: Referral) -> tuple[bool, bool]:
    """``new_customer: false``, or an earlier conversion that the terms reward or that cost something; read up to the
    referee's first one in the referral. Whether it certainly is so, and whether a mailbox alone says so."""
    grace = mine.terms["periods"]["grace"]

    def before(record: Event) -> bool:
        if mine.was_sent:
            return at(record) < mine.began_at
        return not mine.began_at < oracle.end(at(record), grace, mine.terms) and at(record) < mine.began_at

    rewarded = mine.terms["qualifying"]["kinds"]

    def tells(record: Event) -> bool:
        if record["data"].get("new_customer") is False:
            return True
        return before(record) and (record["data"]["kind"] in rewarded or Decimal(record["data"].get("amount") or 0) > 0)

    own = [each for each in mine.conversions if before(each)]
    own += [each for each in mine.conversions if not before(each)][:1]
    against = [each for each in own if tells(each)]
    shared = [oracle.identity(each["data"]["customer"]) & mine.referee for each in against]
    certain = any(not part.startswith("email ") for parts in shared for part in parts)
    alike = [
        each
        for each in oracle._orders(mine.world.known).values()
        if oracle.identity(each["data"]["customer"]) & mine.referee and before(each) and tells(each)
    ]
    return certain, bool(against or alike)


def _referrer_parts(mine: Referral) -> set[str]:
    parts = set[str]()
    for event in mine.world.of("referrer.enrolled"):
        if event["data"]["referrer"] == mine.referrer:  # in whatever program: the id means one person
            parts |= _parts(event["data"])
    known = oracle.identity({}) | {part for part in parts if not part.startswith("device")}
    for record in mine.world.of("conversion.recorded"):
        if oracle.identity(record["data"]["customer"]) & known:
            parts |= _parts_of_conversion(record)
    return parts


def _referee_parts(mine: Referral) -> set[str]:
    parts = set[str]()
    for fact in mine.facts:
        parts |= _parts(fact["data"].get("referee") or {})
    for record in mine.conversions:
        parts |= _parts_of_conversion(record)
    return parts


def _parts(person: Mapping[str, Any]) -> set[str]:
    device = {"device " + person["device"]} if person.get("device") else set()
    return oracle.identity(person) | device


def _parts_of_conversion(record: Event) -> set[str]:
    data = record["data"]
    parts = _parts(data["customer"]) | _parts({"device": data.get("device")})
    if data.get("payment_fingerprint"):
        parts.add("fingerprint " + data["payment_fingerprint"])
    return parts


def _customer(mine: Referral) -> str | None:
    """The referee's customer id: the beneficiary of the referee leg."""
    people = [fact["data"].get("referee") or {} for fact in mine.facts] + [mine.q["data"]["customer"]]
    return next((person["customer"] for person in people if person.get("customer")), None)


def _partner(mine: Referral) -> str | None:
    """Whose partner the referrer was at the conversion, by the latest enrolment until then; the text is silent."""
    enrolments = [e for e in mine.world.of("referrer.enrolled") if _is_of(mine, e["data"]) and at(e) <= at(mine.q)]
    return enrolments[-1]["data"].get("partner") if enrolments else None


# -- what was said


def _consent(mine: Referral) -> bool | None:
    """The latest word: of a claim, or of the CRM about the referee."""
    return _word(mine, "contact")


def _word(mine: Referral, scope: str) -> bool | None:
    words = list(_words(mine, scope))
    stand, _ = _left([{**event, "no": not yes} for event, yes in words], "no")
    return not stand if words else None


def _is_doubted(mine: Referral, scope: str) -> bool:
    return _left([{**event, "no": not yes} for event, yes in _words(mine, scope)], "no")[1]


def _left(said: Sequence[Event], taking: str) -> tuple[list[Event], bool]:
    """What stands of what takes something, and whether something that was to undo it may not. ``taking`` is the type
    of what takes, or the name of what says so."""

    def takes(event: Event) -> bool:
        return event["type"] == taking or bool(event.get(taking))

    def undoes(event: Event, taken: Event) -> bool:
        return not takes(event) and at(event) > at(taken)

    stand = [
        taken
        for taken in said
        if takes(taken) and not any(undoes(event, taken) and may_tell(event, taken) for event in said)
    ]
    return stand, any(undoes(event, taken) for taken in stand for event in said)


def _words(mine: Referral, scope: str) -> Iterator[tuple[Event, bool]]:
    if scope == "contact":
        for fact in mine.of("referral.claimed"):
            if "consent" in fact["data"]:
                yield fact, fact["data"]["consent"]
    for event in mine.world.known:
        if not event["type"].startswith("consent.") or event["data"]["scope"] != scope:
            continue
        if oracle.links(oracle.identity(event["data"]["person"]), mine.referee):
            yield event, event["type"] == "consent.granted"


# -- the score


def _addresses(said: Sequence[Mapping[str, Any]]) -> set[str]:
    """The network addresses, an IPv4 address as such also where a server maps it into IPv6."""
    return {each["ip"].removeprefix("::ffff:") for each in said if each.get("ip")}


def _score(mine: Referral) -> int:
    weights = mine.terms.get("fraud", {}).get("weights", {})
    score = 0
    enrolments = [e["data"] for e in mine.world.of("referrer.enrolled") if e["data"]["referrer"] == mine.referrer]
    people = [fact["data"].get("referee") or {} for fact in mine.facts]
    seen = [*people, *(each["data"] for each in mine.conversions)]
    if _addresses(seen) & _addresses(enrolments):
        score += weights.get("shared_ip", 0)
    emails = [p["email"] for p in people if p.get("email")]
    if any(oracle.normal_email(email).split("@")[1] in _DISPOSABLE for email in emails):
        score += weights.get("disposable_email", 0)
    return score
