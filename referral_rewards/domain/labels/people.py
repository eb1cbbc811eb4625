"""What we call the codes of users: their roles, their tokens' scopes, and how they sign in."""

from collections.abc import Mapping
from typing import Final

#: Each kind of code by its name, with the words of its codes.
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "role": {
        "finance": "finance",
        "program_owner": "program owner",
        "operations": "operations",
        "administrator": "administrator",
    },
    "scope": {
        "events:write": "send facts (events:write)",
        "referrals:read": "read where referrals stand (referrals:read)",
        "status-links:read": "read the links to status pages (status-links:read)",
        "claims:read": "read (claims:read)",
        "claims:decide": "decide (claims:decide)",
    },
    "way": {"password": "password", "openid": "the company's sign-in provider"},
}
