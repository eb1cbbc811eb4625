"""Reads the YAML of program terms strictly: nothing is guessed, and every problem is at its path or line."""

from collections.abc import Iterator
from typing import Any

import yaml

from referral_rewards.domain.errors import Problem, TermsInvalid


def read_yaml(text: str) -> dict[str, Any]:
    """Parse the text to a mapping.

    Raises:
        TermsInvalid: if it is not YAML, is not a mapping, repeats a key or uses an alias.
    """
    try:
        root = yaml.compose(_without_aliases(text), Loader=yaml.SafeLoader)
        problems = list(_repeated(root, ""))
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise TermsInvalid([Problem(line, f"is not YAML: {error.problem or error.context}")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TermsInvalid([Problem("", f"is not YAML: {error}")]) from None
    if not isinstance(document, dict):
        raise TermsInvalid([Problem("", "terms are a mapping of keys to values")])
    if problems:
        raise TermsInvalid(problems)
    return document


def _without_aliases(text: str) -> str:
    """Return the text, or refuse one with aliases: they can expand a short file to a huge one and hide the terms."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            line = f"line {event.start_mark.line + 1}" if event.start_mark else ""
            raise TermsInvalid([Problem(line, f"*{event.anchor} is an alias; write its value out")])
    return text


def _repeated(node: yaml.Node | None, where: str) -> Iterator[Problem]:
    """Yield a problem for every key that a mapping repeats: YAML would silently take the last one."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            path = f"{where}.{key.value}".removeprefix(".")
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield Problem(path, f"is named twice (again in line {key.start_mark.line + 1})")
                seen.add(key.value)
            yield from _repeated(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated(item, f"{where}.{index}")
