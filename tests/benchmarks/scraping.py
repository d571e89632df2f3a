"""What a scrape holds the event loop for, and how small it is compressed, against prometheus-client and zlib."""

import gc
import gzip
import zlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from monitor.metrics import exposition
from monitor.metrics.pieces import Piece, piece
from monitor.metrics.self_metrics import SelfMetrics
from monitor.polling.fleet import Fleet
from monitor.polling.resources import RESOURCES
from monitor.web.handlers.metrics import _headers
from tests.benchmarks.measure import Row, Scale, cpu_of, in_turn, spoken
from tests.benchmarks.mix import fleet_of, image_series, tiny_fleet

_HEADERS: Final = _headers(RESOURCES, openmetrics=False)  # those of the handler
_TIMES = 10  # ours is too short to be timed once


class Yardstick(Collector):
    """The same series as an exporter has them that makes its samples anew at each scrape, its values being ready."""

    def __init__(self, text: str) -> None:
        self._families = [
            (family.name, family.documentation, family.type, [_ready(*sample[:3]) for sample in family.samples])
            for family in text_string_to_metric_families(text)
        ]

    def collect(self) -> Iterator[Metric]:
        """Every family, and every sample with its labels."""
        for name, text, kind, samples in self._families:
            family = Metric(name, text, kind)
            for sample, labels, values, value in samples:
                family.add_sample(sample, dict(zip(labels, values, strict=True)), value)
            yield family


def _ready(name: str, labels: dict[str, str], value: float) -> tuple[str, tuple[str, ...], tuple[str, ...], float]:
    return name, tuple(labels), tuple(labels.values()), value


async def measure(scale: Scale) -> AsyncIterator[Row]:
    """Rows of the whole scrape, without and with compression, and of its size."""
    own = SelfMetrics()
    for series in scale.series:
        fleet = await fleet_of(series)
        registry = CollectorRegistry()
        registry.register(Yardstick(_text(fleet)))
        _check_same(fleet, registry)
        gc.freeze()  # what lives on is no burden to the collector on either side
        what = f"scrape, {image_series(fleet):,} image series"
        limit = 300.0 if series == 100_000 else None
        for encoding in ("identity", "gzip"):
            ours = cpu_of(partial(_scrape, fleet, own, encoding), _TIMES)
            theirs = cpu_of(partial(_generate, registry, encoding))
            mine, other = await in_turn(scale.slow_rounds, ours, theirs)
            at_least = limit if encoding == "identity" else None
            yield Row(
                what=f"{what}, {encoding}: loop held, prometheus-client : ours",
                ours=spoken(mine), theirs=spoken(other), figure=other / mine, limit=at_least, at_least=True,
            )  # fmt: skip
        yield _size(f"{what}: gzip body", fleet, limit=1.15)
        gc.unfreeze()
    controllers = scale.controllers
    yield _size(f"scrape, {controllers:,} controllers of one image: gzip body", await tiny_fleet(controllers))


def pieces_of(fleet: Fleet) -> list[Piece]:
    """What a scrape finds, but for the daemon's own."""
    return exposition.in_order(_HEADERS, [entry.columns() for entry in fleet.entries.values()])


def _text(fleet: Fleet) -> str:
    return b"".join(exposition.identity(pieces_of(fleet))[1]).decode()


def _scrape(fleet: Fleet, own: SelfMetrics, encoding: str) -> None:
    """What the handler does at a scrape, but for the socket."""
    pieces = pieces_of(fleet)
    pieces.append(piece(own.render(openmetrics=False)))
    _, chunks = exposition.gzipped(pieces) if encoding == "gzip" else exposition.identity(pieces)
    for _ in chunks:
        pass


def _generate(registry: CollectorRegistry, encoding: str) -> None:
    body = generate_latest(registry)
    if encoding == "gzip":
        gzip.compress(body)  # as prometheus-client's own server does


def _check_same(fleet: Fleet, registry: CollectorRegistry) -> None:
    """A yardstick that measures something else is none."""
    if sorted(_text(fleet).splitlines()) != sorted(generate_latest(registry).decode().splitlines()):
        raise AssertionError("prometheus-client renders other lines")


def _size(what: str, fleet: Fleet, *, limit: float | None = None) -> Row:
    """Our gzip body, checked to be one stream that holds the text, against the whole compressed at once."""
    text = _text(fleet).encode()
    length, chunks = exposition.gzipped(pieces_of(fleet))
    body = b"".join(chunks)
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    if stream.decompress(body) != text or not stream.eof or stream.unused_data or length != len(body):
        raise AssertionError("not one gzip stream of the same text")
    whole = len(gzip.compress(text, 6))
    return Row(what=what, ours=f"{length:,} B", theirs=f"{whole:,} B", figure=length / whole, limit=limit)
