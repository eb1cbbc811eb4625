"""What a rail can refuse by itself, before anything is sent: pure, so that it can be asked at any time (SPEC §7)."""

import re
from enum import StrEnum
from typing import NamedTuple

from referral_rewards.domain.payouts import rail_catalogue
from referral_rewards.domain.payouts.rail_amounts import NotPayable, as_decimal
from referral_rewards.domain.payouts.rail_catalogue import PayeeNeed
from referral_rewards.domain.payouts.states import PaymentRequest


class ObjectionKind(StrEnum):
    """What is wrong with a request. Nothing was sent, so that nobody has to be asked what became of it."""

    NO_METHOD = "no_method"  # the payee has told nothing to pay to
    MALFORMED = "malformed"  # what they told is no reference of the rail's provider
    CURRENCY = "currency"  # the rail does not pay in it
    AMOUNT = "amount"  # the rail cannot write it
    NOT_READY = "not_ready"  # the provider says that the payee's account there takes no payments yet


class Objection(NamedTuple):
    """Why a rail would refuse a request, in a phrase for people that names nobody."""

    kind: ObjectionKind
    why: str


def objection(rail: str, request: PaymentRequest) -> Objection | None:
    """Return what a rail of the catalogue would refuse about the request without asking anybody; None if nothing.

    It does not depend on when it is asked.
    """
    return of_destination(rail, request.destination) or _of_amount(rail, request.amount_minor, request.currency)


def of_destination(rail: str, destination: str | None) -> Objection | None:
    """Return what a rail would refuse about a destination; None if nothing, or nothing is known of the rail."""
    facts = rail_catalogue.CATALOGUE.get(rail)
    if facts is None:
        return None
    form, what = facts.reference or (".+", "way to be paid")
    needed = facts.needs is PayeeNeed.REFERENCE
    if destination is None:
        return Objection(ObjectionKind.NO_METHOD, f"the payee has named no {what}") if needed else None
    if not facts.takes_reference or re.fullmatch(form, destination, re.ASCII | re.DOTALL):
        return None
    said = f"the payee has named no {what}" if needed else f"what the payee has named is no {what}"
    return Objection(ObjectionKind.MALFORMED, said)


def _of_amount(rail: str, amount_minor: int, currency: str) -> Objection | None:
    if not rail_catalogue.pays_in(rail, currency):
        title = rail_catalogue.CATALOGUE[rail].title
        return Objection(ObjectionKind.CURRENCY, f"{title} does not pay in {currency}")
    try:
        as_decimal(rail, amount_minor, currency)
    except NotPayable as error:
        return Objection(ObjectionKind.AMOUNT, str(error))
    except ValueError:
        return Objection(ObjectionKind.CURRENCY, f"{currency} is no currency")
    return None
