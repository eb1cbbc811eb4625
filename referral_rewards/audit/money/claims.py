"""Whether a claim is what its digest says, and a reward what its claim promises (SPEC §5).

The digest is computed again from the facts on record and from what the claim says.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from referral_rewards.audit.canonical import sha256_of
from referral_rewards.audit.evidence import SKEW
from referral_rewards.audit.money.about import differs
from referral_rewards.audit.money.records import Cited, Claim, Heard, Leg, Payment, Terms
from referral_rewards.domain import money

#: What a leg waits for after its approval is no part of what was approved.
_WAITED_FOR: Final = frozenset({"payee_known", "tax_cleared"})
#: Competing claims are covered by their own digests.
_OF_RIVALS: Final = ("disputed_attribution", "attribution_clear")
_OVERRIDING: Final = frozenset({"fraud_suspected", "self_referral", "duplicate_claim"})
_DENYING: Final = frozenset({"self_referral", "duplicate_claim"})
_DECIDED_BY_PERIODS: Final = frozenset({"within_periods", "minimum_met", "conversion_not_reversed"})
_SCORE_MAX: Final = 100
#: A source is asked again when a claim is assembled, which counts since its workflow asked for it.
_RECENT: Final = timedelta(hours=1)
#: Everything that a claim says, and nothing else.
_FIELDS: Final = frozenset(
    {
        *("referral", "program", "version", "evidence", "checks", "flags", "score", "contributions", "lines", "legs"),
        *("currency", "promises", "adjustments", "fallen", "recommendation", "denial", "waits_for", "override"),
        *("requirement", "calculated_digest", "core_digest", "digest"),
    }
)


def problems(payment: Payment, leg: Leg, claim: Claim, terms: Terms | None) -> Iterator[str]:
    """Yield in words where a claim is not what was signed, or a reward is not what its claim promises."""
    yield from _digests(payment, claim)
    yield from _as_promised(payment, leg, claim)
    yield from _cited(payment, leg, claim)
    yield from _advised(payment, claim)
    if terms is not None:
        yield from _scored(claim, terms)
        yield from _asked(payment.heard.get(claim.referral_id, ()), claim, leg, terms)


def terms_of(payment: Payment, claim: Claim) -> Terms | None:
    """Return the terms that a claim names; None if nobody published them."""
    return payment.terms.get((str(claim.body.get("program")), _version(claim)))


def flags_of(claim: Claim) -> frozenset[str]:
    """Return the flags that a claim has."""
    body: Mapping[str, Any] = claim.body
    return frozenset(each["flag"] for each in body["flags"])


def _version(claim: Claim) -> int:
    said = claim.body.get("version")
    return said if isinstance(said, int) else 0


def _digests(payment: Payment, claim: Claim) -> Iterator[str]:
    """The digest that people signed is that of what the claim says, of the facts on record."""
    body: Mapping[str, Any] = claim.body
    core = sha256_of(_core(payment, claim))
    for noun, said in (("core digest", claim.core_digest), ("written core digest", body.get("core_digest"))):
        if said != core:
            yield differs(noun, said, core)
    if not body["adjustments"] and body.get("calculated_digest") != core:
        yield differs("digest of what was calculated", body.get("calculated_digest"), core)
    if odd := body.keys() ^ _FIELDS:
        yield f"it says more or less than a claim does: {', '.join(sorted(odd))}"
    if claim.digest != body.get("digest"):
        yield differs("digest", claim.digest, body.get("digest"))
    referral = payment.referrals.get(claim.referral_id)
    rivals = (referral.settled_rivals if referral is not None else None) or {}
    others = [digest or f"not assembled: {name}" for name, digest in rivals.items()]
    allowed = {core, sha256_of(sorted([core, *others]))} if others else {core}
    if claim.digest not in allowed:
        yield differs("digest", claim.digest, core)


def _core(payment: Payment, claim: Claim) -> Mapping[str, object]:
    """Return what the core digest is made of."""
    body: Mapping[str, Any] = claim.body
    digests = {str(each.id): each.digest for each in payment.cited.get(claim.id, ())}
    judged = {
        digests.get(each, "missing")
        for check in body["checks"] if check["code"] not in _WAITED_FOR
        for each in check["evidence"] if _is_fact(each)
    }  # fmt: skip
    asked_for = {each.digest for each in payment.cited.get(claim.id, ()) if each.type == "reward.requested"}
    made = [[each["decision"], each["role"], each["amount_minor"]] for each in body["adjustments"]]
    terms = terms_of(payment, claim)
    flags = [each for each in body["flags"] if (each["flag"], each["about"]) != _OF_RIVALS]
    return {
        "referral": body["referral"],
        "terms": [body["program"], str(body["version"])],
        "facts": sorted(judged | asked_for),
        "checks": {
            each["code"]: each["result"]
            for each in body["checks"]
            if each["code"] not in _WAITED_FOR | {"attribution_clear"}
        },
        "flags": sorted(f"{each['flag']} {each['about']}" for each in flags if each["about"] not in _WAITED_FOR),
        "legs": body["legs"],
        "requirement": _shortened(requirement(claim, terms, {each["flag"] for each in flags})),
        **({"waits_for": body["waits_for"]} if body.get("waits_for") else {}),
        **({"adjustments": made} if made else {}),
    }


def _is_fact(name: str) -> bool:
    return len(name) == 36 and ":" not in name


def _shortened(required: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in required.items() if name != "excluded" or value}


def requirement(claim: Claim, terms: Terms | None, flags: Collection[str]) -> Mapping[str, Any]:
    """Return the roles and the number of people that an approval of the claim needs, by its terms."""
    body: Mapping[str, Any] = claim.body
    document: Mapping[str, Any] = terms.terms if terms is not None else {}
    approval: Mapping[str, Any] = document.get("approval", {})
    kinds = {leg["kind"] for leg in body["legs"]} or {
        rule["kind"] for rule in document.get("rewards", {}).values() if rule
    }
    routes = {role for kind in kinds for role in approval.get("routes", {}).get(kind, ())}
    if "partner_exception" in flags:
        routes.add("program_owner")
    if "disputed_attribution" in flags:
        routes |= {"operations", "program_owner"}
    if body["override"]:
        routes |= {"finance", "operations"}
    total_minor = sum(leg["amount_minor"] for leg in body["legs"])
    limit = approval.get("four_eyes_from")
    four_eyes = body["override"] or (limit is not None and total_minor >= _minor(limit, str(body["currency"])))
    adjusters = sorted({each["by"] for each in body["adjustments"]})
    return {"routes": sorted(routes), "people": 2 if four_eyes else 1, "excluded": adjusters}


def _minor(written: object, currency: str) -> int:
    return money.to_minor(Decimal(str(written)), currency)


def _is_override(claim: Claim) -> bool:
    """Whether the rules advised against it: then it takes two people. A claim may be one for further reasons."""
    body: Mapping[str, Any] = claim.body
    flags = {each["flag"] for each in body["flags"]}
    failed = {each["code"] for each in body["checks"] if each["result"] == "failed"}
    calculated = {each["role"]: each["calculated_minor"] for each in body["promises"]}
    raised = any(leg["amount_minor"] > calculated.get(leg["role"], 0) for leg in body["legs"])
    advised = body["recommendation"] == "deny" or bool(flags & _OVERRIDING) or bool(failed & _DECIDED_BY_PERIODS)
    return advised or raised


def _as_promised(payment: Payment, leg: Leg, claim: Claim) -> Iterator[str]:
    """The reward is the one that the claim promises, of the referral and the terms that it names."""
    body: Mapping[str, Any] = claim.body
    promised = next((each for each in body["legs"] if each["role"] == leg.role), None)
    if promised is None:
        yield f"it promises the {leg.role} nothing"
    else:
        for name in ("beneficiary", "kind", "amount_minor", "currency", "rail", "destination"):
            if (stands := getattr(leg, name)) != promised[name]:
                yield f"the reward's {name} is {stands}; the claim promises {promised[name]}"
    pairs = {
        "digest": (leg.digest, claim.digest),
        "referral": (leg.referral_id, body["referral"]),
        "program": (leg.program, body["program"]),
        "claim's referral": (claim.referral_id, body["referral"]),
        "referrer": (leg.referrer, claim.referrer or ""),
    }
    for noun, (stands, right) in pairs.items():
        if stands != right:
            yield f"the reward's {noun} is {stands}; the claim says {right}"
    of_lines = sum(each["amount_minor"] for each in body["lines"] if each["role"] == leg.role)
    if promised is not None and of_lines != promised["amount_minor"]:
        yield f"its calculation comes to {of_lines} minor units; it promises {promised['amount_minor']}"
    if _is_override(claim) and not body["override"]:
        yield "it goes against what the rules advise, and does not say so"
    yield from _of_its_order(payment, leg, claim)


def _of_its_order(payment: Payment, leg: Leg, claim: Claim) -> Iterator[str]:
    """The order that it is kept under, in its stores, is that of a conversion that the claim cites."""
    bought = [each for each in payment.cited.get(claim.id, ()) if each.type == "conversion.recorded"]
    orders = {each.order for each in bought}
    if leg.order_key not in orders and leg.order_key != f"referral:{leg.referral_id}":
        named = ", ".join(sorted(map(str, orders))) or "none"
        yield f"the reward is for order {leg.order_key}; the claim cites {named}"
    told = {each.store for each in bought if each.order == leg.order_key} - {None}
    if leg.stores and not told & set(leg.stores):
        yield f"the reward's order is of {', '.join(leg.stores)}; no fact that the claim cites says so"
    if told and not leg.stores:
        yield f"the reward's order is of no store; facts say {', '.join(sorted(map(str, told)))}"


def _cited(payment: Payment, leg: Leg, claim: Claim) -> Iterator[str]:
    """What the claim cites stands on record as it says, and was known when the claim was assembled."""
    facts = {str(each.id): each for each in payment.cited.get(claim.id, ())}
    body: Mapping[str, Any] = claim.body
    for each in body["evidence"]:
        if not _is_fact(each["id"]):
            yield from _answered(payment.heard.get(claim.referral_id, ()), claim, leg, each)
            continue
        fact = facts.get(each["id"])
        if fact is None:
            yield f"the fact {each['id']} that it cites is not on record"
            continue
        if fact.digest != each["content_hash"]:
            yield f"the fact {each['id']} has another digest than the one that was shown"
        if fact.source != each["source"] or each["reference"] not in (fact.event_id, str(fact.id)):
            shown = f"{each['source']} {each['reference']}"
            yield f"the fact {each['id']} is {fact.source} {fact.event_id}; shown was {shown}"
        if fact.occurred_at != datetime.fromisoformat(each["observed_at"]):
            yield f"the fact {each['id']} is of {fact.occurred_at.isoformat()}; shown was {each['observed_at']}"
        if fact.received_at > leg.approved_at + SKEW:
            yield f"the fact {each['id']} was received after what cites it was approved"
        if fact.version is None and _is_its_own(fact, claim, leg):
            yield f"the fact {each['id']} is not linked to the referral"
        if fact.version is not None and fact.version > claim.facts_version:
            yield f"the fact {each['id']} raised the referral to version {fact.version}, which it did not know"


def _asked(heard: Iterable[Heard], claim: Claim, leg: Leg, terms: Terms) -> Iterator[str]:
    """The outside sources that the terms name answered when the claim was assembled, or their check could not run."""
    body: Mapping[str, Any] = claim.body
    document: Mapping[str, Any] = terms.terms
    results = {each["code"]: each["result"] for each in body["checks"]}
    answered = {
        each.source
        for each in heard
        if each.moment == "assembly"
        and each.answer in ("confirmed", "contradicted")
        and claim.assembled_at - _RECENT < each.asked_at <= leg.approved_at + SKEW
        and each.position <= claim.position
    }
    for name, code in (("conversions", "conversion_confirmed"), ("customers", "no_open_issue")):
        source = document["sources"].get(name)
        if source in (None, "register") or results.get(code) == "could_not_run":
            continue
        if source not in answered:
            yield f"the check {code} counts, though no answer of {source} is on record"


def _is_its_own(fact: Cited, claim: Claim, leg: Leg) -> bool:
    """Whether a fact names the referral or its order, so that the referral must have heard of it."""
    return fact.referral == claim.referral_id or (fact.type == "conversion.recorded" and fact.order == leg.order_key)


def _answered(heard: Iterable[Heard], claim: Claim, leg: Leg, cited: Mapping[str, Any]) -> Iterator[str]:
    """The answer of an outside source that a claim cites was given, and before the claim was assembled."""
    named = f"the answer of {cited['source']} about {cited['reference']}"
    its = [
        each
        for each in heard
        if (each.moment, each.source, each.content_hash) == ("assembly", cited["source"], cited["content_hash"])
    ]
    if not its:
        yield f"{named} that it cites is not on record"
    elif all(each.position > claim.position or each.asked_at > leg.approved_at + SKEW for each in its):
        yield f"{named} came after the claim was assembled"
    elif all(each.answer not in ("confirmed", "contradicted") for each in its):
        yield f"{named} counts, though it did not answer"


def _advised(payment: Payment, claim: Claim) -> Iterator[str]:
    """What the rules recommend follows from flags and checks; what they deny by themselves only an override pays."""
    body: Mapping[str, Any] = claim.body
    flags = flags_of(claim)
    failed = {each["code"] for each in body["checks"] if each["result"] == "failed"} - _WAITED_FOR
    right = "deny" if body["denial"] or flags & _DENYING else "review" if flags or failed else "approve"
    if body["recommendation"] != right:
        yield differs("recommendation", body["recommendation"], right)
    if body["denial"] is not None and not body["override"]:
        yield f"the rules deny it ({body['denial']}), and it is no override"
    promised = {each["role"]: each for each in body["promises"]}
    adjusted = {each["role"] for each in body["adjustments"]}
    for leg in body["legs"]:
        promise = promised.get(leg["role"])
        if promise is None:
            yield f"the {leg['role']}'s reward is promised by no rule"
        elif leg["role"] not in adjusted and leg["amount_minor"] != promise["calculated_minor"]:
            yield f"the {leg['role']}'s reward is {leg['amount_minor']}; calculated were {promise['calculated_minor']}"
    yield from _adjusted(payment, claim)


def _adjusted(payment: Payment, claim: Claim) -> Iterator[str]:
    """Each adjustment that it bears was decided by people, of this leg and to this amount."""
    body: Mapping[str, Any] = claim.body
    made = {str(each.id): each for each in payment.adjusted.get(claim.referral_id, ())}
    for each in (*body["adjustments"], *body["fallen"]):
        if each["decision"] not in made:
            yield f"the decision {each['decision']} that adjusted it is not on record"
    for each in body["adjustments"]:
        if (decision := made.get(each["decision"])) is None:
            continue
        if decision.decided_at > claim.assembled_at + SKEW or not payment.knew(decision):
            yield f"the decision {each['decision']} that adjusted it was made after it was assembled"
        decided, said = decision.details or {}, (each["role"], each["amount_minor"])
        if said != (decided.get("leg"), decided.get("amount_minor")):
            yield f"it is adjusted to {said}; decided was {decided.get('leg')}, {decided.get('amount_minor')}"


def _scored(claim: Claim, terms: Terms) -> Iterator[str]:
    """The score is the sum of the weights that the terms give to what was noticed."""
    body: Mapping[str, Any] = claim.body
    document: Mapping[str, Any] = terms.terms
    weights = {name: weight for name, weight in document["fraud"]["weights"].items() if weight}
    found = {each["signal"]: each["weight"] for each in body["contributions"]}
    if found != weights:
        yield f"its fraud signals are weighed {found}; the terms say {weights}"
    score = min(_SCORE_MAX, sum(each["weight"] for each in body["contributions"] if each["fired"]))
    if body["score"] != score:
        yield differs("fraud score", body["score"], score)
    is_suspected = score > 0 and score >= document["fraud"]["threshold"]
    if is_suspected is not ("fraud_suspected" in flags_of(claim)):
        yield f"its fraud score of {score} and its flags do not agree"
