{{/* The chart's name, as a label takes it. */}}
{{- define "vcs-agent.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The prefix of every object's name. A release that is named after the chart doesn't say it twice. */}}
{{- define "vcs-agent.fullname" -}}
{{- $name := include "vcs-agent.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What tells this release's pods from all others. A Deployment's selector can't be changed later. */}}
{{- define "vcs-agent.selectorLabels" -}}
app.kubernetes.io/name: {{ include "vcs-agent.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "vcs-agent.labels" -}}
{{ include "vcs-agent.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "vcs-agent.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "vcs-agent.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "vcs-agent.image" -}}
{{- with .Values.image -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end -}}
{{- end -}}

{{/* The chart's own Secret, as YAML: what is set of the token and the proxies' URLs (they may carry passwords). */}}
{{- define "vcs-agent.secretData" -}}
{{- with .Values.credentials.token }}
token: {{ . | b64enc }}
{{- end }}
{{- with .Values.proxy.httpsProxy }}
https-proxy: {{ . | b64enc }}
{{- end }}
{{- with .Values.proxy.httpProxy }}
http-proxy: {{ . | b64enc }}
{{- end }}
{{- end -}}

{{/* The chart's own ConfigMap, as YAML: what is set of the two bundles. */}}
{{- define "vcs-agent.caData" -}}
{{- with .Values.caCert }}
vcs-ca.pem: {{ include "vcs-agent.pem" . | quote }}
{{- end }}
{{- with .Values.gatewayCA }}
gateway-ca.pem: {{ include "vcs-agent.pem" . | quote }}
{{- end }}
{{- end -}}

{{/* A bundle as PEM, whether it was given as PEM or as base64 of it. */}}
{{- define "vcs-agent.pem" -}}
{{- if contains "-----BEGIN" . -}}
{{- . -}}
{{- else -}}
{{- regexReplaceAll "\\s" . "" | b64dec -}}
{{- end -}}
{{- end -}}

{{/* The rules file's text: a mapping is written as YAML, a text stays as it is. Nothing where none is set. */}}
{{- define "vcs-agent.rules" -}}
{{- $rules := .Values.policy.rules -}}
{{- if kindIs "string" $rules -}}
{{- $rules -}}
{{- else if kindIs "map" $rules -}}
{{- toYaml $rules -}}
{{- end -}}
{{- end -}}

{{/* The name of the ConfigMap that has the rules file, if any has. */}}
{{- define "vcs-agent.rulesConfigMap" -}}
{{- if .Values.policy.existingConfigMap -}}
{{- .Values.policy.existingConfigMap -}}
{{- else if include "vcs-agent.rules" . -}}
{{- include "vcs-agent.fullname" . }}-rules
{{- end -}}
{{- end -}}

{{/*
A text as the value of an environment variable: Kubernetes reads $(NAME) and $$
in it, and regular expressions are full of $.
*/}}
{{- define "vcs-agent.literal" -}}
{{- . | toString | replace "$" "$$" | quote -}}
{{- end -}}

{{/*
The agent reads its token and the bundles when it starts, so pods are replaced
when one changes: their annotations change with it.

The rules and the VCS's credential have no checksum here on purpose. The agent
follows these files while it runs, so what a change blocks is blocked in every
pod as soon as the file gets there, no connection is dropped, and a broken file
leaves the policy before it in force. A pod that had to restart for it would
have no policy to go back to, and not start.
*/}}
{{- define "vcs-agent.podAnnotations" -}}
checksum/secret: {{ include "vcs-agent.secretChecksum" . }}
checksum/ca: {{ include "vcs-agent.caData" . | sha256sum }}
{{- if .Values.metrics.enabled }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ .Values.metrics.port | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- end -}}

{{/* The constraints that spread the agents, as YAML; each needs a selector to count anything. */}}
{{- define "vcs-agent.spread" -}}
{{- $overNodes := dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway" -}}
{{- $ours := dict "labelSelector" (dict "matchLabels" (include "vcs-agent.selectorLabels" . | fromYaml)) -}}
{{- $constraints := list -}}
{{- range default (list $overNodes) .Values.topologySpreadConstraints -}}
{{- $constraints = append $constraints (hasKey . "labelSelector" | ternary . (merge (deepCopy .) $ours)) -}}
{{- end -}}
{{- toYaml $constraints -}}
{{- end -}}

{{/*
A digest of the Secret for the pods' annotations, which more people may read
than the Secret itself. A plain SHA-256 would let them try passwords of a proxy
by the billion; scrypt, which derivePassword is made of, makes each try dear.
*/}}
{{- define "vcs-agent.secretChecksum" -}}
{{- derivePassword 1 "maximum" (include "vcs-agent.secretData" .) .Release.Name .Chart.Name | sha256sum -}}
{{- end -}}
