"""Settings of what Temporal keeps of our runs."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from referral_rewards.config.stack import PREFIX, decode_keys
from referral_rewards.domain.errors import BadInput, Problem

_NAME_LENGTH_MAX: Final = 64
#: Stands in the place of a key: with it first nothing is sealed, and what the other keys sealed is opened.
_IN_CLEAR: Final = "clear"


class PayloadSettings(BaseModel):
    """The keys that seal payloads; without any, they are kept in clear."""

    payload_keys: dict[str, SecretStr] = Field(
        default={},
        description='Keys that seal what Temporal keeps, by name: {"2026-12": "…", "2026-06": "…"}, of 32 bytes in hex '
        'or base64; the first seals, all open; {"clear": "", …} seals nothing and opens what the others sealed',
    )

    @field_validator("payload_keys")
    @classmethod
    def _keys_of_32_bytes(cls, keys: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, key in keys.items():
            if name == _IN_CLEAR:
                if key.get_secret_value():
                    raise ValueError(f'{_IN_CLEAR} is no key: it stands for none and has none, as {{"clear": ""}}')
                continue
            if not 0 < len(name) <= _NAME_LENGTH_MAX or not name.isprintable():
                raise ValueError(f"name each key by at most {_NAME_LENGTH_MAX} printable characters")
            try:
                (_,) = decode_keys(key.get_secret_value())
            except ValueError:
                raise ValueError(f"key {name} must be 32 bytes in hex or base64") from None
        return keys

    def payload_key_bytes(self) -> Mapping[str, bytes | None]:
        """Return the bytes of each key by its name, the one that seals first; None for what stays in clear."""
        return {
            name: None if name == _IN_CLEAR else decode_keys(key.get_secret_value())[0]
            for name, key in self.payload_keys.items()
        }


class _Alone(PayloadSettings, BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")


def payload_keys() -> Mapping[str, bytes | None]:
    """Return the same from the environment, for what needs no other setting.

    Raises:
        BadInput: if one is no key.
    """
    try:
        return _Alone().payload_key_bytes()
    except ValidationError as error:
        told = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadInput([Problem(f"{PREFIX}PAYLOAD_KEYS", told)]) from None
