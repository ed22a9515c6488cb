{{/* The name of all objects: that of the release, with the chart's behind it unless it is in there. */}}
{{- define "fluxiondb.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects the pod; it must never change. */}}
{{- define "fluxiondb.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "fluxiondb.labels" -}}
{{ include "fluxiondb.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "fluxiondb.secretName" -}}
{{- .Values.secret.existingSecret | default (include "fluxiondb.name" .) -}}
{{- end -}}
