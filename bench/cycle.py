"""A payout cycle compared with one of a tenth of its size: time per leg and the worker's memory, with two kills.

Legs are written as approvals leave them. A separate process gathers, freezes, releases and books them step by step, as
a worker does, and is killed in the middle of gathering and of booking. Another measurement covers the cost of the rail
and of judging each claim.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg
from sqlalchemy import text

from bench.lives import TERMS
from bench.pace import Pace
from bench.past import SETTINGS, write
from bench.personal import KEYS
from bench.profiling import Hotspot
from bench.report import Measurement, reaches
from models.migrate import upgrade
from models.session import Database
from referral_rewards.config.stack import with_driver
from referral_rewards.domain.claims.approval import Approver
from referral_rewards.domain.decisions.decision import Asked
from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.programs.terms import Role
from referral_rewards.local.embedded import postgres
from referral_rewards.register import programs
from referral_rewards.register.cycles import rows as cycles
from referral_rewards.register.decisions.signing import KeyRing, Signer
from referral_rewards.register.recording import subjects
from referral_rewards.register.recording.record import record

GOAL: Final = 1.5
PROGRAM: Final = "cycle"
#: The number of due rewards of each payee.
LEGS_OF_EACH: Final = 10
PHASES: Final = ("gather", "freeze", "release", "book")
NOTE: Final = (
    "What one worker's steps take per leg in a cycle of so many legs, against one of a tenth, with "
    f"{LEGS_OF_EACH} legs a payee. Its process is killed in the middle of gathering and of booking, and another goes "
    "on; at the end each leg is in one settled payout and the books balance. Memory is the most that a phase took. "
    "What a rail and the judgement of each claim cost is measured elsewhere."
)


async def measure(data: Path, size: int) -> Measurement:
    """Measure microseconds per leg for ``size`` legs; takes some minutes for 100,000."""
    async with postgres(data) as url:
        await asyncio.to_thread(upgrade, with_driver(url))
        small = await _cycle(data, await _copy(url, "small"), max(size // 10, LEGS_OF_EACH), kill=False)
        large = await _cycle(data, await _copy(url, "large"), size, kill=True)
    ours, bare = (sum(each[f"{phase} µs"] for phase in PHASES) for each in (large, small))
    missed = not reaches(ours / bare, GOAL, "low")
    return Measurement(
        name="payout cycle",
        unit="µs per leg",
        size=size,
        ours=ours,
        bare=bare,
        ratio=ours / bare,
        goal=GOAL,
        best="low",
        note=NOTE,
        parts=large,
        bare_parts=small,
        profile=[Hotspot(phase, size, large[f"{phase} µs"] * size / 1e6) for phase in PHASES] if missed else [],
    )


async def _cycle(data: Path, url: str, size: int, *, kill: bool) -> dict[str, float]:
    """Run a cycle of ``size`` legs. Return microseconds per leg and megabytes by phase.

    Raises:
        RuntimeError: if a leg was paid twice or not at all.
    """
    signer, database = Signer.generate(), Database.at(with_driver(url), personal=KEYS)
    keys = data / "verify.json"
    keys.write_text(json.dumps([signer.public_entry()]))
    now, seconds, memory = datetime.now(UTC), dict.fromkeys(PHASES, 0.0), dict.fromkeys(PHASES, 0.0)
    try:
        await _fill(database, url, size, now)
        async with database.transaction() as connection:
            cycle, _ = await cycles.open_early(connection, PROGRAM, now)
        for phase in PHASES:
            if phase == "release":
                await _release(database, cycle, signer)
            while True:
                killed = kill and phase in ("gather", "book") and seconds[phase] == 0
                spent = await _work(url, keys, cycle, phase, kill_at=_half(phase, size) if killed else None)
                seconds[phase] += spent["seconds"]
                memory[phase] = max(memory[phase], spent["memory"])
                if not killed:
                    break
        await _check(database, size)
    finally:
        await database.close()
    return {f"{phase} µs": 1e6 * seconds[phase] / size for phase in PHASES} | {
        f"{phase} MB": memory[phase] for phase in PHASES
    }


def _half(phase: str, size: int) -> tuple[str, int]:
    """Return the query that counts a phase's progress, and the count that is half of the phase."""
    where = "state = 'settled'" if phase == "book" else "true"
    return f"SELECT count(*) FROM payout WHERE {where}", max(size // LEGS_OF_EACH // 2, 1)


async def _work(url: str, keys: Path, cycle: UUID, phase: str, kill_at: tuple[str, int] | None) -> Mapping[str, float]:
    """Run a phase in another process. With ``kill_at``, kill it once the query reaches that count."""
    command = (sys.executable, "-m", "bench.cycle_worker", url, str(keys), str(cycle), phase)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()  # it is connected and begins
    began = asyncio.get_running_loop().time()
    if kill_at is not None:
        statement, enough = kill_at
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            while process.returncode is None:
                counted = await (await connection.execute(statement.encode())).fetchone()
                if counted is not None and counted[0] >= enough:
                    process.kill()
                    break
                await asyncio.sleep(0.05)
    told, _ = await process.communicate()
    if kill_at is not None and process.returncode != 0:
        return {"seconds": asyncio.get_running_loop().time() - began, "memory": 0.0}
    if process.returncode != 0:
        raise RuntimeError(f"the worker of phase {phase} failed")
    found: dict[str, float] = json.loads(told)
    return found


async def _release(database: Database, cycle: UUID, signer: Signer) -> None:
    """Release the cycle as finance does, by the rules."""
    keys = KeyRing.of([signer.public_entry()])
    async with database.transaction() as connection:
        shown = await subjects.shown(connection, SubjectKind.CYCLE, cycle, keys)
        asked = Asked(str(cycle), MoneyAct.RELEASE_CYCLE, "list_checked", "measured", shown.digest)
        person = Approver("fay", frozenset({Role.FINANCE}))
        await record(connection, asked, person, now=datetime.now(UTC), keys=keys, signer=signer)


async def _fill(database: Database, url: str, size: int, now: datetime) -> None:
    source = TERMS.format(program=PROGRAM, pace=Pace.of(1)).replace(
        "timing: immediate", "timing: {cycle: monthly, day: 15}"
    )
    async with database.transaction() as connection:
        await programs.publish(connection, source, by="bench", at=now)
        await connection.execute(text("DELETE FROM outbox"))
        await connection.execute(
            text("INSERT INTO app_user (name, roles, created_at) VALUES ('fay', '{finance}', now())")
        )
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for setting in SETTINGS:
            await connection.execute(setting.encode())
        given = {"size": size, "each": LEGS_OF_EACH, "program": PROGRAM, "now": now.isoformat()}
        statements = {what: statement.format(**given) for what, statement in _STATEMENTS.items()}
        await write(connection, statements, ("referral", "leg", "ledger_transaction", "posting"), lambda line: None)


async def _check(database: Database, size: int) -> None:
    async with database.transaction() as connection:
        found = (await connection.execute(_FOUND)).one()
    if (found.paid, found.linked, found.settled_minor, found.unbalanced) != (size, size, 2500 * size, 0):
        raise RuntimeError(f"of {size} legs {found.paid} are paid, by {found.linked} links and {found.settled_minor}")


async def _copy(url: str, name: str) -> str:
    server, _, template = url.rpartition("/")
    async with await psycopg.AsyncConnection.connect(f"{server}/postgres", autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}".encode())
    return f"{server}/{name}"


_STATEMENTS: Final = {
    "referrals": """
INSERT INTO referral (id, origin_rank, began_at, origin_source, origin_event, program, referrer, facts_version,
                      judged_version, judged_at, version, round, status, order_id, net_minor, currency, claim_id,
                      claim_version, late_facts, referrer_link, referee_link)
SELECT 'r' || i, 0, '{now}', 'bench', 'e' || i, '{program}', 'f' || i / {each}, 1, 1, '{now}', 1, 1, 'approved',
       'o' || i, 8000, 'USD', md5('claim' || i)::uuid, 1, 0, 1, 1
FROM generate_series(0, {size} - 1) AS i
""",
    "legs": """
INSERT INTO leg (id, referral_id, claim_id, digest, program, referrer, order_key, role, beneficiary, kind, amount_minor,
                 currency, rail, state, approved_at, decisions)
SELECT md5('leg' || i)::uuid, 'r' || i, md5('claim' || i)::uuid, md5('claim' || i), '{program}', 'f' || i / {each},
       'o' || i, 'referrer', 'f' || i / {each}, 'credit', 2500, 'USD', 'account_credit', 'reserved', '{now}', '{{}}'
FROM generate_series(0, {size} - 1) AS i
""",
    "the books": """
INSERT INTO ledger_transaction (id, key, description, posted_at, program, referral_id)
SELECT md5('accrued' || i)::uuid, 'accrued:' || md5('leg' || i)::uuid, 'accrued', '{now}', '{program}', 'r' || i
FROM generate_series(0, {size} - 1) AS i
""",
    "postings": """
INSERT INTO posting (transaction_id, account, amount_minor, currency)
SELECT md5('accrued' || i)::uuid, account, amount_minor, 'USD'
FROM generate_series(0, {size} - 1) AS i
CROSS JOIN LATERAL (
    VALUES ('expense:{program}', 2500), ('payable:f' || i / {each}, -2500)
) AS line(account, amount_minor)
""",
}

_FOUND: Final = text("""
SELECT (SELECT count(*) FROM leg WHERE state = 'paid') AS paid,
       (SELECT count(DISTINCT pl.leg_id) FROM payout_leg pl JOIN payout p ON p.id = pl.payout_id
        WHERE pl.live AND p.state = 'settled') AS linked,
       (SELECT CAST(sum(-amount_minor) AS bigint) FROM posting WHERE account = 'clearing:account_credit')
           AS settled_minor,
       (SELECT count(*) FROM (SELECT 1 FROM posting GROUP BY transaction_id HAVING sum(amount_minor) <> 0) AS wrong)
           AS unbalanced
""")
