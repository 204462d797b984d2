{{/* Names, images and the one pod that both modes share. */}}

{{- define "pullgate.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "pullgate.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pullgate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "pullgate.selector" . }}
{{- end }}

{{- define "pullgate.image" -}}
{{- $repository := required "image.repository: where you pushed the image of deploy/container" .Values.image.repository -}}
{{- if .Values.image.digest }}{{ $repository }}@{{ .Values.image.digest }}{{ else }}{{ $repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "pullgate.nodeImage" -}}
{{- $image := .Values.nodeConfig.image -}}
{{- $repository := $image.repository | default .Values.image.repository -}}
{{- if $image.digest }}{{ $repository }}@{{ $image.digest }}{{ else }}{{ $repository }}:{{ $image.tag | default (printf "%s-helpers" (.Values.image.tag | default .Chart.AppVersion)) }}{{ end }}
{{- end }}

{{/* What a container of the gate may do: nothing that it does not need. */}}
{{- define "pullgate.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "pullgate.adminHost" -}}
{{- if and (eq .Values.mode "node") (not .Values.metrics.enabled) }}127.0.0.1{{ else }}0.0.0.0{{ end }}
{{- end }}

{{/* pullgate.toml. YAML has no integers here: toToml writes 300 as 300.0, which no key takes. */}}
{{- define "pullgate.toml" -}}
{{- $set := dict "policy" "policy.toml" "state" "/var/lib/pullgate" -}}
{{- if eq .Values.mode "node" -}}
{{- $_ := set $set "seal_key_file" "/var/lib/pullgate-key/seal.key" -}}
{{- else if .Values.sealKey.secretName -}}
{{- $_ := set $set "seal_key_file" "/etc/pullgate/seal/seal.key" -}}
{{- end -}}
{{- $host := ternary "127.0.0.1" "0.0.0.0" (eq .Values.mode "node") -}}
{{- $listen := dict "address" (printf "%s:%v" $host .Values.port) -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $listen "tls" (dict "cert" "/etc/pullgate/tls/tls.crt" "key" "/etc/pullgate/tls/tls.key") -}}
{{- end -}}
{{- $_ := set $set "listen" $listen -}}
{{- $_ := set $set "admin" (dict "address" (printf "%s:%v" (include "pullgate.adminHost" .) .Values.adminPort)) -}}
{{- regexReplaceAll "(?m)= ([0-9]+)\\.0$" (mergeOverwrite (deepCopy .Values.config) $set | toToml) "= ${1}" -}}
{{- end }}

{{- define "pullgate.probes" -}}
livenessProbe:
  httpGet: &live
    path: /livez
    port: {{ .Values.adminPort }}
    {{- if eq .Values.mode "node" }}
    host: 127.0.0.1
    {{- end }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: {{ .Values.adminPort }}
    {{- if eq .Values.mode "node" }}
    host: 127.0.0.1
    {{- end }}
  periodSeconds: 5
  timeoutSeconds: 5
startupProbe:
  httpGet: *live
  periodSeconds: 2
  failureThreshold: 60
{{- end }}

{{- define "pullgate.mounts" -}}
- name: config
  mountPath: /etc/pullgate
  readOnly: true
{{- if .Values.tls.secretName }}
- name: tls
  mountPath: /etc/pullgate/tls
  readOnly: true
{{- end }}
{{- if and (eq .Values.mode "front") .Values.sealKey.secretName }}
- name: seal
  mountPath: /etc/pullgate/seal
  readOnly: true
{{- end }}
{{- range .Values.secrets }}
- name: secret-{{ . }}
  mountPath: /etc/pullgate/secrets/{{ . }}
  readOnly: true
{{- end }}
- name: state
  mountPath: /var/lib/pullgate
{{- if eq .Values.mode "node" }}
- name: key
  mountPath: /var/lib/pullgate-key
  readOnly: true
{{- end }}
- name: tmp
  mountPath: /tmp
{{- end }}

{{- define "pullgate.container" -}}
name: pullgate
image: {{ include "pullgate.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, --config, /etc/pullgate/pullgate.toml]
env:
  - name: PULLGATE_LOG_FORMAT
    value: json
  # What is large is given back at once, as in the systemd unit.
  - name: MALLOC_MMAP_THRESHOLD_
    value: "262144"
ports:
  - name: registry
    containerPort: {{ .Values.port }}
  - name: admin
    containerPort: {{ .Values.adminPort }}
{{ include "pullgate.probes" . }}
resources: {{ toYaml .Values.resources | nindent 2 }}
securityContext: {{ include "pullgate.confined" . | nindent 2 }}
volumeMounts: {{ include "pullgate.mounts" . | nindent 2 }}
{{- end }}

{{- define "pullgate.volumes" -}}
- name: config
  configMap:
    name: {{ include "pullgate.name" . }}
{{- if .Values.tls.secretName }}
- name: tls
  secret:
    secretName: {{ .Values.tls.secretName }}
    defaultMode: 0440
{{- end }}
{{- if and (eq .Values.mode "front") .Values.sealKey.secretName }}
- name: seal
  secret:
    secretName: {{ .Values.sealKey.secretName }}
    defaultMode: 0440
{{- end }}
{{- range .Values.secrets }}
- name: secret-{{ . }}
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- end }}

{{- define "pullgate.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}
