"""Second factors: offered, confirmed, shown, reset. Their secrets are kept sealed, recovery codes as hashes."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyotp
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import RecoveryCode
from referral_rewards.domain.errors import NotAllowed, NotFound, RequestInvalid
from referral_rewards.domain.people.account_changes import AccountAct
from referral_rewards.domain.people.second_factor import (
    RECOVERY_CODES,
    RECOVERY_LENGTH,
    is_recovery_code,
    normal_code,
    step_of,
)
from referral_rewards.register import audit, typed_rows
from referral_rewards.register.people import account_changes, sessions, users
from referral_rewards.register.people.users import hash_of
from referral_rewards.register.sealing import Sealer


@dataclass(frozen=True, slots=True)
class KeptFactor:
    """What is kept of a person's second factor, without its secret. ``recovery_codes`` were not used yet;
    ``is_offered`` if a secret waits to be confirmed. ``reset_by`` and ``reset_at`` tell of a reset that no set-up
    followed."""

    enrolled_at: datetime | None
    is_offered: bool
    recovery_codes: int
    reset_by: str | None
    reset_at: datetime | None


NO_FACTOR: Final = KeptFactor(None, False, 0, None, None)


async def of(connection: AsyncConnection, name: str) -> KeptFactor:
    """Return what is kept of a person's second factor."""
    return await typed_rows.read_one(connection, KeptFactor, _KEPT, {"name": name}) or NO_FACTOR


async def is_enrolled(connection: AsyncConnection, name: str) -> bool:
    """Return whether the person has a second factor, which every sign-in with a password then asks for."""
    return (await of(connection, name)).enrolled_at is not None


async def offer(connection: AsyncConnection, sealer: Sealer, name: str) -> None:
    """Make a new secret for a person to set up; the one in force stays so until the new one is confirmed."""
    sealed = sealer.seal(pyotp.random_base32(), of=_what(name))
    await connection.execute(_OFFER, {"name": name, "sealed": sealed})


async def offered(connection: AsyncConnection, sealer: Sealer, name: str) -> str | None:
    """Return the secret that waits to be confirmed, in base32. The one in force is shown to nobody."""
    sealed = (await connection.execute(_OFFERED, {"name": name})).scalar_one_or_none()
    return None if sealed is None else sealer.open(sealed, of=_what(name))


async def confirm(
    connection: AsyncConnection, sealer: Sealer, name: str, code: str, *, here: str, at: datetime
) -> tuple[str, ...]:
    """Put the offered secret in force and return the recovery codes, which are kept nowhere. Other sessions end.

    ``here`` is the token of the session, which has shown its factor then.

    Raises:
        RequestInvalid: if nothing is offered, or the code is not one of the offered secret.
    """
    secret = await offered(connection, sealer, name)
    step = None if secret is None else step_of(secret, code, at=at, after=0)
    if step is None:
        raise RequestInvalid("This is not the code that your app shows now. Check the time on your phone.", "code")
    await connection.execute(_CONFIRM, {"name": name, "at": at, "step": step})
    await sessions.end_all_of(connection, name, but=here)
    await sessions.show_factor(connection, here, at=at)
    await audit.note(connection, actor=name, act="user.factor_set", subject=name, at=at)
    return await _new_codes(connection, name)


async def renew_codes(connection: AsyncConnection, name: str, *, at: datetime) -> tuple[str, ...]:
    """Return ten new recovery codes, which are kept nowhere; those of before are void."""
    await audit.note(connection, actor=name, act="user.recovery_codes_renewed", subject=name, at=at)
    return await _new_codes(connection, name)


async def show(connection: AsyncConnection, sealer: Sealer | None, name: str, code: str, *, at: datetime) -> bool:
    """Take a code, or a recovery code, of the second factor in force: each works once, also of two at one moment.

    Return whether it is right.

    Raises:
        SealBroken: if the secret can't be opened; recovery codes work all the same.
    """
    if is_recovery_code(code):
        return await _recover(connection, name, code, at)
    row = (await connection.execute(_SECRET, {"name": name})).one_or_none()
    if row is None or sealer is None:
        return False
    step = step_of(sealer.open(row.secret, of=_what(name)), code, at=at, after=row.last_step)
    if step is not None:
        await connection.execute(_USE, {"name": name, "step": step})
    return step is not None


async def reset(connection: AsyncConnection, name: str, *, by: str, at: datetime) -> None:
    """Take somebody's second factor away, who lost it: they set up another at the next sign-in. Their sessions end.

    Raises:
        NotFound: if there is no such user, or they have none.
        NotAllowed: if it is oneself, or if this administrator also set the password: one alone could sign in as them.
    """
    if by == name:
        raise NotAllowed("you can't reset your own second factor; ask another administrator")
    if not await users.exists(connection, name):
        raise await users.unknown(connection, name)
    if (await connection.execute(_SET_THE_PASSWORD, {"name": name})).scalar_one_or_none() == by:
        raise NotAllowed(f"you set the password of {name}; another administrator must reset the second factor")
    if (await connection.execute(_RESET, {"name": name, "by": by, "at": at})).scalar_one_or_none() is None:
        raise NotFound("second factor of", name)
    await sessions.end_all_of(connection, name)
    await account_changes.keep(connection, name, AccountAct.FACTOR_RESET, by=by, at=at)
    await audit.note(connection, actor=by, act="user.factor_reset", subject=name, at=at)


