"""`referrals preflight`: whether a program is ready to run, with each gap named."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from referral_rewards.cli.console import AsJson, Data, database, say, say_json, settings, tell
from referral_rewards.cli.problems import DONE, FOUND_PROBLEMS
from referral_rewards.cli.programs import read_text
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.programs.terms import Terms, load_terms
from referral_rewards.domain.readiness.gaps import Readiness, Remark, gaps, in_order
from referral_rewards.reporting.programs.preflight import readiness

File = Annotated[
    Path | None, typer.Option("--terms", metavar="FILE.yaml", help="Terms to judge instead of the newest version.")
]


def preflight(
    program: Annotated[str, typer.Argument(metavar="PROGRAM")],
    file: File = None,
    as_json: AsJson = False,
    data: Data = None,
) -> int:
    """Check that a program is ready: its terms clear, billing and rails connected, people there for every decision."""
    from referral_rewards.sources.connected import connected  # here, as it loads a client, which few commands need

    chosen = settings(data)
    proposed = _proposed(program, file)

    async def work() -> Readiness:
        async with database(chosen) as opened, connected(chosen.endpoints()) as sources:
            return await readiness(opened, program, sources, proposed=proposed)

    found = asyncio.run(work())
    missing, well = gaps(found), in_order(found)
    if as_json:
        say_json(
            {
                "program": program,
                "version": found.version,
                "ready": not missing,
                "gaps": [_plain(gap) for gap in missing],
                "in_order": [_plain(remark) for remark in well],
            }
        )
        return FOUND_PROBLEMS if missing else DONE
    for gap in missing:
        tell(str(gap))
    if missing:
        return FOUND_PROBLEMS
    say(f"{program} is ready")
    for remark in well:
        say(str(remark))
    return DONE


def _proposed(program: str, file: Path | None) -> Terms | None:
    if file is None:
        return None
    terms = load_terms(read_text(file))
    if terms.program != program:
        raise RequestInvalid(f"{file} holds the terms of {terms.program}, not of {program}", "--terms")
    return terms


def _plain(remark: Remark) -> dict[str, Any]:
    return {"area": remark.area, "what": remark.what}
