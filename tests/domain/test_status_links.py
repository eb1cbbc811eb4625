"""A status link shows one side of one referral, and nobody can make one up."""

import pytest

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.notices import status_links

KEY = bytes(range(32))


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("referral", ["r1", "reférral/ünïcode", "x" * 200, "a.b-c_d"])
def test_a_token_names_what_it_was_made_for_and_proves_it(referral: str, side: Side) -> None:
    read = status_links.read(status_links.token(KEY, referral, side, 3))
    assert read is not None
    assert (read.referral, read.side) == (referral, side)
    assert status_links.proves(KEY, read, 3)


@pytest.mark.parametrize(
    ("key", "generation"), [(KEY, 2), (bytes(32), 1)], ids=["of a generation that was revoked", "of another key"]
)
def test_a_token_of_another_making_proves_nothing(key: bytes, generation: int) -> None:
    read = status_links.read(status_links.token(KEY, "r1", Side.REFERRER, 1))
    assert read is not None
    assert not status_links.proves(key, read, generation)


def test_no_character_of_a_token_can_be_changed() -> None:
    whole = status_links.token(KEY, "r1", Side.REFEREE, 1)
    for place, old in enumerate(whole):
        for new in ("A" if old != "A" else "B", "_" if old != "_" else "-"):
            read = status_links.read(whole[:place] + new + whole[place + 1 :])
            assert read is None or not status_links.proves(KEY, read, 1)


@pytest.mark.parametrize("text", ["", "r1", "A" * 10, "=" * 8, "ünïcode", "A" * 5000, "%00", "\x00", "a b"])
def test_what_is_no_token_is_read_as_none(text: str) -> None:
    assert status_links.read(text) is None
