"""Alerts on Controllers that are away, on rollbacks, on pre-checks and on what an upgrade left behind."""

from typing import Final

from monitor.kit.rules.rule import Alert, unit_alert

RULES: Final = (
    Alert(
        "AviUpgradeControllersAway",
        comment="""
            The phase is away then. These two say the same, and also when a monitor was started meanwhile, which knows
            no phase.
        """,
        severity="critical",
        lasting="20m",
        expr="""
            max without (instance, node, pod) (last_over_time(avi_controller_up[5m])) == 0
            and max without (instance, node, pod) (last_over_time(avi_controller_upgrade_in_progress[5m])) == 1
        """,
        summary="The Controllers of {{ $labels.controller }} have been away for their upgrade for 20 minutes",
        description="""
            The Controllers of {{ $labels.controller }} reboot for their upgrade, and no monitor has had an answer for
            20 minutes; 4 to 10 are usual. Virtual services go on, but nothing can be configured, and what is shown of
            the upgrade is of before.
        """,
    ),
    Alert(
        "AviUpgradeRollingBack",
        comment="No rollback was asked for: what is under way failed, and goes back by itself",
        severity="critical",
        expr=unit_alert(
            "AviUpgradeRollingBack",
            'max without (instance, node, pod, state) (avi_upgrade_state{state="aborting"}) == 1',
        ),
        summary="""
            The upgrade of {{ if eq $labels.kind "controller" }}the Controllers{{ else }}{{ $labels.unit }}
            {{- with $labels.cloud }} in {{ . }}{{ end }}{{ end }} on {{ $labels.controller }} is aborted
        """,
        description="""
            The Controller {{ $labels.controller }} aborts the operation of {{ if eq $labels.kind "controller" }}its
            Controllers{{ else }}the SE group {{ $labels.unit }}{{ end }} ({{ $labels.unit_uuid }}), and goes back to
            the version before. A step of it failed.
        """,
    ),
    Alert(
        "AviUpgradeRollbackRequested",
        severity="warning",
        expr=unit_alert(
            "AviUpgradeRollbackRequested",
            """
                max without (instance, node, pod, state) (avi_upgrade_state{state=~"queued|running"}) == 1
                and ignoring (unit, cloud, tenant, version, tag, patch, previous_version, operation, system)
                  max without (instance, node, pod) (avi_upgrade_info{operation=~"rollback|rollback_patch"})
            """,
        ),
        summary="""
            A rollback of {{ if eq $labels.kind "controller" }}the Controllers{{ else }}{{ $labels.unit }}
            {{- with $labels.cloud }} in {{ . }}{{ end }}{{ end }} on {{ $labels.controller }} was begun
        """,
        description="""
            An operator of the Controller {{ $labels.controller }} has begun to roll back
            {{ if eq $labels.kind "controller" }}its Controllers{{ else }}the SE group {{ $labels.unit }}{{ end }}
            ({{ $labels.unit_uuid }}).
        """,
    ),
    Alert(
        "AviUpgradeCheckErrors",
        severity="warning",
        lasting="1m",
        expr=unit_alert(
            "AviUpgradeCheckErrors",
            """
                max without (instance, node, pod, state) (avi_upgrade_state{state="check_failed"}) == 1
            """,
            leftovers=False,
        ),
        summary="""
            Pre-checks of {{ if eq $labels.kind "controller" }}the Controllers{{ else }}{{ $labels.unit }}
            {{- with $labels.cloud }} in {{ . }}{{ end }}{{ end }} on {{ $labels.controller }} failed
        """,
        description=r"""
            Pre-checks of {{ if eq $labels.kind "controller" }}the Controllers{{ else }}the SE group
            {{ $labels.unit }}{{ end }} ({{ $labels.unit_uuid }}) of {{ $labels.controller }} found errors, so the
            upgrade does not begin. Nothing was changed. With errors: {{- range printf "count by (check)
            (avi_upgrade_check_info{job=%q, controller=%q, unit_uuid=%q, result=\"error\"})" .Labels.job
            .Labels.controller .Labels.unit_uuid | query | sortByLabel "check" }} {{ .Labels.check }}. {{- else }}
            their detail was not exported. {{- end }}
        """,
    ),
    Alert(
        "AviUpgradeCheckWarnings",
        comment="Nothing runs: a run that ended in warnings waits for an operator, who may skip them",
        severity="info",
        lasting="1m",
        expr=unit_alert(
            "AviUpgradeCheckWarnings",
            """
                max without (instance, node, pod, state) (avi_upgrade_state{state="checked"}) == 1
                and (
                  max without (instance, node, pod, fsm) (avi_upgrade_fsm_info{fsm="UPGRADE_PRE_CHECK_WARNING"})
                  or max without (instance, node, pod, result) (avi_upgrade_check_exceptions{result="warning"}) > 0
                )
                unless ignoring (unit_uuid, kind)
                  count without (instance, node, pod, unit_uuid, kind, state)
                    (avi_upgrade_state{state=~"queued|checking|running|aborting|suspended"} == 1)
            """,
            leftovers=False,
        ),
        summary="""
            Pre-checks of {{ if eq $labels.kind "controller" }}the Controllers{{ else }}{{ $labels.unit }}
            {{- with $labels.cloud }} in {{ . }}{{ end }}{{ end }} on {{ $labels.controller }} ended with warnings
        """,
        description="""
            Pre-checks of {{ if eq $labels.kind "controller" }}the Controllers{{ else }}the SE group
            {{ $labels.unit }}{{ end }} ({{ $labels.unit_uuid }}) of {{ $labels.controller }} ended with warnings, and
            nothing runs. An upgrade that an operator began waits until the warnings are skipped.
        """,
    ),
    Alert(
        "AviUpgradeLeftBehind",
        comment="""
            The counts of both are of the whole controller, so the acknowledgement of its cluster is the one that
            counts
        """,
        severity="warning",
        lasting="1h",
        expr="""
            (
              (
                sum without (kind)
                  (max without (instance, node, pod) (last_over_time(avi_controller_upgrade_left_behind[5m]))) > 0
                and ignoring (phase)
                  max without (instance, node, pod) (last_over_time(avi_controller_upgrade_phase{phase="none"}[5m])) == 1
              )
              or
              max without (alertname, alertstate, severity) (ALERTS{alertname="AviUpgradeLeftBehind", alertstate="firing"})
                and controller:avi_controller_upgrades_readable:unread
            )
            unless ignoring (unit_uuid, kind) controller_unit:avi_upgrade_acknowledged:any{kind="controller"}
        """,
        summary="The upgrade of {{ $labels.controller }} is over, but not everything is on the new version",
        description=r"""
            For an hour nothing has been under way on the Controller {{ $labels.controller }}, but SE groups or
            Service Engines that took part in its last upgrade are not at its version, or failed. Not at its version:
            {{- range printf "max by (unit, cloud, version) (avi_upgrade_info{job=%q, controller=%q,
            kind=\"se_group\"}) unless on (version) avi_upgrade_info{job=%q, controller=%q,
            kind=\"controller\"}" .Labels.job .Labels.controller .Labels.job .Labels.controller | query | sortByLabel "unit" }}
            {{ .Labels.unit }}{{ with .Labels.cloud }} in {{ . }}{{ end }} ({{ .Labels.version }}). {{- else }} no SE
            group. {{- end }}
        """,
    ),
    Alert(
        "AviUpgradeVersionSkew",
        comment="""
            Upgrading Controllers and SE groups in windows of their own is usual, so two weeks. What took part and
            stayed behind is AviUpgradeLeftBehind.
        """,
        severity="info",
        lasting="14d",
        expr="""
            sum without (version, patch) (
              max without (instance, node, pod, kind) (avi_controller_upgrade_units{kind="se_group"})
              unless ignoring (patch)
                max without (instance, node, pod, kind) (avi_controller_upgrade_units{kind="controller"})
            )
            unless max without (instance, node, pod, kind) (avi_controller_upgrade_left_behind{kind="se_group"}) > 0
            or
            max without (alertname, alertstate, severity) (ALERTS{alertname="AviUpgradeVersionSkew"})
              and controller:avi_controller_upgrades_readable:unread
        """,
        summary="SE groups of {{ $labels.controller }} have run another version than its Controllers for two weeks",
        description=r"""
            For 14 days SE groups of the Controller {{ $labels.controller }} that took no part in its last upgrade
            have run another version: {{- range printf "max by (unit, cloud, version) (avi_upgrade_info{job=%q,
            controller=%q, kind=\"se_group\"}) unless on (version) avi_upgrade_info{job=%q, controller=%q,
            kind=\"controller\"}" .Labels.job .Labels.controller .Labels.job .Labels.controller | query | sortByLabel "unit" }}
            {{ .Labels.unit }}{{ with .Labels.cloud }} in {{ . }}{{ end }} ({{ .Labels.version }}). {{- else }} their
            names are not known at the moment. {{- end }}
        """,
    ),
    Alert(
        "AviUpgradeVersionsFull",
        severity="info",
        lasting="14d",
        expr="""
            count without (version)
              (max without (instance, node, pod, kind, patch) (avi_controller_upgrade_units{version!~"|other"})) >= 2
            or
            max without (alertname, alertstate, severity) (ALERTS{alertname="AviUpgradeVersionsFull"})
              and controller:avi_controller_upgrades_readable:unread
        """,
        summary="{{ $labels.controller }} runs two versions: its next upgrade will be refused",
        description="""
            For 14 days the Controllers, SE groups and Service Engines of {{ $labels.controller }} have run two
            versions or more. A Controller allows two, so it will refuse an upgrade to a third until everything runs
            one.
        """,
    ),
    Alert(
        "AviUpgradesUnreadable",
        comment="Of any monitor: one that may not read it watches no upgrade, whatever another one may read",
        severity="info",
        lasting="1h",
        expr="min without (instance, node, pod) (last_over_time(avi_controller_upgrades_readable[5m])) == 0",
        summary="A monitor cannot read the upgrade status of controller {{ $labels.controller }}",
        description="""
            For an hour the Controller {{ $labels.controller }} has refused a monitor its upgrade status, or is too
            old to have one. Its images are watched, its upgrades are not: while it is away for one, it may count as
            down.
        """,
    ),
)
