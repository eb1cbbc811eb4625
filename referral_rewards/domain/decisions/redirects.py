"""A redirect: finance binds everything that waits for a payee on one rail to the destination that they have now.

It is signed over the payee, the rail, the destination, the fact that named it, and the legs and payouts that wait. One
person signs the very first destination of a payee, two sign one that takes the place of another, and these at the
earliest a day after the payee was told at the addresses known before (SPEC §7).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

from referral_rewards.domain.claims.approval import Approver, check_note
from referral_rewards.domain.decisions import tellers
from referral_rewards.domain.decisions.act_kinds import REASONS, REFERENCE_LENGTH_MAX, MoneyAct
from referral_rewards.domain.decisions.decision import Asked, Decision, Made
from referral_rewards.domain.decisions.money_acts import ROLES, subject_digest
from referral_rewards.domain.decisions.subject import Details, check_whole
from referral_rewards.domain.errors import ActRefused, NotAllowed, RequestInvalid
from referral_rewards.domain.facts import identity
from referral_rewards.domain.instants import day
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.payees.methods import Methods, destination
from referral_rewards.domain.payouts import rail_catalogue
from referral_rewards.domain.payouts.destinations import Redirected, needs_method, not_payable_to
from referral_rewards.domain.payouts.payout import Payout
from referral_rewards.domain.payouts.states import REFUSALS, PayoutState

_NAMESPACE: Final = UUID("9a4f5d0e-7c1b-5e0a-8d55-3b1f0c6a2e94")
#: How long a payee has to object, once they were told.
TO_OBJECT: Final = timedelta(hours=24)
_ACT: Final = MoneyAct.REDIRECT_PAYEE


def subject_id(payee: str, rail: str) -> UUID:
    """Return the id that decisions on a payee's destination on one rail sign."""
    return uuid5(_NAMESPACE, f"{payee}\x00{rail}")


def listed_under(payee: str) -> str:
    """Return the name under which decisions on a payee are listed."""
    return f"payee {payee}"


@dataclass(frozen=True, slots=True)
class WaitingLeg:
    """A leg that no payout pays, because it waits for a method, or one of a payout that waits. A return, which pays no
    leg, stands for itself under its own id."""

    id: UUID
    referral: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class WaitingPayout:
    """A payout that was refused or came back, or was not sent again yet, or a return that was not sent, with the
    destination that it was to pay."""

    id: UUID
    generation: int
    state: PayoutState
    destination: str | None
    legs: tuple[WaitingLeg, ...]


