"""What reporting returns is typed: no query hands out a dictionary that somebody else has to know."""

import ast
from collections.abc import Iterator
from pathlib import Path

import referral_rewards

_REPORTING = Path(referral_rewards.__file__).parent / "reporting"


def queries() -> Iterator[tuple[str, str]]:
    """Every public query of reporting, with what it says that it returns."""
    for path in sorted(_REPORTING.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
                assert node.returns is not None, (path, node.name)
                yield f"{path.relative_to(_REPORTING)}:{node.name}", ast.unparse(node.returns)


def test_no_query_returns_what_has_no_type() -> None:
    found = dict(queries())
    assert len(found) > 30
    untyped = {name for name, returns in found.items() if "Any" in returns or "object" in returns}
    assert untyped == set()
