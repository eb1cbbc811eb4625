"""Verify the six parts of a paid reward, each by recomputation (SPEC §8): no column with a status is believed.

A failed check, or another amount, holds if those whom it took decided it by name: with an override or an adjustment.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from referral_rewards.audit import ground, signers, texts
from referral_rewards.audit.erased import is_left
from referral_rewards.audit.evidence import Evidence, Made, Reserved, Reward
from referral_rewards.audit.findings import ACCURACY_PARTS, Finding, Part
from referral_rewards.audit.reading import arithmetic, claims, people
from referral_rewards.audit.reading.rewards import Leg
from referral_rewards.audit.reading.world import Referral

#: Of which part a flag is; every other one is of the check for fraud and conflicts.
_PART_OF_FLAG: Final[Mapping[str, Part]] = {
    **dict.fromkeys(
        ("evidence_conflict", "check_could_not_run", "partial_refund", "currency_mismatch", "linked_by_hand"),
        Part.QUALIFYING_EVENT,
    ),
    **dict.fromkeys(("unknown_referrer", "attribution_changed", "manual_request"), Part.SOURCE_ATTRIBUTION),
    **dict.fromkeys(("cap_limited", "budget_exhausted", "partner_exception"), Part.PAYOUT_AMOUNT),
}
#: Of which part a ground to deny is; every other one is of the check for fraud and conflicts.
_PART_OF_DENIAL: Final[Mapping[str, Part]] = {
    "referrer_suspended": Part.SOURCE_ATTRIBUTION,
    "referrer_not_enrolled": Part.SOURCE_ATTRIBUTION,
    "program_not_active": Part.PROGRAM_TERMS,
    "cap_reached": Part.PAYOUT_AMOUNT,
}
#: Types of facts by the part that reads them first.
_PART_OF_FACT: Final = (("conversion.", Part.QUALIFYING_EVENT), ("ref", Part.SOURCE_ATTRIBUTION))


@dataclass(frozen=True, slots=True)
class Examined:
    """What the examination of a paid reward came to. ``by_decision`` are the parts that hold only because people
    decided them by name; ``marks_removed``: a person of it was erased, and their marks are gone by
    retention."""

    reward: Reward
    findings: tuple[Finding, ...]
    by_decision: frozenset[Part] = frozenset()
    marks_removed: bool = False

    @property
    def failing(self) -> tuple[Part, ...]:
        """The parts of its accuracy that do not hold, in their order."""
        found = {each.part for each in self.findings}
        return tuple(part for part in ACCURACY_PARTS if part in found)

    @property
    def accurate(self) -> bool:
        return not self.failing

    @property
    def held_by_decision(self) -> bool:
        """Whether it holds all parts, and some of them only because people decided so."""
        return self.accurate and bool(self.by_decision)


def examine(evidence: Evidence, disposable: frozenset[str] = frozenset()) -> Examined:
    """Examine a paid reward. ``disposable`` are the domains of addresses that anybody can read."""
    return _Examination(evidence, disposable).run()


@dataclass(slots=True)
class _Examination:
    """An examination under way."""

    evidence: Evidence
    disposable: frozenset[str]
    findings: list[Finding] = field(default_factory=list)
    by_decision: set[Part] = field(default_factory=set)

    @property
    def reward(self) -> Reward:
        return self.evidence.reward

    def run(self) -> Examined:
        self._examine_facts()
        mine = ground.referral_of(self.evidence)
        if mine is None:
            self._find(Part.SOURCE_ATTRIBUTION, "no facts begin its referral in a program whose terms were in force")
        else:
            self._examine_read(mine)
        return Examined(self.reward, tuple(self.findings), frozenset(self.by_decision), self._marks_removed())

    def _examine_read(self, mine: Referral) -> None:
        decided = self._for_its_order(mine)
        if decided.found_q is None and self.reward.order != self.reward.referral:
            what = f"no record of order {self.reward.order} is the referee's; a reward needs one"
            self._find(Part.QUALIFYING_EVENT, what)
        wanted = claims.Claim()
        if decided.found_q is not None:
            wanted = claims.of_referral(decided, self._answer(mine), self.disposable)
        self._examine_attribution(decided)
        self._examine_terms(mine, wanted)
        self._examine_periods(mine)
        self._examine_checks(wanted)
        amounts_by_hand = self._examine_amount(decided)
        self._examine_approval(mine, wanted, raised=amounts_by_hand)

    def _for_its_order(self, mine: Referral) -> Referral:
        """The referral read for the order that was paid, where its periods or a request name another or none."""
        return mine if mine.order == self.reward.order else mine.for_order(self.reward.order)

    # -- the facts themselves

    def _examine_facts(self) -> None:
        """What stands on record of a fact is what was received."""
        for fact in self.evidence.facts:
            part = next((part for begins, part in _PART_OF_FACT if fact.told.type.startswith(begins)), None)
            for problem in fact.problems:
                where = f"fact {fact.told.source} {fact.told.id}"
                what = f"{fact.told.type} {fact.told.id} of {fact.told.source} was changed: {problem}"
                self._find(part or Part.FRAUD_CONFLICT_CHECK, what, where)

    def _marks_removed(self) -> bool:
        """Whether marks are gone of a fact that names its referral, order or referrer."""
        its = {"referral": self.reward.referral, "order": self.reward.order, "referrer": self.reward.referrer}
        return any(
            any(map(is_left, fact.told.marks)) and any(fact.told.data.get(name) == its[name] for name in its)
            for fact in self.evidence.facts
        )

    # -- source attribution

    def _examine_attribution(self, mine: Referral) -> None:
        reward, part = self.reward, Part.SOURCE_ATTRIBUTION
        if mine.program != reward.program:
            self._find(part, texts.differs("program", reward.program, mine.program))
        if mine.referrer != reward.referrer:
            self._find(part, texts.differs("referrer", reward.referrer, mine.referrer))
        right = mine.referrer if reward.role == "referrer" else self._customer(mine)
        if right != reward.beneficiary:
            self._find(part, texts.differs("beneficiary", reward.beneficiary, right))
        if mine.acts.referrer is not None or mine.acts.linked.orders:
            self.by_decision.add(part)

    def _customer(self, mine: Referral) -> str | None:
        if mine.found_q is not None:
            return people.customer(mine)
        said = (*mine.of("referral.claimed"), *mine.of("referral.sent"), *mine.of("reward.requested"))
        named = [(fact.data.get("referee") or {}).get("customer") for fact in said]
        return next((each for each in named if each), None)

    # -- program terms

    def _examine_terms(self, mine: Referral, wanted: claims.Claim) -> None:
        part, claim = Part.PROGRAM_TERMS, self.evidence.claim
        version = ground.terms_in_force(self.evidence.versions, mine)
        stood = (claim.program, claim.version) if claim is not None else (None, None)
        if stood != (version.program, version.number):
            right = f"version {version.number} of {version.program}, in force when the referral began"
            self._find(part, texts.differs("terms", f"version {stood[1]} of {stood[0]}", right))
        for path in texts.disagreeing(version.terms, version.kept):
            where = f"program_version {version.program} {version.number}"
            self._find(part, f"the terms that are kept differ from their published text at {path}", where)
        ends = [each for each in ground.by_then(self.evidence.program_acts, self.evidence) if _ends(each)]
        if ends and _holds_from(ends[0]) <= mine.began_at:
            wanted.denials.append("program_not_active")
        if self.reward.currency != mine.terms["currency"]:
            self._find(part, texts.differs("currency", self.reward.currency, mine.terms["currency"]))

    # -- qualifying event

    def _examine_periods(self, mine: Referral) -> None:
        if mine.requested:
            return  # its flags say so: a person decides
        stand = mine.stand
        if stand.status == "awaiting_approval" and stand.order == self.reward.order:
            return
        if signers.is_overridden(self.evidence):
            self.by_decision.add(Part.QUALIFYING_EVENT)
            return
        stood = texts.words(stand.status) + (f", {texts.words(stand.reason)}" if stand.reason else "")
        its = f" for order {stand.order}" if stand.order else ""
        what = f"order {self.reward.order} does not qualify: by its facts the referral stood at {stood}{its}"
        self._find(Part.QUALIFYING_EVENT, what)

    def _answer(self, mine: Referral) -> str:
        """What the source said last of the conversion."""
        source = (mine.terms.get("sources") or {}).get("conversions") or "register"
        if source == "register":
            return "confirmed"
        order = self.reward.order
        its = [
            each
            for each in self.evidence.asked
            if each.source == source
            and self.reward.was_there(each.at, each.position)
            and (each.subject == order or each.subject.startswith(f"{order} of store "))
        ]
        return its[-1].answer if its else "unavailable"

    # -- fraud and conflicts, and every other check

    def _examine_checks(self, wanted: claims.Claim) -> None:
        stood = self.evidence.claim.flags if self.evidence.claim is not None else frozenset[str]()
        for flag in sorted(wanted.flags - stood):
            part = _PART_OF_FLAG.get(flag, Part.FRAUD_CONFLICT_CHECK)
            what = f"the claim that was approved lacks the flag “{texts.words(flag)}”, which its facts raise"
            self._find(part, what, self._claim)
        for denial in wanted.denials:
            part = _PART_OF_DENIAL.get(denial, Part.FRAUD_CONFLICT_CHECK)
            if signers.is_overridden(self.evidence):
                self.by_decision.add(part)
            else:
                what = f"its facts deny it by rule ({texts.words(denial)}), and nobody approved it in spite of that"
                self._find(part, what, self._claim)
        if wanted.flags & signers.OVERRIDING and signers.is_overridden(self.evidence):
            self.by_decision.add(Part.FRAUD_CONFLICT_CHECK)

    # -- payout amount

    def _examine_amount(self, mine: Referral) -> bool:
        """Examine the amount, and return whether people raised it over what was calculated."""
        promised = self._promised(mine)
        calculated = promised.amount_minor if promised is not None else 0
        if (adjusted := signers.adjustment(self.evidence)) is not None:
            self.by_decision.add(Part.PAYOUT_AMOUNT)
            right = adjusted.details.get("amount_minor")
            if self.reward.amount_minor != right:
                self._find(Part.PAYOUT_AMOUNT, self._amount_differs(right if isinstance(right, int) else 0))
            return isinstance(right, int) and right > calculated
        if promised is not None and self.reward.kind != promised.kind:
            self._find(Part.PAYOUT_AMOUNT, texts.differs("kind", self.reward.kind, promised.kind))
        stood = self.evidence.claim.flags if self.evidence.claim is not None else frozenset[str]()
        most = calculated if mine.found_q is None else self._most(mine, calculated)
        limited = "cap_limited" in stood or "budget_exhausted" in stood
        if self.reward.amount_minor > most or (self.reward.amount_minor < calculated and not limited):
            self._find(Part.PAYOUT_AMOUNT, self._amount_differs(most))
        self._examine_count()
        return False

    def _promised(self, mine: Referral) -> Leg | None:
        if mine.found_q is None:  # a request that names no order: flat amounts alone
            rule = mine.terms["rewards"].get(self.reward.role) or {}
            if rule.get("amount") is None:
                return None
            minor = arithmetic.minor(str(rule["amount"]), mine.terms["currency"])
            return Leg(self.reward.role, self.reward.beneficiary, rule["kind"], minor)
        return next((leg for leg in claims.reckoning(mine).promised() if leg.role == self.reward.role), None)

    def _most(self, mine: Referral, calculated: int) -> int:
        """The most that the referrer's cap left, by the rewards that surely counted when this one was approved."""
        if self.reward.role != "referrer" or self.evidence.claim is None:
            return calculated
        reward = self.reward
        own = [
            each.held
            for each in self.evidence.held
            if each.held.role == "referrer"
            and each.held.referrer == reward.referrer
            and each.held.program == reward.program
            and each.held.referral != reward.referral
            and _is_earlier(each, reward)
        ]
        left = claims.reckoning(mine).cap_left(own, reward.approved_at)
        return calculated if left is None else max(0, min(calculated, left))

    def _examine_count(self) -> None:
        """The number of the referrer's rewards that chose the tier may have been so many."""
        claim, (least, most) = self.evidence.claim, self.evidence.counted
        if claim is None or (least, most) == (0, 0) or least <= claim.first_approved_rewards <= most:
            return
        between = str(least) if least == most else f"from {least} to {most}"
        stood = claim.first_approved_rewards
        self._find(Part.PAYOUT_AMOUNT, texts.differs("number of earlier rewards", stood, between), self._claim)

    def _amount_differs(self, right: int) -> str:
        currency = self.reward.currency
        return texts.differs("amount", texts.amount(self.reward.amount_minor, currency), texts.amount(right, currency))

    # -- approval record

    def _examine_approval(self, mine: Referral, wanted: claims.Claim, *, raised: bool) -> None:
        part, claim = Part.APPROVAL_RECORD, self.evidence.claim
        if claim is None or claim.referral != self.reward.referral or claim.digest != self.reward.digest:
            self._find(part, "the claim that was approved is not on record as it was", self._claim)
            return
        for forged in self.evidence.forged:
            self._find(part, "a decision on its referral bears no signature that is believed", f"decision {forged}")
        stood = claims.Claim(flags=wanted.flags | claim.flags, denials=wanted.denials, legs=self._legs())
        reopened = claim.round > 1
        override = reopened or raised or stood.recommendation == "deny" or bool(stood.flags & signers.OVERRIDING)
        routes = claims.routes(mine, stood) | (signers.OVERRIDE if override else frozenset())
        self._examine_signatures(routes, self._people(mine, override=override))
        if override and not mine.requested:
            self.by_decision.add(part)

    def _examine_signatures(self, routes: set[str] | frozenset[str], needed: int) -> None:
        approvals, part = signers.approvals(self.evidence), Part.APPROVAL_RECORD
        if not ground.enough(approvals, frozenset(routes), needed):
            by = ", ".join(sorted({each.user for each in approvals})) or "nobody"
            roles = " and ".join(texts.words(each) for each in sorted(routes))
            people_ = "one person" if needed == 1 else f"{needed} people"
            self._find(part, f"it was approved by {by}; right would be {people_} with the roles {roles}")
        if any(each.kind == "deny" for each in signers.on_its_digest(self.evidence)):
            self._find(part, "somebody denied the claim that was paid")
        holds = [each.kind for each in signers.on_its_digest(self.evidence) if each.kind in ("hold", "release")]
        if holds and holds[-1] == "hold":
            self._find(part, "the claim was on hold when its payment was committed")
        unknown = set(self.reward.decisions) - {str(each.id) for each in approvals}
        if unknown:
            what = "it names decisions that are no approvals of its claim"
            self._find(part, what, f"decision {', '.join(sorted(unknown))}")

    def _people(self, mine: Referral, *, override: bool) -> int:
        from_amount = (mine.terms.get("approval") or {}).get("four_eyes_from")
        total = sum(leg.amount_minor for leg in self._legs())
        dear = from_amount is not None and total >= arithmetic.minor(Decimal(str(from_amount)), mine.terms["currency"])
        return 2 if override or dear else 1

    def _legs(self) -> list[Leg]:
        return [Leg(each.role, each.beneficiary, each.kind, each.amount_minor) for each in self.evidence.legs]

    @property
    def _claim(self) -> str:
        return f"reward_claim {self.reward.claim_id}"

    def _find(self, part: Part, what: str, where: str | None = None) -> None:
        reward = self.reward
        place = where or f"leg {reward.leg}"
        self.findings.append(Finding(part, what, place, reward.referral, reward.role, str(reward.payout)))


def _is_earlier(other: Reserved, reward: Reward) -> bool:
    """Whether another leg was approved before a reward, by their entries in the books if they are on record."""
    if other.reserved is None or reward.reserved is None:
        return other.held.approved_at < reward.approved_at
    return other.reserved < reward.reserved


def _ends(made: Made) -> bool:
    return made.kind == "end_program" and "program_owner" in made.roles


def _holds_from(made: Made) -> datetime:
    said = made.details.get("holds_from")
    return datetime.fromisoformat(str(said)) if said is not None else made.at


def in_order(found: Examined) -> Iterator[Finding]:
    """Its findings by part, in the order of the parts."""
    yield from sorted(found.findings, key=lambda each: list(Part).index(each.part))