@dataclass(frozen=True, slots=True)
class PayeeSubject:
    """A payee's destination on one rail as the subject of a redirect, with everything that its rules read.

    ``in_the_way`` are the states of the payee's payouts that may have reached somebody. ``told_at`` is when the payee
    was told of the present destination at the addresses known before; None: they were not.
    """

    payee: str
    rail: str
    now: datetime
    methods: Methods
    legs: tuple[WaitingLeg, ...] = ()
    payouts: tuple[WaitingPayout, ...] = ()
    in_the_way: tuple[PayoutState, ...] = ()
    parties: frozenset[str] = frozenset()
    told_at: datetime | None = None
    history: tuple[Made, ...] = ()

    @property
    def chain_id(self) -> UUID:
        return subject_id(self.payee, self.rail)

    @property
    def listed_under(self) -> str:
        return listed_under(self.payee)

    @property
    def name(self) -> str:
        """What it is called in a refusal."""
        return f"{label('subject', 'payee')} {self.payee}"

    @property
    def destination(self) -> str | None:
        """The payee's destination on the rail now."""
        return self.methods.destination_on(self.rail, self.now)

    @property
    def people(self) -> int:
        """How many people of finance must sign."""
        return 1 if self.methods.first_on(self.rail) == self.destination else 2

    @property
    def waiting(self) -> tuple[WaitingLeg, ...]:
        """Every leg that waits, in the order of their ids."""
        refrozen = [leg for payout in self.payouts for leg in payout.legs]
        return tuple(sorted((*self.legs, *refrozen), key=lambda leg: leg.id))

    @property
    def details(self) -> Mapping[str, Any]:
        """What a redirect signs: where to, and what waits."""
        method = self.methods.on(self.rail, self.now)
        return {
            "payee": self.payee,
            "rail": self.rail,
            "destination": None if method is None else destination(method),
            "method": None if method is None else str(method.id),
            "people": self.people,
            "legs": [str(leg.id) for leg in self.waiting],
            "payouts": [
                {"payout": str(each.id), "generation": each.generation, "state": each.state, "from": each.destination}
                for each in sorted(self.payouts, key=lambda payout: payout.id)
            ],
        }

    @property
    def digest(self) -> str:
        return subject_digest(self.details)

    @property
    def may_sign_from(self) -> datetime | None:
        """When a destination that takes the place of another may be bound; None: not before the payee was told."""
        return None if self.told_at is None else self.told_at + TO_OBJECT

    @property
    def signed_by(self) -> tuple[str, ...]:
        """Who has signed the redirect as it stands, and still may."""
        mine = [each for each in self.history if each.decision.digest == self.digest and not each.barred]
        return tuple(dict.fromkeys(each.decision.user for each in mine))

    def to_sign(self, details: Details | None) -> Details | None:
        return self.details

    def recorded_before(self, asked: Asked, approver: Approver, details: Details | None) -> Decision | None:
        """Return the same decision by this person on the same digest."""
        wanted = (approver.user, asked.kind, asked.digest, asked.reason)
        for each in self.history:
            made = each.decision
            if (made.user, made.kind, made.digest, made.reason) == wanted:
                return made
        return None

    def check_as_shown(self, asked: Asked) -> None:
        """Return if what waits and where it would go is what was shown; else raise."""
        if self.digest != asked.digest:
            check_whole(asked.digest, self.digest)
            raise ActRefused(self.name, "stale", "it changed since you looked at it; look again")

    def check_admits(self, asked: Asked, approver: Approver) -> None:
        """Return if the person may redirect now; else raise, naming the rule.

        Raises:
            NotAllowed: if the person is not of finance.
            ActRefused: if nothing waits, there is nowhere to pay it to, a payment is under way, the person benefits or
                signed already, or the payee has not had a day to object.
        """
        if not approver.roles & ROLES[_ACT]:
            raise NotAllowed(f"To {label('decision', _ACT)} you need the role {label('role', 'finance')}.")
        if (refused := self.refusal(asked.reference)) is not None:
            raise ActRefused(self.name, *refused)
        own = identity.of_kinds(approver.marks, identity.SELF_REFERRAL_KINDS)
        if own & self.parties:
            raise ActRefused(self.name, "own_claim", "you benefit from it and can't decide on it")
        method = self.methods.on(self.rail, self.now)
        if method is not None and approver.user in tellers.tellers([method]):
            raise ActRefused(self.name, tellers.RULE, "you told the payment method; another person must redirect to it")
        signed = [each for each in self.history if each.decision.user in self.signed_by]
        if any(each.decision.user == approver.user or own & each.marks for each in signed):
            raise ActRefused(self.name, "different_people", "you have signed it already; another person must")

    def refusal(self, where: str | None = None) -> tuple[str, str] | None:
        """Return the rule, and in words why nobody may redirect now; None if somebody may. ``where`` is the destination
        that a person named, if they did."""
        to, rail = self.destination, label("rail", self.rail)
        if not needs_method(self.rail):
            return "not_now", f"{rail} needs no payment method"
        if to is None:
            return "no_method", f"no payment method ({rail}) of theirs is on record"
        if where is not None and where != to:
            return "not_on_record", f"their payment method on record is {to}, not {where}"
        if not_payable_to(self.rail, to):
            return "malformed", f"{rail} can't pay to {to}"
        if not self.waiting:
            return "not_now", f"nothing waits for a payment method ({rail})"
        if self.in_the_way:
            states = listed([label("payout_state", each) for each in self.in_the_way], "or")
            return "payment_under_way", f"a payment to them is {states}; its outcome must be known first"
        return self._too_early() if self.people > 1 else None

    def _too_early(self) -> tuple[str, str] | None:
        since = self.may_sign_from
        if since is None:
            return "not_told", "they have not been told of the change yet, at an address known before it"
        if self.now < since:
            return "too_early", f"they were told of the change; it may be followed from {day(since)} on"
        return None


