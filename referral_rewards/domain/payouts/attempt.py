"""What becomes of a payout whose turn it is: it is sent, waits, stops for a person, or loses rewards that changed.

`Dossier` is all that this depends on, loaded under the payout's locks. `decide` reads no clock and no database. If it
can't tell without the evidence for the payout's approval, it answers `Examine`, and is asked again with that evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from referral_rewards.domain.facts.events import CLOCK_SKEW_MAX
from referral_rewards.domain.payouts import after_restore
from referral_rewards.domain.payouts.advice import CYCLE_STOPPED, PROBE, SOON, UNTIL_EXPORTED
from referral_rewards.domain.payouts.after_restore import GOES, Adopts, Goes, Reviews, Stance
from referral_rewards.domain.payouts.moving import Halt, Wait, not_as_frozen, not_connected, refused_us
from referral_rewards.domain.payouts.moving import waits_for_its_rail as waits_for_rail
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.rail_catalogue import BY_HAND, CATALOGUE, title
from referral_rewards.domain.payouts.rail_objections import objection
from referral_rewards.domain.payouts.states import AT_REST, PaymentRequest, PayoutState

_P = PayoutState


@dataclass(frozen=True, slots=True)
class Approved:
    """Authorised people approved it. ``ahead_by`` is how long until the next fact on record takes effect, if one is to
    come."""

    ahead_by: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """Authorised people approved it, and its claim has changed since."""

    why: str


@dataclass(frozen=True, slots=True)
class Unauthorised:
    """No verified, current decision of a person supports it. It must not be retried as it is."""

    why: str


@dataclass(frozen=True, slots=True)
class Silent:
    """A source has to be asked first, or did not answer: ask again after a pause."""

    why: str
    again_after: timedelta


Verdict = Approved | Changed | Unauthorised | Silent


@dataclass(frozen=True, slots=True)
class Share:
    """A payout's rewards of one referral: what their approval is worth now, and how the referral stands.

    ``judged``: it was judged on all its facts. ``payable``: its status allows a payment. ``paying``: another of its
    payments was sent before. ``standing`` is its status in words.
    """

    referral: str
    verdict: Verdict
    judged: bool = True
    payable: bool = True
    paying: bool = False
    standing: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a payout's approval is worth now: why it does not pay exactly what was approved (``flaw``), and its
    shares."""

    flaw: str | None
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class CycleStanding:
    """How the cycle of a payout stands: whether there is one, why it may not be paid now, and whether what is left for
    the payee is below the least that it pays."""

    exists: bool = True
    why_not: str | None = None
    too_little: bool = False


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything that an attempt depends on.

    ``payout`` is the locked row, held to its history, and ``known`` the row by which the locks were chosen. ``locked``
    are the referrals whose rows are held, ``named`` those that it pays, and ``strangers`` those of them that do not
    exist. ``flaw`` is why its key can't be trusted. ``connected``: this process can call its rail. ``exports``: a
    person asks for the instruction of a payment by hand, which sends it. ``paused`` is why its program holds back what
    no rail has seen, if it is paused. ``stance`` is what a restore of the register means for it.
    """

    payout: Payout
    known: Payout
    now: datetime
    locked: tuple[str, ...]
    named: tuple[str, ...]
    strangers: frozenset[str] = frozenset()
    cycle: CycleStanding | None = None
    flaw: str | None = None
    halt: Halt | None = None
    connected: bool = True
    exports: bool = False
    paused: str | None = None
    evidence: Evidence | None = None
    stance: Stance = GOES

    @property
    def its_halt(self) -> Halt | None:
        """The halt of its rail; a payment that was made already needs no rail that is open."""
        return None if isinstance(self.stance, Adopts | Reviews) else self.halt


@dataclass(frozen=True, slots=True)
class Examine:
    """It can't be told without the evidence for its approval."""


@dataclass(frozen=True, slots=True)
class Waits:
    """It stays as it is, for this reason, until it is tried again; None: until something wakes it."""

    why: str
    again_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Stops:
    """It goes to a person for review instead of being paid."""

    why: str


