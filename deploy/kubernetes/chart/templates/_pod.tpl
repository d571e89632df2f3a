{{/* The spec of the pod: the daemon, and in the demo the simulated Controllers beside it. */}}
{{- define "avi-upgrade-monitor.pod" -}}
serviceAccountName: {{ include "avi-upgrade-monitor.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- include "avi-upgrade-monitor.imagePullSecrets" . }}
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.extraInitContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: monitor
    image: {{ include "avi-upgrade-monitor.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args:
      - run
      - --config=/etc/avi-upgrade-monitor/config.yml
      {{- with .Values.extraArgs }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    env:
      {{- include "avi-upgrade-monitor.env" . | nindent 6 }}
    {{- with .Values.extraEnvFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    ports:
      - name: http
        containerPort: {{ include "avi-upgrade-monitor.port" . }}
      - name: health
        containerPort: {{ include "avi-upgrade-monitor.healthPort" . }}
    {{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" }}
    {{- with index $.Values $probe }}
    {{ $probe }}:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- end }}
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    volumeMounts:
      - name: config
        mountPath: /etc/avi-upgrade-monitor
        readOnly: true
      - name: state
        mountPath: /var/lib/avi-upgrade-monitor
      - name: tmp
        mountPath: /tmp
      {{- range $number, $name := .Values.secrets }}
      - name: secret-{{ $number }}
        mountPath: /run/secrets/{{ $name }}
        readOnly: true
      {{- end }}
      {{- if .Values.demo }}
      - name: demo
        mountPath: /demo
        readOnly: true
      {{- end }}
      {{- with .Values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  {{- if .Values.demo }}
  - name: simulator
    image: {{ include "avi-upgrade-monitor.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args: [simulate, --port=18440, --config-dir=/demo]
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    volumeMounts:
      - name: demo
        mountPath: /demo
      - name: tmp
        mountPath: /tmp
  {{- end }}
  {{- with .Values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumes:
  - name: config
    {{- with .Values.existingSecret }}
    secret:
      secretName: {{ . }}
      defaultMode: 0440
    {{- else }}
    configMap:
      name: {{ .Values.existingConfigMap | default (printf "%s-config" (include "avi-upgrade-monitor.fullname" .)) }}
    {{- end }}
  - name: tmp
    emptyDir: {}
  {{- if or .Values.demo (include "avi-upgrade-monitor.postgresql" .) (not .Values.persistence.enabled) }}
  - name: state
    emptyDir: {}
  {{- else if .Values.persistence.existingClaim }}
  - name: state
    persistentVolumeClaim:
      claimName: {{ .Values.persistence.existingClaim }}
  {{- end }}
  {{- range $number, $name := .Values.secrets }}
  - name: secret-{{ $number }}
    secret:
      secretName: {{ $name }}
      defaultMode: 0440
  {{- end }}
  {{- if .Values.demo }}
  - name: demo
    emptyDir: {}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- include "avi-upgrade-monitor.scheduling" . }}
{{- end }}

{{/*
What commands in the pod ask, and where a standby finds the pod that writes. A variable of `extraEnv` takes the place of one
of the same name, such as where the daemon serves TLS: the API server refuses a name that is there twice.
*/}}
{{- define "avi-upgrade-monitor.env" -}}
{{- $port := include "avi-upgrade-monitor.port" . -}}
{{- $host := printf "$(POD_NAME).%s-headless.%s.svc" (include "avi-upgrade-monitor.fullname" .) .Release.Namespace -}}
{{- $own := list
  (dict "name" "POD_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")))
  (dict "name" "AVI_UPGRADE_MONITOR_URL" "value" (printf "http://127.0.0.1:%s" $port))
  (dict "name" "AVI_UPGRADE_MONITOR_ADVERTISE_URL" "value" (printf "http://%s:%s" $host $port))
-}}
{{- $given := list -}}
{{- range .Values.extraEnv }}{{ $given = append $given .name }}{{ end -}}
{{- range $own }}
{{- if not (has .name $given) }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where the pod runs. Replicas are spread over nodes, unless the values say otherwise. */}}
{{- define "avi-upgrade-monitor.scheduling" -}}
{{- if .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml .Values.topologySpreadConstraints | nindent 2 }}
{{- else if gt (int .Values.replicas) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "avi-upgrade-monitor.selectorLabels" . | nindent 8 }}
{{- end }}
{{- range $key := list "priorityClassName" "nodeSelector" "tolerations" "affinity" "hostAliases" "dnsConfig" }}
{{- with index $.Values $key }}
{{ toYaml (dict $key .) }}
{{- end }}
{{- end }}
{{- end }}
