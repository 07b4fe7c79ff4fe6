{{- define "directory-sync.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's name, where that says already what it is. Room is left for suffixes. */}}
{{- define "directory-sync.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains "directory-sync" .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-directory-sync" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "directory-sync.selectorLabels" -}}
app.kubernetes.io/name: {{ include "directory-sync.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "directory-sync.labels" -}}
{{ include "directory-sync.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Name, namespace and labels of an object of the release: (list $ "a-suffix"). */}}
{{- define "directory-sync.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "directory-sync.fullname" $root }}{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "directory-sync.labels" $root | nindent 2 }}
{{- end }}

{{/* The same for an object of the cluster. */}}
{{- define "directory-sync.clusterMetadata" -}}
{{- $root := index . 0 -}}
name: {{ include "directory-sync.fullname" $root }}{{ index . 1 }}
labels:
  {{- include "directory-sync.labels" $root | nindent 2 }}
{{- end }}

{{- define "directory-sync.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "directory-sync.fullname" .) }}
{{- else }}
{{- required "serviceAccount.create is false: name the account in serviceAccount.name" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "directory-sync.image" -}}
{{- with .Values.image }}
{{- with .registry }}{{ . }}/{{ end }}{{ .repository }}
{{- if or .tag (not .digest) }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{/* The namespaces of scope Namespaces, checked, as JSON. */}}
{{- define "directory-sync.namespaces" -}}
{{- $listed := .Values.watch.namespaces | uniq | sortAlpha }}
{{- if and (eq .Values.watch.scope "Namespaces") (not $listed) }}
{{- fail "watch.scope is Namespaces: list them in watch.namespaces" }}
{{- end }}
{{- if and (ne .Values.watch.scope "Namespaces") $listed }}
{{- fail (printf "watch.namespaces has no meaning with watch.scope %s: set watch.scope to Namespaces" .Values.watch.scope) }}
{{- end }}
{{- toJson $listed }}
{{- end }}

{{/* "true" where something of Prometheus' operator is wanted: (list $ .Values.metrics.x "Kind"). */}}
{{- define "directory-sync.wanted" -}}
{{- $root := index . 0 }}
{{- $enabled := (index . 1).enabled | toString }}
{{- $served := $root.Capabilities.APIVersions.Has (printf "monitoring.coreos.com/v1/%s" (index . 2)) }}
{{- if or (eq $enabled "true") (and (eq $enabled "IfServed") $served) }}true{{ end }}
{{- end }}

{{/* "true" where the admission policy is wanted. */}}
{{- define "directory-sync.admission" -}}
{{- $enabled := .Values.admission.enabled | toString }}
{{- $served := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" }}
{{- if or (eq $enabled "true") (and (eq $enabled "IfServed") $served) }}true{{ end }}
{{- end }}

{{/* Collects the paths of all references to Secrets and ConfigMaps, of all names of ServiceAccounts, of
     all fields that give up encryption, and of all that name servers, from the schema:
     (list $collected $path $schema). */}}
{{- define "directory-sync.admissionPaths" -}}
{{- $collected := index . 0 }}
{{- $path := index . 1 }}
{{- range $name, $field := (index . 2).properties }}
{{- $at := append $path $name }}
{{- if hasSuffix "Ref" $name }}
{{- $_ := set $collected "references" (append $collected.references $at) }}
{{- else if has $name (list "allowPlaintext" "insecureSkipVerify") }}
{{- $_ := set $collected "insecure" (append $collected.insecure $at) }}
{{- else if has "Plaintext" (default list $field.enum) }}
{{- $_ := set $collected "plaintext" (append $collected.plaintext $at) }}
{{- else if eq $name "serviceAccountName" }}
{{- $_ := set $collected "accounts" (append $collected.accounts $at) }}
{{- else if or (hasSuffix "Url" $name) (eq $name "url") }}
{{- $_ := set $collected "urls" (append $collected.urls $at) }}
{{- else if eq $name "urls" }}
{{- $_ := set $collected "urlLists" (append $collected.urlLists $at) }}
{{- else if eq $name "controllers" }}
{{- $_ := set $collected "hostLists" (append $collected.hostLists $at) }}
{{- else if eq $name "domain" }}
{{- $_ := set $collected "hosts" (append $collected.hosts $at) }}
{{- else }}
{{- include "directory-sync.admissionPaths" (list $collected $at $field) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Hosts as a list in CEL. */}}
{{- define "directory-sync.celHosts" -}}
{{- $hosts := list }}
{{- range . }}
{{- $hosts = append $hosts (printf "'%s'" (lower . | trimSuffix ".")) }}
{{- end }}
{{- printf "[%s]" (join ", " $hosts) }}
{{- end }}

{{/* What ServiceMonitor and PodMonitor have in common. */}}
{{- define "directory-sync.endpoint" -}}
port: http
path: /metrics
# The metrics' own namespace and name are the resource's, not the pod's.
honorLabels: true
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Labels of the pod of `helm test`: not those that the Service selects. */}}
{{- define "directory-sync.testLabels" -}}
app.kubernetes.io/name: {{ include "directory-sync.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
