"""The rails that an installation can pay over, by their names in the terms."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from referral_rewards.rails import asking
from referral_rewards.rails.access import Access
from referral_rewards.rails.paypal_payouts import PayPalPayouts
from referral_rewards.rails.port import Rail
from referral_rewards.rails.tremendous import Tremendous


@asynccontextmanager
async def outside(access: Access) -> AsyncIterator[Mapping[str, Rail]]:
    """Yield the rails of the providers that we have access to, for the length of the block."""
    async with asking.client() as client:
        rails: list[Rail] = []
        if access.stripe is not None:
            # Stripe's SDK loads slowly, so it is imported only where it is needed.
            from referral_rewards.rails import stripe_calls
            from referral_rewards.rails.stripe_balance import StripeBalance
            from referral_rewards.rails.stripe_promotion import StripePromotion
            from referral_rewards.rails.stripe_transfer import StripeTransfer

            api = stripe_calls.api(access.stripe, client)
            rails += [StripeTransfer(api), StripeBalance(api), StripePromotion(api)]
        if access.paypal is not None:
            rails.append(PayPalPayouts(access.paypal, client))
        if access.tremendous is not None:
            rails.append(Tremendous(access.tremendous, client))
        yield {rail.facts.name: rail for rail in rails}