def check_asked(asked: Asked) -> Details | None:
    """Return None, once reason, rail, destination and note are in order.

    Raises:
        RequestInvalid: naming what is missing or wrong.
    """
    if asked.reason not in REASONS[_ACT]:
        raise RequestInvalid(f"{asked.reason!r} is no reason to {_ACT}: {', '.join(REASONS[_ACT])}", "reason")
    if asked.rail not in rail_catalogue.CATALOGUE:
        raise RequestInvalid(f"{asked.rail!r} is no rail: {', '.join(rail_catalogue.CATALOGUE)}", "rail")
    if asked.reference is not None and not (asked.reference.isprintable() and 0 < len(asked.reference) <= _LENGTH_MAX):
        raise RequestInvalid(f"A destination has 1 to {_LENGTH_MAX} printable characters.", "to")
    check_note(asked.note)
    return None


_LENGTH_MAX: Final = REFERENCE_LENGTH_MAX


@dataclass(frozen=True, slots=True)
class _Moved:
    """A payout as a redirect found it."""

    generation: int
    state: str
    destination: str | None


@dataclass(frozen=True, slots=True)
class Redirect(Redirected):
    """A redirect in force, with the payouts that it gives another body."""

    payouts: Mapping[str, _Moved] = field(default_factory=dict)


def in_force(made: Iterable[Decision], barred: Collection[str]) -> tuple[Redirect, ...]:
    """Return the redirects that enough people signed, in the order in which the last of them did.

    ``made`` are verified decisions, oldest first. What a decision signs must be what its digest names.
    """
    signed: dict[str, set[str]] = {}
    found: dict[str, Redirect] = {}
    for each in made:
        details = each.details or {}
        genuine = each.kind is _ACT and each.roles & ROLES[_ACT] and subject_digest(details) == each.digest
        if not genuine or each.user in barred or each.claim_id != subject_id(details["payee"], details["rail"]):
            continue
        users = signed.setdefault(each.digest, set())
        users.add(each.user)
        if len(users) >= details["people"] and each.digest not in found:
            found[each.digest] = _read(details)
    return tuple(found.values())


def _read(details: Mapping[str, Any]) -> Redirect:
    payouts = {each["payout"]: _Moved(each["generation"], each["state"], each["from"]) for each in details["payouts"]}
    where = (details["payee"], details["rail"], details["destination"])
    return Redirect(*where, legs=frozenset(details["legs"]), payouts=payouts)


def destination_under(payout: Payout, generation: int, redirects: Iterable[Redirect]) -> object:
    """Return the destination in the body of a generation of a payout's key, once it was refused."""
    for redirect in redirects:
        moved = redirect.payouts.get(str(payout.id))
        if moved is not None and (
            moved.generation > generation or (moved.generation == generation and PayoutState(moved.state) in REFUSALS)
        ):
            return moved.destination
    return payout.body["destination"]


def releases(payout: Payout, generation: int, redirects: Iterable[Redirect]) -> bool:
    """Return whether a redirect released the generation after this one."""
    moved = [its for redirect in redirects if (its := redirect.payouts.get(str(payout.id))) is not None]
    return any(its.generation == generation and PayoutState(its.state) in REFUSALS for its in moved)


def bound_to(payout: Payout, redirects: Iterable[Redirect]) -> str | None:
    """Return the destination to which the newest of the redirects sends the payout; None if none does."""
    its = [redirect.destination for redirect in redirects if str(payout.id) in redirect.payouts]
    return its[-1] if its else None


def bound_by(payout: Payout, redirects: Iterable[Redirect]) -> Redirect | None:
    """Return the redirect that was made on the payout as it stands and is not carried out; None if there is none."""
    for redirect in reversed(tuple(redirects)):
        moved = redirect.payouts.get(str(payout.id))
        if moved is not None:
            stands = (moved.generation, moved.state, moved.destination)
            now = (payout.generation, str(payout.state), payout.body["destination"])
            return redirect if stands == now and redirect.destination != moved.destination else None
    return None
