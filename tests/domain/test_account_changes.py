"""Who may stand behind a change of an account that somebody else made."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from referral_rewards.domain.people.account_changes import AccountAct, AccountChange, Confirmer, objection

AT = datetime(2026, 7, 1, 9, tzinfo=UTC)
FIRST, SECOND = UUID(int=1), UUID(int=2)
BY_ADA = AccountChange(FIRST, AccountAct.PASSWORD_SET, "ada", AT, frozenset({"email:a"}))
BY_ALAN = AccountChange(SECOND, AccountAct.IDENTITY_LINKED, "alan", AT + timedelta(hours=1))
FORGOTTEN = AccountChange(SECOND, AccountAct.MARKS_FORGOTTEN, "ada", AT)
MADE_IT = "ada set the password on 2026-07-01 09:00 UTC; somebody else must confirm it"
OLDER = "only a second factor that is older than the change confirms it; ask another administrator"


@pytest.mark.parametrize(
    ("changes", "confirmer", "why"),
    [
        ((BY_ADA,), Confirmer("alan"), None),
        ((BY_ADA,), Confirmer("ada"), MADE_IT),
        ((BY_ADA,), Confirmer("ada2", frozenset({"email:a", "customer:9"})), MADE_IT),
        ((BY_ADA, BY_ALAN), Confirmer("alan"), "alan linked an identity of an OpenID provider on 2026-07-01 10:00 UTC"),
        ((BY_ADA, BY_ALAN), Confirmer("agnes"), None),
        ((BY_ADA,), Confirmer("paula"), OLDER),
        ((BY_ADA,), Confirmer("paula", factor_since=AT - timedelta(minutes=4, microseconds=1)), None),
        ((BY_ADA,), Confirmer("paula", factor_since=AT - timedelta(minutes=4)), OLDER),
        ((BY_ADA,), Confirmer("paula", factor_since=AT), OLDER),
        ((BY_ADA, BY_ALAN), Confirmer("paula", factor_since=AT - timedelta(days=1)), None),
        ((BY_ADA, BY_ALAN), Confirmer("paula", factor_since=AT + timedelta(minutes=1)), OLDER),
        (
            (FORGOTTEN,),
            Confirmer("paula", factor_since=AT - timedelta(days=1)),
            "ada removed what is known of who they",
        ),
        ((BY_ADA, FORGOTTEN), Confirmer("paula", factor_since=AT - timedelta(days=1)), "ada removed what is known of"),
        ((FORGOTTEN,), Confirmer("alan"), None),
        ((), Confirmer("alan"), "nothing of paula waits to be confirmed"),
    ],
)
def test_who_made_a_change_never_confirms_it(
    changes: tuple[AccountChange, ...], confirmer: Confirmer, why: str | None
) -> None:
    said = objection(changes, {FIRST, SECOND}, "paula", confirmer)
    assert said == why if why is None else said is not None and said.startswith(why)


def test_what_was_changed_since_it_was_shown_is_not_confirmed_along() -> None:
    said = objection((BY_ADA, BY_ALAN), {FIRST}, "paula", Confirmer("agnes"))
    assert said is not None
    assert said.startswith("alan linked an identity")
    assert said.endswith("since this was shown; look again")
