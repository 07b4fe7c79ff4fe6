{{/* All that the operator may do with the resources that it looks after, and what they name. Secrets
     and ConfigMaps can't be listed or watched: listing would hand over the contents of every one. */}}
{{- define "directory-sync.rules" -}}
- apiGroups: [directorysync.dev]
  resources: [directorysyncs]
  verbs: [list, watch]
- apiGroups: [directorysync.dev]
  resources: [directorysyncs/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  {{- with .Values.rbac.secretNames }}
  resourceNames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  verbs: [get]
{{- with .Values.rbac.planSecrets }}
# Writes <resource>-plan (<resource>-plan-2 and so on of large plans), -explain, -undo and -history, of resources
# with planStorage: Secret.
- apiGroups: [""]
  resources: [secrets]
  {{- if has "*" . }}
  {{- if $.Values.rbac.secretNames }}
  {{- fail "rbac.planSecrets is [\"*\"], but rbac.secretNames limits which Secrets the operator can read: list the names of the plans in rbac.planSecrets" }}
  {{- end }}
  {{- else }}
  resourceNames:
    {{- range . }}
    - {{ . }}
    {{- if hasSuffix "-plan" . }}
    - {{ trimSuffix "-plan" . }}-explain
    - {{ trimSuffix "-plan" . }}-undo
    - {{ trimSuffix "-plan" . }}-history
    {{- end }}
    {{- end }}
  {{- end }}
  verbs: [{{ if $.Values.rbac.secretNames }}get, {{ end }}create, patch]
{{- end }}
# Reads certificate bundles; writes <resource>-plan (<resource>-plan-2 and so on of large plans), -explain, -undo
# and -history.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, patch]
{{- if .Values.workloadIdentity.tokenRequests }}
# Proves to a vendor who is asking, by a ServiceAccount that a resource names.
- apiGroups: [""]
  resources: [serviceaccounts/token]
  {{- with .Values.workloadIdentity.serviceAccountNames }}
  resourceNames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  verbs: [create]
{{- end }}
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- define "directory-sync.subjects" -}}
- kind: ServiceAccount
  name: {{ include "directory-sync.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
