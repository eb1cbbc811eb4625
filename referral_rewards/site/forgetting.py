"""Erases a person from the front door's own store, beside `referrals person erase`."""

import asyncio
import getpass
import sys

from referral_rewards.config.site import SiteSettings
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.facts.identity import normal_email
from referral_rewards.site import rows
from referral_rewards.site.rules import tokens
from referral_rewards.site.store import Store


def forget(settings: SiteSettings, customer: str | None, *, by_email: bool) -> int:
    """Delete what names a customer, or the owner of the address that the input holds; return how many rows that were.
    Nothing of it is left in the files. The front door may run meanwhile.

    Raises:
        BadInput: if the input holds no address. It is not repeated.
    """
    mark = None
    if by_email:
        normal = normal_email(_typed())
        if not normal:
            raise BadInput([Problem("--forget-email", "the input holds no email address")])
        mark = tokens.keyed(settings.secret_bytes, "address", normal)
    return asyncio.run(_forget(Store(settings.data), customer, mark))


async def _forget(store: Store, customer: str | None, mark: str | None) -> int:
    try:
        deleted = await store.write(rows.forget_person, customer, mark)
        await store.overwrite()
        return deleted
    finally:
        store.close()


def _typed() -> str:
    """An address that no shell keeps and no list of processes shows."""
    return sys.stdin.readline() if not sys.stdin.isatty() else getpass.getpass("Email (not shown): ")
