"""Periods and their ends, with the clock changes of four zones."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from referral_rewards.domain.calendar import DayBoundary, Period, end_of, zone
from tests.domain.build import at

ZONES = ["America/Toronto", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo", "UTC"]


@pytest.mark.parametrize(
    ("text", "period", "canonical"),
    [
        ("P30D", Period(days=30), "P30D"),
        ("P0D", Period(), "P0D"),
        ("PT0S", Period(), "P0D"),
        ("P3W", Period(days=21), "P21D"),
        ("P14M", Period(months=14), "P1Y2M"),
        ("P1Y2M3W4DT5H", Period(14, 25, timedelta(hours=5)), "P1Y2M25DT5H"),
        ("PT5S", Period(exact=timedelta(seconds=5)), "PT5S"),
        ("PT90M", Period(exact=timedelta(minutes=90)), "PT1H30M"),
        ("PT36H", Period(exact=timedelta(hours=36)), "PT36H"),
        ("PT0.25S", Period(exact=timedelta(milliseconds=250)), "PT0.25S"),
        ("P100Y", Period(months=1200), "P100Y"),
    ],
)
def test_a_duration_has_one_canonical_spelling(text: str, period: Period, canonical: str) -> None:
    assert Period.parse(text) == period
    assert str(period) == canonical
    assert Period.parse(canonical) == period


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "30D", "P30", "-P1D", "P-1D", "P1.5D", "P1D1M", "PT1D", "p30d", " P1D", "P1D\n", "P٣D",
     "P101Y", "P999999999999999999999D", "PT99999999999H"],
)  # fmt: skip
def test_what_is_malformed_negative_or_endless_is_no_period(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an ISO 8601 duration|longer than"):
        Period.parse(text)


def test_a_model_reads_a_period_from_its_text_and_writes_it_canonically() -> None:
    class Wait(BaseModel):
        period: Period

    assert Wait.model_validate({"period": "P4W"}).model_dump_json() == '{"period":"P28D"}'
    with pytest.raises(ValueError, match="such as P30D"):
        Wait.model_validate({"period": 30})


@pytest.mark.parametrize(
    ("why", "start", "period", "place", "end"),
    [
        ("the same time on the wall", "2026-06-01T14:00", "P30D", "UTC", "2026-07-01T14:00"),
        ("an hour more in autumn", "2026-10-25T14:00", "P30D", "America/Toronto", "2026-11-24T15:00"),
        ("an hour less in spring", "2026-03-01T15:00", "P30D", "America/Toronto", "2026-03-31T14:00"),
        ("exact time knows no clocks", "2026-10-31T14:00", "PT24H", "America/Toronto", "2026-11-01T14:00"),
        ("a day does", "2026-10-31T14:00", "P1D", "America/Toronto", "2026-11-01T15:00"),
        ("skipped 02:30 is 03:30", "2026-02-06T07:30", "P30D", "America/Toronto", "2026-03-08T07:30"),
        ("repeated 01:30 is the first", "2026-10-02T05:30", "P30D", "America/Toronto", "2026-11-01T05:30"),
        ("skipped 02:15 is 02:45", "2026-09-03T15:45", "P30D", "Australia/Lord_Howe", "2026-10-03T15:45"),
        ("repeated 01:45 is the first", "2026-03-05T14:45", "P30D", "Australia/Lord_Howe", "2026-04-04T14:45"),
        ("from a second 01:30 on", "2026-11-01T06:30", "P1D", "America/Toronto", "2026-11-02T06:30"),
        ("and exact time too", "2026-11-01T06:30", "PT24H", "America/Toronto", "2026-11-02T06:30"),
        ("the local date decides", "2026-01-30T20:00", "P1M", "Asia/Kolkata", "2026-02-27T20:00"),
        ("a month clamps", "2026-01-31T17:00", "P1M", "America/Toronto", "2026-02-28T17:00"),
        ("a leap month less so", "2028-01-31T17:00", "P1M", "America/Toronto", "2028-02-29T17:00"),
        ("months first, then days", "2026-01-31T17:00", "P1M1D", "America/Toronto", "2026-03-01T17:00"),
        ("a leap day's year", "2028-02-29T12:00", "P1Y", "UTC", "2029-02-28T12:00"),
        ("over the turn of the year", "2026-11-30T12:00", "P3M", "UTC", "2027-02-28T12:00"),
        ("exact time last", "2026-10-31T14:00", "P1DT2H", "America/Toronto", "2026-11-01T17:00"),
        ("no time at all", "2026-11-01T06:30", "P0D", "America/Toronto", "2026-11-01T06:30"),
    ],
)
def test_a_period_ends_at_the_same_time_on_the_local_wall(
    why: str, start: str, period: str, place: str, end: str
) -> None:
    assert end_of(at(start), Period.parse(period), zone(place)) == at(end), why


@pytest.mark.parametrize(
    ("why", "start", "period", "place", "end"),
    [
        ("the day is closed", "2026-06-01T14:00", "P30D", "UTC", "2026-07-02T00:00"),
        ("midnight stays", "2026-06-01T00:00", "P30D", "UTC", "2026-07-01T00:00"),
        ("a tick after midnight", "2026-06-01T00:00:00.000001", "P30D", "UTC", "2026-07-02T00:00"),
        ("a tick before midnight", "2026-05-31T23:59:59.999999", "P30D", "UTC", "2026-07-01T00:00"),
        ("the local day", "2026-06-01T20:00", "P30D", "Asia/Kolkata", "2026-07-02T18:30"),
        ("local midnight stays", "2026-06-01T18:30", "P30D", "Asia/Kolkata", "2026-07-01T18:30"),
        ("a short day", "2026-02-06T07:30", "P30D", "America/Toronto", "2026-03-09T04:00"),
        ("a long day", "2026-10-02T05:30", "P30D", "America/Toronto", "2026-11-02T05:00"),
        ("a day half an hour short", "2026-09-03T15:45", "P30D", "Australia/Lord_Howe", "2026-10-04T13:00"),
        ("a midnight that is skipped stays", "2026-03-24T22:00", "P30D", "Africa/Cairo", "2026-04-23T22:00"),
        ("exact time too", "2026-06-01T14:00", "PT5S", "UTC", "2026-06-02T00:00"),
        ("no time at all too", "2026-06-01T14:00", "P0D", "UTC", "2026-06-02T00:00"),
    ],
)
def test_an_end_of_day_is_the_local_midnight_that_closes_it(
    why: str, start: str, period: str, place: str, end: str
) -> None:
    assert end_of(at(start), Period.parse(period), zone(place), DayBoundary.END_OF_DAY) == at(end), why


@pytest.mark.parametrize("name", ["Mars/Phobos", "", "america/toronto", "../zones", "/etc/passwd", "EST5EDT2"])
def test_a_zone_that_is_not_in_the_pinned_data_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not an IANA time zone"):
        zone(name)


def test_zones_come_from_the_pinned_package_whatever_the_host_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoneinfo.TZPATH", ())
    zone.cache_clear()
    assert datetime(2026, 7, 1, tzinfo=zone("America/Toronto")).utcoffset() == timedelta(hours=-4)


periods = st.builds(
    Period,
    st.integers(0, 30),
    st.integers(0, 90),
    st.timedeltas(min_value=timedelta(), max_value=timedelta(days=3)),
)
starts = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=200, derandomize=True, deadline=None)
@given(start=starts, period=periods, place=st.sampled_from(ZONES), boundary=st.sampled_from(DayBoundary))
def test_no_period_ends_before_it_starts_or_later_than_its_longest_day(
    start: datetime, period: Period, place: str, boundary: DayBoundary
) -> None:
    end = end_of(start, period, zone(place), boundary)
    longest = timedelta(days=31 * period.months + period.days + 2) + period.exact
    assert start <= end <= start + longest
    assert end.tzinfo is UTC


@settings(max_examples=200, derandomize=True, deadline=None)
@given(start=starts, period=periods, place=st.sampled_from(["America/Toronto", "Asia/Kolkata", "Australia/Lord_Howe"]))
def test_an_end_of_day_is_midnight_on_the_wall(start: datetime, period: Period, place: str) -> None:
    end = end_of(start, period, zone(place), DayBoundary.END_OF_DAY)
    assert end.astimezone(zone(place)).time() == time()


@settings(max_examples=200, derandomize=True, deadline=None)
@given(period=periods)
def test_the_canonical_spelling_reads_back_as_the_same_period(period: Period) -> None:
    assert Period.parse(str(period)) == period