@dataclass(frozen=True, slots=True)
class GoesBack:
    """It goes back to planned, where it waits for its cycle."""

    why: str


@dataclass(frozen=True, slots=True)
class IsTooLittle:
    """It is cancelled, and its rewards wait for the next cycle."""

    why: str


@dataclass(frozen=True, slots=True)
class Drops:
    """The rewards of these shares leave it, each for its own reason, and it is looked at again soon."""

    shares: tuple[tuple[str, str], ...]
    why: str


@dataclass(frozen=True, slots=True)
class JudgesAgain:
    """The claims of these referrals are assembled again, which voids their approval."""

    referrals: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Polls:
    """The outcome of an accepted order is asked for. That sends nothing."""

    probes: bool


@dataclass(frozen=True, slots=True)
class Sends:
    """The attempt is recorded, and then the rail is called.

    It is the first payment of the referrals ``first_of``. The rail is asked for an earlier attempt before, and with
    ``may_resend`` the same request may be sent if it shows none. ``probes``: it is the probe of a halted rail. Without
    an amount nothing is sent, and it is settled at once. By its ``stance`` it may be adopted or put before a person
    instead.
    """

    first_of: tuple[str, ...]
    may_resend: bool
    probes: bool
    settles_at_once: bool = False
    stance: Stance = GOES


Change = Waits | Stops | GoesBack | IsTooLittle | Drops | JudgesAgain | Polls | Sends


def decide(its: Dossier) -> Change | Examine:
    """Return what becomes of a payout. The first reason that stops it counts."""
    return _by_itself(its) or (Examine() if its.evidence is None else _by_evidence(its, its.evidence))


def _by_itself(its: Dossier) -> Change | None:
    """Return what becomes of it without a look at its approval; None if that is needed."""
    payout = its.payout
    if payout.state in AT_REST or payout.state is _P.WAITING_FUNDS:
        return Waits(payout.why or "nothing more to do")
    if its.cycle is not None and (change := _by_its_cycle(payout, its.cycle)) is not None:
        return change
    if payout.state is _P.PLANNED:
        return Waits("nobody has released it")
    if not its.locked or its.strangers.difference(its.locked):
        return Stops("there is no such referral")
    if not _is_locked(its):
        return Waits("what it pays changes just now", SOON)
    if (why := not_as_frozen(payout) or its.flaw or _refused_by_itself(payout)) is not None:
        return Stops(why)
    if (wait := waits_for_rail(its.its_halt, its.now)) is not None:
        return Waits(*wait)
    if its.exports and (why := _not_to_export(its)) is not None:
        return Waits(why)
    if payout.state is _P.ACCEPTED and payout.provider_reference is not None and its.connected:
        return Polls(probes=its.its_halt is not None)
    if isinstance(its.stance, after_restore.Waits):
        return Waits(its.stance.why, PROBE)
    return None


def _not_to_export(its: Dossier) -> str | None:
    """Return why the instruction is not handed out for the first time now; None if it may be."""
    if its.payout.state is not _P.APPROVED or its.payout.key_used_at is not None:
        return "its instruction was exported before"
    if not isinstance(its.stance, Goes):
        return "the register was restored, and it may have been paid before"
    # What a person takes away is no probe: nobody would hear its answer.
    return None if its.halt is None else refused_us(its.halt.rail, its.halt.why)


def _refused_by_itself(payout: Payout) -> str | None:
    """Return why the rail would refuse a payout that was never sent, without asking its provider; None if it might pay.

    It is asked before the first attempt is recorded, so that what it refuses counts as never sent (SPEC §7).
    """
    if payout.first_sent_at is not None or payout.rail not in CATALOGUE or payout.amount_minor == 0:
        return None
    found = objection(payout.rail, PaymentRequest.of(payout.body))
    return None if found is None else f"{title(payout.rail)} would refuse it: {found.why}"


