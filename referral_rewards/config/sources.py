"""Settings of sources: the URLs of outside sources, by their names in the terms."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from referral_rewards.domain.referrals.inquiries import REGISTER
from referral_rewards.domain.web_addresses import HttpUrl
from referral_rewards.sources.port import Endpoint


class SourceSettings(BaseModel):
    """The URL of an outside source, and the token that it requires, if any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: HttpUrl
    token: SecretStr | None = None


class SourcesSettings(BaseModel):
    """The outside sources. Our own register needs no entry here."""

    sources: dict[str, SourceSettings] = Field(
        default={}, description='Outside sources, by their name in the terms: {"shop": {"url": …, "token": …}}'
    )

    @field_validator("sources")
    @classmethod
    def _outside(cls, sources: dict[str, SourceSettings]) -> dict[str, SourceSettings]:
        if REGISTER in sources:
            raise ValueError(f"{REGISTER} is our own record and no outside source")
        return sources

    def endpoints(self) -> dict[str, Endpoint]:
        """Return the endpoints of the outside sources, by their names in the terms."""
        return {
            name: Endpoint(source.url, source.token.get_secret_value() if source.token else None)
            for name, source in self.sources.items()
        }
