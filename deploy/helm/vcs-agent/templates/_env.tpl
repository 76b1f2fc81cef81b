{{/*
The agent's settings, as the list of its environment variables.

The token and the VCS's credential are not among them: they are mounted as files. A process's environment is
shown by `kubectl exec … env`, lies in /proc for as long as the process lives
and goes along into crash reports; a file is read once, by one user.
*/}}
{{- define "vcs-agent.env" -}}
{{- $v := .Values -}}
- name: SPACELIFT_VCS_AGENT_TOKEN_FILE
  value: /var/run/secrets/vcs-agent/token
- name: SPACELIFT_VCS_AGENT_TARGET_BASE_ENDPOINT
  {{- include "vcs-agent.valueOrKey" (list $v.credentials.endpoint $v.credentials.existingSecret $v.credentials.endpointSecretKey) | nindent 2 }}
- name: SPACELIFT_VCS_AGENT_VENDOR
  {{- include "vcs-agent.valueOrKey" (list $v.credentials.vendor $v.credentials.existingSecret $v.credentials.vendorSecretKey) | nindent 2 }}
- name: SPACELIFT_VCS_AGENT_PARALLELISM
  value: {{ $v.parallelism | quote }}
{{- with $v.allowedProjects }}
- name: SPACELIFT_VCS_AGENT_ALLOWED_PROJECTS
  value: {{ include "vcs-agent.literal" . }}
{{- end }}
{{- with $v.allowGroups }}
- name: SPACELIFT_VCS_AGENT_ALLOW_GROUPS
  value: {{ join "," . | quote }}
{{- end }}
- name: SPACELIFT_VCS_AGENT_POLICY
  value: {{ $v.policy.mode | quote }}
{{- if include "vcs-agent.rulesConfigMap" . }}
- name: SPACELIFT_VCS_AGENT_RULES_FILE
  value: /etc/vcs-agent/rules/rules.yaml
{{- end }}
{{- if $v.vcsCredential.existingSecret }}
- name: SPACELIFT_VCS_AGENT_VCS_CREDENTIAL_FILE
  value: /var/run/secrets/vcs-credential/credential
{{- end }}
- name: SPACELIFT_VCS_AGENT_TRANSPORT
  value: {{ $v.transport | quote }}
- name: SPACELIFT_VCS_AGENT_VCS_TIMEOUT
  value: {{ printf "%ds" (int $v.vcsTimeoutSeconds) | quote }}
- name: SPACELIFT_VCS_AGENT_SHUTDOWN_GRACE_PERIOD
  value: {{ printf "%ds" (int $v.shutdownGracePeriodSeconds) | quote }}
- name: SPACELIFT_VCS_AGENT_LOG_LEVEL
  value: {{ $v.logLevel | quote }}
- name: SPACELIFT_VCS_AGENT_LOG_FORMAT
  value: {{ $v.logFormat | quote }}
{{- if $v.debugPrintAll }}
- name: SPACELIFT_VCS_AGENT_DEBUG_PRINT_ALL
  value: "true"
{{- end }}
{{- /* On every address of the pod: the kubelet's probes don't come from loopback. */}}
- name: SPACELIFT_VCS_AGENT_METRICS_LISTEN
  value: {{ printf ":%d" (int $v.metrics.port) | quote }}
{{- with $v.caCert }}
- name: SPACELIFT_VCS_AGENT_CA_CERT_FILE
  value: /etc/vcs-agent/ca/vcs-ca.pem
{{- end }}
{{- with $v.gatewayCA }}
- name: SPACELIFT_VCS_AGENT_GATEWAY_CA_FILE
  value: /etc/vcs-agent/ca/gateway-ca.pem
{{- end }}
{{- with $v.proxy.httpsProxy }}
- name: HTTPS_PROXY
  valueFrom:
    secretKeyRef:
      name: {{ include "vcs-agent.fullname" $ }}
      key: https-proxy
{{- end }}
{{- with $v.proxy.httpProxy }}
- name: HTTP_PROXY
  valueFrom:
    secretKeyRef:
      name: {{ include "vcs-agent.fullname" $ }}
      key: http-proxy
{{- end }}
{{- with $v.proxy.noProxy }}
- name: NO_PROXY
  value: {{ include "vcs-agent.literal" . }}
{{- end }}
{{- if and $v.metadataPodName (not (hasKey $v.metadata "pod_name")) }}
- name: SPACELIFT_METADATA_pod_name
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- end }}
{{- range $name, $value := $v.metadata }}
- name: SPACELIFT_METADATA_{{ $name }}
  value: {{ include "vcs-agent.literal" $value }}
{{- end }}
{{- end -}}

{{/* A value (first), or where it isn't set a key (third) of an existing Secret (second). */}}
{{- define "vcs-agent.valueOrKey" -}}
{{- $value := index . 0 -}}
{{- $secret := index . 1 -}}
{{- $key := index . 2 -}}
{{- if or $value (not $secret) -}}
value: {{ include "vcs-agent.literal" (default "" $value) }}
{{- else -}}
valueFrom:
  secretKeyRef:
    name: {{ $secret }}
    key: {{ $key }}
{{- end -}}
{{- end -}}
