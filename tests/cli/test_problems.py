"""What the database raised is told for what it is."""

import pytest
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from referral_rewards.cli import main
from referral_rewards.cli.problems import FOUND_PROBLEMS, exit_code_of


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (errors.AdminShutdown("terminating connection"), "the database does not answer: terminating connection"),
        (errors.UniqueViolation("duplicate key\nDETAIL: ..."), "the database refuses it: duplicate key"),
        (errors.CheckViolation("too much is taken"), "the database refuses it: too much is taken"),
        (errors.RestrictViolation("fact is append-only"), "the database refuses it: fact is append-only"),
    ],
)
def test_a_refusal_of_the_database_is_no_silence(
    raised: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise DBAPIError.instance("INSERT", {}, raised, errors.Error)

    assert exit_code_of(command) == FOUND_PROBLEMS
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("written", ["yesterday", "2026-07-24T14:00", "2026-07-24 14:00", "2026-07-24T14:00+02:00"])
def test_a_moment_that_can_not_be_read_is_told_with_one_that_can(
    written: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = main.run(["restored", "--at", written]), capsys.readouterr()
    assert (code, told.out, told.err.count("\n")) == (2, "", 1)
    assert "write it like 2026-07-24T14:00Z" in told.err
    assert "%" not in told.err
