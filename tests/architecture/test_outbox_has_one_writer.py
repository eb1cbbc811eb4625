"""The outbox, and the list of referrals to be judged, are written by one module."""

import ast
import re

import pytest

from tests.architecture.said_once import Text, modules, texts

WRITER = "referral_rewards/register/outbox.py"
#: The tables' models: whoever holds one can write its table without a word of SQL.
MODELS = {"Wakeup", "ToJudge"}
_WRITES = re.compile(
    r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE)\s+(?:ONLY\s+)?(?:outbox|to_judge)\b", re.IGNORECASE
)


def test_one_module_writes_the_outbox() -> None:
    found = {text.path for path, tree in modules() for text in texts(path, tree) if _WRITES.search(text.value)}
    assert found == {WRITER}


def test_nobody_writes_it_by_its_model() -> None:
    found = {
        path
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and MODELS & {alias.name for alias in node.names}
    }
    assert found <= {WRITER, "models/__init__.py"}


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT 1), woken AS (\n    INSERT INTO outbox (kind) SELECT 'fact' FROM a\n) SELECT 1",
        "delete from outbox",
        "UPDATE outbox SET batch_id = NULL",
        "INSERT  INTO to_judge (referral_id) VALUES (:id)",
    ],
)
def test_this_check_finds_a_statement_that_writes_it(sql: str) -> None:
    tree = ast.parse(f"'''A docstring.'''\n_SQL = text({sql!r})")
    assert [text for text in texts("x.py", tree) if _WRITES.search(text.value)] == [Text("x.py", 2, sql)]
