"""The scripted approvers: they load a claim as a person would, and decide as the script says."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from models.session import Database
from referral_rewards.config.credentials import store, store_password
from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.facts.rights import EVERYTHING
from referral_rewards.domain.people.authority import Scope
from referral_rewards.domain.programs.terms import Role
from referral_rewards.local.demo.api import SHOP, Api, Refusal
from referral_rewards.local.demo.script import Expectation
from referral_rewards.register.people import administration, passwords, users

PEOPLE: Final[Mapping[str, Role]] = {
    "fay": Role.FINANCE,
    "olga": Role.OPERATIONS,
    "per": Role.PROGRAM_OWNER,
    "una": Role.PROGRAM_OWNER,
    "fritz": Role.FINANCE,
}
READER: Final = "olga"

_LOOK_AGAIN_SECONDS: Final = 0.2
_PATIENCE_SECONDS: Final = 120.0
#: The reason code for a flag, if there is a specific one. The general codes of each kind are below.
_BY_FLAG: Final[Mapping[tuple[str, Flag], str]] = {
    ("deny", Flag.SELF_REFERRAL): "self_referral",
    ("deny", Flag.DUPLICATE_CLAIM): "duplicate",
    ("deny", Flag.FRAUD_SUSPECTED): "fraud",
    ("hold", Flag.DISPUTE_OPEN): "dispute_open",
    ("approve", Flag.DISPUTED_ATTRIBUTION): "attribution_settled",
}
_OTHERWISE: Final = {"approve": "verified", "deny": "other", "hold": "other"}


async def hire(database: Database) -> dict[str, str]:
    """Add the approvers, and the shop that may only send facts. Return their tokens by name."""
    now = datetime.now(UTC)

    async def add(connection: AsyncConnection) -> dict[str, str]:
        tokens = {name: await users.add(connection, name, roles=[role], at=now) for name, role in PEOPLE.items()}
        shop = await users.add(connection, SHOP, scopes=[Scope.EVENTS_WRITE], tells=EVERYTHING, at=now)
        return tokens | {SHOP: shop}

    return await database.write(add)


async def let_in(database: Database, data: Path, tokens: Mapping[str, str]) -> None:
    """Keep the tokens in the demo's folder for `--as`, and a password for each approver, to sign in at the desk."""
    for name, token in tokens.items():
        store(data, name, token)
    for name in PEOPLE:
        password = secrets.token_urlsafe(12)
        hashed = await passwords.hash_of(password)
        await database.write(administration.set_password, name, hashed, by="demo", at=datetime.now(UTC))
        store_password(data, name, password)


async def decide(api: Api, referral: str, script: Mapping[str, Expectation]) -> tuple[dict[str, Any], str]:
    """Wait until the referral takes the decision, then record it for every person that it needs.

    Returns the referral as listed just before, and the outcome: the scripted decision, or why it was not made.
    """
    expected = script[referral]
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            if (first := expected.decided_after) is not None:
                while (await api.referral(first))["status"] != script[first].after:  # noqa: ASYNC110  (asked over HTTP)
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            claim = (await _that_takes(api, referral, expected.decision))["claim"]
        before = await _listed(api, referral)
        for user in needed(claim["requirement"], everybody=expected.decision == "approve"):
            await _sign(api, user, referral, expected)
    except TimeoutError:
        return await _listed(api, referral), "there was nothing to decide"
    except Refusal as refusal:
        return before, f"{expected.decision} was refused: {refusal}"
    return before, expected.decision


async def _that_takes(api: Api, referral: str, decision: str) -> dict[str, Any]:
    """Wait for a claim that takes the decision. While a referral is judged again it has none."""
    while decision not in (shown := await api.claim(referral))["takes"]:  # noqa: ASYNC110  (asked over HTTP)
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    return shown


async def _listed(api: Api, referral: str) -> dict[str, Any]:
    """Return one referral in the form of `list --json`, which names the flags of its claim without their reasons."""
    found = await api.referral(referral)
    if found["claim"] is None:
        return found
    return {**found, "claim": {**found["claim"], "flags": [raised["flag"] for raised in found["claim"]["flags"]]}}


def needed(requirement: Mapping[str, Any], *, everybody: bool) -> list[str]:
    """Return the people who satisfy the requirement: every role and the required number. A denial needs only one."""
    chosen = [next(user for user, role in PEOPLE.items() if role == route) for route in requirement["routes"]]
    more = [user for user, role in PEOPLE.items() if role in requirement["routes"] and user not in chosen]
    people = max(len(chosen), requirement["people"])
    return [*chosen, *more][:people] if everybody else chosen[:1]


async def _sign(api: Api, user: str, referral: str, expected: Expectation) -> None:
    """Record one person's decision. While the claim is being judged again, reload it and retry."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            shown = await _that_takes(api, referral, expected.decision)
            flags = [raised["flag"] for raised in shown["claim"]["flags"]]
            reason = _reason(expected.decision, flags)
            decision = {"kind": expected.decision, "reason": reason, "note": expected.why, "digest": shown["digest"]}
            try:
                return await api.decide(user, referral, decision)
            except Refusal as refusal:
                if not refusal.passes:
                    raise
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _reason(decision: str, flags: Sequence[str]) -> str:
    by_flag = (_BY_FLAG.get((decision, Flag(flag))) for flag in flags)
    return next(filter(None, by_flag), _OTHERWISE[decision])
