"""What the alerts on upgrades are made of: names, acknowledgements, leftovers, units that do not move."""

from typing import Final

from monitor.kit.rules.rule import Record

RULES: Final = (
    Record(
        "controller_unit:avi_upgrade_info:name",
        comment="One name and cloud of each unit: two monitors may know different ones for a moment",
        expr="""
            max without (instance, node, pod) (
              topk without (instance, node, pod, unit, cloud) (
                1, max without (tenant, version, tag, patch, previous_version, operation, system) (avi_upgrade_info)
              )
            )
        """,
    ),
    Record(
        "controller_unit:avi_upgrade_acknowledged:any",
        comment="""
            1 for each unit that is acknowledged on a monitor, and for each SE group whose operation began with that
            of an acknowledged cluster, or within a day after it: a later one is of another night. Some parts of a
            Controller write whole seconds, so a second earlier is no earlier.
        """,
        expr="""
            max without (instance, node, pod) (last_over_time(avi_upgrade_acknowledged[15m])) == 1
            or
            (
              max without (instance, node, pod) (
                last_over_time(avi_upgrade_start_timestamp_seconds{kind!="controller"}[15m])
                or last_over_time(avi_upgrade_enqueue_timestamp_seconds{kind!="controller"}[15m])
              )
              - ignoring (unit_uuid, kind) group_left ()
                max without (instance, node, pod, unit_uuid, kind) (
                  (
                    last_over_time(avi_upgrade_enqueue_timestamp_seconds{kind="controller"}[15m])
                    or last_over_time(avi_upgrade_start_timestamp_seconds{kind="controller"}[15m])
                  )
                  and last_over_time(avi_upgrade_acknowledged{kind="controller"}[15m]) == 1
                )
              > -1 < 86400
            ) * 0 + 1
        """,
    ),
    Record(
        "controller_unit:avi_upgrade_state:earlier",
        comment="""
            Units whose operation ended, or whose state changed if that was later, more than seven days ago:
            leftovers. A Controller keeps the ERROR of an upgrade of years ago. The value is how many seconds ago that
            was.
        """,
        expr="""
            time() - max without (instance, node, pod) (
              last_over_time(avi_upgrade_end_timestamp_seconds[15m])
                > last_over_time(avi_upgrade_state_changed_timestamp_seconds[15m])
              or last_over_time(avi_upgrade_state_changed_timestamp_seconds[15m])
              or last_over_time(avi_upgrade_end_timestamp_seconds[15m])
              or last_over_time(avi_upgrade_progress_changed_timestamp_seconds[15m])
            ) > 604800
            unless max without (instance, node, pod, state)
              (avi_upgrade_state{state=~"queued|checking|running|aborting|suspended"}) == 1
        """,
    ),
    Record(
        "controller_unit:avi_upgrade_progress:unmoved_seconds",
        comment="""
            For how many seconds a unit that is at work has not moved, as seen by monitors whose last poll was good:
            without polls, nothing seems to move. Only units that report something that can move; what waits for its
            turn cannot.
        """,
        expr="""
            max without (instance, node, pod) (
              time() - avi_upgrade_progress_changed_timestamp_seconds
              and ignoring (state) avi_upgrade_state{state=~"checking|running|aborting"} == 1
              and ignoring (unit_uuid, kind) avi_controller_up == 1
              and ignoring (node) (
                avi_upgrade_progress_ratio
                or avi_upgrade_tasks_completed
                or max without (node, state) (avi_upgrade_node_events)
                or max without (state) (avi_upgrade_service_engines)
                or max without (state) (avi_upgrade_state{state="checking"} == 1)
              )
            )
        """,
    ),
    Record(
        "controller:avi_controller_upgrades_readable:unread",
        comment="""
            Controllers whose upgrade status a monitor watches, and none can read at the moment: no poll is good, its
            reads are too old, no monitor has read it since its start, or no monitor is scraped (for a quarter of an
            hour). A controller that does not let a monitor read it is not one of them.
        """,
        expr="""
            count without (instance, node, pod, resource) (
              avi_controller_stale{resource="upgrade"} unless ignoring (resource) avi_controller_upgrades_readable == 0
              or (
                last_over_time(avi_controller_stale{resource="upgrade"}[15m])
                unless ignoring (controller, resource) avi_upgrade_monitor_config_last_reload_successful
              )
            )
            unless count without (instance, node, pod) (
              avi_controller_upgrades_readable == 1
              and avi_controller_up == 1
              and ignoring (resource) avi_controller_stale{resource="upgrade"} == 0
            )
        """,
    ),
)
