"""Plays the demo on a running stack, from the first fact to the comparison."""

from dataclasses import dataclass
from typing import Any

import httpx

from models.session import Database
from referral_rewards.config.settings import Settings
from referral_rewards.local.demo import approvers, books, live, past, paying
from referral_rewards.local.demo.api import Api
from referral_rewards.local.demo.comparing import Found, differences
from referral_rewards.local.demo.output import Progress, Row
from referral_rewards.local.demo.past import listed_at_rest, rest
from referral_rewards.local.demo.script import Expectation, Script
from referral_rewards.register.decisions.signing import KeyRing

_SECONDS_MAX = 30.0
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
    script: Script, settings: Settings, keys: KeyRing, tokens: dict[str, str], progress: Progress
) -> Outcome:
    """Run all referrals and compare them with the expectations."""
    database = Database.at(settings.database_url, pool_size=2, personal=settings.personal())
    try:
        async with httpx.AsyncClient(base_url=settings.api_url, timeout=_SECONDS_MAX) as client:
            api = Api(client, tokens, approvers.READER)
            await past.take_in(database, settings.pepper_bytes(), script, progress)
            before = await listed_at_rest(api, database, progress)
            names = await _names(api, script, before)
            # In sequence: on a small machine the live part must not compete for CPU.
            decided = await past.work_through(api, script.past, progress)
            await rest(database, list(before), progress)
            await paying.confirm_instructions(api, progress)
            await paying.pay_the_month(api, _MONTHLY, progress)
            await rest(database, list(before), progress)
            decided |= await live.play(api, database, script.steps, script.live, progress)
            progress.say("every fact is told and every decision made; waiting until nothing moves")
            after = await listed_at_rest(api, database, progress)
            rows, problems = await _compare(api, script, names, before, after, decided)
            problems += await paying.reconcile(api, progress)
            async with database.reading() as connection:
                problems += await books.problems(connection, keys)
                return Outcome(rows, problems, await books.summary(connection))
    finally:
        await database.close()


async def _names(api: Api, script: Script, listed: dict[str, Any]) -> dict[str, str]:
    """Return the referral id of each expectation: its name, or the generated id if a fact started the referral."""
    names = {name: name for name in (*script.past, *script.live)}
    unnamed = {name: expected.found_by for name, expected in script.past.items() if expected.found_by}
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
    for name, expected in {**script.past, **script.live}.items():
        referral = names[name]
        if referral not in after:
            rows.append(Row(name, expected, None, ()))
            continue
        earlier = {**before, **{each: stood for each, (stood, _) in decided.items() if each in script.live}}
        found = Found(
            before=earlier.get(referral, after[referral]),
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
