"""`referrals rails`: which rails are connected, which are halted and why, and how many payouts wait for each."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from referral_rewards.cli.console import AsJson, Data, database, say_json, settings, table, tables
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.reporting.rails import rails


def rails_(as_json: AsJson = False, data: Data = None) -> int:
    """List the rails: connected or not, halted since when and why, how many payouts wait. 1 if any is halted."""

    async def work() -> list[dict[str, Any]]:
        async with database(settings(data)) as opened, opened.transaction() as connection:
            return await rails(connection, datetime.now(UTC))

    found = asyncio.run(work())
    if as_json:
        say_json(found)
    else:
        listed = table("rail", "connected", "mode", "halted since", "payouts that wait", "why")
        for each in found:
            last = f"not since {each['seen_at']}" if each["seen_at"] else "no"
            there = "yes" if each["connected"] else last
            waiting = str(each["waiting"] or "")
            listed.add_row(each["rail"], there, each["mode"], each["halted_at"], waiting, each["why"])
        tables().print(listed)
    return FOUND_PROBLEMS if any(each["halted_at"] for each in found) else DONE
