"""What people and services may do: a person's roles, and a token's scopes."""

from collections.abc import Collection
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """A role of a user."""

    FINANCE = "finance"
    PROGRAM_OWNER = "program_owner"
    OPERATIONS = "operations"
    ADMINISTRATOR = "administrator"


class Scope(StrEnum):
    """What a token may be used for. A service has its own scopes; a person's roles include some."""

    EVENTS_WRITE = "events:write"
    REFERRALS_READ = "referrals:read"
    STATUS_LINKS = "status-links:read"
    CLAIMS_READ = "claims:read"
    CLAIMS_DECIDE = "claims:decide"


#: What a person may do with a token, unless the token allows less.
OF_A_PERSON: Final = frozenset({Scope.CLAIMS_READ, Scope.CLAIMS_DECIDE})
#: The roles that may read the books. Reading them gives no authority to move money.
READ_THE_BOOKS: Final = frozenset({Role.FINANCE, Role.ADMINISTRATOR})
#: The roles that may read what Temporal keeps sealed of a run. It holds ids.
INSPECT_RUNS: Final = frozenset({Role.ADMINISTRATOR, Role.OPERATIONS})

#: What a service may be given only for programs that are named, and the scopes that are given so.
OF_PROGRAMS: Final = frozenset({Scope.REFERRALS_READ, Scope.STATUS_LINKS})
#: As a program: every one, also those that are published later.
EVERY_PROGRAM: Final = "*"
PROGRAMS_MAX: Final = 50


def reaches(programs: Collection[str], program: str | None) -> bool:
    """Return whether somebody who reads these programs reads this one; one that nobody knows is read by nobody."""
    return program is not None and (program in programs or EVERY_PROGRAM in programs)


def objection_to_programs(scopes: Collection[Scope], programs: Collection[str]) -> str | None:
    """Return why a user with these scopes can't read these programs, or None: nobody reads any by default."""
    needs = sorted(OF_PROGRAMS.intersection(scopes))
    if needs and not programs:
        return f"name the programs that {needs[0]} reads; {EVERY_PROGRAM} is every one"
    if programs and not needs:
        return f"only a user with the scope {Scope.REFERRALS_READ} reads programs"
    if len(programs) > PROGRAMS_MAX:
        return f"at most {PROGRAMS_MAX} can be named, or {EVERY_PROGRAM} for every one"
    return None
