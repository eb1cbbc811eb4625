"""`referrals preflight`: whether a program is ready to run, with each gap named."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from referral_rewards.cli.client import api_of
from referral_rewards.cli.console import AsJson, Data, say, say_json, tell
from referral_rewards.cli.credentials import As
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.cli.terms_files import read_text, terms_of

File = Annotated[
    Path | None, typer.Option("--terms", metavar="FILE.yaml", help="Terms to judge instead of the newest version.")
]


def preflight(
    program: Annotated[str, typer.Argument(metavar="PROGRAM")],
    file: File = None,
    as_json: AsJson = False,
    user: As = None,
    data: Data = None,
) -> int:
    """Check that a program is ready: its terms clear, billing and rails connected, people there for every decision."""
    terms = None if file is None else read_text(file)
    if file is not None and terms is not None:
        terms_of(terms, program, file, "--terms")
    with api_of(data, user) as api:
        found = api.post(f"/v1/programs/{quote(program, safe='')}/preflight", {"terms": terms}, timeout=120)
    if as_json:
        say_json(found)
        return DONE if found["ready"] else FOUND_PROBLEMS
    for gap in found["gaps"]:
        tell(_said(gap))
    if not found["ready"]:
        return FOUND_PROBLEMS
    say(f"{program} is ready")
    for remark in found["in_order"]:
        say(_said(remark))
    return DONE


def _said(remark: dict[str, Any]) -> str:
    return f"{remark['area']}: {remark['what']}"
