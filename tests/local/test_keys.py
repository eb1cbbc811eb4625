"""The secrets of a local stack: made once, kept from others, and of one piece."""

from pathlib import Path

import pytest

from referral_rewards.local.keys import ensure_keys
from referral_rewards.register.decisions.signing import KeyRing, Signer


def test_a_second_start_keeps_every_key(data: Path) -> None:
    before = [path.read_bytes() for path in ensure_keys(data)]
    assert [path.read_bytes() for path in ensure_keys(data)] == before


def test_only_the_owner_can_read_them(data: Path) -> None:
    keys = ensure_keys(data)
    assert keys.pepper.parent.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in keys] == [0o600] * 5


def test_what_the_signing_key_signs_the_verify_keys_verify(data: Path) -> None:
    keys = ensure_keys(data)
    signer = Signer.load(keys.signing_key)
    assert KeyRing.load(keys.verify_keys).verifies(signer.key_id, b"decision", signer.sign(b"decision"))


def test_a_rotated_key_leaves_earlier_signatures_valid(data: Path) -> None:
    keys = ensure_keys(data)
    old = Signer.load(keys.signing_key)
    keys.signing_key.unlink()
    new = Signer.load(ensure_keys(data).signing_key)
    ring = KeyRing.load(keys.verify_keys)
    assert old.key_id != new.key_id
    assert all(ring.verifies(signer.key_id, b"m", signer.sign(b"m")) for signer in (old, new))


@pytest.mark.parametrize("name", ["pepper", "signing_key", "sealing", "personal"])
def test_two_stacks_share_no_secret(name: str, tmp_path: Path) -> None:
    one, other = (getattr(ensure_keys(tmp_path / folder), name).read_bytes() for folder in "ab")
    assert one != other
