"""A referral as the subject of a decision: its claim, or its closing, and the rules that admit one (SPEC §6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Final
from uuid import UUID

from referral_rewards.domain.claims.approval import (
    Approver,
    DecisionKind,
    Ruling,
    check_words,
    may_decide,
    ruling,
    satisfied,
)
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.decisions.adjusting import check_adjustment
from referral_rewards.domain.decisions.approving import check_approvable
from referral_rewards.domain.decisions.basis import Basis
from referral_rewards.domain.decisions.bulk import check_unflagged
from referral_rewards.domain.decisions.complete_acts import TARGETS, complete_acts, target_of
from referral_rewards.domain.decisions.decision import KNOWN, Asked, Decision, Kind, Made
from referral_rewards.domain.decisions.moving import (
    check_candidate,
    check_movable,
    check_order,
)
from referral_rewards.domain.decisions.particulars import particulars
from referral_rewards.domain.decisions.subject import Details, check_whole
from referral_rewards.domain.errors import DecisionRefused, NotAllowed, StaleDigest
from referral_rewards.domain.facts import identity
from referral_rewards.domain.labels import label
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, PAID, ReferralStatus, Side

_S = ReferralStatus
_K = DecisionKind

#: The statuses of closed referrals that a decision can reopen. One that was paid is closed when its watch is over;
#: reopened, it admits what came late, which opens clawback cases.
REOPENABLE: Final = frozenset({_S.EXPIRED, _S.DENIED, _S.WITHDRAWN, _S.REWARDED, _S.CLAWED_BACK})
#: A claim of these is decided on while none of its payments counts any more.
_RETRIED: Final = frozenset({_S.PAYING, _S.REWARDED})
#: The claim id in a decision to reopen a referral that never had a claim.
NO_CLAIM: Final = UUID(int=0)
#: These are decided on a claim as well as on a closing, or on a referral that has no claim yet.
_ON_A_CLOSING: Final = frozenset({_K.REOPEN, _K.LINK})
#: These can only hold money back, so they need not wait until the newest facts are judged.
_KEEPING_BACK: Final = frozenset({_K.DENY, _K.HOLD, _K.REQUEST_EVIDENCE})

#: For each kind of decision the refusal that `decide` would raise, or None if it would record the decision.
Answers = Mapping[DecisionKind, DecisionRefused | NotAllowed | None]


@dataclass(frozen=True, slots=True)
class ClaimSubject:
    """A referral as the subject of a decision, with everything that the rules read.

    ``claim`` is its current claim, also if it is closed and a decision covers the closing. ``judged``: on its newest
    facts. ``sent``: a payment of it counts as committed; while one does, money can only be clawed back. ``history`` are
    the decisions on it, oldest first. ``basis`` is None if no terms were in force when it began. ``paused`` says that
    its program is paused now, None if it is not. ``exchange`` is the order for which a referral that was taken back
    could be reopened. ``known`` is the facts version up to which a decision on a closed referral answers what came, and
    ``unanswered`` whether an appeal, a late fact or a report waits for an answer. ``rewarded_by`` is another
    referral whose reward for the same order stands.
    """

    referral: str
    status: ReferralStatus | None
    closed: bool
    claim_id: UUID | None
    claim: RewardClaim | None
    judged: bool
    sent: bool
    history: tuple[Made, ...]
    basis: Basis | None
    paused: str | None = None
    exchange: str | None = None
    known: int | None = None
    unanswered: bool = False
    rewarded_by: str | None = None

    @property
    def chain_id(self) -> UUID:
        return self.claim_id or NO_CLAIM

    @property
    def listed_under(self) -> str:
        return self.referral

    @property
    def digest(self) -> str:
        return self._basis().digest

    def on_it(self, kind: DecisionKind) -> list[Made]:
        """Return the decisions on what a decision of this kind covers now.

        A claim that changed and changed back is another.
        """
        digest = self._basis().digest
        return [
            each
            for each in self.history
            if each.decision.digest == digest
            and (self.closed or kind in _ON_A_CLOSING or each.decision.claim_id == self.claim_id)
        ]

    @property
    def takes(self) -> tuple[DecisionKind, ...]:
        """Return the kinds of decision that somebody with the roles may record now: each of them can be carried out."""
        return tuple(kind for kind in DecisionKind if self.basis is not None and self._fits(kind, self.basis))

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
        self._check_stands(_of_claims(asked.kind))
        digest = self._basis().digest
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
            raise DecisionRefused(self.referral, "closed", f"it is {self._status}; decide on its own what came late")
        if asked.together and self.claim is not None:
            check_unflagged(self.referral, self.claim.flag_names)
        self._check_rules(_of_claims(asked.kind), approver, asked)

    def _basis(self) -> Basis:
        if self.basis is None:
            raise DecisionRefused(self.referral, "not_judged", "no terms were in force when it began")
        return self.basis

    def _refusal(self, kind: DecisionKind, approver: Approver) -> DecisionRefused | NotAllowed | None:
        try:
            self._check_stands(kind)
            self._check_rules(kind, approver)
        except (DecisionRefused, NotAllowed) as refusal:
            return refusal
        return None

    def _fits(self, kind: DecisionKind, basis: Basis) -> bool:
        try:
            self._check_stands(kind)
            self._check_movable(kind)
            self._check_ruling(kind, basis, [each.decision for each in self.on_it(kind) if each.stands])
        except DecisionRefused:
            return False
        return True

    def _check_movable(self, kind: DecisionKind) -> None:
        if kind is _K.REASSIGN:
            check_movable(self.referral, self.claim)

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

    def _check_stands(self, kind: DecisionKind) -> None:
        """Return if the referral's status admits this kind of decision, else raise."""
        self._check_status(kind)
        if self.sent and kind is not _K.REOPEN and not self._leaves_closed(kind):
            raise DecisionRefused(
                self.referral, "payment_committed", "a payment was already sent; only a clawback can recover it"
            )

    def _check_status(self, kind: DecisionKind) -> None:
        if kind is _K.REOPEN:
            if self.status is _S.CLAWED_BACK and not self.closed and self.exchange is None:
                why = f"it is {self._status}, and no other conversion of its offer would qualify"
                raise DecisionRefused(self.referral, "no_exchange", why)
            if not self._over or self.status not in REOPENABLE:
                raise DecisionRefused(
                    self.referral, "not_closed", f"it is {self._status}; only a closed referral can be reopened"
                )
            return
        if self._leaves_closed(kind):
            if not self.unanswered:
                why = f"it is {self._status}, and nothing waits for an answer; you can only reopen it"
                raise DecisionRefused(self.referral, "closed", why)
            return
        if self.status in PAID and (self.sent or self.status not in _RETRIED):
            raise DecisionRefused(
                self.referral,
                "payment_committed",
                f"it is {self._status}: a payment was already sent; only a clawback can recover it",
            )
        if kind is _K.LINK and self.status is not None:
            return
        if self.closed:
            raise DecisionRefused(self.referral, "closed", f"it is {self._status}; you can only reopen it")
        if self.status not in BEFORE_PAYMENT | _RETRIED or self.claim_id is None:
            now = self._status if self.status else "not judged yet"
            raise DecisionRefused(self.referral, "no_claim", f"it is {now}; there is no claim to decide")

    def _leaves_closed(self, kind: DecisionKind) -> bool:
        """Whether a decision answers what came after a closing by leaving it as it is."""
        return self.closed and kind is _K.DENY

    @property
    def _over(self) -> bool:
        """Whether a decision is about how it ended: it is closed, or all of it was taken back."""
        return self.closed or self.status is _S.CLAWED_BACK

    @property
    def _status(self) -> str:
        return label("status", self.status)

    def _check_rules(self, kind: DecisionKind, approver: Approver, asked: Asked | None = None) -> None:
        """Return if the rules about earlier decisions and about this person admit the kind of decision, and what is
        ``asked`` for; else raise."""
        basis = self._basis()
        if (self.closed or kind not in _KEEPING_BACK) and not self.judged:
            raise DecisionRefused(self.referral, "facts_unjudged", "new facts are being judged; look again in a moment")
        self._check_movable(kind)
        on_it = self.on_it(kind)
        self._check_ruling(kind, basis, [each.decision for each in on_it if each.stands])
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
                if act.target == asked.order:
                    why = f"it was already linked by {_told(act.decisions)}; look again"
                    raise DecisionRefused(self.referral, "already_linked", why)
            check_order(self.referral, basis.order)

    def _check_acts(self, kind: DecisionKind, on_it: Sequence[Decision]) -> None:
        """Return if nothing was decided a moment ago that makes another claim of this one; else raise."""
        if self.closed or kind not in (_K.APPROVE, _K.REASSIGN, _K.ADJUST):
            return
        for act in complete_acts(on_it):
            rule, did = ("already_moved", "moved") if act.kind is _K.REASSIGN else ("already_linked", "given an order")
            why = f"it was already {did} by {_told(act.decisions)}; look at the new claim"
            raise DecisionRefused(self.referral, rule, why)
        if adjusted := [each for each in on_it if each.kind is _K.ADJUST]:
            why = f"it was already adjusted by {_told(adjusted)}; look at the new claim"
            raise DecisionRefused(self.referral, "already_adjusted", why)

    def _check_ruling(self, kind: DecisionKind, basis: Basis, on_it: Sequence[Decision]) -> None:
        """Return if the earlier decisions leave a purpose for this kind of decision; else raise.

        Judging runs shortly after a decision. Until then only the decisions themselves show the current state.
        """
        self._check_acts(kind, on_it)
        signoffs = [decision.signoff for decision in on_it]
        its = [decision for decision in on_it if decision.kind is kind]
        if self._over:
            if kind is _K.REOPEN and its:
                raise DecisionRefused(
                    self.referral, "already_reopened", f"it was already reopened by {_told(its)}; look again"
                )
            if kind is _K.DENY and its:
                why = f"it was already left closed by {_told(its)}; look again"
                raise DecisionRefused(self.referral, "already_answered", why)
            return
        so_far = ruling(basis.requirement, signoffs, basis.digest)
        if so_far is Ruling.DENIED:
            denials = [decision for decision in on_it if decision.kind is _K.DENY]
            raise DecisionRefused(
                self.referral, "already_denied", f"it was already denied by {_told(denials)}; reopening corrects that"
            )
        if kind is _K.APPROVE and self.paused is not None:
            raise DecisionRefused(self.referral, "program_paused", self.paused)
        if kind is _K.APPROVE and self.claim is not None:
            check_approvable(self.claim, self.rewarded_by)
        if kind is _K.ADJUST and so_far is Ruling.HELD:
            raise DecisionRefused(self.referral, "on_hold", "it is on hold; release it first")
        if kind is _K.APPROVE and satisfied(basis.requirement, signoffs, basis.digest):
            raise DecisionRefused(
                self.referral, "already_approved", f"it was already approved by {_told(its)}; no signature is missing"
            )
        if kind is _K.HOLD and so_far is Ruling.HELD:
            raise DecisionRefused(self.referral, "already_held", f"it was already put on hold by {_told(its[-1:])}")
        if kind is _K.RELEASE and so_far is not Ruling.HELD:
            raise DecisionRefused(self.referral, "not_held", "it is not on hold")


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
    if decision.kind is not kind or kind not in TARGETS:
        return decision.kind is kind
    return asked is not None and target_of(decision) == getattr(asked, TARGETS[kind])


def _undone(kind: Kind, later: Sequence[Made]) -> bool:
    """Return whether a hold was released, or a release followed by a hold."""
    both = (_K.HOLD, _K.RELEASE)
    return kind in both and any(each.decision.kind in both and each.decision.kind is not kind for each in later)


def _same_people(approver: Approver, signed: Sequence[Made]) -> list[str]:
    """Return the users among those who signed that are this person: by name, or by a mark that accounts share."""
    marks = identity.of_kinds(approver.marks, identity.SELF_REFERRAL_KINDS)
    return sorted({each.decision.user for each in signed if each.decision.user == approver.user or each.marks & marks})


def _told(its: Sequence[Decision]) -> str:
    """Return who decided, and when the last of them did, as text."""
    people = " and ".join(dict.fromkeys(decision.user for decision in its))
    return f"{people}, {its[-1].decided_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
