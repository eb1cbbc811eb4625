"""Terms in files: the text of one, and the terms that it says."""

from pathlib import Path
from typing import TYPE_CHECKING

from referral_rewards.domain.errors import BadInput, Problem, RequestInvalid, uncapitalized

if TYPE_CHECKING:  # loaded where terms are read: no other command waits for what checks them
    from referral_rewards.domain.programs.terms import Terms


def read_text(file: Path) -> str:
    """The text of a file.

    Raises:
        BadInput: if it can't be read.
    """
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput([Problem(str(file), uncapitalized(error.strerror or str(error)))]) from None
    except UnicodeDecodeError:
        raise BadInput([Problem(str(file), "is not UTF-8")]) from None


def terms_of(text: str, program: str, file: Path, where: str) -> "Terms":
    """The terms that the text of a file says.

    Raises:
        BadInput: if it says none, or those of another program.
    """
    from referral_rewards.domain.programs.terms import load_terms

    terms = load_terms(text)
    if terms.program != program:
        raise RequestInvalid(f"{file} holds the terms of {terms.program}, not of {program}", where)
    return terms
