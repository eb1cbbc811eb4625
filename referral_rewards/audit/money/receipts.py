"""The provider's side of a payment: the frozen request, the attempts, and the receipt that says it was paid."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Final
from uuid import UUID, uuid5

from referral_rewards.audit.canonical import ascii_sha256_of
from referral_rewards.audit.evidence import SKEW
from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.money.about import amount, differs, finding
from referral_rewards.audit.money.keys import MOVES, entry_id
from referral_rewards.audit.money.records import SENT, Leg, Made, Payment, Step

_PAYOUTS: Final = UUID("5f6b7e1e-0d0c-5b53-9a3f-6a0f6a0d2c11")
_CYCLES: Final = UUID("0d3f8a0c-91b7-5d6e-8f6b-3c1f52e6d2a4")
#: The clocks of two workers differ by no more.
#: A provider refused or returned it for good: only then may it go out under another key.
_REFUSALS: Final = frozenset({"refused", "waiting_funds", "returned"})
#: People say with their signature under which reference it was paid.
_SAID_BY_PEOPLE: Final = frozenset({"settle_payout", "confirm_payout"})
_ACTS: Final = MOVES | frozenset(
    {
        *("sent", "adopted", "looked_up", "polled", "answered", "shut_out", "topped_up"),
        *("retry_payout", "settle_payout", "refuse_payout", "cancel_payout", "confirm_payout", "redirect_payee"),
        *("assign_payment",),
    }
)
_STATES: Final = frozenset(
    {
        *("planned", "approved", "sending", "accepted", "settled", "returned", "refused", "waiting_funds", "unknown"),
        *("manual_review", "cancelled"),
    }
)
_BY_HAND: Final = "manual"
_OWN_CREDIT: Final = "account_credit"


def findings(payment: Payment) -> Iterator[Finding]:
    """Yield where the request, the attempts and the receipt of a payment do not agree with what was to be paid."""
    for what in (*_names(payment), *_request(payment), *_is_of_its_legs(payment)):
        yield finding(payment, Part.PROVIDER_RECEIPT, what, _row(payment))
    for what in (*_order(payment.steps), *_steps(payment.steps), *_generations(payment.steps)):
        yield finding(payment, Part.PROVIDER_RECEIPT, what, f"payout_step of {payment.payout.id}")
    for what in (*_status(payment), *_dates(payment)):
        yield finding(payment, Part.PAYMENT_STATUS, what, _row(payment))
    for what in _receipt(payment):
        yield finding(payment, Part.PROVIDER_RECEIPT, what, _row(payment))
    for what in _instruction(payment):
        yield finding(payment, Part.PROVIDER_RECEIPT, what, f"payment_instruction {payment.payout.provider_key}")


def _row(payment: Payment) -> str:
    return f"payout {payment.payout.id}"


def _names(payment: Payment) -> Iterator[str]:
    """Its id follows from what it pays, and the key that the provider knows it by from its id."""
    payout = payment.payout
    key = f"{payout.id}-{payout.generation}"
    if payout.provider_key != key:
        yield differs("idempotency key", payout.provider_key, key)
    right = _right_id(payment)
    if right is not None and payout.id != right:
        yield differs("id", payout.id, right)


def _right_id(payment: Payment) -> UUID | None:
    """Return the id that follows from what it pays; None of a return, or if nothing says what it pays."""
    payout, legs = payment.payout, payment.paid
    if payout.returns is not None or not legs:
        return None
    if payout.cycle_id is not None:
        return uuid5(payout.cycle_id, f"{payout.payee}\x00{payout.rail}\x00{payout.currency}")
    claim = payment.claims.get(legs[0].claim_id)
    if claim is None:
        return None
    name = f"{legs[0].referral_id}\x00{legs[0].role}"
    return uuid5(_PAYOUTS, name if claim.round == 1 else f"{name}\x00{claim.round}")


def _request(payment: Payment) -> Iterator[str]:
    """The request is the one that was frozen, and the row says the same."""
    payout, body = payment.payout, payment.payout.body
    if ascii_sha256_of(body) != payout.body_hash:
        yield differs("request's hash", payout.body_hash, ascii_sha256_of(body))
    row: Mapping[str, object] = {
        "payout": str(payout.id),
        "payee": payout.payee,
        "amount_minor": payout.amount_minor,
        "currency": payout.currency,
        "referral": "" if payout.cycle_id is not None else payout.referral_id,
    }
    for name, value in row.items():
        if body.get(name) != value:
            yield f"its request says {name} {body.get(name)}; the row says {value}"


def _is_of_its_legs(payment: Payment) -> Iterator[str]:
    """It pays exactly what its legs promise, less what lowers it, to whom and where they say."""
    payout, legs = payment.payout, payment.paid
    if payout.returns is not None or payment.is_given_up:
        return
    if not legs:
        yield "it pays no reward; right would be at least one"
        return
    total_minor = sum(leg.amount_minor for leg in legs)
    kept_minor = sum(each.amount_minor for each in payment.deductions if each.live)
    if payout.amount_minor != total_minor - kept_minor:
        sent, right = (amount(each, payout.currency) for each in (payout.amount_minor, total_minor - kept_minor))
        yield f"it sends {sent}; its rewards less what lowers them come to {right}"
    for leg in legs:
        yield from _agrees(payment, leg)
    if payout.cycle_id is None and (len(legs) != 1 or legs[0].referral_id != payout.referral_id):
        yield differs("referral", payout.referral_id, legs[0].referral_id)
    if payout.cycle_id is not None:
        yield from _of_cycle(payment)


def _agrees(payment: Payment, leg: Leg) -> Iterator[str]:
    payout = payment.payout
    pays_to = leg.destination if leg.bound_to is None else leg.bound_to
    pairs = {
        "payee": (payout.payee, leg.beneficiary),
        "currency": (payout.currency, leg.currency),
        "rail": (payout.rail, leg.rail),
        "destination": (payout.body.get("destination"), pays_to),
        "program": (payment.program, leg.program),
    }
    for noun, (stands, right) in pairs.items():
        if stands != right:
            yield differs(noun, stands, right)


def _of_cycle(payment: Payment) -> Iterator[str]:
    cycle = payment.cycle
    if cycle is None:
        yield "the payout cycle that it names is not on record"
        return
    if cycle.program != payment.program:
        yield differs("cycle's program", cycle.program, payment.program)
    right = uuid5(_CYCLES, f"{cycle.program}\x00{cycle.due_on.isoformat()}")
    if cycle.id != right:
        yield differs("cycle's id", cycle.id, right)


def _order(steps: tuple[Step, ...]) -> Iterator[str]:
    """Its history begins with its plan and runs forward in time."""
    if not steps:
        yield "it has no history"
        return
    if steps[0].act != "planned":
        yield f"its history begins with “{steps[0].act}”; right would be “planned”"
    if any(step.act == "planned" for step in steps[1:]):
        yield "its history plans it twice"
    for before, after in pairwise(steps):
        if after.at + SKEW < before.at:
            yield f"step {after.id} is dated before step {before.id}, which came first"


def _steps(steps: tuple[Step, ...]) -> Iterator[str]:
    """Each step is of a kind that there is, and found the payout as the step before that moved it left it."""
    state: str | None = None
    for step in steps:
        if step.act not in _ACTS:
            yield f"step {step.id} is called “{step.act}”, which no step is"
        if step.state not in _STATES:
            yield f"step {step.id} leaves it “{step.state}”, which no payout is"
        if step.act in MOVES:
            state = step.state
        elif step.state != state:
            yield f"step {step.id} found it {step.state}; it was {state} then"
        if step.reference is not None and (step.act not in MOVES or step.act == "planned" or step.state == "sending"):
            yield f"step {step.id} has a provider's reference, where none is noted"


def _generations(steps: tuple[Step, ...]) -> Iterator[str]:
    """A payment goes out under another key only once its provider refused or returned it for good."""
    for before, after in pairwise(steps):
        if after.generation not in (before.generation, before.generation + 1):
            yield f"step {after.id} is of generation {after.generation} of its key, after {before.generation}"
    for generation in sorted({step.generation for step in steps})[1:]:
        earlier = [step.state for step in steps if step.generation == generation - 1]
        if not _REFUSALS.intersection(earlier):
            yield f"generation {generation} of its key was begun, though no refusal of the one before is on record"


def _status(payment: Payment) -> Iterator[str]:
    """Its state is the last to which its history moved it; a reward that is paid is paid by a settled payment."""
    payout, moves = payment.payout, [step for step in payment.steps if step.act in MOVES]
    last = moves[-1] if moves else None
    if last is not None and (payout.state, payout.generation) != (last.state, last.generation):
        stands, right = (
            f"{state} in generation {of}"
            for state, of in ((payout.state, payout.generation), (last.state, last.generation))
        )
        yield f"it is {stands}; its history says {right}"
    is_settled = last is not None and last.state == "settled"
    for leg in payment.paid:
        if (leg.state in ("paid", "clawed_back")) is not is_settled:
            word = "settled" if is_settled else "not settled"
            yield f"the {leg.role}'s reward of {leg.referral_id} is {leg.state}, while its payment is {word}"
    if payout.dropped and payout.returns is None:
        yield "it is dropped, which only a return can be"


def _dates(payment: Payment) -> Iterator[str]:
    """When it was sent and settled is what its history says."""
    payout, steps = payment.payout, payment.steps
    settled = [step for step in steps if step.act in MOVES and step.state == "settled"]
    right = settled[-1].at if settled and payout.state == "settled" else None
    if payout.state == "settled" and payout.settled_at != right:
        yield differs("time of settlement", payout.settled_at, right)
    sent = [step for step in steps if step.act in SENT]
    if not sent:
        yield "its history has no attempt; a payment is recorded before it is sent"
        return
    if not _is_when(payout.first_sent_at, sent[0]):
        yield differs("first attempt", payout.first_sent_at, sent[0].at)
    of_its_key = [step for step in sent if step.generation == payout.generation]
    if of_its_key and not any(_is_when(payout.key_used_at, step) for step in of_its_key):
        yield differs("first attempt under its key", payout.key_used_at, of_its_key[0].at)


def _is_when(at: datetime | None, step: Step) -> bool:
    """Return whether an attempt was made at that time; what was adopted after a restore may have been made earlier, by
    the clock of its provider."""
    return at is not None and (at == step.at or (step.act == "adopted" and at < step.at + SKEW))


def _receipt(payment: Payment) -> Iterator[str]:
    """It is settled only with a receipt that says so: the provider's reference, in the step that settled it."""
    payout = payment.payout
    settled = [step for step in payment.steps if step.act in MOVES and step.state == "settled"]
    if payout.state != "settled" or not settled:
        return
    receipt = settled[-1].reference
    if receipt != payout.provider_reference:
        yield differs("provider's reference", payout.provider_reference, receipt)
    if receipt is None and payout.amount_minor:
        yield "it is settled without a receipt: no reference of its provider is on record"
    if payout.rail == _OWN_CREDIT and payout.amount_minor:
        right = str(entry_id(f"credited:{payout.provider_key}"))
        if receipt != right and not _said_by_people(payment, receipt):
            yield differs("receipt", receipt, right)
    attempts = [step for step in payment.steps if step.act in SENT and step.generation == payout.generation]
    said = _said_by_people(payment, receipt)
    if not attempts and not said:
        yield "it is settled, though no attempt under its key and no signed word of people is on record"
    if payment.is_given_up and not said:
        yield "it pays no reward, or one that was cancelled, and no signed word of people lets it stand"
    if attempts and attempts[0].id > settled[-1].id and not said:
        yield "it was settled before it was first sent"


