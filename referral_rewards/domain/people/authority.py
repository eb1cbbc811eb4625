"""What people and services may do: the roles of a person, and the scopes of a token."""

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """In which capacity a user acts."""

    FINANCE = "finance"
    PROGRAM_OWNER = "program_owner"
    OPERATIONS = "operations"
    ADMINISTRATOR = "administrator"


class Scope(StrEnum):
    """What a token may be used for. A service has scopes of its own; a person's roles bring some with them."""

    EVENTS_WRITE = "events:write"
    CLAIMS_READ = "claims:read"
    CLAIMS_DECIDE = "claims:decide"


#: What a person may do with a token, where the token does not say less.
OF_A_PERSON: Final = frozenset({Scope.CLAIMS_READ, Scope.CLAIMS_DECIDE})
#: Whoever holds one of these may read the books; what moves money in them, neither decides by that.
READ_THE_BOOKS: Final = frozenset({Role.FINANCE, Role.ADMINISTRATOR})
