"""No row of the database crosses a function without a type: strict typing would see nothing of what a rule reads."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[2]
ROOMS: Final = ("referral_rewards/register", "referral_rewards/reporting", "activities", "worker")

#: Documents have any content: their keys are read where they are checked.
_DOCUMENT: Final = re.compile(r"\b(?:Mapping|dict)\[str, Any\]")
_UNTYPED: Final = re.compile(r"\b(?:Any|Row)\b")

#: These make a typed value of what the driver, a document or a client gives, or a document of any value.
MAKES_IT_TYPED: Final = {
    "register/typed_rows.py": {"each_of", "of", "_columns", "_converted", "_conversion"},
    "register/locks.py": {"dump"},
    "register/books/ledger.py": {"of"},
    "register/claims/dossier.py": {"_rivals_of"},
    "register/payees/deductions.py": {"open_offsets"},
    "register/payees/rows.py": {"_heard", "told"},
    "register/payouts/rows.py": {"held_by"},
    "register/referrals/cases.py": {"open_case", "past_of"},
    "register/referrals/rows.py": {"fact_of", "write", "of_row"},
    "reporting/shape.py": {"plain"},
    "reporting/queue/filters.py": {"cursor", "place_of", "_without_empty_fields"},
}


def _untyped(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    given = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    annotations = [*(each.annotation for each in given), function.returns]
    return any(_UNTYPED.search(_DOCUMENT.sub("", ast.unparse(each))) for each in annotations if each is not None)


def _functions(source: str) -> Iterator[str]:
    """The names of the functions that take or return what has no type; further keywords (``**values``) are columns."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _untyped(node):
            yield node.name


def test_no_function_takes_or_returns_a_row_without_a_type() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        if names := set(_functions(path.read_text())):
            found[str(path.relative_to(ROOT)).removeprefix("referral_rewards/")] = names
    assert found == MAKES_IT_TYPED


def test_this_check_finds_what_has_no_type_and_lets_documents_pass() -> None:
    for untyped in ("Any", "Row", "Row[Any]", "Sequence[Any]", "Any | None", "'Referral | Row[Any]'"):
        assert list(_functions(f"def f(row: {untyped}) -> None: ...")) == ["f"]
        assert list(_functions(f"async def g(*, row: int) -> {untyped}: ...")) == ["g"]
    assert list(_functions("def f(body: Mapping[str, Any], **more: Any) -> list[dict[str, Any]] | None: ...")) == []
