{{/* Seconds of a time such as 90m, 24h or 2d: older Prometheis compare numbers only. */}}
{{- define "directory-sync.seconds" -}}
{{- $seconds := dict "m" 60 "h" 3600 "d" 86400 }}
{{- mul (regexFind "^[0-9]+" .) (get $seconds (regexFind "[mhd]$" .)) }}
{{- end }}

{{/* Every alert, before those in metrics.prometheusRule.disabled are taken out. A resource's series
     may come from two pods for a moment, hence the max. */}}
{{- define "directory-sync.alerts" -}}
{{- $rule := .Values.metrics.prometheusRule -}}
- alert: DirectorySyncFailing
  expr: |-
    max by (namespace, name) (directory_sync_condition{type="Ready",status="False"}) == 1
    unless on (namespace, name)
    max by (namespace, name) (directory_sync_condition{type="Stalled",status="True"}) == 1
  for: {{ $rule.failingFor }}
  keep_firing_for: 5m
  labels:
    severity: warning
  annotations:
    summary: {{ `DirectorySync {{ $labels.namespace }}/{{ $labels.name }} keeps failing.` | quote }}
    description: {{ printf "Retries have failed for %s. The organization no longer follows the directory." $rule.failingFor | quote }}
- alert: DirectorySyncStalled
  expr: |-
    max by (namespace, name) (directory_sync_condition{type="Stalled",status="True"}) == 1
    unless on (namespace, name)
    max by (namespace, name) (directory_sync_ready_reason{reason=~"SourceRefused|OrganizationRefused"}) == 1
  for: 5m
  keep_firing_for: 5m
  labels:
    severity: warning
  annotations:
    summary: {{ `DirectorySync {{ $labels.namespace }}/{{ $labels.name }} needs manual action.` | quote }}
    description: Nothing is tried until its spec, or a Secret or ConfigMap that it names, is changed.
- alert: DirectorySyncRefused
  expr: |-
    max by (namespace, name, reason) (directory_sync_ready_reason{reason=~"SourceRefused|OrganizationRefused"}) == 1
  for: 5m
  keep_firing_for: 5m
  labels:
    severity: critical
  annotations:
    summary: {{ `DirectorySync {{ $labels.namespace }}/{{ $labels.name }} is refused: {{ $labels.reason }}.` | quote }}
    description: The directory or the organization rejects the credentials, or doesn't permit what the spec asks for. A change of the spec or a Secret is tried at once; what is fixed on the other side is noticed on schedule, after half an hour or more.
- alert: DirectorySyncStale
  expr: |-
    time() - max by (namespace, name) (directory_sync_last_success_timestamp_seconds) > {{ include "directory-sync.seconds" $rule.staleAfter }}
    unless on (namespace, name)
    max by (namespace, name) (directory_sync_ready_reason{reason="Suspended"}) == 1
  for: 5m
  keep_firing_for: 5m
  labels:
    severity: critical
  annotations:
    summary: {{ `DirectorySync {{ $labels.namespace }}/{{ $labels.name }} last succeeded {{ $value | humanizeDuration }} ago.` | quote }}
    description: {{ printf "People who left more than %s ago may still have access." $rule.staleAfter | quote }}
- alert: DirectorySyncLateRevocation
  expr: |-
    sum by (namespace, name) (increase(directory_sync_exposure_seconds_count[1h]))
    - sum by (namespace, name) (increase(directory_sync_exposure_seconds_bucket{le="{{ include "directory-sync.seconds" $rule.exposureAfter }}.0"}[1h]))
    > 0.5
  keep_firing_for: 5m
  labels:
    severity: warning
  annotations:
    summary: {{ `People of DirectorySync {{ $labels.namespace }}/{{ $labels.name }} lost their access late.` | quote }}
    description: {{ printf "Somebody had access for more than %s after the directory took it from them. They have lost it." $rule.exposureAfter | quote }}
