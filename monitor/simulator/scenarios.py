"""The scenarios of ``simulate --scenario``, as rows of data: a name, a summary and the specs of the Controllers."""

from monitor.simulator.specs import ControllerSpec, Scenario, TimelineEvent, UploadSpec

FLEET = Scenario(
    summary="five Controllers, uploads in progress; one fails on one node, one stalls",
    controllers=(
        ControllerSpec(
            name="ams",
            version="30.2.1",
            nodes=3,
            images=3,
            uploads=(
                UploadSpec(duration=420.0, started_ago=60.0),
                UploadSpec(kind="patch", duration=180.0, started_ago=-90.0),
            ),
        ),
        ControllerSpec(
            name="fra",
            version="22.1.6",
            nodes=3,
            images=2,
            uploads=(
                UploadSpec(duration=500.0, started_ago=20.0, outcome="failed", failing_task="Copy to repository"),
            ),
        ),
        ControllerSpec(
            name="lab", version="21.1.6", nodes=1, images=2, uploads=(UploadSpec(duration=300.0, started_ago=-30.0),)
        ),
        ControllerSpec(
            name="nyc",
            version="31.2.2",
            nodes=3,
            images=2,
            uploads=(UploadSpec(duration=600.0, started_ago=150.0), UploadSpec(duration=480.0, started_ago=-240.0)),
        ),
        ControllerSpec(
            name="sin",
            version="32.2.1",
            nodes=1,
            images=3,
            uploads=(UploadSpec(duration=400.0, started_ago=90.0, outcome="stalled", failing_task="Extract package"),),
        ),
    ),
)
HAPPY = Scenario(
    summary="one Controller, one upload that completes",
    controllers=(ControllerSpec(name="dc1", images=1, uploads=(UploadSpec(),)),),
)
FAILING_NODE = Scenario(
    summary="one Controller of three nodes, one upload that fails on the last of them",
    controllers=(ControllerSpec(name="dc1", images=1, uploads=(UploadSpec(outcome="failed"),)),),
)
STALL = Scenario(
    summary="one Controller, one upload that stalls and never ends",
    controllers=(ControllerSpec(name="dc1", images=1, uploads=(UploadSpec(outcome="stalled"),)),),
)
UPGRADE_NIGHT = Scenario(
    summary="one upload, then an upgrade: writes rejected, connections refused, 503, then a new version",
    controllers=(
        ControllerSpec(
            name="dc1",
            version="30.2.1",
            images=2,
            uploads=(UploadSpec(duration=90.0),),
            timeline=(
                TimelineEvent(at=120.0, kind="upgrading"),
                TimelineEvent(at=180.0, kind="down"),
                TimelineEvent(at=300.0, kind="unready"),
                TimelineEvent(at=360.0, kind="ready", version="31.2.2"),
            ),
        ),
        ControllerSpec(name="dc2", version="30.2.1", nodes=1, images=2),
    ),
)

SCENARIOS: dict[str, Scenario] = {
    "fleet": FLEET,
    "happy": HAPPY,
    "failing-node": FAILING_NODE,
    "stall": STALL,
    "upgrade-night": UPGRADE_NIGHT,
}
