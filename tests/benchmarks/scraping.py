"""What a scrape holds the event loop for, and how small it is compressed, against prometheus-client and zlib."""

import gc
import gzip
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from functools import partial

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from monitor.metrics import exposition
from monitor.metrics.self_metrics import SelfMetrics
from monitor.polling.fleet import Fleet
from monitor.polling.resources import RESOURCES
from monitor.web.scrape_bodies import ScrapeBodies
from tests.benchmarks.measure import Cost, Row, Scale, cpu_of, in_turn, spoken
from tests.benchmarks.mix import fleet_of, image_series, tiny_fleet

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
        registry.register(Yardstick(text_of(fleet)))
        _check_same(fleet, registry)
        gc.freeze()  # what lives on is no burden to the collector on either side
        what = f"scrape, {image_series(fleet):,} image series"
        limit = 400.0 if series == 100_000 else None
        costs = {"identity": cpu_of(partial(join, fleet, own), _TIMES), "gzip": _compress(fleet, own)}
        for encoding, ours in costs.items():
            theirs = cpu_of(partial(_generate, registry, encoding))
            mine, other = await in_turn(scale.slow_rounds, ours, theirs)
            yield Row(
                what=f"{what}, {encoding}: loop held, prometheus-client : ours",
                ours=spoken(mine), theirs=spoken(other), figure=other / mine, limit=limit, at_least=True,
            )  # fmt: skip
        yield _size(f"{what}: gzip body", fleet)
        gc.unfreeze()
    controllers = scale.controllers
    yield _size(f"scrape, {controllers:,} controllers of one image: gzip body", await tiny_fleet(controllers))


def pieces_of(fleet: Fleet) -> list[bytes]:
    """What a scrape finds, but for the daemon's own."""
    return ScrapeBodies(fleet, RESOURCES).pieces(None, openmetrics=False)


def text_of(fleet: Fleet) -> str:
    """What a scrape shows of the fleet."""
    return b"".join(pieces_of(fleet)).decode()


def join(fleet: Fleet, own: SelfMetrics) -> None:
    """What the handler does on the event loop at a scrape without compression, but for the socket."""
    for _ in exposition.chunks([*pieces_of(fleet), own.render(openmetrics=False)]):
        pass


def _compress(fleet: Fleet, own: SelfMetrics) -> Cost:
    """What a compressed scrape costs the event loop's thread after a change, but for the socket."""
    bodies = ScrapeBodies(fleet, RESOURCES)

    async def cost() -> float:
        gc.collect()  # what the other left behind is not ours to sweep
        started = time.thread_time()
        for _ in range(_TIMES):
            fleet.publications += 1
            text = await bodies.compressed(None, openmetrics=False)
            exposition.gzip_member(text, own.render(openmetrics=False))
        return (time.thread_time() - started) / _TIMES

    return cost


def _generate(registry: CollectorRegistry, encoding: str) -> None:
    body = generate_latest(registry)
    if encoding == "gzip":
        gzip.compress(body)  # as prometheus-client's own server does


def _check_same(fleet: Fleet, registry: CollectorRegistry) -> None:
    """A yardstick that measures something else is none."""
    if sorted(text_of(fleet).splitlines()) != sorted(generate_latest(registry).decode().splitlines()):
        raise AssertionError("prometheus-client renders other lines")


def _size(what: str, fleet: Fleet) -> Row:
    """Our gzip body, checked to be one member that holds the text, against the whole compressed at once."""
    text = text_of(fleet).encode()
    body = b"".join(exposition.gzip_member(exposition.compress(pieces_of(fleet)), b""))
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    if stream.decompress(body) != text or not stream.eof or stream.unused_data:
        raise AssertionError("not one gzip member of the same text")
    whole = len(gzip.compress(text, 6))
    return Row(what=what, ours=f"{len(body):,} B", theirs=f"{whole:,} B", figure=len(body) / whole, limit=1.05)
