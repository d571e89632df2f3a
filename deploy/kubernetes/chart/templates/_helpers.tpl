{{- define "avi-upgrade-monitor.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 52 characters: a label of the pods has a hyphen and ten more, and labels have 63. */}}
{{- define "avi-upgrade-monitor.fullname" -}}
{{- $name := include "avi-upgrade-monitor.name" . -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{ default $both .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "avi-upgrade-monitor.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "avi-upgrade-monitor.selectorLabels" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "avi-upgrade-monitor.selectorLabels" -}}
app.kubernetes.io/name: {{ include "avi-upgrade-monitor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Not those of the daemon's pods: no Service must lead to the pod of `helm test`. */}}
{{- define "avi-upgrade-monitor.testLabels" -}}
app.kubernetes.io/name: {{ include "avi-upgrade-monitor.name" . | trunc 58 }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The metadata of an object. Arguments: root; and where it has them: name or the suffix of the name, labels, annotations. */}}
{{- define "avi-upgrade-monitor.metadata" -}}
metadata:
  name: {{ .name | default (include "avi-upgrade-monitor.fullname" .root) }}{{ with .suffix }}-{{ . }}{{ end }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "avi-upgrade-monitor.labels" .root | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "avi-upgrade-monitor.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (ternary (include "avi-upgrade-monitor.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "avi-upgrade-monitor.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "avi-upgrade-monitor.imagePullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The ports that the daemon listens on, from its own config. */}}
{{- define "avi-upgrade-monitor.port" -}}
{{ regexFind "[0-9]+$" .Values.config.listen }}
{{- end }}
{{- define "avi-upgrade-monitor.healthPort" -}}
{{ regexFind "[0-9]+$" (required "config.health.listen is missing, and the probes ask it: set it, such as to \":9973\"" (.Values.config.health | default dict).listen) }}
{{- end }}

{{/* Not empty if the database is PostgreSQL, and not a file. */}}
{{- define "avi-upgrade-monitor.postgresql" -}}
{{- if and (not .Values.demo) (or .Values.config.database_file (hasPrefix "postgresql:" (default "" .Values.config.database))) -}}
true
{{- end -}}
{{- end }}

{{/* The daemon's config: as the values have it, and in the demo with the simulated Controllers in place of others. */}}
{{- define "avi-upgrade-monitor.config" -}}
{{- if .Values.demo -}}
{{- $own := omit .Values.config "controllers" "database" "database_file" "database_password_file" -}}
{{- toYaml (mergeOverwrite $own (dict "anonymous" (list "metrics" "read") "controller_files" (list "/demo/controllers.y*ml"))) -}}
{{- else -}}
{{- toYaml .Values.config -}}
{{- end -}}
{{- end }}

{{/* One endpoint of a ServiceMonitor or PodMonitor. The rules know a monitor by its job; honorLabels keeps our label `node`. */}}
{{- define "avi-upgrade-monitor.endpoint" -}}
{{- $job := dict "action" "replace" "targetLabel" "job" "replacement" "avi-upgrade-monitor" -}}
{{- $fixed := dict "port" "http" "path" "/metrics" "honorLabels" true "relabelings" (append (default list .endpoint.relabelings) $job) -}}
{{- toYaml (merge $fixed (dict "interval" .interval "scrapeTimeout" .scrapeTimeout) .endpoint) -}}
{{- end }}