async def check_did_not_reset(connection: AsyncConnection, name: str, *, by: str) -> None:
    """Return if this administrator may set the person's password.

    Raises:
        NotAllowed: if they reset the second factor, and no other was set up since: one alone could sign in as them.
    """
    if by != name and (await of(connection, name)).reset_by == by:
        raise NotAllowed(f"you reset the second factor of {name}; another administrator must set the password")


async def _recover(connection: AsyncConnection, name: str, code: str, at: datetime) -> bool:
    used = {"name": name, "hash": hash_of(normal_code(code)), "at": at}
    if (await connection.execute(_USE_RECOVERY, used)).scalar_one_or_none() is None:
        return False
    left = (await of(connection, name)).recovery_codes
    await audit.note(connection, actor=name, act="user.recovery_code_used", subject=name, at=at, left=left)
    return True


async def _new_codes(connection: AsyncConnection, name: str) -> tuple[str, ...]:
    codes = tuple(pyotp.random_base32()[:RECOVERY_LENGTH] for _ in range(RECOVERY_CODES))
    await connection.execute(_FORGET_RECOVERY, {"name": name})
    await connection.execute(
        insert(RecoveryCode), [{"username": name, "code_hash": hash_of(each), "used_at": None} for each in codes]
    )
    return codes


def _what(name: str) -> str:
    return f"the second factor of {name}"


async def await_code(connection: AsyncConnection, name: str, *, at: datetime, until: datetime) -> str:
    """Note that somebody showed the right password and owes a code; return the token for the browser's cookie."""
    await connection.execute(_FORGET_STEPS, {"at": at})
    token = secrets.token_urlsafe(32)
    await connection.execute(_BEGIN_STEP, {"hash": hash_of(token), "name": name, "until": until})
    return token


async def awaited(connection: AsyncConnection, token: str, *, at: datetime) -> str | None:
    """Return who owes a code in the browser with this token; None if nobody does, or not in time."""
    name: str | None = (await connection.execute(_STEP, {"hash": hash_of(token), "at": at})).scalar_one_or_none()
    return name


async def no_longer_awaited(connection: AsyncConnection, token: str) -> None:
    """Forget that a code is owed there."""
    await connection.execute(_END_STEP, {"hash": hash_of(token)})


_KEPT: Final = text("""
SELECT f.enrolled_at, f.offered IS NOT NULL AS is_offered, f.reset_by, f.reset_at,
       (SELECT count(*) FROM recovery_code c WHERE c.username = f.username AND c.used_at IS NULL) AS recovery_codes
FROM second_factor f WHERE f.username = :name
""")
_OFFER: Final = text("""
INSERT INTO second_factor (username, offered) VALUES (:name, :sealed)
ON CONFLICT (username) DO UPDATE SET offered = excluded.offered
""")
_OFFERED: Final = text("SELECT offered FROM second_factor WHERE username = :name AND offered IS NOT NULL FOR UPDATE")
_CONFIRM: Final = text("""
UPDATE second_factor SET secret = offered, offered = NULL, enrolled_at = :at, last_step = :step,
    reset_by = NULL, reset_at = NULL
WHERE username = :name
""")
_SECRET: Final = text("""
SELECT secret, last_step FROM second_factor WHERE username = :name AND secret IS NOT NULL FOR UPDATE
""")
_USE: Final = text("UPDATE second_factor SET last_step = :step WHERE username = :name")
_USE_RECOVERY: Final = text("""
UPDATE recovery_code SET used_at = :at WHERE username = :name AND code_hash = :hash AND used_at IS NULL
RETURNING code_hash
""")
_FORGET_RECOVERY: Final = text("DELETE FROM recovery_code WHERE username = :name")
_RESET: Final = text("""
WITH forgotten AS (DELETE FROM recovery_code WHERE username = :name)
UPDATE second_factor SET secret = NULL, offered = NULL, enrolled_at = NULL, reset_by = :by, reset_at = :at
WHERE username = :name AND secret IS NOT NULL RETURNING username
""")
_SET_THE_PASSWORD: Final = text("""
SELECT actor FROM audit_event WHERE subject = :name AND act = 'user.password_set' ORDER BY id DESC LIMIT 1
""")
_BEGIN_STEP: Final = text("INSERT INTO sign_in_step (token_hash, username, expires_at) VALUES (:hash, :name, :until)")
_STEP: Final = text("""
SELECT s.username FROM sign_in_step s JOIN app_user u ON u.name = s.username
WHERE s.token_hash = :hash AND s.expires_at > :at AND u.barred_at IS NULL
""")
_END_STEP: Final = text("DELETE FROM sign_in_step WHERE token_hash = :hash")
_FORGET_STEPS: Final = text("DELETE FROM sign_in_step WHERE expires_at <= :at")
