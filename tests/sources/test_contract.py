"""One contract for every source: what is known is told, what is not known contradicts, and nothing ever raises."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

import pytest

from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.referrals.inquiries import REGISTER, Answer
from referral_rewards.local.fake_source import FakeSource, as_app
from referral_rewards.sources.http import RegisterSource
from referral_rewards.sources.port import Source
from tests.sources.told import asked, dispute, fact, issue, purchase, refund, stories

TOKEN = "a token for tests only"


@dataclass
class Connected:
    """A source by its port, and the script of what it knows."""

    port: Source
    script: FakeSource


@asynccontextmanager
async def _over_http(script: FakeSource) -> AsyncIterator[Source]:
    async with asked(as_app(script, TOKEN), token=TOKEN) as source:
        yield source


OUTSIDE: dict[str, Callable[[FakeSource], AbstractAsyncContextManager[Source]]] = {
    "in memory": nullcontext,
    "over HTTP": _over_http,
}


@pytest.fixture(scope="module", params=OUTSIDE)
async def opened(request: pytest.FixtureRequest) -> AsyncIterator[Connected]:
    """Each kind once: to start and stop a server takes longer than everything that is asked of it."""
    script = FakeSource("shop")
    async with OUTSIDE[request.param](script) as port:
        yield Connected(port, script)


@pytest.fixture
def source(opened: Connected) -> Connected:
    """One that knows nothing yet and was asked nothing."""
    opened.script.forget()
    opened.script.asked.clear()
    opened.script.down = False
    return opened


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param([purchase()], id="an order"),
        pytest.param([purchase(), refund()], id="and that it was taken back"),
        pytest.param([purchase(), refund(amount="5.00"), dispute()], id="in part, and is disputed"),
    ],
)
async def test_everything_that_it_knows_of_an_order_is_told(source: Connected, facts: list[Event]) -> None:
    source.script.tell(*facts, purchase("o2"), issue())
    told = await source.port.order("o1")
    assert told.answer.answer is Answer.CONFIRMED
    assert told.answer.source == "shop"
    assert stories(told.facts) == stories(facts)


async def test_everything_that_it_knows_of_a_customer_is_told(source: Connected) -> None:
    consent = fact("k1", "consent.withdrawn", person={"customer": "c-brie"}, scope="contact")
    source.script.tell(issue(), consent, issue("c-mia"), purchase())
    told = await source.port.customer("c-brie")
    assert told.answer.answer is Answer.CONFIRMED
    assert stories(told.facts) == stories([issue(), consent])


async def test_an_order_that_it_does_not_know_is_contradicted(source: Connected) -> None:
    source.script.tell(purchase("o2"), refund("o1"))
    told = await source.port.order("o1")
    assert told.answer.answer is Answer.CONTRADICTED
    assert stories(told.facts) == stories([refund("o1")])


async def test_a_customer_of_whom_it_knows_nothing_is_no_contradiction(source: Connected) -> None:
    told = await source.port.customer("c-brie")
    assert (told.answer.answer, list(told.facts)) == (Answer.CONFIRMED, [])


async def test_while_it_is_down_it_gives_no_answer_and_no_facts(source: Connected) -> None:
    source.script.tell(purchase(), issue())
    source.script.down = True
    for told in (await source.port.order("o1"), await source.port.customer("c-brie")):
        assert (told.answer.answer, told.answer.content_hash, list(told.facts)) == (Answer.UNAVAILABLE, None, [])
    assert await source.port.reachable() is not None
    source.script.down = False
    assert (await source.port.order("o1")).answer.answer is Answer.CONFIRMED
    assert await source.port.reachable() is None


async def test_another_story_under_the_same_id_is_told_as_it_is_now(source: Connected) -> None:
    source.script.tell(purchase())
    before = await source.port.order("o1")
    source.script.tell(purchase(amount="8.00"))
    after = await source.port.order("o1")
    assert [each.fact_id for each in before.facts] == [each.fact_id for each in after.facts]
    assert [each.public["amount"] for each in after.facts] == ["8.00"]
    assert before.answer.content_hash != after.answer.content_hash


async def test_the_same_story_has_the_same_hash_whoever_tells_it() -> None:
    """What is on record of an answer can be compared with what the source says later."""
    hashes = set()
    for connect in OUTSIDE.values():
        async with connect(FakeSource("shop", [purchase(), refund()])) as port:
            hashes.add((await port.order("o1")).answer.content_hash)
    assert len(hashes) == 1
    assert None not in hashes


@pytest.mark.parametrize(
    "odd",
    ["a/b", "/", "a//b", "../o2", "o1/../o2", "%2F", "%2e%2e", "100%", "a?b=c", "a#b", "o1;v=2", "été", "注文", "🧀",
     "a+b", "a&b", "...", "o.1", "'\"<>", "\\", "a:b", "o1?", "x" * 200],
)  # fmt: skip
async def test_an_id_may_hold_whatever_an_address_is_made_of(source: Connected, odd: str) -> None:
    """Each is asked about as it is: neither its neighbour in the address nor anything else answers for it."""
    source.script.tell(purchase(odd), purchase("o1"), purchase("o2"), purchase("b"), issue(odd), issue("b"))
    told = await source.port.order(odd)
    assert (told.answer.answer, stories(told.facts)) == (Answer.CONFIRMED, stories([purchase(odd)]))
    told = await source.port.customer(odd)
    assert (told.answer.answer, stories(told.facts)) == (Answer.CONFIRMED, stories([issue(odd)]))
    assert source.script.asked == [("orders", odd), ("customers", odd)]


async def test_no_sentence_says_anything_personal(source: Connected) -> None:
    source.script.tell(purchase(), refund(), dispute(), issue())
    for told in (await source.port.order("o1"), await source.port.customer("c-brie"), await source.port.order("o9")):
        assert "brie@" not in told.answer.sentence
        assert "Cheese" not in told.answer.sentence


async def test_our_own_register_confirms_each_order_knows_no_customers_and_tells_nothing() -> None:
    source: Source = RegisterSource()
    for told, answer in (
        (await source.order("o1"), Answer.CONFIRMED),
        (await source.customer("c"), Answer.UNAVAILABLE),
    ):
        assert (told.answer.answer, told.answer.source, list(told.facts)) == (answer, REGISTER, [])
    assert await source.reachable() is None
