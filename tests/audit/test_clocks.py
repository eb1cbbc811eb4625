"""Processes whose clocks differ by as much as we let them: an audit of what they did finds nothing."""

from datetime import timedelta

import pytest

from tests.audit.settled import audited, settle
from tests.clocks import ahead
from tests.desk import Desk


@pytest.mark.parametrize("seconds", [110, -110])
async def test_an_api_whose_clock_is_ahead_or_behind_has_approved_what_was_paid(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    """The worker pays as soon as it sees the approval, which is dated by the clock of the API."""
    monkeypatch.setattr("referral_rewards.api.recording.datetime", ahead(timedelta(seconds=seconds)))
    await settle(desk, "r1")
    assert [each.findings for each in await audited(desk)] == [(), ()]
