"""Fills a register with many past referrals, set by set. A million take minutes; ingesting a file would take hours.

It writes what intake, judgement and payouts would have written, as far as judging reads it. Marks are genuine, so that
people ingested later match this past. Two things stand out in it, as in reality: a referrer who brought far more
friends than others, and a carrier's network address that strangers share.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg

from bench import past_facts, past_rewards, personal

#: The referrer who brought far more friends than any other.
BIG: Final = "big"
#: The network address from which many unrelated people claimed.
CARRIER: Final = "10.255.255.254"
#: Most referrals are in this program; the others share the rest.
MAIN: Final = "main"
OTHERS: Final = ("side-0", "side-1", "side-2")


@dataclass(frozen=True)
class Past:
    """The size of a past: ``size`` referrals in the 400 days before ``now``, every ``big_every``-th by `BIG` and every
    ``crowd_every``-th (a multiple of ten) claimed from `CARRIER`.

    Whatever the size, the same few referrals wait for a person.
    """

    size: int
    now: datetime
    big_every: int = 100
    crowd_every: int = 200


def small_referrer(number: int) -> tuple[str, str]:
    """Return the program and name of the ``number``-th small referrer, who brought about ten friends."""
    return (MAIN if number % 10 < 8 else OTHERS[number % len(OTHERS)]), f"f{number}"


def household(number: int) -> str:
    """Return the ``number``-th network address that four referrals share, counted from 0."""
    return f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"


async def fill(url: str, past: Past, pepper: bytes, say: Callable[[str], None] = lambda line: None) -> None:
    """Fill a migrated, empty register (``postgresql://…``). Needs a superuser: triggers are off while the past is
    written, and totals are summed at the end instead of leg by leg."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for setting in SETTINGS:
            await connection.execute(setting.encode())
        await connection.execute(_mark(pepper))
        statements = _lives(past) | past_facts.STATEMENTS | past_rewards.STATEMENTS
        await write(connection, statements, _FILLED, say)
        await personal.seal(connection)
        await connection.execute("VACUUM (ANALYZE) personal_data")


async def write(
    connection: psycopg.AsyncConnection,
    statements: Mapping[str, str],
    filled: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Execute the statements, keyed by what each writes, with the indexes of their tables dropped meanwhile."""
    indexes = await (await connection.execute(_INDEXES, {"tables": list(filled)})).fetchall()
    for drop, _ in indexes:
        await connection.execute(drop.encode())
    for what, statement in statements.items():
        say(what)
        await connection.execute(statement.encode())
        # Without indexes and statistics the next statement would be planned as if there were a few rows.
        await connection.execute("ANALYZE")
    say("indexes")
    for _, create in reversed(indexes):
        await connection.execute(create.encode())
    say("statistics")
    await connection.execute("VACUUM (ANALYZE)")


def _mark(pepper: bytes) -> bytes:
    """Return the SQL that lets the database compute marks as `Marker` does: HMAC is two hashes (RFC 2104)."""
    key = pepper.ljust(64, b"\0")
    outer, inner = (bytes(byte ^ pad for byte in key).hex() for pad in (0x5C, 0x36))
    return _MARK.format(outer=outer, inner=inner).encode()


def _lives(past: Past) -> dict[str, str]:
    given = {
        "size": past.size,
        "now": past.now.isoformat(),
        "big_every": past.big_every,
        "crowd_every": past.crowd_every,
    }
    named = {"big": BIG, "carrier": CARRIER, "main": MAIN, "others": len(OTHERS)}
    return {"people": _REFERRERS.format(**given, **named), "lives": _LIVES.format(**given, **named)}


_FILLED: Final = (
    *("fact", "fact_key", "personal_data", "referral", "referral_key", "referral_fact", "referral_step"),
    *("reward_claim", "decision", "decision_effect", "leg", "held_total", "payout", "payout_step"),
    "payout_leg",
    *("ledger_transaction", "posting"),
)

#: The settings of a session that fills a register.
SETTINGS: Final = (
    "SET session_replication_role = replica",
    "SET maintenance_work_mem = '512MB'",
    "SET work_mem = '256MB'",
    "SET jit = off",
)

# Indexes are built after all rows are inserted. Foreign keys are dropped first and restored last.
_INDEXES: Final = """
SELECT remove, restore FROM (
    SELECT CASE c.contype WHEN 'f' THEN 1 ELSE 2 END AS turn, c.conname AS name,
           format('ALTER TABLE %%I DROP CONSTRAINT %%I', t.relname, c.conname) AS remove,
           format('ALTER TABLE %%I ADD CONSTRAINT %%I %%s', t.relname, c.conname, pg_get_constraintdef(c.oid))
               AS restore
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
    WHERE c.contype IN ('f', 'p', 'u') AND t.relname = ANY(%(tables)s)
    UNION ALL
    SELECT 3, i.relname, format('DROP INDEX %%I', i.relname), pg_get_indexdef(i.oid)
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
    WHERE t.relname = ANY(%(tables)s) AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.oid)
) AS found ORDER BY turn, name
"""

_MARK: Final = r"""
CREATE FUNCTION pg_temp.mark(kind text, normal text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT kind || ':' || left(encode(sha256('\x{outer}'::bytea || sha256(
        '\x{inner}'::bytea || convert_to(kind, 'UTF8') || '\x00'::bytea || convert_to(normal, 'UTF8'))), 'hex'), 32)
$$
"""

# All people enrol before the first referral. A small referrer has ten referrals, less those of the big one.
_REFERRERS: Final = """
CREATE TEMP TABLE person AS
SELECT -1 AS number, '{main}' AS program, '{big}' AS referrer, 'c-{big}' AS customer, '{big}@example.org' AS email,
       pg_temp.mark('email', '{big}@example.org') AS email_mark, '{now}'::timestamptz - interval '500 days' AS at
UNION ALL
SELECT k, CASE WHEN k % 10 < 8 THEN '{main}' ELSE 'side-' || k % {others} END, 'f' || k, 'c-f' || k,
       'f' || k || '@example.org', pg_temp.mark('email', 'f' || k || '@example.org'),
       '{now}'::timestamptz - interval '500 days'
FROM generate_series(0, ({size} - 1) / 10) AS k
"""

# Of ten referrals, six were claimed and three led to a purchase. Those of the last 40 days are still in progress.
_LIVES: Final = """
CREATE TEMP TABLE life AS
SELECT *, CASE WHEN NOT bought OR began_at > '{now}'::timestamptz - interval '40 days' THEN NULL
               WHEN i < 120 THEN 'waiting'
               WHEN i / 10 % 20 = 7 THEN 'denied'
               WHEN i / 10 % 20 = 11 THEN 'returned'
               ELSE 'rewarded' END AS outcome
FROM (
    SELECT i, 'p' || i AS id, p.program, p.referrer,
           '{now}'::timestamptz - interval '400 days' * ({size} - i) / {size} AS began_at,
           i % 10 < 6 AS claimed, i % 10 < 3 AS bought,
           'c-p' || i AS customer, 'p' || i || '@example.com' AS email, 'o-p' || i AS order_id,
           pg_temp.mark('email', 'p' || i || '@example.com') AS email_mark,
           pg_temp.mark('ip', CASE WHEN i % {crowd_every} = 3 THEN '{carrier}' ELSE
               concat_ws('.', 10, i / 4 / 65536, i / 4 / 256 % 256, i / 4 % 256) END) AS ip_mark,
           pg_temp.mark('device', 'd-p' || i) AS device_mark,
           pg_temp.mark('fingerprint', 'card-p' || i) AS fingerprint_mark,
           md5('sent p' || i)::uuid AS sent, md5('claimed p' || i)::uuid AS told,
           md5('bought p' || i)::uuid AS conversion, md5('returned p' || i)::uuid AS reversal
    FROM generate_series(0, {size} - 1) AS i
    JOIN person p ON p.number = CASE WHEN i % {big_every} = 0 THEN -1 ELSE i / 10 END
) AS lived
"""
