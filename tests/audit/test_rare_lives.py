"""Lives that few rewards have hold all parts of an audit, and one changed column of each is found."""

from collections.abc import AsyncIterator

import pytest

from referral_rewards.audit.loading import Means
from referral_rewards.audit.money.loading import Scope
from referral_rewards.audit.money.walk import Audited, walked
from tests.audit.flipping import Flip, flipped, rows_of
from tests.audit.rare import ACME, KEYS, key_ring, lived
from tests.desk import Desk, desk_after
from tests.snapshots import Snapshots


@pytest.fixture
async def rare(snapshots: Snapshots) -> AsyncIterator[Desk]:
    async with desk_after(snapshots, lived) as desk:
        yield desk


_SENT_THE_RETURN = "payout_id = (SELECT id FROM payout WHERE returns IS NOT NULL) AND act = 'sent'"
_ORDERED_UNSEEN = "sight || (SELECT position FROM decision WHERE kind = 'return_clawback')"

#: In each life a row that it alone has, and what is changed of it.
_CHANGED = {
    "a partner's rate": ("leg", "amount_minor", "1201", "referral_id = 'partner' AND role = 'referrer'"),
    "tax withheld": ("payout_deduction", "amount_minor", "amount_minor - 1", "kind = 'withholding'"),
    "a referral that was moved": ("leg", "beneficiary", "'gina'", "referral_id = 'moved' AND role = 'referrer'"),
    "who moved it": ("decision", "username", "'fiona'", "referral_id = 'moved' AND kind = 'reassign'"),
    "a return": ("payout", "amount_minor", "501", "returns IS NOT NULL"),
    "who ordered a return": ("payout_step", "sight", _ORDERED_UNSEEN, _SENT_THE_RETURN),
    "a payee who left": ("leg", "amount_minor", "amount_minor + 1", "referral_id = 'leaving' AND role = 'referrer'"),
    "a decision under a retired key": ("decision", "digest", "repeat('0', 64)", "referral_id = 'taxed'"),
}


async def test_they_have_no_finding_and_hold_all_parts(rare: Desk) -> None:
    async with rare.database.reading() as connection:
        steps = [
            each async for each in walked(connection, Scope(ACME), Means(key_ring().keys, rare.parts.intake.marker))
        ]
    assert [each for each in steps if not isinstance(each, Audited) or each.findings] == []
    examined = [one for each in steps if isinstance(each, Audited) for one in each.examined]
    assert {one.reward.referral for one in examined} == {"partner", "taxed", "moved", "returned", "leaving"}
    assert all(one.accurate for one in examined)


async def test_one_changed_column_of_each_is_found(rare: Desk) -> None:
    means, missed = Means(key_ring().keys, rare.parts.intake.marker), []
    for life, (table, column, value, where) in _CHANGED.items():
        row, *_ = await rows_of(rare.database, table, where)
        async with flipped(rare.database, Flip(table, column, None, value), row) as connection:
            steps = [each async for each in walked(connection, Scope(ACME), means)]
        if not any(not isinstance(each, Audited) or each.findings for each in steps):
            missed.append(life)
    assert missed == []


async def test_what_a_revoked_key_signed_is_found(rare: Desk) -> None:
    _, active = KEYS
    means = Means({active.key_id: key_ring().keys[active.key_id]}, rare.parts.intake.marker)
    async with rare.database.reading() as connection:
        steps = [each async for each in walked(connection, Scope(ACME), means)]
    found = {one.reward.referral for each in steps if isinstance(each, Audited) for one in each.examined if one.failing}
    assert found == {"partner", "taxed"}
