"""A referral as the subject of a person's decision: who may record which one, and in which words (SPEC §6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from referral_rewards.domain.claims.approval import Approver, DecisionKind, check_words, may_decide
from referral_rewards.domain.decisions import tellers
from referral_rewards.domain.decisions.adjusting import check_adjustment
from referral_rewards.domain.decisions.basis import Basis
from referral_rewards.domain.decisions.bulk import check_unflagged
from referral_rewards.domain.decisions.claim_on_record import ClaimOnRecord, told_by
from referral_rewards.domain.decisions.complete_acts import Target, complete_acts, target, target_of
from referral_rewards.domain.decisions.decision import KNOWN, Asked, Decision, Kind, Made
from referral_rewards.domain.decisions.moving import check_candidate, check_order
from referral_rewards.domain.decisions.particulars import particulars
from referral_rewards.domain.decisions.subject import Details, check_whole
from referral_rewards.domain.errors import DecisionRefused, NotAllowed, StaleDigest
from referral_rewards.domain.facts import identity
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.referrals.lifecycle import Side

_K = DecisionKind

#: These can only hold money back, so they need not wait until the newest facts are judged.
_KEEPING_BACK: Final = frozenset({_K.DENY, _K.HOLD, _K.REQUEST_EVIDENCE})

#: For each kind of decision the refusal that `decide` would raise, or None if it would record the decision.
Answers = Mapping[DecisionKind, DecisionRefused | NotAllowed | None]


@dataclass(frozen=True, slots=True)
class ClaimSubject(ClaimOnRecord):
    """A referral as the subject of a decision, with everything that the rules read."""

    @property
    def listed_under(self) -> str:
        return self.referral

    def admits(self, approver: Approver) -> Answers:
        """Return for each kind of decision the refusal that `decide` would raise for this person now, or None."""
        return {kind: self._refusal(kind, approver) for kind in DecisionKind}

    def refusal(self, asked: Asked, approver: Approver) -> DecisionRefused | NotAllowed | None:
        """Return the refusal that the rules about earlier decisions and this person have for a decision, or None."""
        try:
            self.check_admits(asked, approver)
        except (DecisionRefused, NotAllowed) as refused:
            return refused
        return None

    def recorded_before(self, asked: Asked, approver: Approver, details: Details | None) -> Decision | None:
        """Return the same decision, in the same words, if this person made it before.

        A hold after a release is a new decision. A repeated request gets the first decision even after the claim has
        changed or closed.
        """
        current = self.claim is not None and self.claim.digest == asked.digest
        on_it = [
            each
            for each in self.history
            if each.decision.digest == asked.digest and (not current or each.decision.claim_id == self.claim_id)
        ]
        for later, each in enumerate(on_it, start=1):
            made = each.decision
            same = (made.user, made.kind, made.reason) == (approver.user, asked.kind, asked.reason)
            same = same and (details or {}).items() <= (made.details or {}).items()
            if same and each.note == asked.note and not _undone(asked.kind, on_it[later:]):
                return made
        return None

    def to_sign(self, details: Details | None) -> Details | None:
        """Return the details; those of an adjustment name the calculation that it replaces, those of a decision on a
        closing the facts version that it answers."""
        if self.closed:
            return {**(details or {}), KNOWN: self.known}
        if details is None or "leg" not in details or self.claim is None:
            return details
        return {**details, "calculated": self.claim.calculated_digest}

    def check_as_shown(self, asked: Asked) -> None:
        """Return if the person saw what a decision covers now, and the referral's status takes it.

        Raises:
            RequestInvalid: if the digest is shortened.
            StaleDigest: if the claim is no longer the one that was shown.
            DecisionRefused: `decided_meanwhile` if another decision was recorded since, or why it takes none.
        """
        self._check_seen(asked.seen)
        self.check_stands(_of_claims(asked.kind))
        digest = self.known_basis().digest
        if digest != asked.digest:
            check_whole(asked.digest, digest)
            raise StaleDigest(self.referral, asked.digest, digest)

    def check_admits(self, asked: Asked, approver: Approver) -> None:
        """Return if the rules about earlier decisions and about this person admit the decision.

        Raises:
            NotAllowed: if the person holds none of the required roles.
            DecisionRefused: naming the rule.
        """
        if asked.together and self.closed:
            why = f"it is {label('status', self.status)}; decide on its own what came late"
            raise DecisionRefused(self.referral, "closed", why)
        if asked.together and self.claim is not None:
            check_unflagged(self.referral, self.claim.flag_names)
        self._check_rules(_of_claims(asked.kind), approver, asked)

    def _refusal(self, kind: DecisionKind, approver: Approver) -> DecisionRefused | NotAllowed | None:
        try:
            self.check_stands(kind)
            self._check_rules(kind, approver)
        except (DecisionRefused, NotAllowed) as refusal:
            return refusal
        return None

    def _check_seen(self, seen: int | None) -> None:
        """Raise if another decision was recorded since the person looked; of two at the same time, only one wins."""
        later = [each.decision for each in self.history if seen is not None and each.decision.seq > seen]
        if later:
            first = later[0]
            raise DecisionRefused(
                self.referral,
                "decided_meanwhile",
                f"{label('decided', first.kind)} by {first.user} since you looked at it",
            )

    def _check_rules(self, kind: DecisionKind, approver: Approver, asked: Asked | None = None) -> None:
        """Return if the rules about earlier decisions and about this person admit the kind of decision, and what is
        ``asked`` for; else raise."""
        basis = self.known_basis()
        if (self.closed or kind not in _KEEPING_BACK) and not self.judged:
            raise DecisionRefused(self.referral, "facts_unjudged", "new facts are being judged; look again in a moment")
        self.check_movable(kind)
        on_it = self.on_it(kind)
        self.check_ruling(kind, basis, self.standing(on_it))
        before = [each for each in on_it if _counts_with(each.decision, kind, asked)]
        if asked is not None:
            self._check_particulars(kind, basis, asked, [each.decision for each in on_it])
        may_decide(
            approver,
            kind,
            basis.required(kind),
            referral=self.referral,
            parties=basis.parties | basis.marks_named(kind),
            entered_by=basis.entered_by,
            already_signed_by=_same_people(approver, before),
        )
        if (why := tellers.objection(approver, kind, basis.told_by)) is not None:
            raise DecisionRefused(self.referral, tellers.RULE, why)
        if kind is _K.APPROVE and _same_people(approver, self._adjusters(basis)):
            why = "you adjusted it; other people must approve what you set"
            raise DecisionRefused(self.referral, "different_people", why)

    def _adjusters(self, basis: Basis) -> list[Made]:
        """Return the decisions of those who adjusted the claim."""
        out = basis.requirement.excluded
        return [each for each in self.history if each.decision.kind is _K.ADJUST and each.decision.user in out]

    def _check_particulars(self, kind: DecisionKind, basis: Basis, asked: Asked, on_it: Sequence[Decision]) -> None:
        """Return if the leg, referrer or order that the decision names fits; else raise."""
        if kind is _K.ADJUST:
            assert self.claim is not None
            assert asked.leg is not None
            check_adjustment(self.claim, Side(asked.leg), asked.amount_minor or 0)
        if kind is _K.REASSIGN:
            assert basis.candidate is not None, "the referrer who is named was not loaded"
            check_candidate(self.referral, basis.candidate, basis.referrer)
        if kind is _K.LINK:
            assert basis.order is not None, "the order that is named was not loaded"
            for act in complete_acts(on_it, kind):
                if act.target == _target(asked):
                    why = f"it was already linked by {told_by(act.decisions)}; look again"
                    raise DecisionRefused(self.referral, "already_linked", why)
            check_order(self.referral, basis.order)


def check_asked(asked: Asked) -> Details | None:
    """Return the details of a decision on a claim, or None, once reason, note and what it names are in order.

    Raises:
        BadInput: naming what would be right.
    """
    kind = _of_claims(asked.kind)
    check_words(kind, asked.reason, asked.note)
    return particulars(kind, asked)


def _of_claims(kind: Kind) -> DecisionKind:
    assert isinstance(kind, DecisionKind), f"{kind} is no decision on a claim"
    return kind


def _counts_with(decision: Decision, kind: DecisionKind, asked: Asked | None) -> bool:
    """Return whether an earlier decision is of this kind and, where it leads somewhere, names the same as is asked."""
    if decision.kind is not kind or target_of(decision) is None:
        return decision.kind is kind
    return asked is not None and target_of(decision) == _target(asked)


def _target(asked: Asked) -> Target | None:
    return target(asked.kind, asked.referrer, asked.order, asked.store)


def _undone(kind: Kind, later: Sequence[Made]) -> bool:
    """Return whether a hold was released, or a release followed by a hold."""
    both = (_K.HOLD, _K.RELEASE)
    return kind in both and any(each.decision.kind in both and each.decision.kind is not kind for each in later)


def _same_people(approver: Approver, signed: Sequence[Made]) -> list[str]:
    """Return the users among those who signed that are this person: by name, or by a mark that accounts share."""
    marks = identity.of_kinds(approver.marks, identity.SELF_REFERRAL_KINDS)
    return sorted({each.decision.user for each in signed if each.decision.user == approver.user or each.marks & marks})
