"""What the register keeps sealed: who opens it, and what opens nothing."""

import pytest

from referral_rewards.config.stack import decode_keys
from referral_rewards.domain.errors import SealBroken
from referral_rewards.register.sealing import Sealer

OLD, NEW = b"o" * 32, b"n" * 32


def test_what_is_sealed_is_read_by_nobody_and_opened_again() -> None:
    sealer = Sealer([OLD])
    sealed = sealer.seal("a secret", of="the factor of maria")
    assert "secret" not in sealed
    assert sealer.open(sealed, of="the factor of maria") == "a secret"


def test_moved_to_another_row_it_does_not_open() -> None:
    sealer = Sealer([OLD])
    with pytest.raises(SealBroken, match="the factor of paul can't be opened"):
        sealer.open(sealer.seal("a secret", of="the factor of maria"), of="the factor of paul")


@pytest.mark.parametrize("end", ["", "AAAA"])
def test_what_was_changed_does_not_open(end: str) -> None:
    sealer = Sealer([OLD])
    with pytest.raises(SealBroken):
        sealer.open(sealer.seal("a secret", of="x")[:-4] + end, of="x")


def test_the_newest_key_seals_and_every_key_opens() -> None:
    before = Sealer([OLD]).seal("a secret", of="x")
    both = Sealer([NEW, OLD])
    assert both.open(before, of="x") == "a secret"
    renewed = both.again(before)
    assert Sealer([NEW]).open(renewed, of="x") == "a secret"
    for sealed in (renewed, both.seal("another", of="x")):
        with pytest.raises(SealBroken):
            Sealer([OLD]).open(sealed, of="x")


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "key 1 must be at least 16 bytes"),
        ("ab" * 32 + ",", "key 2 must be at least 16 bytes"),
        ("zz", "key 1 must be"),
        ("ab" * 16, "key 1 must be 32 bytes, this is 16"),
        ("ab" * 33, "key 1 must be 32 bytes, this is 33"),
    ],
)
def test_a_key_of_another_form_is_told_by_its_number(typed: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        decode_keys(typed)
    assert "ab" not in str(refused.value).replace("base", "")


def test_keys_are_read_in_hex_and_base64() -> None:
    assert decode_keys(f"{NEW.hex()}, bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4=") == (NEW, NEW)
