"""Plays the demo on a running stack, from the first fact to the comparison."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx

from models.session import Database
from referral_rewards.config.settings import Settings
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.local.demo import approvers, books, live, past, paying, sales
from referral_rewards.local.demo import door as front_door
from referral_rewards.local.demo.api import Api
from referral_rewards.local.demo.comparing import Found, differences
from referral_rewards.local.demo.door import Door
from referral_rewards.local.demo.output import Progress, Row
from referral_rewards.local.demo.past import listed_at_rest, rest
from referral_rewards.local.demo.script import Expectation, Script
from referral_rewards.register.decisions.signing import KeyRing

_SECONDS_MAX = 30.0
_LOOK_AGAIN_SECONDS: Final = 0.5
#: The demo's program that pays once a month.
_MONTHLY = "demo-monthly"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result: a row for each expectation, other problems, and one line about the money."""

    rows: list[Row]
    problems: list[str]
    summary: str

    @property
    def exit_code(self) -> int:
        """0 if everything is as expected, else 1."""
        return 0 if not self.problems and all(row.right for row in self.rows) else 1


async def tell(
    script: Script, settings: Settings, keys: KeyRing, tokens: dict[str, str], door: Door, progress: Progress
) -> Outcome:
    """Run all referrals and compare them with the expectations."""
    database = Database.at(settings.database_url, pool_size=2, personal=settings.personal())
    try:
        async with httpx.AsyncClient(base_url=settings.api_url, timeout=_SECONDS_MAX) as client:
            api = Api(client, tokens, approvers.READER)
            progress.say(await sales.take_in(api, settings.api_url, script.sales, door.signs))
            await past.take_in(database, settings.pepper_bytes(), script, progress)
            before = await listed_at_rest(api, database, progress)
            names = await _names(api, script, before)
            # In sequence: on a small machine the live part must not compete for CPU.
            decided = await past.work_through(api, script.past, progress)
            decided |= await _work_through(api, script.sold, names)
            progress.say("the approvers have decided on what the webhooks told")
            await rest(database, list(before), progress)
            await paying.confirm_instructions(api, progress)
            await paying.pay_the_month(api, _MONTHLY, progress)
            await rest(database, list(before), progress)
            coming = asyncio.create_task(_through_the_door(api, script, names, door, progress))
            try:
                decided |= await live.play(api, database, script.steps, script.live, progress)
                decided |= await coming
            finally:
                coming.cancel()
            progress.say("every fact is told and every decision made; waiting until nothing moves")
            after = await listed_at_rest(api, database, progress)
            rows, problems = await _compare(api, script, names, before, after, decided)
            problems += await paying.reconcile(api, progress)
            problems += await _own_pages(script, door)
            async with database.reading() as connection:
                problems += await books.problems(connection, keys)
                return Outcome(rows, problems, await books.summary(connection))
    finally:
        await database.close()


async def _work_through(
    api: Api, expected: Mapping[str, Expectation], names: Mapping[str, str]
) -> dict[str, tuple[Any, str]]:
    """Have people decide, by the names of the script."""
    scripted = {names[name]: each for name, each in expected.items() if name in names}
    wanted = [name for name, each in expected.items() if each.decision != "none" and name in names]
    return {name: await approvers.decide(api, names[name], scripted) for name in wanted}


async def _through_the_door(
    api: Api, script: Script, names: dict[str, str], door: Door, progress: Progress
) -> dict[str, tuple[Any, str]]:
    """Have people come through the front door, note their referrals in ``names``, and decide on them."""
    await front_door.play(door, progress)
    unnamed = {each.referred_by: name for name, each in script.door.items()}
    with suppress(TimeoutError):  # whoever is missing then is a row of the table that differs
        async with asyncio.timeout(_SECONDS_MAX):
            while unnamed:
                for each in (await api.referrals()).values():
                    if each["program"] == front_door.PROGRAM and (name := unnamed.pop(each["referrer"], "")):
                        names[name] = each["referral"]
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    return await _work_through(api, script.door, names)


async def _own_pages(script: Script, door: Door) -> list[str]:
    """Return where a referrer's own page does not say what was paid to them."""
    problems = []
    for expected in script.door.values():
        if expected.after is ReferralStatus.REWARDED and expected.referred_by is not None:
            (amount,) = (amount for role, _, amount in expected.legs if role == "referrer")
            said = await front_door.earned(door, expected.referred_by)
            if not said.startswith(f"{amount} "):
                problems.append(f"the own page of {expected.referred_by} does not say {amount}: {said}")
    return problems


async def _names(api: Api, script: Script, listed: dict[str, Any]) -> dict[str, str]:
    """Return the referral id of each expectation: its name, or the generated id if a fact started the referral."""
    unnamed = {name: each.found_by for name, each in script.everybody.items() if each.found_by}
    names = {name: name for name, each in script.everybody.items() if not (each.found_by or each.referred_by)}
    for referral in sorted(set(listed) - set(names)):
        facts = {(fact["source"], fact["event_id"]) for fact in (await api.referral(referral))["facts"]}
        names |= {name: referral for name, fact in unnamed.items() if (fact.source, fact.id) in facts}
    return names


async def _compare(
    api: Api,
    script: Script,
    names: dict[str, str],
    before: dict[str, Any],
    after: dict[str, Any],
    decided: dict[str, tuple[Any, str]],
) -> tuple[list[Row], list[str]]:
    queue = await api.queue()
    rows = []
    stood = {names[name]: before[names[name]] for name in script.past if names[name] in before}
    stood |= {names[name]: row for name, (row, _) in decided.items() if name not in script.past}
    for name, expected in script.everybody.items():
        referral = names.get(name, name)
        if referral not in after:
            rows.append(Row(name, expected, None, ()))
            continue
        found = Found(
            before=stood.get(referral, after[referral]),
            after=after[referral],
            decided=decided[name][1] if name in decided else "none",
            queued=tuple(each["exception"] for each in queue if each["referral"] == referral),
            history=await _history(api, referral, expected),
        )
        rows.append(Row(name, expected, found, differences(expected, found, script.currencies[found.after["program"]])))
    nobody = sorted(set(after) - set(names.values()))
    return rows, [
        f"nobody expected the referral {referral}, which is {after[referral]['status']}" for referral in nobody
    ]


async def _history(api: Api, referral: str, expected: Expectation) -> tuple[str, ...]:
    if expected.passes is None:
        return ()
    return tuple(step["status"] for step in (await api.referral(referral))["history"])
