"""What people and services may do: a person's roles, and a token's scopes."""

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
    CLAIMS_READ = "claims:read"
    CLAIMS_DECIDE = "claims:decide"


#: What a person may do with a token, unless the token allows less.
OF_A_PERSON: Final = frozenset({Scope.CLAIMS_READ, Scope.CLAIMS_DECIDE})
#: The roles that may read the books. Reading them gives no authority to move money.
READ_THE_BOOKS: Final = frozenset({Role.FINANCE, Role.ADMINISTRATOR})
#: The roles that may read what Temporal keeps sealed of a run. It holds ids.
INSPECT_RUNS: Final = frozenset({Role.ADMINISTRATOR, Role.OPERATIONS})