- alert: DirectorySyncRemovalsHeld
  expr: |-
    max by (namespace, name) (directory_sync_held_removals) > 0
  for: 5m
  keep_firing_for: 5m
  labels:
    severity: warning
  annotations:
    summary: {{ `{{ $value }} removals of DirectorySync {{ $labels.namespace }}/{{ $labels.name }} wait for approval.` | quote }}
    description: More people would lose access or memberships than the limit allows. Look at the plan, then approve its digest, fix the directory, or raise the limit.
- alert: DirectorySyncCredentialExpiring
  expr: |-
    max by (namespace, name, credential) (directory_sync_credential_expiry_timestamp_seconds) - time()
    < {{ include "directory-sync.seconds" $rule.expiresWithin }}
    and on (namespace, name, credential)
    max by (namespace, name, credential) (directory_sync_credential_expiry_timestamp_seconds) - time()
    < max by (namespace, name, credential) (directory_sync_credential_lifetime_seconds) / 4
  for: 15m
  keep_firing_for: 5m
  labels:
    severity: warning
  annotations:
    summary: {{ `{{ $labels.credential }} of DirectorySync {{ $labels.namespace }}/{{ $labels.name }} expires in {{ $value | humanizeDuration }}.` | quote }}
    description: Once it has expired, nothing is synced, and whoever leaves keeps access. The condition CredentialExpiring says what to renew.
- alert: DirectorySyncRateLimited
  expr: |-
    sum by (namespace, name, side) (rate(directory_sync_requests_total{code="429"}[15m]))
    / sum by (namespace, name, side) (rate(directory_sync_requests_total[15m]))
    > 0.25
  for: 30m
  keep_firing_for: 5m
  labels:
    severity: warning
  annotations:
    summary: {{ `The {{ $labels.side }} slows DirectorySync {{ $labels.namespace }}/{{ $labels.name }} down.` | quote }}
    description: {{ `{{ $value | humanizePercentage }} of the requests to it are answered with 429 (too many requests). Others may use up the same limit.` | quote }}
- alert: DirectorySyncProblems
  expr: |-
    sum by (namespace, name) (max by (namespace, name, reason) (directory_sync_problems{reason!~"UnknownMembers|UnmatchedExclusion|AwaitingConfirmation|NotReinvited|InvitationWithdrawn"})) > 0
  for: 1d
  keep_firing_for: 5m
  labels:
    severity: info
  annotations:
    summary: {{ `{{ $value }} entries of DirectorySync {{ $labels.namespace }}/{{ $labels.name }} have been left out for a day.` | quote }}
    description: Everybody else is synced. The status names the entries and what is wrong with them.
- alert: DirectorySyncConfirmationOverdue
  expr: |-
    max by (namespace, name) (directory_sync_onboarding_members{state="confirmation_overdue"}) > 0
  for: 5m
  keep_firing_for: 5m
  labels:
    severity: info
  annotations:
    summary: {{ `{{ $value }} people of DirectorySync {{ $labels.namespace }}/{{ $labels.name }} wait for an administrator to confirm them.` | quote }}
    description: They accepted their invitation, and have no access before they are confirmed. The plan names them.
- alert: DirectorySyncNoLeader
  expr: |-
    max by (namespace, job) (directory_sync_leader) == 0
  for: 10m
  keep_firing_for: 5m
  labels:
    severity: critical
  annotations:
    summary: {{ `Operators run in {{ $labels.namespace }}, and none of them leads.` | quote }}
    description: Nothing is synced. Their logs say why they can't hold the Lease.
{{- $served := include "directory-sync.wanted" (list . .Values.metrics.serviceMonitor "ServiceMonitor") }}
{{- if or $served (include "directory-sync.wanted" (list . .Values.metrics.podMonitor "PodMonitor")) }}
- alert: DirectorySyncOperatorAbsent
  expr: |-
    absent(directory_sync_leader{namespace={{ .Release.Namespace | quote }},job=~"(.+/)?{{ include "directory-sync.fullname" . }}"})
  for: 15m
  keep_firing_for: 5m
  labels:
    severity: critical
  annotations:
    summary: No operator is to be seen in {{ .Release.Namespace }}.
    description: Nothing is synced, or nothing is measured. See whether its pods run and Prometheus can reach them.
{{- end }}
{{- end }}
