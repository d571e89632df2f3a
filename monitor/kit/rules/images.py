"""Rules on images."""

from typing import Final

from monitor.kit.rules.rule import Alert, Record, image_alert

RULES: Final = (
    Record(
        "controller_image:avi_image_info:name",
        comment="One name of each image: two monitors may know different ones for a moment",
        expr="""
            max without (instance, node, pod) (
              topk without (instance, node, pod, image) (
                1, max without (tenant, type, version, patch, uber_bundle) (avi_image_info)
              )
            )
        """,
    ),
    Record(
        "controller_image:avi_image_acknowledged:any",
        comment="""
            1 for each image that is acknowledged on a monitor, also when the scrapes of that monitor are lost for a
            while
        """,
        expr="max without (instance, node, pod) (last_over_time(avi_image_acknowledged[15m])) == 1",
    ),
    Record(
        "controller_image:avi_image_state:earlier",
        comment="""
            Images whose state changed more than a day before a monitor saw them: what happened to them is history,
            and no reason to look now. The value is that time in seconds. The Controller's times, in the order in
            which they are believed; an image without any is not history.
        """,
        expr="""
            min without (instance, node, pod) (
              last_over_time(avi_image_progress_changed_timestamp_seconds[15m])
              - (
                last_over_time(avi_image_end_timestamp_seconds[15m])
                or last_over_time(avi_image_state_changed_timestamp_seconds[15m])
                or last_over_time(avi_image_last_modified_timestamp_seconds[15m])
              )
            ) > 86400
        """,
    ),
    Record(
        "controller:avi_controller_up:unread",
        comment="""
            Controllers that a monitor watches and none can read at the moment: no poll is good, no monitor was able
            to poll since its start, or no monitor is scraped (for a quarter of an hour). A controller that was taken
            out of the configuration of a monitor that is scraped is not one of them.
        """,
        expr="""
            count without (instance, node, pod, resource) (
              avi_controller_stale{resource="image"}
              or (
                last_over_time(avi_controller_stale{resource="image"}[15m])
                unless ignoring (controller, resource) avi_upgrade_monitor_config_last_reload_successful
              )
            )
            unless count without (instance, node, pod) (avi_controller_up == 1)
        """,
    ),
    Alert(
        "AviImageUploadFailed",
        severity="critical",
        lasting="1m",
        expr=image_alert(
            "AviImageUploadFailed",
            """
                max without (instance, node, pod, state) (avi_image_state{state="failed"}) == 1
                unless controller_image:avi_image_state:earlier
            """,
        ),
        summary="The upload of image {{ $labels.image }} to {{ $labels.controller }} failed",
        description="""
            The Controller {{ $labels.controller }} ended the processing of the image {{ $labels.image }}
            ({{ $labels.image_uuid }}) as failed, so it cannot be upgraded with this image. Acknowledge the image once
            an operator takes care of it.
        """,
    ),
    Alert(
        "AviImageFailedEarlier",
        severity="info",
        lasting="1m",
        expr=image_alert(
            "AviImageFailedEarlier",
            """
                max without (instance, node, pod, state) (avi_image_state{state="failed"}) == 1
                and controller_image:avi_image_state:earlier
            """,
        ),
        summary="The image {{ $labels.image }} on {{ $labels.controller }} failed before it was watched",
        description="""
            The image {{ $labels.image }} ({{ $labels.image_uuid }}) of the Controller {{ $labels.controller }} had
            failed more than a day before a monitor saw it. Delete it there, or acknowledge it.
        """,
    ),
    Alert(
        "AviImageStalled",
        comment="""
            Only images that report something that can move: releases before 21.1.3 and some editions report neither
            progress nor tasks nor events. AviImageSlow sees those.
        """,
        severity="critical",
        lasting="1m",
        expr=image_alert(
            "AviImageStalled",
            """
                max without (instance, node, pod) (
                  time() - avi_image_progress_changed_timestamp_seconds
                  and ignoring (state) avi_image_state{state=~"started|in_progress"} == 1
                  and ignoring (image_uuid) avi_controller_up == 1
                  and ignoring (node)
                    (avi_image_progress_ratio or avi_image_tasks_completed or max without (node, state) (avi_image_node_events))
                ) > STALLED_SECONDS
                unless controller_image:avi_image_state:earlier
            """,
        ),
        summary="Image {{ $labels.image }} on {{ $labels.controller }} does not move",
        description="""
            The Controller {{ $labels.controller }} says that it is processing the image {{ $labels.image }}
            ({{ $labels.image_uuid }}), but neither progress nor a task nor an event has moved for STALLED_WORDS
            or more.
        """,
    ),
    Alert(
        "AviImageSlow",
        comment="The start, or the time that comes next to it where the Controller gives none",
        severity="warning",
        lasting="1m",
        expr=image_alert(
            "AviImageSlow",
            """
                max without (instance, node, pod) (
                  time() - (
                    avi_image_start_timestamp_seconds
                    or avi_image_state_changed_timestamp_seconds
                    or avi_image_last_modified_timestamp_seconds
                  )
                  and ignoring (state) avi_image_state{state=~"started|in_progress"} == 1
                  and ignoring (image_uuid) avi_controller_up == 1
                ) > 3600
            """,
        ),
        summary="Image {{ $labels.image }} has been processed on {{ $labels.controller }} for more than an hour",
        description="""
            The Controller {{ $labels.controller }} began to process the image {{ $labels.image }}
            ({{ $labels.image_uuid }}) more than an hour ago, by its own clock, and has not ended. An hour is more
            than an image usually takes.
        """,
    ),
    Alert(
        "AviImageNodeEventFailed",
        severity="warning",
        lasting="1m",
        expr=image_alert(
            "AviImageNodeEventFailed",
            """
                max without (instance, pod, state) (avi_image_node_events{state="failed"}) > 0
                unless ignoring (node) controller_image:avi_image_state:earlier
            """,
            also="node",
        ),
        summary="Tasks of image {{ $labels.image }} failed on node {{ $labels.node }} of {{ $labels.controller }}",
        description=r"""
            On the node {{ $labels.node }} of the Controller {{ $labels.controller }}, tasks of the image
            {{ $labels.image }} ({{ $labels.image_uuid }}) failed: {{- range printf "count by (task, status)
            (avi_image_node_event_state{job=%q, controller=%q, image_uuid=%q, node=%q, state=\"failed\"})" .Labels.job
            .Labels.controller .Labels.image_uuid .Labels.node | query | sortByLabel "task" }} {{ .Labels.task }} with
            {{ .Labels.status }}. {{- else }} their detail was not exported. {{- end }}
        """,
    ),
    Alert(
        "AviImageNodesDiverged",
        comment="""
            Nodes have different tasks, so their counts cannot be compared. But once one node has finished all its
            events, the others should follow soon. Of several monitors, the one that has seen most events of the node
            succeed counts.
        """,
        severity="warning",
        lasting="15m",
        expr=image_alert(
            "AviImageNodesDiverged",
            """
                min without (instance, pod) (
                  sum without (state) (avi_image_node_events{state!="succeeded"})
                  and ignoring (image_uuid, node) avi_controller_up == 1
                ) > 0
                and ignoring (node)
                  min without (instance, node, pod) (sum without (state) (avi_image_node_events{state!="succeeded"})) == 0
                unless ignoring (node) controller_image:avi_image_state:earlier
            """,
            also="node",
            firing=True,
        ),
        summary="Node {{ $labels.node }} of {{ $labels.controller }} stays behind with image {{ $labels.image }}",
        description="""
            For a quarter of an hour the node {{ $labels.node }} of the Controller {{ $labels.controller }} has had
            events of the image {{ $labels.image }} ({{ $labels.image_uuid }}) that have not succeeded, while another
            node has done all that it began. An upgrade needs the image on every node.
        """,
    ),
    Alert(
        "AviImageStateUnknown",
        severity="info",
        lasting="15m",
        expr=image_alert(
            "AviImageStateUnknown",
            """
                max without (instance, node, pod, state) (avi_image_state{state="unknown"}) == 1
                unless controller_image:avi_image_state:earlier
            """,
            firing=True,
        ),
        summary="The state of image {{ $labels.image }} on {{ $labels.controller }} is not known",
        description="""
            For a quarter of an hour the Controller {{ $labels.controller }} has given no state of the image
            {{ $labels.image }} ({{ $labels.image_uuid }}), or one that this version of the monitor does not know.
            No alert tells when the image fails or stalls.
        """,
    ),
)
