"""The event stream without HTTP: what it keeps in memory for its readers."""

from monitor.model.image import Image
from monitor.polling.changes import update_mark
from monitor.polling.fleet import Fleet
from monitor.web.stream.event_stream import MAX_BUFFERED_BYTES, EventStream
from tests.support.polling import ManualClock, entry_of


async def test_readers_that_ask_for_the_events_after_every_number_cost_no_more_than_a_few_buffers() -> None:
    fleet = Fleet()
    stream = EventStream(fleet, now=ManualClock())
    for number in range(40):
        image = Image(uuid="image-1", name=f"{number} {'x' * 100_000}")
        fleet.publish(entry_of("dc1", {"image-1": update_mark(image, None, at=1.0, detail_for_s=1.0)}))
        stream._flush()
    texts = [bundle.text for number in range(41) if (bundle := stream.events_after(number, None))]
    assert sum(map(len, texts)) > 10 * MAX_BUFFERED_BYTES
    assert sum(len(bundle.text) for bundle in stream._bundles.values()) <= 2 * MAX_BUFFERED_BYTES
    stream.close()
