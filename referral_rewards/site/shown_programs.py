"""The programs that a front door shows: their texts, colours and logo, from one file of the company's.

What a program promises is not among them: that is read from its terms through the API, so that no page promises what
the terms do not.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from referral_rewards.config.documents import document
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.validation import problems_of
from referral_rewards.domain.web_addresses import HttpUrl
from referral_rewards.site.rules import colours

#: The media type of a logo, by how its name ends.
LOGOS: Final[Mapping[str, str]] = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}
_LOGO_BYTES_MAX: Final = 500_000


class ShownProgram(BaseModel):
    """How a program is shown. ``consent`` is the sentence that a friend agrees to; ``shop_url`` is where they go on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: str = Field(min_length=1, max_length=80)
    title: str = Field(min_length=1, max_length=120)
    invitation: str = Field(min_length=1, max_length=600)
    consent: str = Field(min_length=1, max_length=600)
    terms_url: HttpUrl
    privacy_url: HttpUrl
    shop_url: HttpUrl
    colours: Mapping[str, str] = {}
    logo: Path | None = None

    @property
    def theme(self) -> str:
        """The style sheet with the program's colours."""
        whole = {**colours.USUAL, **self.colours}
        said = "; ".join(f"--{name.replace('_', '-')}: {colour}" for name, colour in sorted(whole.items()))
        return f":root {{ {said} }}\n"


def load(path: Path) -> Mapping[str, ShownProgram]:
    """Return the programs of a file by their ids; a logo stands beside it.

    Raises:
        BadInput: with every problem found, each with its place in the file.
    """
    decoded = document(path)
    programs = decoded.get("programs") if isinstance(decoded, dict) else None
    if not isinstance(programs, dict) or not programs:
        raise BadInput([Problem(str(path), "must hold `programs`, each with its id")])
    found, problems = dict[str, ShownProgram](), list[Problem]()
    for name, each in programs.items():
        where = f"programs.{name}"
        try:
            shown = ShownProgram.model_validate(each)
        except ValidationError as error:
            problems += problems_of(error, _dotted, prefix=f"{where}.")
            continue
        logo = path.parent / shown.logo if shown.logo else None
        problems += colours.problems(f"{where}.colours", shown.colours) + _logo_problems(f"{where}.logo", logo)
        found[str(name)] = shown.model_copy(update={"logo": logo})
    if problems:
        raise BadInput(problems)
    return found


def _dotted(where: tuple[int | str, ...]) -> str:
    return ".".join(map(str, where))


def _logo_problems(where: str, logo: Path | None) -> list[Problem]:
    if logo is None:
        return []
    if logo.suffix not in LOGOS:
        return [Problem(where, f"must end in {', '.join(LOGOS)}")]
    if not logo.is_file():
        return [Problem(where, f"there is no file {logo}")]
    if logo.stat().st_size > _LOGO_BYTES_MAX:
        return [Problem(where, f"has at most {_LOGO_BYTES_MAX:,} bytes")]
    return []
