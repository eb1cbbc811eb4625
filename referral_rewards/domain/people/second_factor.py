"""The second factor of people who sign in with a password of ours: a code by time (TOTP, RFC 6238), once each.

Whoever signs in with a provider shows there whatever the provider asks for.
"""

import hmac
import re
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Final

import pyotp

from referral_rewards.domain.people.authority import Role

#: Whoever holds one of these decides on money, or gives others the authority to.
NEED_ONE: Final = frozenset({Role.FINANCE, Role.PROGRAM_OWNER, Role.OPERATIONS, Role.ADMINISTRATOR})
#: A phone's clock may be off by a step of thirty seconds, either way.
STEPS_OFF: Final = (-1, 0, 1)
SECONDS_A_STEP: Final = 30
RECOVERY_CODES: Final = 10
#: Eighty bits in letters and digits that nobody confuses (base32): what is kept of one needs no slow hash.
RECOVERY_LENGTH: Final = 16

_CODE: Final = re.compile(r"[0-9]{6}")
_RECOVERY: Final = re.compile(r"[A-Z2-7]{16}")


class Factor(StrEnum):
    """What a session knows of the second factor of whoever began it."""

    #: Shown, when signing in or when it was set up.
    SHOWN = "shown"
    #: The OpenID provider's matter.
    PROVIDER = "provider"
    #: There is none, and this installation does not ask for one.
    NOT_ASKED = "not_asked"
    #: There is none, and this installation asks for one.
    MISSING = "missing"


def is_lacking(factor: Factor, roles: Collection[Role]) -> bool:
    """Return whether a session with this factor may not decide: its user needs one first."""
    return factor is Factor.MISSING and not NEED_ONE.isdisjoint(roles)


def step_of(secret: str, code: str, *, at: datetime, after: int) -> int | None:
    """Return the step of time that the code belongs to, or None: it is wrong, too old or too early, or was used.

    ``secret`` is in base32; ``after`` is the step of the code that was used last. Each candidate is compared in
    constant time, and all of them are, whichever is right.
    """
    typed = normal_code(code)
    if not _CODE.fullmatch(typed):
        return None
    now, codes = int(at.timestamp()) // SECONDS_A_STEP, pyotp.TOTP(secret)
    steps = [now + off for off in STEPS_OFF]
    right = [step for step in steps if hmac.compare_digest(codes.generate_otp(step), typed)]
    return max((step for step in right if step > after), default=None)


def normal_code(code: str) -> str:
    """Return a code without the spaces and hyphens that people type or that a page shows, in capitals."""
    return re.sub(r"[\s-]", "", code).upper()


def is_recovery_code(code: str) -> bool:
    """Return whether it has the form of a recovery code."""
    return _RECOVERY.fullmatch(normal_code(code)) is not None


def in_groups(code: str) -> str:
    """Return a secret or a recovery code in groups of four, as it is easily typed."""
    return " ".join(code[at : at + 4] for at in range(0, len(code), 4))
