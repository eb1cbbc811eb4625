"""The mappings that are shipped, one for each tool, and the one that a company wrote itself."""

from enum import StrEnum
from importlib import resources
from pathlib import Path

from referral_rewards.cli.term_files import read_text
from referral_rewards.domain.errors import BadInput, Problem, RequestInvalid
from referral_rewards.domain.imports.mapping import ToolMapping, load_mapping


class Tool(StrEnum):
    """The tools whose exports are known."""

    DUB = "dub"
    FIRSTPROMOTER = "firstpromoter"
    PARTNERSTACK = "partnerstack"
    REWARDFUL = "rewardful"
    REWARDSTREAM = "rewardstream"


def shipped(tool: Tool) -> str:
    """The text of a tool's mapping, to be read or copied."""
    return resources.files("referral_rewards.cli.facts").joinpath("mappings", f"{tool}.yaml").read_text("utf-8")


def chosen(tool: Tool | None, file: Path | None) -> ToolMapping:
    """The mapping that the options name: a file of the company's own, or a tool's.

    Raises:
        BadInput: if neither is named, they differ, or the file holds no mapping; each problem with the file's name.
    """
    if file is None:
        if tool is None:
            raise RequestInvalid("name the tool that wrote the file, or a mapping of your own", "--tool, --mapping")
        return load_mapping(shipped(tool))
    try:
        mapping = load_mapping(read_text(file))
    except BadInput as wrong:
        raise BadInput(
            [Problem(f"{file}: {each.where}".removesuffix(": "), each.what) for each in wrong.problems]
        ) from None
    if tool is not None and mapping.tool != tool:
        raise RequestInvalid(f"{file} is a mapping of {mapping.tool}, not of {tool}", "--mapping")
    return mapping
