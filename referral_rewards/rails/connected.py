"""The rails that an installation can pay over, by their names in the terms."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from referral_rewards.operation.outgoing import Noting
from referral_rewards.rails import asking
from referral_rewards.rails.access import Access
from referral_rewards.rails.paypal_payouts import PayPalPayouts
from referral_rewards.rails.port import Rail
from referral_rewards.rails.tremendous import Tremendous


@asynccontextmanager
async def outside(access: Access, noting: Noting | None = None) -> AsyncIterator[Mapping[str, Rail]]:
    """Yield the rails of the providers that we have access to, for the length of the block. Each request is noted under
    the provider's name."""
    rails: list[Rail] = []
    async with AsyncExitStack() as clients:

        async def client(provider: str) -> httpx.AsyncClient:
            note = noting(provider) if noting is not None else None
            return await clients.enter_async_context(asking.client(note))

        if access.stripe is not None:
            # Stripe's SDK loads slowly, so it is imported only where it is needed.
            from referral_rewards.rails import stripe_calls
            from referral_rewards.rails.stripe_balance import StripeBalance
            from referral_rewards.rails.stripe_promotion import StripePromotion
            from referral_rewards.rails.stripe_transfer import StripeTransfer

            api = stripe_calls.api(access.stripe, await client("stripe"))
            rails += [StripeTransfer(api), StripeBalance(api), StripePromotion(api)]
        if access.paypal is not None:
            rails.append(PayPalPayouts(access.paypal, await client("paypal")))
        if access.tremendous is not None:
            rails.append(Tremendous(access.tremendous, await client("tremendous")))
        yield {rail.facts.name: rail for rail in rails}
