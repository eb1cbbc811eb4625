"""The parts of the front door that its process makes once, and how its work in the background runs beside its pages."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from referral_rewards.config.site import SiteSettings
from referral_rewards.notices.port import Mailer
from referral_rewards.site import shown_programs
from referral_rewards.site.product import Product, Validation
from referral_rewards.site.shown_programs import ShownProgram
from referral_rewards.site.store import Store

#: A pause that nothing ends is over after this: what is due later is looked for.
POLL_SECONDS: Final = 5.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """What pages and background work stand on. ``bells`` end the pauses of the background work."""

    settings: SiteSettings
    programs: Mapping[str, ShownProgram]
    store: Store
    product: Product
    mailer: Mailer | None
    validation: Validation | None = None
    clock: Callable[[], datetime] = _now
    bells: list[asyncio.Event] = field(default_factory=list)

    @classmethod
    def of(cls, settings: SiteSettings) -> "Parts":
        """Return the parts that the settings name.

        Raises:
            BadInput: if the file of the programs is wrong.
        """
        programs = shown_programs.load(settings.programs)
        token = settings.validation_token
        return cls(
            settings=settings,
            programs=programs,
            store=Store(settings.data),
            product=Product.at(settings.api_url, settings.token.get_secret_value()),
            mailer=settings.mailer(),
            validation=Validation(settings.validation_url, token.get_secret_value() if token else None)
            if settings.validation_url
            else None,
        )

    @property
    def secret(self) -> bytes:
        """The key of what the front door signs for itself."""
        return self.settings.secret_bytes

    def ring(self) -> None:
        """Tell the background work that there is something to do."""
        for bell in self.bells:
            bell.set()

    async def close(self) -> None:
        """Close what was opened."""
        await self.product.close()
        if self.validation is not None:
            await self.validation.close()
        self.store.close()


@asynccontextmanager
async def at_work(parts: Parts) -> AsyncIterator[None]:
    """Send letters and tell facts in the background for the length of the block."""
    from referral_rewards.site import posting, telling  # these stand on the parts

    tasks = [asyncio.create_task(each.run(parts)) for each in (posting, telling)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
