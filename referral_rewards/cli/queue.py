"""`referrals queue`: what waits for a person."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from referral_rewards.cli.console import (
    AsJson,
    Data,
    database,
    keys_of,
    people_needed,
    say_json,
    settings,
    table,
    tables,
)
from referral_rewards.domain.money import display
from referral_rewards.reporting.queue import queue


def queue_(as_json: AsJson = False, data: Data = None) -> None:
    """List what waits for a person, oldest first: claims, late facts, clawback cases and payouts that stopped."""
    chosen = settings(data)

    async def work() -> list[dict[str, Any]]:
        async with database(chosen) as opened, opened.transaction() as connection:
            return await queue(connection, keys_of(chosen))

    entries = asyncio.run(work())
    if as_json:
        say_json(entries)
        return
    listed = table(
        "referral",
        "referrer",
        "referred customer",
        "eligibility",
        "conversion event",
        "reward amount",
        "approval",
        "payment status",
    )
    now = datetime.now(UTC)
    for entry in entries:
        listed.add_row(
            entry["referral"],
            entry["referrer"],
            entry["referred_customer"],
            _eligibility(entry),
            _conversion(entry["conversion"]),
            "\n".join(f"{display(leg['amount_minor'], leg['currency'])} {leg['role']}" for leg in entry["reward"]),
            _approval(entry, now),
            _payment(entry),
        )
    tables().print(listed)


def _eligibility(entry: dict[str, Any]) -> str:
    eligibility = entry["eligibility"]
    said = [eligibility["recommendation"] or eligibility["reason"] or "", *eligibility["flags"]]
    if entry["exception"] != "approval":
        said.insert(0, f"{entry['exception']}: {entry['about'] or entry['status']}")
    return "\n".join(filter(None, said))


def _conversion(conversion: dict[str, Any] | None) -> str:
    if conversion is None:
        return ""
    return (
        f"{conversion['order']} {display(conversion['net_minor'], conversion['currency'])}\n{conversion['occurred_at']}"
    )


def _approval(entry: dict[str, Any], now: datetime) -> str:
    approval = entry["approval"]
    age = now - datetime.fromisoformat(entry["since"]) if entry["since"] else None
    lines = [f"{'on hold' if entry['status'] == 'on_hold' else 'waiting'} {_age(age.total_seconds())}" if age else ""]
    if entry["exception"] == "approval":
        lines.append(f"needs {people_needed(approval['needs'], approval['people'])}")
        lines += [f"{each['kind']} by {each['user']}" for each in approval["signed"]]
    return "\n".join(filter(None, lines))


def _payment(entry: dict[str, Any]) -> str:
    payouts = [f"{each['state']}{': ' + each['why'] if each['why'] else ''}" for each in entry["payment"]]
    return "\n".join(payouts) or "nothing sent"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"
