"""The queue is written by its projections alone, and a referral's part of it kept from one place alone."""

import ast
import re
from collections.abc import Iterator

from tests.architecture.said_once import modules, texts

PROJECTIONS = {
    "referral_rewards/register/queue/projection.py",
    "referral_rewards/register/queue/rails.py",
    "referral_rewards/register/queue/strays.py",
}
UPKEEP = "referral_rewards/register/queue/upkeep.py"
_WRITES = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+queue_entry\b", re.IGNORECASE)


def test_the_projections_alone_write_the_queue() -> None:
    found = {text.path for path, tree in modules() for text in texts(path, tree) if _WRITES.search(text.value)}
    assert found == PROJECTIONS


def test_nobody_but_the_upkeep_keeps_a_referral_in_the_queue() -> None:
    """A writer that calls for it by hand is one that the next writer is copied from, without the call."""
    assert {path for path, tree in modules() if "keep" in _used_of_the_projection(tree)} == {UPKEEP}


def test_this_check_finds_a_call_by_whatever_name() -> None:
    for source in (
        "from referral_rewards.register.queue import projection as queue\nqueue.keep(connection, referral)",
        "from referral_rewards.register.queue import projection\nlater(projection.keep)",
        "from referral_rewards.register.queue.projection import keep",
    ):
        assert "keep" in _used_of_the_projection(ast.parse(source))


def _used_of_the_projection(tree: ast.Module) -> set[str]:
    return set(_uses(tree))


def _uses(tree: ast.Module) -> Iterator[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "referral_rewards.register.queue":
            names |= {alias.asname or alias.name for alias in node.names if alias.name == "projection"}
        elif isinstance(node, ast.ImportFrom) and node.module == "referral_rewards.register.queue.projection":
            yield from (alias.name for alias in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            yield node.attr
