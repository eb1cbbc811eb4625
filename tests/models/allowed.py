"""What the code of each process needs of the database: read from its statements, with what is built as it runs."""

from collections.abc import Mapping
from typing import Any, Final

from psycopg import Connection
from sqlalchemy.dialects.postgresql.base import PGDialect

from referral_rewards.register.referrals.rows import COLUMNS
from tests.architecture.test_sql import STATEMENTS
from tests.needed import Asking, Need
from tests.reached import reached

#: The code of each process begins here. The command line adds the first administrator as the API would, and a local
#: stack its first people.
ROOTS: Final[Mapping[str, tuple[str, ...]]] = {
    "api": ("referral_rewards.api", "referral_rewards.cli.administration", "referral_rewards.local.bootstrap"),
    "worker": ("worker",),
}
PROCESSES: Final = tuple(ROOTS)
_REGISTER: Final = "referral_rewards.register"


def _insert(*tables: str) -> set[Need]:
    return {Need(table, "INSERT") for table in tables}


def _update(table: str, *columns: str) -> set[Need]:
    return {Need(table, "UPDATE", column) for column in columns}


_PLANNED: Final = ("payee", "rail", "amount_minor", "currency", "body", "body_hash", "state", "why", "updated_at")
_CYCLE: Final = ("state", "cursor", "digest", "turn", "summary", "frozen_at", "done_at", "updated_at")
_LISTED: Final = ("payout_id", "names", "state", "amount_minor", "reversed_minor")
_OF_A_REFERRAL: Final = tuple(each for each in COLUMNS.split(", ") if each != "id")

#: The statements that no module keeps, because they are built as it runs, by what builds them.
BUILT: Final[Mapping[str, set[Need]]] = {
    f"{_REGISTER}.audit.note": _insert("audit_event"),
    f"{_REGISTER}.audit.note_each": _insert("audit_event"),
    f"{_REGISTER}.claims.reservations.cancel": _update("leg", "state"),
    f"{_REGISTER}.clawbacks.carrying_out._beget": _insert("clawback"),
    f"{_REGISTER}.clawbacks.returns.plan": _insert("payout"),
    f"{_REGISTER}.cycles.gathering._plan": _insert("payout"),
    f"{_REGISTER}.cycles.legs._freeze": _update("payout", "amount_minor", "body", "body_hash"),
    f"{_REGISTER}.cycles.legs.cancel": _update("payout", "state", "why", "updated_at"),
    f"{_REGISTER}.cycles.rows._open": _insert("payout_cycle"),
    f"{_REGISTER}.cycles.rows.save": _update("payout_cycle", *_CYCLE),
    f"{_REGISTER}.payees.planning.plan_own": _insert("payout") | _update("payout", *_PLANNED),
    f"{_REGISTER}.payouts.handovers.keep": _insert("personal_data"),
    f"{_REGISTER}.people.factors._new_codes": _insert("recovery_code"),
    f"{_REGISTER}.people.identities.begin": _insert("oidc_flow"),
    f"{_REGISTER}.people.sessions.begin": _insert("session"),
    f"{_REGISTER}.people.users.new_token": _insert("api_token"),
    f"{_REGISTER}.people.users.set_contact": _insert("personal_data"),
    f"{_REGISTER}.programs.publish": _insert("program_version"),
    f"{_REGISTER}.reconciliations.rows.ask": _insert("reconciliation"),
    f"{_REGISTER}.reconciliations.rows.note": _insert("reconciliation_difference"),
    f"{_REGISTER}.reconciliations.two_sides.keep_listed": _insert("listed_payment")
    | _update("listed_payment", *_LISTED),
    f"{_REGISTER}.referrals.cases.store": _insert("reward_claim"),
    f"{_REGISTER}.referrals.inquiries.note": _insert("inquiry"),
    f"{_REGISTER}.referrals.rows._saving": _insert("referral_step", "notice") | _update("referral", *_OF_A_REFERRAL),
}
#: What triggers do with the rights of whoever changes a row.
BY_TRIGGERS: Final[Mapping[str, set[Need]]] = {
    "payout": _insert("payout_step", "to_measure", "to_examine"),
    "referral": _insert("to_measure"),
    "leg": _insert("to_measure"),
    "clawback": _insert("to_measure"),
}


def written(connection: Connection[Any], process: str) -> set[Need]:
    """What a process has to be allowed beside reading."""
    code = reached(ROOTS[process])
    needs = {need for name, its in BUILT.items() if name in code for need in its}
    needs |= {
        need if need.privilege == "UPDATE" else Need(need.table, need.privilege)
        for need in _of_statements(connection, process)
        if need.privilege != "SELECT"
    }
    for table in {need.table for need in needs}:
        needs |= BY_TRIGGERS.get(table, set())
    return needs


def read(connection: Connection[Any], process: str) -> set[Need]:
    """What a process has to be allowed to read, as far as its modules keep the statements."""
    return {need for need in _of_statements(connection, process) if need.privilege == "SELECT"}


def _of_statements(connection: Connection[Any], process: str) -> set[Need]:
    asking, code = Asking(connection), reached(ROOTS[process])
    of_it = (each for name, each in STATEMENTS.items() if _definition(name) in code)
    texts = (str(each.compile(dialect=PGDialect(paramstyle="numeric_dollar"))) for each in of_it)
    return {need for sql in texts if not sql.startswith("SET ") for need in asking.needs(sql)}


def _definition(name: str) -> str:
    """A statement's constant, also where it stands in one as a value: ``module._ALL.first`` is in ``module._ALL``."""
    parts = name.split(".")
    place = next(place for place, part in enumerate(parts) if part.lstrip("_").isupper())
    return ".".join(parts[: place + 1])
