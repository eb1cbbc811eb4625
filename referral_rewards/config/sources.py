"""Settings of sources: the URLs of those outside by their names in the terms, regions of phone numbers, and stores."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from referral_rewards.config import event_sources, revalidation
from referral_rewards.config.event_sources import Process
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.facts.ids import id_problem
from referral_rewards.domain.facts.phones import Regions, region_problem
from referral_rewards.domain.referrals.inquiries import REGISTER
from referral_rewards.domain.web_addresses import HttpUrl
from referral_rewards.sources.connecting import Place
from referral_rewards.sources.port import Endpoint


class SourceSettings(BaseModel):
    """The URL of an outside source, and the token that it requires, if any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: HttpUrl
    token: SecretStr | None = None


class SourcesSettings(BaseModel):
    """The outside sources, of which our own register is none, the regions of their phone numbers, and their stores."""

    sources: dict[str, SourceSettings] = Field(
        default={}, description='Outside sources, by their name in the terms: {"shop": {"url": …, "token": …}}'
    )

    region: str | None = Field(
        default=None, description="Region of phone numbers without a country, as CA; the same for API and workers"
    )
    regions: dict[str, str] = Field(
        default={}, description='Their regions by the source of the fact: {"acme/site": "GB"}'
    )

    stores: dict[str, str] = Field(
        default={}, description='The store of each source whose facts name none: {"acme/shop-de": "de"}'
    )

    event_sources: Path | None = Field(
        default=None, description="YAML file of the sources that tell us of events (`connecting-sources.md`)"
    )

    @field_validator("stores")
    @classmethod
    def _ids(cls, stores: dict[str, str]) -> dict[str, str]:
        for store in stores.values():
            if (why := id_problem(store)) is not None:
                raise ValueError(why)
        return stores

    @field_validator("region")
    @classmethod
    def _known(cls, region: str | None) -> str | None:
        if region is not None and (why := region_problem(region)) is not None:
            raise ValueError(why)
        return region

    @field_validator("regions")
    @classmethod
    def _all_known(cls, regions: dict[str, str]) -> dict[str, str]:
        for region in regions.values():
            cls._known(region)
        return regions

    @field_validator("sources")
    @classmethod
    def _outside(cls, sources: dict[str, SourceSettings]) -> dict[str, SourceSettings]:
        if REGISTER in sources:
            raise ValueError(f"{REGISTER} is our own record and no outside source")
        return sources

    def phone_regions(self) -> Regions:
        """Return in which region a phone number without a country is read."""
        return Regions(self.region, self.regions)

    def endpoints(self, process: Process = Process.API) -> dict[str, Place]:
        """Return where the outside sources are and how each is read, by their names in the terms.

        Raises:
            BadInput: with every problem of the file of sources.
        """
        found: dict[str, Place] = {
            name: Endpoint(source.url, source.token.get_secret_value() if source.token else None)
            for name, source in self.sources.items()
        }
        if self.event_sources is None:
            return found
        vendors = event_sources.load(self.event_sources, process=process)
        mapped = revalidation.load(self.event_sources)
        asked = {name: each for name, each in vendors.items() if each.api is not None}
        names = [*found, *mapped, *asked]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            told = "is asked in two ways: name it in one place of REFERRALS_SOURCES, revalidation and sources"
            raise BadInput([Problem(name, told) for name in twice])
        return found | dict(mapped) | asked