def _by_its_cycle(payout: Payout, cycle: CycleStanding) -> Change | None:
    if not cycle.exists:
        return GoesBack("there is no such cycle")
    if cycle.why_not is not None:
        if payout.first_sent_at is None:
            return GoesBack(cycle.why_not)
        # The outcome of an order that the rail accepted is asked for all the same.
        return None if payout.state is _P.ACCEPTED else Waits(cycle.why_not, CYCLE_STOPPED)
    if payout.state is _P.PLANNED:
        return Waits("its cycle is being released")
    if payout.first_sent_at is None and cycle.too_little:
        return IsTooLittle("what is left of it is below the least that is paid in a cycle")
    return None


def _is_locked(its: Dossier) -> bool:
    """Return whether the locks that are held are those that this payout needs."""
    chosen_by = (its.known.cycle_id, its.known.payee)
    return its.named == its.locked and (its.payout.cycle_id, its.payout.payee) == chosen_by


def _by_evidence(its: Dossier, evidence: Evidence) -> Change:
    if evidence.flaw is not None:
        return Stops(evidence.flaw)
    changed: list[tuple[str, str]] = []
    for share in evidence.shares:
        match share.verdict:
            case Unauthorised(why):
                return Stops(why)
            case Silent(why, again_after):
                return Waits(why, again_after)
            case Changed(why):
                changed.append((share.referral, why))
            case Approved():
                pass
    if changed and (change := _not_as_approved(its.payout, evidence.shares, changed)) is not None:
        return change
    if (wait := _waits(its, evidence.shares)) is not None:
        return Waits(*wait)
    first_of = [each.referral for each in evidence.shares if not each.paying]
    return Sends(
        first_of=tuple(first_of) if its.payout.key_used_at is None else (),
        may_resend=not changed,
        probes=its.its_halt is not None,
        stance=its.stance,
        settles_at_once=its.payout.amount_minor == 0,
    )


def _not_as_approved(payout: Payout, shares: Sequence[Share], changed: Sequence[tuple[str, str]]) -> Change | None:
    """Return what follows from claims that ``changed`` after their approval; None if it is looked up all the same.

    A payout that the rail may have seen is looked up, and not sent again. In a cycle's payout that was never sent, only
    the changed rewards leave. If another payment of the referral counts, a person decides; else the claim is assembled
    again, whether or not a fact changed it: also before a payment under a new key, after the refusal of the last.
    """
    why = changed[0][1]
    if payout.first_sent_at is not None and payout.key_used_at is not None:
        return None
    if payout.first_sent_at is not None and (payout.generation == 1 or payout.cycle_id is not None):
        return Stops(why)
    if payout.cycle_id is not None:
        return Drops(tuple(changed), why)
    named = {referral for referral, _ in changed}
    if any(each.paying for each in shares if each.referral in named):
        return Stops(why)
    return JudgesAgain(tuple(referral for referral, _ in changed), why)


def _waits(its: Dossier, shares: Sequence[Share]) -> Wait | None:
    """Return what an approved payout still waits for; None if it may be sent."""
    if its.paused is not None and its.payout.key_used_at is None:
        # Its program wakes it when it is resumed.
        return Wait(its.paused)
    if not its.connected:
        return not_connected(its.payout.rail)
    if its.payout.key_used_at is not None:
        return None
    for each in shares:
        if not each.judged:
            return Wait("facts arrived that were not judged yet", SOON)
        if not each.payable:
            return Wait(f"referral {each.referral} is {each.standing}", SOON)
    ahead = [each.verdict.ahead_by for each in shares if isinstance(each.verdict, Approved) and each.verdict.ahead_by]
    if ahead:
        # A fact that takes effect later may stop the payment. Look again soon, in case only our clock is behind.
        return Wait("something was told that is about to happen", min(max(ahead), CLOCK_SKEW_MAX) + SOON)
    by_hand = its.payout.rail in BY_HAND and its.payout.amount_minor > 0 and isinstance(its.stance, Goes)
    if by_hand and not its.exports:
        return Wait("its instruction waits to be exported", UNTIL_EXPORTED)
    return None
