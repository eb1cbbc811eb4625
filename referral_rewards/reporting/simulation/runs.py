"""A run of a replay: its verdicts so far, by which caps, tiers, taxes and rivals are judged.

Each run starts empty and keeps its own totals, so that two runs differ only by their terms.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from referral_rewards.domain.claims.claim import RewardClaim
from referral_rewards.domain.claims.dossier import Dossier, Rival, TaxPosition, Usage
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.programs.terms import Terms
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.reporting.simulation.lives import Life
from referral_rewards.reporting.simulation.outcomes import Outcome, Verdict


class Run:
    """The lives of a program's referrals under one choice of terms, and the verdicts on them so far.

    Claims are decided in order of time, so the rewards in a rolling period are always the end of a list.
    """

    def __init__(self, program: str, lives: Mapping[str, Life]) -> None:
        self.program = program
        self.lives = lives
        self.verdicts: dict[str, Verdict] = {}
        self._rewards: defaultdict[str | None, _Rewards] = defaultdict(_Rewards)
        self._budget_minor = 0
        self._year_minor: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._claiming: defaultdict[str, list[str]] = defaultdict(list)
        for referral, each in lives.items():
            if each.order is not None:
                self._claiming[each.order.id].append(referral)

    def decide(self, referral: str, claim: RewardClaim, verdict: Verdict, terms: Terms) -> None:
        """Record a verdict at the time of its claim; an approved reward counts against every limit."""
        self.verdicts[referral] = verdict
        if not verdict.costs:
            return
        moment = self.lives[referral].until
        year = moment.astimezone(terms.zone).year
        for leg in claim.legs:
            self._budget_minor += leg.amount_minor
            if leg.beneficiary is not None:
                self._year_minor[leg.beneficiary, year] += leg.amount_minor
            if leg.role is Side.REFERRER:
                self._rewards[self.lives[referral].referrer].add(moment, leg.amount_minor)

    def rewards_of(self, referrer: str | None) -> int:
        """Return the number of this referrer's rewards that the run has approved, which selects the tier."""
        return len(self._rewards[referrer].moments)

    def usage(self, referrer: str | None, terms: Terms, moment: datetime) -> Usage:
        """Return how much of the limits other rewards use at that time."""
        rewards, amount_minor = self._rewards[referrer].held(terms, moment)
        return Usage(rewards=rewards, amount_minor=amount_minor, budget_minor=self._budget_minor)

    def tax(self, gathered: Dossier) -> dict[str, TaxPosition]:
        """Return what the run has approved for each possible payee in the dossier's year; forms are the register's."""
        year = gathered.now.astimezone(gathered.terms.zone).year
        marks = {mark for fact in gathered.facts for mark in fact.marks if mark.startswith("customer:")}
        payees = {gathered.referrer, *(mark.removeprefix("customer:") for mark in marks)}
        on_file = {payee for payee, position in gathered.tax.items() if position.form_on_file}
        return {
            payee: TaxPosition(self._year_minor.get((payee, year), 0), payee in on_file) for payee in payees if payee
        }

    def rivals(self, gathered: Dossier, same_referee: Mapping[str, bool]) -> tuple[Rival, ...]:
        """Return the program's other referrals of the same referee or order, in their state in this run at that time.

        ``same_referee`` says of each referral of the same referee whether only a mailbox makes it so.
        Referrals of other programs are not replayed; they are as in the register.
        """
        q = gathered.conversion
        of_id = self._claiming.get(q.order, ()) if q else ()
        same_order = {each for each in of_id if q and q.which.may_be(self.lives[each].order)}
        met = (same_referee.keys() | same_order) & self.lives.keys() - {gathered.referral}
        own = [
            replace(
                self._rival(each, gathered.now),
                same_referee=each in same_referee,
                only_mailbox=same_referee.get(each, False),
            )
            for each in sorted(met)
            if self.lives[each].began_at <= gathered.now
        ]
        return (*own, *(rival for rival in gathered.rivals or () if rival.program != self.program))

    def _rival(self, referral: str, moment: datetime) -> Rival:
        life, verdict = self.lives[referral], self.verdicts.get(referral)
        bought = life.converted_at is not None and life.converted_at <= moment
        claimed_at = life.claimed_at if life.claimed_at is not None and life.claimed_at <= moment else None
        return Rival(
            referral=referral,
            referrer=life.referrer,
            program=self.program,
            order=life.order.id if life.order and bought else None,
            store=life.order.store if life.order and bought else None,
            status=_status(life, verdict, moment),
            timely_claim=claimed_at is not None,
            rewarded=verdict is not None and verdict.costs,
            claimed_at=claimed_at,
            began_at=life.began_at,
        )


class _Rewards:
    """A referrer's rewards in the order of approval, with running totals."""

    def __init__(self) -> None:
        self.moments: list[datetime] = []
        self._sums_minor = [0]

    def add(self, moment: datetime, amount_minor: int) -> None:
        self.moments.append(moment)
        self._sums_minor.append(self._sums_minor[-1] + amount_minor)

    def held(self, terms: Terms, moment: datetime) -> tuple[int, int]:
        """Return the number and total of the rewards still in their rolling period, which begins with the approval."""
        limit = terms.limits.per_referrer
        # An earlier approval never leaves its period after a later one.
        gone = bisect_right(self.moments, moment, key=lambda at: terms.end(at, limit.period)) if limit else 0
        return len(self.moments) - gone, self._sums_minor[-1] - self._sums_minor[gone]


def _status(life: Life, verdict: Verdict | None, moment: datetime) -> ReferralStatus:
    if life.is_closed and life.until <= moment:
        return life.status
    if verdict is not None:
        if verdict.outcome is Outcome.DENIED:
            return ReferralStatus.DENIED
        return ReferralStatus.APPROVED if verdict.costs else ReferralStatus.AWAITING_APPROVAL
    claimed = life.claimed_at is not None and life.claimed_at <= moment
    return ReferralStatus.CLAIMED if claimed else ReferralStatus.INVITED
