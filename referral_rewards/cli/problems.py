"""Turns whatever stops a command into one clear line a problem and the exit code that programs read."""

import os
import re
import sys
from collections.abc import Callable
from typing import Any, Final

import typer

from referral_rewards.cli.console import say, tell
from referral_rewards.domain.errors import BadInput, NotReady, ReferralRewardsError
from referral_rewards.interrupts import INTERRUPTED

DONE, FOUND_PROBLEMS, BAD_INPUT = 0, 1, 2

__all__ = ["BAD_INPUT", "DONE", "FOUND_PROBLEMS", "INTERRUPTED", "exit_code_of"]

_DATABASE: Final = "sqlalchemy.exc"
#: SQLSTATEs of a database that we reach but can't use, with what helps.
_UNUSABLE: Final = {
    "42P01": "the database has no schema of ours; bring it up to date with `referrals db upgrade`",
    "42703": "the database has an older schema; bring it up to date with `referrals db upgrade`",
    "28P01": "the database refuses the password",
    "3D000": "there is no such database on the server",
}


def exit_code_of(command: Callable[[], int | None]) -> int:
    """Runs a command; its exit code, with the problems that stopped it told."""
    try:
        return command() or DONE
    except typer.TyperException as error:
        return _usage(error)
    except BadInput as error:
        for problem in error.problems:
            tell(str(problem))
        return BAD_INPUT
    except NotReady as error:
        for gap in error.gaps:
            tell(str(gap))
        return FOUND_PROBLEMS
    except ReferralRewardsError as error:
        tell(str(error))
        return FOUND_PROBLEMS
    except BrokenPipeError:
        raise  # nobody reads our output any more; `main` ends quietly
    except (OSError, RuntimeError) as error:
        tell(_unreachable(error))
        return FOUND_PROBLEMS
    except (KeyboardInterrupt, typer.Abort):
        tell("interrupted")
        return INTERRUPTED
    except Exception as error:
        if _is_of_the_database(error):
            tell(_unreachable(error))
            return FOUND_PROBLEMS
        # A mistake of ours. Whoever looks into it asks for the traceback.
        if os.environ.get("REFERRALS_LOG_LEVEL") == "debug":
            raise
        tell(f"unexpected {type(error).__name__}: {_first_line(error)}; REFERRALS_LOG_LEVEL=debug shows where")
        return FOUND_PROBLEMS
    except BaseException as error:
        if not isinstance(error, _class("asyncio", "CancelledError")):
            raise
        tell("interrupted")
        return INTERRUPTED


def _usage(error: typer.TyperException) -> int:
    """Tells how the command is written; its exit code. A group without a command is no mistake: it shows its help."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        say(error.format_message())
        return DONE
    about = f"{context.command_path}: " if context is not None else ""
    if message := " ".join(error.format_message().replace("Value error, ", "").split()):
        for raw, ours in _WORDS:
            message = raw.sub(ours, message)
        tell(f"{about}{message}")
    return error.exit_code


#: What a parameter's type says of what it can't read, and what would be right.
_WORDS: Final = (
    (re.compile(r"Input should be a valid UUID\b.*"), "must be an id such as 0193a3c4-5b6d-7e8f-9a0b-1c2d3e4f5a6b."),
    (re.compile(r"Input should be a valid integer\b.*"), "must be a whole number."),
)


def _unreachable(error: Exception) -> str:
    if _is_of_the_database(error):
        origin: BaseException | None = getattr(error, "orig", None)
        state = getattr(origin, "sqlstate", None)
        if state in _UNUSABLE:
            return _UNUSABLE[state]
        # psycopg tells the server, the user and the reason, never the password.
        silent = isinstance(error, (_class(_DATABASE, "OperationalError"), _class(_DATABASE, "InterfaceError")))
        return f"the database {'does not answer' if silent else 'refuses it'}: {_first_line(origin or error)}"
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else _first_line(error)
    return _first_line(error)


def _is_of_the_database(error: Exception) -> bool:
    return isinstance(error, _class(_DATABASE, "DBAPIError"))


def _class(module: str, name: str) -> Any:
    """An error's class. A module that no command loaded raised nothing, and is not loaded to ask."""
    loaded = sys.modules.get(module)
    return () if loaded is None else getattr(loaded, name)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