def _said_by_people(payment: Payment, reference: str | None) -> bool:
    return any(_says(each, reference) for each in payment.made.get(payment.payout.id, ()))


def _says(made: Made, reference: str | None) -> bool:
    return made.kind in _SAID_BY_PEOPLE and (made.details or {}).get("reference") == reference


def _instruction(payment: Payment) -> Iterator[str]:
    """What people were told to pay by hand is the frozen request."""
    payout = payment.payout
    if payout.rail != _BY_HAND:
        return
    its = next((each for each in payment.instructions if each.key == payout.provider_key), None)
    if its is None:
        if payout.amount_minor:
            yield "nobody was told to pay it: there is no instruction under its key"
        return
    told = (its.payee, its.amount_minor, its.currency, its.destination, its.program)
    right = (payout.payee, payout.amount_minor, payout.currency, payout.body.get("destination"), payment.program)
    if told != right:
        yield f"people were told to pay {told}; the request says {right}"
    for step in payment.steps:
        key = f"{payout.id}-{step.generation}"
        if step.act in MOVES and step.state == "accepted" and step.reference != key:
            yield f"step {step.id} names the instruction {step.reference}; right would be {key}"
    if payout.key_used_at is not None and abs(its.written_at - payout.key_used_at) > SKEW:
        yield differs("instruction's date", its.written_at, payout.key_used_at)
