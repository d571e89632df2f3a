"""Rules on Controllers."""

from typing import Final

from monitor.kit.rules.rule import Alert

RULES: Final = (
    Alert(
        "AviControllerDown",
        severity="critical",
        lasting="5m",
        expr="""
            max without (instance, node, pod) (last_over_time(avi_controller_up[5m])) == 0
            unless max without (instance, node, pod) (last_over_time(avi_controller_upgrade_in_progress[5m])) == 1
        """,
        summary="Controller {{ $labels.controller }} cannot be polled",
        description="""
            No monitor has had a good poll of the Controller {{ $labels.controller }} for five minutes, and it did not
            say that it is being upgraded. What its images do is not known; alerts on them stand as they are.
        """,
    ),
    Alert(
        "AviControllerFlapping",
        comment="""
            Down for more than half of a quarter of an hour, and not at one time: AviControllerDown begins anew at
            each good poll. Steps of 30 s, so 15 of them are half.
        """,
        severity="warning",
        expr="""
            count_over_time(
              (
                max without (instance, node, pod) (avi_controller_up) == 0
                unless max without (instance, node, pod) (avi_controller_upgrade_in_progress) == 1
              )[15m:30s]
            ) > 15
            and changes((max without (instance, node, pod) (avi_controller_up))[15m:30s]) >= 4
        """,
        summary="Most polls of controller {{ $labels.controller }} fail",
        description="""
            For more than half of the last quarter of an hour no monitor was able to poll the Controller
            {{ $labels.controller }}; now and then a poll was good. What is shown of its images is often old.
        """,
    ),
    Alert(
        "AviControllerDownForOne",
        comment="""
            For ten minutes of a quarter of an hour, which need not be at one time, while all monitors together missed
            less than five. Steps of 30 s. A monitor for which the Controllers are away for an upgrade is excused,
            until another one that polls them sees no upgrade.
        """,
        severity="warning",
        expr="""
            count_over_time(
              (
                avi_controller_up == 0
                unless (
                  avi_controller_upgrade_in_progress == 1
                  unless ignoring (instance, node, pod)
                    count without (instance, node, pod) (avi_controller_up == 1 and avi_controller_upgrade_in_progress == 0)
                )
              )[15m:30s]
            ) > 20
            unless ignoring (instance, node, pod)
              count_over_time((max without (instance, node, pod) (avi_controller_up) == 0)[15m:30s]) > 10
        """,
        summary="{{ $labels.instance }} cannot poll controller {{ $labels.controller }}, another monitor can",
        description="""
            For ten minutes of the last quarter of an hour the monitor {{ $labels.instance }} was not able to poll the
            Controller {{ $labels.controller }}, while another one was. Nothing is missed yet, but if the other one
            fails, the controller is not watched.
        """,
    ),
    Alert(
        "AviControllerUpgradeOverdue",
        comment="""
            Only while the Controllers are away: the upgrade of the Service Engines after that may take many hours
        """,
        severity="critical",
        lasting="2h",
        expr="""
            max without (instance, node, pod) (last_over_time(avi_controller_up[15m])) == 0
            and max without (instance, node, pod) (last_over_time(avi_controller_upgrade_in_progress[15m])) == 1
        """,
        summary="Controller {{ $labels.controller }} has not come back from its upgrade for two hours",
        description=r"""
            The Controller {{ $labels.controller }} went away for its upgrade, and no monitor has had a good poll of
            it for two hours. Meanwhile the alerts that it is down are suppressed; this one is not. {{- with printf
            "(max by (unit_uuid, state) (last_over_time(avi_upgrade_state{job=%q, controller=%q,
            state=~\"queued|checking|running|aborting|suspended\"}[3h])) == 1) * on (unit_uuid) group_left (unit,
            cloud) topk by (unit_uuid) (1, max by (unit_uuid, unit, cloud) (last_over_time(avi_upgrade_info{job=%q,
            controller=%q}[3h])))" .Labels.job .Labels.controller .Labels.job .Labels.controller | query | sortByLabel "unit" }} When it was last
            read: {{- range . }} {{ .Labels.unit }}{{ with .Labels.cloud }} in {{ . }}{{ end }} was
            {{ .Labels.state }}.{{ end }} {{- end }}
        """,
    ),
    Alert(
        "AviControllerStale",
        comment="""
            Of images and of upgrade status, each by itself. Also while an upgrade is in progress, unless the
            Controllers are away for it: while Service Engines are upgraded they answer.
        """,
        severity="warning",
        lasting="1m",
        expr="""
            min without (instance, node, pod) (last_over_time(avi_controller_stale[5m])) == 1
            unless ignoring (resource) (
              max without (instance, node, pod) (last_over_time(avi_controller_up[5m])) == 0
              and max without (instance, node, pod) (last_over_time(avi_controller_upgrade_in_progress[5m])) == 1
            )
        """,
        summary="""
            No monitor shows the {{ if eq $labels.resource "upgrade" }}upgrade status{{ else }}images{{ end }} of
            controller {{ $labels.controller }} any more
        """,
        description="""
            The last good read of the {{ if eq $labels.resource "upgrade" }}upgrade status{{ else }}images{{ end }} of
            the Controller {{ $labels.controller }} is so old that every monitor has withdrawn what it showed. No new
            alert on {{ if eq $labels.resource "upgrade" }}an upgrade can fire until a read succeeds.{{ else }}an
            image can fire until a read succeeds; those that fire stay.{{ end }}
        """,
    ),
    Alert(
        "AviControllerLogInSuspended",
        severity="critical",
        lasting="1m",
        expr="count without (instance, node, pod) (last_over_time(avi_controller_auth_suspended[5m]) == 1)",
        summary="Controller {{ $labels.controller }} refuses the password",
        description="""
            The Controller {{ $labels.controller }} refused the log-in of {{ $value }} monitor(s). It is not tried
            again until the password changes, so that the account is not locked: an operator has to act.
        """,
    ),
    Alert(
        "AviControllerThrottled",
        comment="""
            A poll whose read of images is throttled does not read upgrade status, so the sum over both counts polls
        """,
        severity="warning",
        lasting="1m",
        expr="""
            max without (instance, node, pod)
              (sum without (reason, resource) (increase(avi_controller_poll_failures_total{reason="throttled"}[15m]))) > 2.5
        """,
        summary="Controller {{ $labels.controller }} limits the rate of polls",
        description="""
            The Controller {{ $labels.controller }} answered about {{ $value | printf "%.0f" }} polls of the last
            quarter of an hour with 429, too many requests.
        """,
    ),
    Alert(
        "AviControllerCertificateExpiring",
        severity="warning",
        lasting="1h",
        expr="""
            min without (instance, node, pod) (last_over_time(avi_controller_tls_certificate_expiry_timestamp_seconds[5m]))
            - time() < 21 * 86400
        """,
        summary="The certificate of controller {{ $labels.controller }} expires within three weeks, or has expired",
        description="""
            The portal certificate that the Controller {{ $labels.controller }} shows {{ if lt $value 0.0 }}has
            expired{{ else }}expires in {{ $value | humanizeDuration }}{{ end }}. From then on clients that verify it
            cannot connect. This includes this monitor, unless the certificate is pinned.
        """,
    ),
    Alert(
        "AviControllerCertificateExpiringSoon",
        comment="Three days include a weekend",
        severity="critical",
        lasting="15m",
        expr="""
            min without (instance, node, pod) (last_over_time(avi_controller_tls_certificate_expiry_timestamp_seconds[5m]))
            - time() < 3 * 86400
        """,
        summary="The certificate of controller {{ $labels.controller }} expires within three days, or has expired",
        description="""
            The portal certificate that the Controller {{ $labels.controller }} shows {{ if lt $value 0.0 }}has
            expired{{ else }}expires in {{ $value | humanizeDuration }}{{ end }}. From then on clients that verify it
            cannot connect. This includes this monitor, unless the certificate is pinned.
        """,
    ),
    Alert(
        "AviControllerTlsInsecure",
        severity="info",
        lasting="1h",
        expr="max without (instance, node, pod) (last_over_time(avi_controller_tls_insecure[5m])) == 1",
        summary="The identity of controller {{ $labels.controller }} is not verified",
        description="""
            The configuration has insecure_skip_verify for the Controller {{ $labels.controller }}: an attacker in the
            network between can read the password of the account and forge the images.
        """,
    ),
    Alert(
        "AviControllerSeriesDropped",
        severity="warning",
        lasting="5m",
        expr="max without (instance, node, pod) (increase(avi_controller_series_dropped_total[15m])) > 0",
        summary="""
            Series of the {{ if eq $labels.resource "upgrade" }}upgrade status{{ else }}images{{ end }} of controller
            {{ $labels.controller }} are left out
        """,
        description="""
            The {{ if eq $labels.resource "upgrade" }}upgrade status{{ else }}images{{ end }} of the Controller
            {{ $labels.controller }} would have more series than the budgets allow. The series per task are left out
            first, then those per node, then whole {{ if eq $labels.resource "upgrade" }}SE
            groups{{ else }}images{{ end }}: alerts may miss what is left out.
        """,
    ),
    Alert(
        "AviControllerBadObjects",
        comment="""
            Counters that increased in the last six hours, and counters whose first sample is above 0, which
            increase() does not see. A first sample is one without any sample in the six hours before: a scrape or two
            may have failed.
        """,
        severity="warning",
        lasting="1m",
        expr="""
            max without (instance, node, pod) (
              increase(avi_controller_bad_objects_total[6h]) > 0
              or (avi_controller_bad_objects_total > 0 unless last_over_time(avi_controller_bad_objects_total[6h] offset 6h))
            )
        """,
        summary="""
            {{ if eq $labels.resource "upgrade" }}An object of the upgrade status{{ else }}An image{{ end }} of
            controller {{ $labels.controller }} cannot be decoded
        """,
        description="""
            In the last six hours the Controller {{ $labels.controller }} returned
            {{ if eq $labels.resource "upgrade" }}objects of its upgrade status{{ else }}image objects{{ end }} that
            cannot be decoded. They are left out, so they are not watched.
        """,
    ),
    Alert(
        "AviControllerSchemaDrift",
        severity="info",
        lasting="1m",
        expr="""
            max without (instance, node, pod) (
              increase(avi_controller_unknown_values_total[6h]) > 0
              or (avi_controller_unknown_values_total > 0 unless last_over_time(avi_controller_unknown_values_total[6h] offset 6h))
            )
        """,
        summary="""
            Controller {{ $labels.controller }} returns unknown values of {{ $labels.field }} in its
            {{ if eq $labels.resource "upgrade" }}upgrade status{{ else }}images{{ end }}
        """,
        description="""
            In the last six hours the {{ if eq $labels.resource "upgrade" }}upgrade status{{ else }}images{{ end }} of
            the Controller {{ $labels.controller }} had values of {{ $labels.field }} that this version of the monitor
            does not know. What has them is still watched, without these values.
        """,
    ),
)
