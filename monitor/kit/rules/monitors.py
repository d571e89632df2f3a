"""Rules on the monitor itself."""

from typing import Final

from monitor.kit.rules.rule import Alert, Record

RULES: Final = (
    Record(
        "monitor:up:known",
        comment="""
            The targets that are monitors: by the name of the job, which is namespace/name under an operator, or,
            whatever the job is called, because a monitor was scraped there within a day
        """,
        expr="""
            up{job=~"(.+/)?avi-upgrade-monitor.*"}
            or up and on (job, instance) last_over_time(avi_upgrade_monitor_build_info[1d])
        """,
    ),
    Alert(
        "AviMonitorAbsent",
        comment="""
            No target of a job answers; a job that had monitors within a day has no target; or there is no such job at
            all
        """,
        severity="critical",
        lasting="5m",
        expr="""
            sum without (instance, node, pod) (monitor:up:known) == 0
            or
            count without (instance, node, pod, version) (last_over_time(avi_upgrade_monitor_build_info[1d]))
              unless on (job) monitor:up:known
            or
            absent(monitor:up:known or last_over_time(avi_upgrade_monitor_build_info[1d]))
        """,
        summary="No avi-upgrade-monitor runs{{ with $labels.job }} in job {{ . }}{{ end }}",
        description="""
            Prometheus has had no good scrape of any avi-upgrade-monitor {{- with $labels.job }} of the job
            {{ . }}{{ end }} for five minutes. The images are not watched, and none of the other alerts can fire.
        """,
    ),
    Alert(
        "AviMonitorDown",
        severity="warning",
        lasting="5m",
        expr="monitor:up:known == 0",
        summary="The monitor {{ $labels.instance }} cannot be scraped",
        description="""
            Prometheus has had no good scrape of the avi-upgrade-monitor at {{ $labels.instance }} for five minutes.
        """,
    ),
    Alert(
        "AviMonitorFlapping",
        comment="""
            Cannot be scraped for more than half of a quarter of an hour, and not at one time, as when it ends and is
            started again and again. Steps of 30 s, so 15 of them are half.
        """,
        severity="warning",
        expr="""
            count_over_time((monitor:up:known == 0)[15m:30s]) > 15
            and changes(monitor:up:known[15m]) >= 4
        """,
        summary="Most scrapes of the monitor {{ $labels.instance }} fail",
        description="""
            For more than half of the last quarter of an hour Prometheus was not able to scrape the
            avi-upgrade-monitor at {{ $labels.instance }}; now and then a scrape was good. It may end and be started
            again and again.
        """,
    ),
    Alert(
        "AviMonitorStuck",
        comment="""
            The newest attempt of all, as a single controller may wait for a slot. The second half: none was ever
            made.
        """,
        severity="critical",
        lasting="2m",
        expr="""
            (
              time() - max without (controller) (last_over_time(avi_controller_last_poll_attempt_timestamp_seconds[5m]))
              > 300 + max without (controller) (last_over_time(avi_controller_poll_interval_seconds[5m]))
            )
            or
            (
              count without (controller, resource) (last_over_time(avi_controller_stale{resource="image"}[5m]))
              unless max without (controller) (last_over_time(avi_controller_last_poll_attempt_timestamp_seconds[5m]))
            )
        """,
        summary="The monitor {{ $labels.instance }} answers scrapes but does not poll",
        description="""
            The avi-upgrade-monitor at {{ $labels.instance }} has polled no controller for longer than five minutes
            beyond its longest interval. What it shows is old.
        """,
    ),
    Alert(
        "AviMonitorLoopBlocked",
        severity="warning",
        lasting="5m",
        expr="last_over_time(avi_upgrade_monitor_event_loop_lag_seconds[3m]) > 0.5",
        summary="The event loop of {{ $labels.instance }} is blocked again and again",
        description="""
            In each of the last five minutes the event loop of the avi-upgrade-monitor at {{ $labels.instance }} was
            blocked, for at most {{ $value | humanizeDuration }}. Polls, scrapes and PATCHes waited.
        """,
    ),
    Alert(
        "AviMonitorReloadFailed",
        severity="warning",
        lasting="1m",
        expr="last_over_time(avi_upgrade_monitor_config_last_reload_successful[5m]) == 0",
        summary="The monitor {{ $labels.instance }} runs with an old configuration",
        description="""
            The configuration that the avi-upgrade-monitor at {{ $labels.instance }} read last is invalid. It goes on
            with the one before, and would not start with this one.
        """,
    ),
    Alert(
        "AviMonitorStoreDown",
        severity="critical",
        lasting="2m",
        expr="last_over_time(avi_upgrade_monitor_store_up[5m]) == 0",
        summary="The database of {{ $labels.instance }} does not answer",
        description="""
            Operations on the database of the avi-upgrade-monitor at {{ $labels.instance }} have failed for two
            minutes. Images are still watched, but cannot be annotated, acknowledged or adjusted.
        """,
    ),
    Alert(
        "AviMonitorNoWriter",
        comment="""
            A daemon that finds another one writing to the database is a standby, which is no fault while that one is
            of the same job.
        """,
        severity="critical",
        lasting="2m",
        expr="""
            max without (instance, node, pod) (last_over_time(avi_upgrade_monitor_writer[5m])) == 0
            unless max without (instance, node, pod) (last_over_time(avi_upgrade_monitor_store_up[5m]) == 0)
        """,
        summary="No monitor of the job {{ $labels.job }} can write to its database",
        description="""
            All monitors of the job {{ $labels.job }} have been standbys for two minutes: a daemon outside of the job
            writes to their database. They show what it writes, and pass changes on to it where they can reach it.
        """,
    ),
    Alert(
        "AviMonitorAuditNotWritable",
        severity="critical",
        expr="increase(avi_upgrade_monitor_audit_write_failures_total[15m]) > 0",
        summary="The monitor {{ $labels.instance }} could not write its audit log",
        description="""
            In the last quarter of an hour the avi-upgrade-monitor at {{ $labels.instance }} could not write an audit
            record at once. Changes are rejected; outcomes of changes that were made are kept and written later.
        """,
    ),
    Alert(
        "AviMonitorAuthAbuse",
        severity="warning",
        expr="""
            sum without (instance, node, pod) (increase(avi_upgrade_monitor_auth_failures_total[15m])) > 100
        """,
        summary="Many requests with unknown credentials to avi-upgrade-monitor",
        description="""
            In the last quarter of an hour about {{ $value | printf "%.0f" }} requests came with unknown credentials:
            more than a script with an old token usually makes.
        """,
    ),
    Alert(
        "AviMonitorPatchOutcomeUnknown",
        comment="As for AviControllerBadObjects: increased, or above 0 at its first sample",
        severity="warning",
        expr="""
            max without (outcome) (
              increase(avi_upgrade_monitor_patches_total{outcome="unknown"}[1h]) > 0
              or (
                avi_upgrade_monitor_patches_total{outcome="unknown"} > 0
                unless last_over_time(avi_upgrade_monitor_patches_total{outcome="unknown"}[1h] offset 1h)
              )
            )
        """,
        summary="A change by way of {{ $labels.instance }} has an unknown outcome",
        description="""
            In the last hour the avi-upgrade-monitor at {{ $labels.instance }} sent a change to a Controller and got
            no answer, or ended before it came. The image may or may not be changed: look at it before the change is
            repeated.
        """,
    ),
    Alert(
        "AviMonitorVersionsDiffer",
        severity="info",
        lasting="1h",
        expr="""
            count without (version)
              (count without (instance, node, pod) (last_over_time(avi_upgrade_monitor_build_info[5m]))) > 1
        """,
        summary="The monitors of the job {{ $labels.job }} run two versions",
        description="""
            For an hour the monitors of the job {{ $labels.job }} have run versions that differ, so an update was not
            finished. They run:
            {{- range printf "count by (version) (avi_upgrade_monitor_build_info{job=%q})" .Labels.job | query | sortByLabel "version" }}
            {{ .Labels.version }}.
            {{- else }}
            their versions are not known at the moment.
            {{- end }}
        """,
    ),
    Alert(
        "AviMonitorLabelsRenamed",
        comment="""
            A target label of the same name as one of ours renames ours, unless the scrape config has honor_labels:
            true
        """,
        severity="warning",
        lasting="1m",
        expr="""
            count without (controller, image_uuid, state, exported_node) (avi_image_node_events{exported_node!=""})
            or count without (exported_controller) (avi_controller_up{exported_controller!=""})
        """,
        summary="The scrape config renames labels of the monitor {{ $labels.instance }}",
        description="""
            The target {{ $labels.instance }} of the job {{ $labels.job }} has a label node or controller of its own,
            so Prometheus calls that of the series exported_node or exported_controller. Alerts name the wrong
            machine, or do not fire. Set honor_labels to true in the scrape config.
        """,
    ),
)
