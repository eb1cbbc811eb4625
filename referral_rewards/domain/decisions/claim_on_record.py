"""What may be decided on a referral now, whoever decides: its claim, or its closing, and what was decided before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Final
from uuid import UUID

from referral_rewards.domain.claims.approval import DecisionKind, Ruling, ruling, satisfied
from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.decisions.adjusting import check_adjustable
from referral_rewards.domain.decisions.approving import check_approvable
from referral_rewards.domain.decisions.basis import Basis
from referral_rewards.domain.decisions.complete_acts import complete_acts
from referral_rewards.domain.decisions.decision import Decision, Made
from referral_rewards.domain.decisions.moving import check_movable
from referral_rewards.domain.errors import DecisionRefused
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.referrals.lifecycle import BEFORE_PAYMENT, PAID, ReferralStatus

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


@dataclass(frozen=True, slots=True)
class ClaimOnRecord:
    """A referral with everything that the rules about its status and about earlier decisions read.

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
    def digest(self) -> str:
        return self.known_basis().digest

    def on_it(self, kind: DecisionKind) -> list[Made]:
        """Return the decisions on what a decision of this kind covers now.

        A claim that changed and changed back is another.
        """
        digest = self.known_basis().digest
        return [
            each
            for each in self.history
            if each.decision.digest == digest
            and (self.closed or kind in _ON_A_CLOSING or each.decision.claim_id == self.claim_id)
        ]

    def standing(self, on_it: Sequence[Made]) -> list[Decision]:
        """Return those of the decisions that count; no approval by whoever told a fact of the claim since."""
        told_by = self.known_basis().told_by
        return [
            each.decision
            for each in on_it
            if each.stands and not (each.decision.kind is _K.APPROVE and each.decision.user in told_by)
        ]

    @property
    def takes(self) -> tuple[DecisionKind, ...]:
        """Return the kinds of decision that somebody with the roles may record now: each of them can be carried out."""
        return tuple(kind for kind in DecisionKind if self.basis is not None and self._fits(kind, self.basis))

    def known_basis(self) -> Basis:
        """Return what a decision rests on.

        Raises:
            DecisionRefused: `not_judged` if no terms were in force when the referral began.
        """
        if self.basis is None:
            raise DecisionRefused(self.referral, "not_judged", "no terms were in force when it began")
        return self.basis

    def check_stands(self, kind: DecisionKind) -> None:
        """Return if the referral's status admits this kind of decision, else raise."""
        self._check_status(kind)
        if self.sent and kind is not _K.REOPEN and not self._leaves_closed(kind):
            raise DecisionRefused(
                self.referral, "payment_committed", "a payment was already sent; only a clawback can recover it"
            )

    def check_movable(self, kind: DecisionKind) -> None:
        """Return if the attribution is open to a decision of this kind; else raise."""
        if kind is _K.REASSIGN:
            check_movable(self.referral, self.claim)

    def check_ruling(self, kind: DecisionKind, basis: Basis, on_it: Sequence[Decision]) -> None:
        """Return if the earlier decisions leave a purpose for this kind of decision; else raise.

        Judging runs shortly after a decision. Until then only the decisions themselves show the current state.
        """
        self._check_acts(kind, on_it)
        signoffs = [decision.signoff for decision in on_it]
        its = [decision for decision in on_it if decision.kind is kind]
        if self._over:
            if kind is _K.REOPEN and its:
                raise DecisionRefused(
                    self.referral, "already_reopened", f"it was already reopened by {told_by(its)}; look again"
                )
            if kind is _K.DENY and its:
                why = f"it was already left closed by {told_by(its)}; look again"
                raise DecisionRefused(self.referral, "already_answered", why)
            return
        so_far = ruling(basis.requirement, signoffs, basis.digest)
        if so_far is Ruling.DENIED:
            denials = [decision for decision in on_it if decision.kind is _K.DENY]
            raise DecisionRefused(
                self.referral, "already_denied", f"it was already denied by {told_by(denials)}; reopening corrects that"
            )
        if kind is _K.APPROVE and self.paused is not None:
            raise DecisionRefused(self.referral, "program_paused", self.paused)
        if kind is _K.APPROVE and self.claim is not None:
            check_approvable(self.claim, self.rewarded_by)
        if kind is _K.ADJUST and self.claim is not None:
            check_adjustable(self.claim)
        if kind is _K.ADJUST and so_far is Ruling.HELD:
            raise DecisionRefused(self.referral, "on_hold", "it is on hold; release it first")
        if kind is _K.APPROVE and satisfied(basis.requirement, signoffs, basis.digest):
            raise DecisionRefused(
                self.referral, "already_approved", f"it was already approved by {told_by(its)}; no signature is missing"
            )
        if kind is _K.HOLD and so_far is Ruling.HELD:
            raise DecisionRefused(self.referral, "already_held", f"it was already put on hold by {told_by(its[-1:])}")
        if kind is _K.RELEASE and so_far is not Ruling.HELD:
            raise DecisionRefused(self.referral, "not_held", "it is not on hold")

    def _fits(self, kind: DecisionKind, basis: Basis) -> bool:
        try:
            self.check_stands(kind)
            self.check_movable(kind)
            self.check_ruling(kind, basis, self.standing(self.on_it(kind)))
        except DecisionRefused:
            return False
        return True

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

    def _check_acts(self, kind: DecisionKind, on_it: Sequence[Decision]) -> None:
        """Return if nothing was decided a moment ago that makes another claim of this one; else raise."""
        if self.closed or kind not in (_K.APPROVE, _K.REASSIGN, _K.ADJUST):
            return
        for act in complete_acts(on_it):
            rule, did = ("already_moved", "moved") if act.kind is _K.REASSIGN else ("already_linked", "given an order")
            why = f"it was already {did} by {told_by(act.decisions)}; look at the new claim"
            raise DecisionRefused(self.referral, rule, why)
        if adjusted := [each for each in on_it if each.kind is _K.ADJUST]:
            why = f"it was already adjusted by {told_by(adjusted)}; look at the new claim"
            raise DecisionRefused(self.referral, "already_adjusted", why)


def told_by(its: Sequence[Decision]) -> str:
    """Return who decided, and when the last of them did, as text."""
    people = " and ".join(dict.fromkeys(decision.user for decision in its))
    return f"{people}, {its[-1].decided_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
