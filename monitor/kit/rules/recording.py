"""Recording rules for people and their own dashboards; no alert needs them."""

from typing import Final

from monitor.kit.rules.rule import Record

RULES: Final = (
    Record(
        "controller_image:avi_image_state:active",
        comment="1 while the image is being processed, else 0",
        expr="""
            max without (instance, node, pod)
              (sum without (state) (avi_image_state{state=~"started|in_progress"}))
        """,
    ),
    Record(
        "controller_image:avi_image_progress_ratio:deriv5m",
        comment="""
            How much of the image is done a second, over the last five minutes; only while it is being processed
        """,
        expr="""
            max without (instance, node, pod) (
              deriv(avi_image_progress_ratio[5m])
              and ignoring (state) avi_image_state{state=~"started|in_progress"} == 1
            )
        """,
    ),
    Record(
        "controller_image:avi_image_progress_ratio:eta_seconds",
        comment="""
            In how many seconds the image is done, if it goes on as in the last five minutes; nothing while it stands
            still
        """,
        expr="""
            (1 - max without (instance, node, pod) (avi_image_progress_ratio))
            / (controller_image:avi_image_progress_ratio:deriv5m > 0)
        """,
    ),
    Record(
        "controller_unit:avi_upgrade_state:active",
        comment="1 while the unit is at work or waits for its turn, else 0; a suspended one is not at work",
        expr="""
            max without (instance, node, pod)
              (sum without (state) (avi_upgrade_state{state=~"queued|checking|running|aborting"}))
        """,
    ),
    Record(
        "controller:avi_upgrade_done:ratio",
        comment="""
            Which share of the Service Engines is done: of all SE groups that take part, or did within a day. Those
            that ran the version before are done; those that failed or were skipped are not.
        """,
        expr="""
            clamp_max(
              sum without (unit_uuid, kind, state, condition) (
                max without (instance, node, pod) (
                  avi_upgrade_service_engines{state="completed"}
                  or avi_upgrade_service_engines_at_start{condition="already_upgraded"}
                )
              )
              / sum without (unit_uuid, kind)
                (max without (instance, node, pod) (avi_upgrade_service_engines_expected) > 0),
              1
            )
        """,
    ),
)
