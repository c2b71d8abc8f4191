{{/* The image. */}}
{{- define "tally.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "tally.labels" -}}
app.kubernetes.io/part-of: xrootd-tally
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* What selects the pods of a part: (dict "root" $ "part" "hub"). */}}
{{- define "tally.selector" -}}
app.kubernetes.io/name: tally-{{ .part }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "tally.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "tally.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Probes at a named port. Neither asks whether the broker is there: what comes meanwhile is kept. */}}
{{- define "tally.probes" -}}
livenessProbe:
  httpGet: {path: /livez, port: {{ . }}}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 5
startupProbe:
  httpGet: {path: /livez, port: {{ . }}}
  periodSeconds: 2
  failureThreshold: 150
{{- end }}

{{- define "tally.podExtras" -}}
automountServiceAccountToken: false
terminationGracePeriodSeconds: 30
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A volume claim: (dict "name" … "size" … "class" …). */}}
{{- define "tally.claim" -}}
- metadata:
    name: {{ .name }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .class }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .size }}
{{- end }}

{{/* The settings of a shoveler in environment variables' place: TOML from values. */}}
{{- define "tally.shovelerSettings" -}}
{{- $ours := dict "metrics" "0.0.0.0:9931" "framing" .Values.shoveler.framing "bus" (dict "url" .Values.broker.url "token_file" "/etc/tally/broker/token") "log" (dict "format" "json") -}}
{{ toToml (mergeOverwrite $ours (deepCopy .Values.shoveler.settings)) }}
{{- end }}

{{/*
A shoveler as a side-car, for the chart of an XRootD or Pelican cache that has this one as a dependency:

    initContainers:
      {{- include "tally.sidecar" (dict "root" .Subcharts.tally "settings" "NAME-OF-A-CONFIGMAP") | nindent 6 }}
    volumes:
      {{- include "tally.sidecarVolumes" (dict "root" .Subcharts.tally "settings" "NAME-OF-A-CONFIGMAP") | nindent 6 }}

The ConfigMap has the key tally-shoveler.toml. It starts before the server and ends after it (Kubernetes 1.29 and newer).
*/}}
{{- define "tally.sidecar" -}}
- name: tally-shoveler
  image: {{ include "tally.image" .root }}
  restartPolicy: Always
  command: [tally-shoveler, -c, /etc/tally/settings/tally-shoveler.toml]
  ports:
    - {name: tally-metrics, containerPort: 9931}
  {{- include "tally.probes" "tally-metrics" | nindent 2 }}
  resources: {{ toYaml .root.Values.shoveler.resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    {{- include "tally.containerSecurity" .root | nindent 4 }}
  volumeMounts:
    - {name: tally-settings, mountPath: /etc/tally/settings, readOnly: true}
    - {name: tally-broker, mountPath: /etc/tally/broker, readOnly: true}
    - {name: tally-spool, mountPath: /var/lib/tally}
    - {name: tally-tmp, mountPath: /tmp}
{{- end }}

{{- define "tally.sidecarVolumes" -}}
- name: tally-settings
  configMap: {name: {{ .settings }}}
- name: tally-broker
  secret: {secretName: {{ .root.Values.broker.secret }}, defaultMode: 0444}
- name: tally-spool
  emptyDir: {sizeLimit: 2Gi}
- name: tally-tmp
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- end }}
