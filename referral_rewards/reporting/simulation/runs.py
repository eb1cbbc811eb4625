"""A run of a replay: what it has decided so far, which is what caps, tiers, taxes and rivals are judged by.

Each run keeps such books of its own and starts with empty ones, so that two runs differ by their terms alone.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
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

    Claims are decided in the order of their moments: what a rolling period holds is then the end of a list.
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
                self._claiming[each.order].append(referral)

    def decide(self, referral: str, claim: RewardClaim, verdict: Verdict, terms: Terms) -> None:
        """Notes a verdict at the moment of its claim; a reward that it costs takes its part of every limit."""
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
        """How many rewards of this referrer the run has approved: what a tier counts."""
        return len(self._rewards[referrer].moments)

    def usage(self, referrer: str | None, terms: Terms, moment: datetime) -> Usage:
        """What other rewards hold of the limits at that moment."""
        rewards, amount_minor = self._rewards[referrer].held(terms, moment)
        return Usage(rewards=rewards, amount_minor=amount_minor, budget_minor=self._budget_minor)

    def tax(self, gathered: Dossier) -> dict[str, TaxPosition]:
        """What the run has approved in the year of the dossier to each possible payee; forms are as the register's."""
        year = gathered.now.astimezone(gathered.terms.zone).year
        marks = {mark for fact in gathered.facts for mark in fact.marks if mark.startswith("customer:")}
        payees = {gathered.referrer, *(mark.removeprefix("customer:") for mark in marks)}
        on_file = {payee for payee, position in gathered.tax.items() if position.form_on_file}
        return {
            payee: TaxPosition(self._year_minor.get((payee, year), 0), payee in on_file) for payee in payees if payee
        }

    def rivals(self, gathered: Dossier, same_referee: Iterable[str]) -> tuple[Rival, ...]:
        """The program's other referrals of the same referee or order as this run has them at the dossier's moment.

        Those of other programs are not replayed: they stay as the register has them.
        """
        order = gathered.conversion.order if gathered.conversion else None
        referees = set(same_referee)
        met = (referees | set(self._claiming.get(order, ()) if order else ())) & self.lives.keys() - {gathered.referral}
        own = [
            self._rival(each, each in referees, gathered.now)
            for each in sorted(met)
            if self.lives[each].began_at <= gathered.now
        ]
        return (*own, *(rival for rival in gathered.rivals or () if rival.program != self.program))

    def _rival(self, referral: str, same_referee: bool, moment: datetime) -> Rival:
        life, verdict = self.lives[referral], self.verdicts.get(referral)
        bought = life.converted_at is not None and life.converted_at <= moment
        claimed_at = life.claimed_at if life.claimed_at is not None and life.claimed_at <= moment else None
        return Rival(
            referral=referral,
            referrer=life.referrer,
            program=self.program,
            order=life.order if bought else None,
            status=_status(life, verdict, moment),
            timely_claim=claimed_at is not None,
            rewarded=verdict is not None and verdict.costs,
            same_referee=same_referee,
            claimed_at=claimed_at,
        )


class _Rewards:
    """A referrer's rewards in the order of their approval, with what they come to up to each."""

    def __init__(self) -> None:
        self.moments: list[datetime] = []
        self._sums_minor = [0]

    def add(self, moment: datetime, amount_minor: int) -> None:
        self.moments.append(moment)
        self._sums_minor.append(self._sums_minor[-1] + amount_minor)

    def held(self, terms: Terms, moment: datetime) -> tuple[int, int]:
        """How many stay in the rolling period of the terms, which begins with a reward's approval, and their sum."""
        limit = terms.limits.per_referrer
        # An earlier approval never stays in the period for longer than a later one.
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
