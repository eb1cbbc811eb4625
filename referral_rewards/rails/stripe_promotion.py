"""A discount, as a coupon with a promotion code for the payee: https://docs.stripe.com/api/promotion_codes.

The coupon's id is our key, and it can be redeemed once. So however many codes exist, only one discount is given.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from referral_rewards.domain.books.reconciliation import Listed, ListedPage, ListedState, payout_of
from referral_rewards.domain.payouts.rail_amounts import as_units, minor_of_units
from referral_rewards.domain.payouts.rail_catalogue import STRIPE_PROMOTION
from referral_rewards.domain.payouts.rail_objections import objection
from referral_rewards.domain.payouts.states import (
    Answer,
    Declined,
    Handed,
    Misconfigured,
    Paid,
    PaymentRequest,
    ReversalAnswer,
    Reversed,
    TakenBack,
    Unknown,
)
from referral_rewards.domain.payouts.taking_back import NotTold, whole_or_nothing
from referral_rewards.rails.asking import Failure, seen
from referral_rewards.rails.stripe_calls import (
    KeyTaken,
    answered,
    everything,
    made_at,
    noted,
    page,
    read,
    within,
)

NAME: Final = STRIPE_PROMOTION.name
_CODE: Final = re.compile(r"[A-Za-z0-9_-]{1,500}", re.ASCII)


class StripePromotion:
    """One coupon and one code per payout. If the payee has a Stripe customer id, only they can use the code."""

    facts: Final = STRIPE_PROMOTION

    def __init__(self, api: Any) -> None:
        self._coupons = api.coupons
        self._codes = api.promotion_codes

    async def pay(self, request: PaymentRequest, key: str) -> Answer:
        if (found := objection(NAME, request)) is not None:
            return Declined(found.why)
        coupon = await self._coupon(request, key)
        if isinstance(coupon, Failure):
            return coupon
        for_payee = {"customer": request.destination} if request.destination else {}
        order = {
            "promotion": {"type": "coupon", "coupon": key},
            "max_redemptions": 1,
            "metadata": {"payout": str(request.payout_id)},
            **for_payee,
        }
        code = await answered(self._codes.create_async(order, {"idempotency_key": key}))
        if isinstance(code, KeyTaken):
            return await self.look_up(request, key) or Unknown(code.why)
        return code if isinstance(code, Failure) else seen(lambda: _paid(coupon, code))

    async def look_up(self, request: PaymentRequest, key: str) -> Answer | None:
        """Look the discount up. A coupon without a code is not a discount yet."""
        coupon = await read(self._coupons.retrieve_async(key))
        if coupon is None or isinstance(coupon, Failure):
            return coupon
        codes = await everything(self._codes.list_async, coupon=key)
        if isinstance(codes, Failure):
            return codes
        return seen(lambda: _standing(coupon, codes)) if codes else None

    async def funded(self, request: PaymentRequest) -> bool | None:
        return None

    async def poll(self, request: PaymentRequest, key: str, reference: str) -> Answer:
        return await self.look_up(request, key) or Unknown("Stripe does not show it any more")

    async def look_up_reversal(
        self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str
    ) -> ReversalAnswer | None:
        code = await read(self._codes.retrieve_async(paid.reference))
        if code is None or isinstance(code, Failure):
            return code or Unknown("Stripe does not show it any more")
        if seen(lambda: code.active is True and int(code.times_redeemed) == 0) is True:
            return None
        return seen(lambda: _reversed(request, code))

    async def reverse(self, request: PaymentRequest, paid: Paid, amount_minor: int, key: str) -> ReversalAnswer:
        """Deactivate the code, in full only and only before it was redeemed."""
        if amount_minor != request.amount_minor:
            return Declined("a promotion code is taken back whole or not at all")
        off = await answered(self._codes.update_async(paid.reference, {"active": False}, {"idempotency_key": key}))
        if isinstance(off, KeyTaken):
            return Unknown(off.why)
        return off if isinstance(off, Failure) else seen(lambda: _reversed(request, off))

    async def taken_back(self, request: PaymentRequest, paid: Paid) -> Sequence[TakenBack] | NotTold:
        """Return the code, if it was switched off before it was redeemed, or nothing."""
        return whole_or_nothing(await self.look_up_reversal(request, paid, request.amount_minor, ""))

    async def listed(
        self, since: datetime, until: datetime, payee: str | None, after: str | None
    ) -> ListedPage | Unknown | Misconfigured:
        """List only codes with our metadata or key. Other codes of the shop are not ours."""
        span = within(since, until)
        expand = ["data.promotion.coupon"]
        return await page(_listed, after, self._codes.list_async, others_too=False, created=span, expand=expand)

    async def handover(self, request: PaymentRequest, paid: Paid) -> Handed | Unknown | Misconfigured:
        """Return the code as the payee types it."""
        code = await read(self._codes.retrieve_async(paid.reference))
        if code is None or isinstance(code, Failure):
            return code if isinstance(code, Unknown | Misconfigured) else Unknown("Stripe does not show the code")
        return seen(lambda: Handed("code", _typed(code.code), code.id))

    async def _coupon(self, request: PaymentRequest, key: str) -> Any | Failure:
        """Return the coupon under the key, created now or earlier; unknown if it is a different discount."""
        amount = as_units(NAME, request.amount_minor, request.currency)
        order = {
            "id": key,
            "amount_off": amount,
            "currency": request.currency.lower(),
            "duration": "once",
            "max_redemptions": 1,
            "name": "Referral reward",
            "metadata": {"payout": str(request.payout_id)},
        }
        made = await answered(self._coupons.create_async(order, {"idempotency_key": f"{key}-coupon"}))
        if isinstance(made, KeyTaken | Declined):
            # Either it was refused or it exists already: the coupon's id, which is our key, does not expire.
            found = await read(self._coupons.retrieve_async(key))
            if found is None or isinstance(found, Failure):
                return found or (made if isinstance(made, Declined) else Unknown(made.why))
            made = found
        if isinstance(made, Failure):
            return made
        fits = seen(lambda: (made.amount_off, made.currency, made.max_redemptions) == (amount, order["currency"], 1))
        return made if fits is True else Unknown("another coupon stands under our key")


def _typed(code: Any) -> str:
    """Return the code if it is safe in a letter, else raise ValueError.

    https://docs.stripe.com/api/promotion_codes/object gives its form.
    """
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise ValueError("no code")
    return code


def _listed(code: Any) -> Listed | None:
    # Stripe may show no coupon at all, for one that was deleted.
    coupon = code.promotion.coupon
    if (payout := payout_of(noted(code, "payout") or (coupon.id if coupon is not None else None))) is None:
        return None
    currency = (coupon.currency or "").upper()
    once = coupon.max_redemptions == 1 and coupon.amount_off is not None
    return Listed(
        reference=code.id,
        payout=payout,
        key=coupon.id,
        amount_minor=minor_of_units(NAME, coupon.amount_off, currency) if once else None,
        currency=currency,
        destination=code.customer,
        state=ListedState.PAID if _is_of_use(code) else ListedState.FAILED,
        at=made_at(code),
    )


def _is_of_use(code: Any) -> bool:
    """Whether the code can be used, or was: a redeemed code counts as paid, even if it was deactivated later."""
    return bool(code.active or code.times_redeemed)


def _standing(coupon: Any, codes: Sequence[Any]) -> Paid | Declined:
    """Return what the codes of a coupon come to; one that was deactivated before anybody used it is no discount."""
    of_use = [code for code in codes if _is_of_use(code)]
    return _paid(coupon, of_use[-1]) if of_use else Declined("the promotion code was deactivated at Stripe")


def _paid(coupon: Any, code: Any) -> Paid:
    """Return the discount of the code. If its coupon is not what we asked for, such as one that can be redeemed twice,
    the amount is None."""
    currency = (coupon.currency or "").upper()
    once = coupon.max_redemptions == 1 and coupon.amount_off is not None and code.promotion.coupon == coupon.id
    amount_minor = minor_of_units(NAME, coupon.amount_off, currency) if once else None
    return Paid(code.id, amount_minor, currency, code.customer)


def _reversed(request: PaymentRequest, code: Any) -> Reversed | Declined:
    if int(code.times_redeemed) > 0 or code.active is not False:
        return Declined("it was redeemed already")
    return Reversed(code.id, request.amount_minor, request.currency)
