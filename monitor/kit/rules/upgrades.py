"""Alerts on an upgrade under way."""

from typing import Final

from monitor.kit.rules.rule import Alert, unit_alert

RULES: Final = (
    Alert(
        "AviUpgradeFailed",
        severity="critical",
        lasting="1m",
        expr=unit_alert(
            "AviUpgradeFailed",
            'max without (instance, node, pod, state) (avi_upgrade_state{state="failed"}) == 1',
            leftovers=False,
        ),
        summary="""
            The upgrade of {{ if eq $labels.kind "controller" }}the Controllers{{ else }}{{ $labels.unit }}
            {{- with $labels.cloud }} in {{ . }}{{ end }}{{ end }} on {{ $labels.controller }} failed
        """,
        description="""
            The Controller {{ $labels.controller }} ended the operation of {{ if eq $labels.kind "controller" }}its
            Controllers{{ else }}the SE group {{ $labels.unit }}{{ end }} ({{ $labels.unit_uuid }}) as failed, so it
            may not run the version that it should. Acknowledge it once an operator takes care of it.
        """,
    ),
    Alert(
        "AviUpgradeSuspended",
        comment="""
            However long it waits; but one that had waited for more than seven days when a monitor first saw it is
            history
        """,
        severity="critical",
        lasting="1m",
        expr=unit_alert(
            "AviUpgradeSuspended",
            """
                max without (instance, node, pod, state) (avi_upgrade_state{state="suspended"}) == 1
                unless
                  min without (instance, node, pod) (avi_upgrade_progress_changed_timestamp_seconds)
                  - max without (instance, node, pod) (avi_upgrade_state_changed_timestamp_seconds)
                  > 604800
            """,
        ),
        summary="""
            The upgrade of {{ if eq $labels.kind "controller" }}the Controllers{{ else }}{{ $labels.unit }}
            {{- with $labels.cloud }} in {{ . }}{{ end }}{{ end }} on {{ $labels.controller }} waits for an operator
        """,
        description="""
            The Controller {{ $labels.controller }} has suspended the operation of
            {{ if eq $labels.kind "controller" }}its Controllers{{ else }}the SE group {{ $labels.unit }}{{ end }}
            ({{ $labels.unit_uuid }}). It does not go on by itself: an operator has to resume it, or to end it.
        """,
    ),
    Alert(
        "AviUpgradeServiceEnginesFailed",
        comment="""
            Also when the Controller says that the group is completed. It has the counts for as long as
            events.detail_for after the end; from then on the alert stands while the group counts as left behind.
        """,
        severity="critical",
        lasting="1m",
        expr="""
            (
              max without (instance, node, pod, state) (avi_upgrade_service_engines{state="failed"} > 0)
              * ignoring (unit, cloud) group_left (unit, cloud) controller_unit:avi_upgrade_info:name
              or
              max without (alertname, alertstate, severity) (ALERTS{alertname="AviUpgradeServiceEnginesFailed"})
                and ignoring (unit_uuid, kind, unit, cloud) (
                  controller:avi_controller_upgrades_readable:unread
                  or max without (instance, node, pod, kind) (avi_controller_upgrade_left_behind{kind="se_group"}) > 0
                )
                unless ignoring (unit, cloud)
                  max without (instance, node, pod, state) (avi_upgrade_service_engines{state="failed"})
            )
            unless ignoring (unit, cloud) controller_unit:avi_upgrade_state:earlier
            unless ignoring (unit, cloud) controller_unit:avi_upgrade_acknowledged:any
        """,
        summary="""
            Service Engines of {{ $labels.unit }}{{ with $labels.cloud }} in {{ . }}{{ end }} on
            {{ $labels.controller }} failed to upgrade
        """,
        description="""
            The upgrade of at least one Service Engine of the SE group {{ $labels.unit }} ({{ $labels.unit_uuid }}) of
            the Controller {{ $labels.controller }} failed. It may carry no traffic, or run the old version, also when
            the Controller says that the group is completed.
        """,
    ),
    Alert(
        "AviUpgradeVirtualServicesDisrupted",
        comment="While it is at work, or suspended: then they stay disrupted",
        severity="critical",
        expr=unit_alert(
            "AviUpgradeVirtualServicesDisrupted",
            """
                max without (instance, node, pod) (
                  avi_upgrade_virtual_services_disrupted > 0
                  and ignoring (state) avi_upgrade_state{state=~"checking|running|aborting|suspended"} == 1
                )
            """,
        ),
        summary="""
            The upgrade of {{ $labels.unit }}{{ with $labels.cloud }} in {{ . }}{{ end }} on {{ $labels.controller }}
            disrupts virtual services
        """,
        description="""
            The Controller {{ $labels.controller }} says that the operation of the SE group {{ $labels.unit }}
            ({{ $labels.unit_uuid }}) has disrupted virtual services: their clients may get no answer.
        """,
    ),
    Alert(
        "AviUpgradeStalled",
        comment="""
            A quarter of an hour for the Controllers, one task of which may take that long; 25 minutes for an SE
            group, whose Service Engines may take 20 to come back. The Controllers wait for the groups at the end:
            while one of those is at work, is suspended or moved a moment ago, they stand still for good reason. While
            they are away, they have not stalled, and neither has what was at work before.
        """,
        severity="critical",
        lasting="1m",
        expr="""
            (
              (
                controller_unit:avi_upgrade_progress:unmoved_seconds{kind!="controller"} > 1500
                or
                controller_unit:avi_upgrade_progress:unmoved_seconds{kind="controller"} > 900
                  unless ignoring (unit_uuid, kind) (
                    count without (instance, node, pod, unit_uuid, kind, state)
                      (avi_upgrade_state{kind!="controller", state=~"checking|running|aborting|suspended"} == 1)
                    or
                    time() - max without (instance, node, pod, unit_uuid, kind)
                      (avi_upgrade_progress_changed_timestamp_seconds{kind!="controller"}) < 900
                  )
              )
              * ignoring (unit, cloud) group_left (unit, cloud) controller_unit:avi_upgrade_info:name
              or
              max without (alertname, alertstate, severity) (ALERTS{alertname="AviUpgradeStalled"})
                and ignoring (unit_uuid, kind, unit, cloud) controller:avi_controller_upgrades_readable:unread
                unless ignoring (unit_uuid, kind, unit, cloud) (
                  max without (instance, node, pod) (last_over_time(avi_controller_up[5m])) == 0
                  and max without (instance, node, pod) (last_over_time(avi_controller_upgrade_in_progress[5m])) == 1
                )
            )
            unless ignoring (unit, cloud) controller_unit:avi_upgrade_acknowledged:any
        """,
        summary="""
            The upgrade of {{ if eq $labels.kind "controller" }}the Controllers{{ else }}{{ $labels.unit }}
            {{- with $labels.cloud }} in {{ . }}{{ end }}{{ end }} on {{ $labels.controller }} does not move
        """,
        description="""
            The Controller {{ $labels.controller }} says that it is upgrading {{ if eq $labels.kind "controller" }}its
            Controllers{{ else }}the SE group {{ $labels.unit }}{{ end }} ({{ $labels.unit_uuid }}), but neither
            progress nor a task nor a Service Engine has moved for
            {{ if eq $labels.kind "controller" }}15{{ else }}25{{ end }} minutes or more.
        """,
    ),
    Alert(
        "AviUpgradeServiceEngineStuck",
        severity="warning",
        lasting="1m",
        expr=unit_alert(
            "AviUpgradeServiceEngineStuck",
            """
                max without (instance, node, pod) (
                  time() - avi_upgrade_oldest_service_engine_timestamp_seconds
                  and ignoring (state) avi_upgrade_state{state=~"running|aborting"} == 1
                  and ignoring (unit_uuid, kind) avi_controller_up == 1
                ) > 1500
            """,
        ),
        summary="""
            A Service Engine of {{ $labels.unit }}{{ with $labels.cloud }} in {{ . }}{{ end }} on
            {{ $labels.controller }} takes more than 25 minutes
        """,
        description="""
            A Service Engine of the SE group {{ $labels.unit }} ({{ $labels.unit_uuid }}) of the Controller
            {{ $labels.controller }} has been in progress for more than 25 minutes, as this monitor saw it. A large
            one may take 20 minutes to come back; this one may not come back.
        """,
    ),
    Alert(
        "AviUpgradeStateUnknown",
        severity="info",
        lasting="15m",
        expr=unit_alert(
            "AviUpgradeStateUnknown",
            'max without (instance, node, pod, state) (avi_upgrade_state{state="unknown"}) == 1',
            leftovers=False,
            firing=True,
        ),
        summary="""
            The state of {{ if eq $labels.kind "controller" }}the Controllers{{ else }}{{ $labels.unit }}
            {{- with $labels.cloud }} in {{ . }}{{ end }}{{ end }} on {{ $labels.controller }} is not known
        """,
        description="""
            For a quarter of an hour the Controller {{ $labels.controller }} has given a state of
            {{ if eq $labels.kind "controller" }}its Controllers{{ else }}the SE group {{ $labels.unit }}{{ end }}
            ({{ $labels.unit_uuid }}) that this version of the monitor does not know. No alert tells when its upgrade
            fails or stalls.
        """,
    ),
)
