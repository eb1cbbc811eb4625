"""Cases of payments, from their files through the commands, on a whole stack."""

import pytest

from tests.cases.running import CASES, Stack, until

_CASE = "46-refund-while-payment-waits"


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_46_a_refund_before_the_instruction_is_exported_stops_it_and_nobody_is_asked(running: Stack) -> None:
    await running.begins(_CASE, "c46-r1")

    async def waits() -> bool:
        return [each["state"] for each in await running.payouts("c46-mira")] == ["approved"]

    await until(waits)
    await running.types("ingest", str(CASES / _CASE / "facts-2.jsonl"), "--wait")
    # The file holds its heading alone.
    said = await running.types("payout", "instructions", "--csv", "--as", "fiona")
    assert "c46" not in said
    (shown,) = await running.read("list", "--program", "c46")
    assert (shown["status"], shown["reason"]) == ("denied", "conversion_reversed")
    assert await running.read("queue", "--program", "c46") == []
    assert [each["state"] for each in await running.payouts("c46-mira")] == ["cancelled"]
    assert await running.sql("SELECT 1 FROM clawback_case") == []
