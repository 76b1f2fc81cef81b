{{/*
What a schema can't say, or can't say in a sentence: every problem at once,
and never the value of a secret.
*/}}
{{- define "vcs-agent.validate" -}}
{{- $v := .Values -}}
{{- $c := $v.credentials -}}
{{- $problems := list -}}

{{- if and $c.token $c.existingSecret -}}
{{- $problems = append $problems (printf "credentials.token and credentials.existingSecret (%q) are both set; the token can come from one of them only" $c.existingSecret) -}}
{{- end -}}
{{- if not $c.existingSecret -}}
  {{- if not $c.token -}}
  {{- $problems = append $problems "credentials.token is missing: set it to the token that `vcs-gateway pool create` printed, or credentials.existingSecret to the name of a Secret that has it" -}}
  {{- end -}}
  {{- if not $c.endpoint -}}
  {{- $problems = append $problems "credentials.endpoint is missing: set it to the base URL of your VCS, such as https://gitlab.example.com" -}}
  {{- end -}}
  {{- if not $c.vendor -}}
  {{- $problems = append $problems "credentials.vendor is missing: set it to azure_devops, bitbucket_datacenter, gitea, github_enterprise or gitlab" -}}
  {{- end -}}
{{- end -}}
{{- /* A URL with userinfo isn't quoted: it may carry a password. */ -}}
{{- if contains "@" (default "" $c.endpoint) -}}
{{- $problems = append $problems "credentials.endpoint carries a user or an \"@\": it must be scheme, host, optional port and path alone, such as https://gitlab.example.com" -}}
{{- else if and $c.endpoint (not (regexMatch "^https?://[^/?#\\s]+(/[^?#\\s]*)?$" $c.endpoint)) -}}
{{- $problems = append $problems (printf "credentials.endpoint is %q: it must begin with http:// or https:// and have a host, and no query or fragment, such as https://gitlab.example.com" $c.endpoint) -}}
{{- end -}}

{{- $p := $v.policy -}}
{{- if not (kindIs "invalid" $p.rules) -}}
  {{- if $p.existingConfigMap -}}
  {{- $problems = append $problems (printf "policy.rules and policy.existingConfigMap (%q) are both set; the rules can come from one of them only" $p.existingConfigMap) -}}
  {{- end -}}
  {{- $rules := $p.rules -}}
  {{- if kindIs "string" $rules -}}
    {{- /* A file that is empty but for comments is refused as the agent refuses it: it may be what is left of one that blocked something. */ -}}
    {{- if not (regexReplaceAll "(?m)^\\s*#.*$" $rules "" | trim) -}}
    {{- $problems = append $problems "policy.rules is empty: a file that adds no rule has {}, and null makes no file" -}}
    {{- end -}}
    {{- $rules = fromYaml $rules -}}
  {{- end -}}
  {{- $keys := list "groups" "allow" "block" "projects" "redirects" -}}
  {{- if and (kindIs "string" $p.rules) (hasKey $rules "Error") -}}
  {{- $problems = append $problems (printf "policy.rules is not a mapping as a rules file has it: %s" $rules.Error) -}}
  {{- else -}}
    {{- range $key := keys $rules | sortAlpha -}}
      {{- if not (has $key $keys) -}}
      {{- $problems = append $problems (printf "policy.rules has the key %q; allowed are %s" $key (join ", " $keys)) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}

{{- range $name, $bundle := dict "caCert" $v.caCert "gatewayCA" $v.gatewayCA -}}
  {{- if and $bundle (not (contains "-----BEGIN CERTIFICATE-----" (include "vcs-agent.pem" $bundle))) -}}
  {{- $problems = append $problems (printf "%s holds no certificate: it must be a PEM bundle or the base64 of one, such as the output of `base64 -w0 ca.pem`" $name) -}}
  {{- end -}}
{{- end -}}

{{- /* Both are secrets, which the chart gives as files alone. */ -}}
{{- $own := list "SPACELIFT_VCS_AGENT_POOL_TOKEN" "SPACELIFT_VCS_AGENT_VCS_CREDENTIAL" -}}
{{- range fromYamlArray (include "vcs-agent.env" .) -}}
{{- $own = append $own .name -}}
{{- end -}}
{{- range $v.extraEnv -}}
  {{- if has .name $own -}}
  {{- $problems = append $problems (printf "extraEnv sets %s, which the chart sets from a value of its own (see values.yaml)" .name) -}}
  {{- end -}}
{{- end -}}

{{- if $problems -}}
{{- fail (printf "\n  - %s\n" (join "\n  - " $problems)) -}}
{{- end -}}
{{- end -}}
