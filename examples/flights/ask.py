"""Asks a running server about real flights: `python ask.py URL`. It needs nothing but Python.

It speaks the Open Inference Protocol: what the model wants is read from the server's own metadata, each
flight is one request, and then all of them are one. What happened stands in data/flights.json, by train.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

HERE = Path(__file__).resolve().parent
FLIGHTS = HERE / "data" / "flights.json"
MODEL = "delay"
LATE_MIN = 15
SLO_P95_S = 0.1
LATENCY = "bedplate_request_duration_seconds_bucket"
TIMEOUT_S = 10
ROW = "{:<8} {:<8} {:<17} {:>8}  {:<22} {:>8}"

Flight = dict[str, Any]


def request_body(flights: Sequence[Flight], metadata: dict[str, Any]) -> dict[str, Any]:
    """One tensor [n, 1] per input of the model, with the type that its metadata names."""
    return {
        "inputs": [
            {
                "name": wanted["name"],
                "shape": [len(flights), 1],
                "datatype": wanted["datatype"],
                "data": [flight["inputs"][wanted["name"]] for flight in flights],
            }
            for wanted in metadata["inputs"]
        ]
    }


def probabilities(answer: dict[str, Any]) -> list[float]:
    """The probability of being late: the second of each row of the output `probability` [n, 2]."""
    output = next(output for output in answer["outputs"] if output["name"] == "probability")
    return [float(value) for value in output["data"][1::2]]


def infer(url: str, flights: Sequence[Flight], metadata: dict[str, Any]) -> tuple[list[float], float]:
    """The answers, and the seconds from sending to having read them."""
    body = json.dumps(request_body(flights, metadata)).encode()
    started = time.perf_counter()
    answer = _fetch(f"{url}/v2/models/{MODEL}/infer", body)
    took_s = time.perf_counter() - started
    return probabilities(json.loads(answer)), took_s


def what_happened(arrived_late_min: int) -> str:
    if arrived_late_min > LATE_MIN:
        return f"LATE by {arrived_late_min} min"
    return f"on time ({arrived_late_min:+} min)"


def table(flights: Sequence[Flight], predicted: Sequence[float], took_s: Sequence[float]) -> list[str]:
    """At most 80 columns wide."""
    lines = [ROW.format("flight", "route", "departure", "P(late)", "what happened", "took"), "-" * 76]
    for flight, probability, seconds in zip(flights, predicted, took_s, strict=True):
        happened = what_happened(flight["arrived_late_min"])
        shown = f"{probability:.0%}", happened, f"{seconds * 1000:.1f} ms"
        lines.append(ROW.format(flight["flight"], flight["route"], flight["departure"], *shown))
    return lines


def latency(metrics: str) -> list[str]:
    """What the server's own histogram says of its requests, read at the edge that lies at the SLO."""
    within = sum(value for name, labels, value in samples(metrics) if _is_edge(name, labels, SLO_P95_S))
    total = sum(value for name, labels, value in samples(metrics) if _is_edge(name, labels, float("inf")))
    if not total:
        return ["the server has counted no request yet"]
    verdict = "kept" if within / total >= 0.95 else "MISSED"
    return [
        f"{total:.0f} requests answered since this server started",
        f"{within / total:.1%} of them within {SLO_P95_S * 1000:.0f} ms (the SLO asks for 95%: {verdict})",
    ]


def samples(metrics: str) -> list[tuple[str, dict[str, str], float]]:
    """Name, labels and value of each line of Prometheus' text format."""
    found = []
    for line in metrics.splitlines():
        if not line or line.startswith("#"):
            continue
        series, _, value = line.rpartition(" ")
        name, _, inside = series.rstrip("}").partition("{")
        pairs = (pair.partition("=") for pair in inside.split(",") if pair)
        found.append((name, {key: text.strip('"') for key, _, text in pairs}, float(value)))
    return found


def _is_edge(name: str, labels: dict[str, str], seconds: float) -> bool:
    return name == LATENCY and labels["model"] == MODEL and float(labels["le"]) == seconds


def try_next(url: str) -> list[str]:
    bedplate = Path(sys.executable).with_name("bedplate")
    command = f"{os.path.relpath(bedplate) if bedplate.exists() else 'bedplate'} -C {os.path.relpath(HERE)}"
    return [
        "Try next",
        f"  open {url} in a browser",
        f"  {command} status",
        f"  curl {url}/v2/models/{MODEL}",
        f"  curl {url}/metrics",
        f"  change replicas in {os.path.relpath(HERE / 'bedplate.yaml')}, then",
        f"  {command} plan",
        f"  {command} destroy",
    ]


def ask(url: str, flights: Sequence[Flight]) -> list[str]:
    """Sends everything and returns the lines to show."""
    metadata = json.loads(_fetch(f"{url}/v2/models/{MODEL}"))
    singles = [infer(url, [flight], metadata) for flight in flights]
    batch, batch_s = infer(url, flights, metadata)
    predicted = [answers[0] for answers, _ in singles]
    if any(abs(one - other) > 1e-6 for one, other in zip(predicted, batch, strict=True)):
        raise SystemExit("a flight asked alone and in a batch got two answers")
    late = sum(flight["arrived_late_min"] > LATE_MIN for flight in flights)
    return [
        f"{len(flights)} flights of October to December 2013, not seen in training; {late} were late",
        "",
        *table(flights, predicted, [took_s for _, took_s in singles]),
        "",
        f"all {len(flights)} in one request: the same answers in {batch_s * 1000:.1f} ms",
        *latency(_fetch(f"{url}/metrics").decode()),
        "",
        *try_next(url),
    ]


def _fetch(url: str, body: bytes | None = None) -> bytes:
    """GET, or POST where there is a body."""
    request = Request(url, body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=TIMEOUT_S) as response:
        content: bytes = response.read()
    return content


def main() -> int:
    parser = argparse.ArgumentParser(description="Asks a running server about real flights.")
    parser.add_argument("url", help="the address that `bedplate up` printed, such as http://127.0.0.1:20123")
    url = parser.parse_args().url.rstrip("/")
    if not FLIGHTS.exists():
        print(f"{FLIGHTS} is missing: run train.py", file=sys.stderr)
        return 1
    try:
        print("\n".join(ask(url, json.loads(FLIGHTS.read_text()))))
    except HTTPError as error:
        print(f"{error.url} answered {error.code}: {error.read().decode()[:500]}", file=sys.stderr)
        return 1
    except (URLError, HTTPException, OSError) as error:
        print(f"{url} does not answer: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
