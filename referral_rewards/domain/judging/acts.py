"""What people decided about a referral as a whole, before it is judged: to reopen it, to move its reward, to link an
order. Each changes the row, and so all that its judgement depends on."""

from dataclasses import dataclass, replace
from typing import Final

from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions import complete_acts
from referral_rewards.domain.decisions.claim_on_record import REOPENABLE
from referral_rewards.domain.decisions.complete_acts import Pending
from referral_rewards.domain.judging.case_file import CaseFile
from referral_rewards.domain.judging.closings import covers
from referral_rewards.domain.judging.consequences import voided
from referral_rewards.domain.judging.verdict import Consequences, Noted
from referral_rewards.domain.payouts.states import LegState
from referral_rewards.domain.referrals.case import exchange_of
from referral_rewards.domain.referrals.lifecycle import PAID, ReferralStatus
from referral_rewards.domain.referrals.referral import Referral

_S: Final = ReferralStatus


@dataclass(frozen=True, slots=True)
class Disbelieves:
    """What the row says was decided about its attribution has no verified decisions behind it, and is removed."""


@dataclass(frozen=True, slots=True)
class Reopens:
    """The next round begins, with this row. If it is for another conversion than the one that was paid for
    (``exchanges``), the paid legs are set aside."""

    row: Referral
    noted: Noted
    exchanges: bool


@dataclass(frozen=True, slots=True)
class CarriesOut:
    """Its reward moves, or it hears of another order."""

    pending: Pending
    its: Consequences


Act = Disbelieves | Reopens | CarriesOut


def act_of(file: CaseFile) -> Act | None:
    """Return what is carried out next, after which the file is loaded anew; None if nothing is left."""
    if not complete_acts.holds(file.row, file.decisions):
        return Disbelieves()
    if file.row.closed_at is not None or file.row.status is _S.CLAWED_BACK:
        reopens = _reopens(file)
        if reopens is not None or file.row.closed_at is not None:
            return reopens
    return _carries_out(file)


def _reopens(file: CaseFile) -> Reopens | None:
    """Begin the next round if a valid decision reopens exactly this closing."""
    row = file.row
    if row.status not in REOPENABLE:
        return None
    found = tuple(d.id for d in file.decisions if d.kind is DecisionKind.REOPEN and covers(row, d))
    linked = complete_acts.complete_acts(file.decisions, DecisionKind.LINK)
    if not found and not any(covers(row, act.last) for act in linked):
        return None
    exchanges = _exchanges(file)
    if row.closed_at is None and not exchanges:
        return None
    return Reopens(_reopened(row, exchanges=exchanges), Noted(found, "applied", "reopened"), exchanges)


def _reopened(row: Referral, *, exchanges: bool) -> Referral:
    begun = replace(row, round=row.round + 1, closed_at=None, closed_version=None, answered_version=row.facts_version)
    begun = replace(begun, contested=None)
    if exchanges:
        return replace(begun, status=_S.IN_REVIEW, rewarded_at=None, claim_id=None, rivals_seen=None)
    if row.status in PAID:
        # What it paid for is frozen. The late facts open clawback cases, and it closes again.
        return replace(begun, late_facts=0)
    return replace(begun, claim_id=None, rivals_seen=None)


def _exchanges(file: CaseFile) -> bool:
    """Return whether another conversion takes the place of the one that was paid for, and a leg was recovered."""
    recovered = any(leg.state == LegState.CLAWED_BACK for leg in file.legs)
    if file.case is None or file.row.status not in PAID or not recovered:
        return False
    return exchange_of(file.case) is not None


def _carries_out(file: CaseFile) -> CarriesOut | None:
    """Carry out what people decided about the attribution; whatever else was decided on the claim that it changes is
    void. A claim that was denied or is on hold stays as it is."""
    found = complete_acts.pending(file.row, file.decisions)
    if found is None or file.case is None or file.is_frozen or file.kept_back:
        return None
    return CarriesOut(found, voided(file, "its attribution was decided anew", besides=found.decisions))
