{{/* SPDX-License-Identifier: Apache-2.0 */}}

{{- define "metallb.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels of every object. Takes a dict of root and component. */}}
{{- define "metallb.labels" -}}
app: metallb
component: {{ .component }}
app.kubernetes.io/name: {{ include "metallb.name" .root }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end -}}

{{/* Labels by which a component's pods are selected; they can never change. */}}
{{- define "metallb.selector" -}}
app: metallb
component: {{ .component }}
{{- end -}}

{{- define "metallb.serviceAccount" -}}
{{- $sa := (index .root.Values .component).serviceAccount -}}
{{- default (ternary .component "default" $sa.create) $sa.name -}}
{{- end -}}

{{- define "metallb.image" -}}
{{- $image := (index .root.Values .component).image -}}
image: {{ printf "%s:%s" $image.repository (default .root.Chart.AppVersion $image.tag) | quote }}
{{- with $image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end -}}

{{/* Timing of a probe, without our own fields. */}}
{{- define "metallb.probe" -}}
{{ toYaml (omit . "enabled" "port") }}
{{- end -}}

{{/* Annotations of a component's pods. Takes a dict of root and component. */}}
{{- define "metallb.podAnnotations" -}}
kubectl.kubernetes.io/default-container: {{ .component }}
{{- if .root.Values.prometheus.scrapeAnnotations }}
prometheus.io/scrape: "true"
prometheus.io/scheme: https
prometheus.io/port: {{ .root.Values.prometheus.metricsPort | quote }}
{{- end }}
{{- with (index .root.Values .component).podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Flags that both programs have. Takes a dict of root and component. */}}
{{- define "metallb.args" -}}
{{- $v := index .root.Values .component -}}
- --port={{ .root.Values.prometheus.metricsPort }}
- --log-level={{ $v.logLevel }}
- --health-probe-port={{ $v.livenessProbe.port }}
{{- with .root.Values.loadBalancerClass }}
- --lb-class={{ . }}
{{- end }}
{{- with .root.Values.tls }}
{{- with .minVersion }}
- --tls-min-version={{ . }}
{{- end }}
{{- with .cipherSuites }}
- --tls-cipher-suites={{ . }}
{{- end }}
{{- with .curvePreferences }}
- --tls-curve-preferences={{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Environment that both programs have. */}}
{{- define "metallb.env" -}}
- name: METALLB_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: METALLB_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: METALLB_POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
- name: METALLB_BGP_TYPE
  value: frr
{{- end -}}

{{/* Only the name of the speakers' Secret is made of it. */}}
{{- define "metallb.fullname" -}}
{{- $name := include "metallb.name" . -}}
{{- default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of the Secret that the speakers share; empty: they share none. */}}
{{- define "metallb.memberSecret" -}}
{{- if and .Values.speaker.enabled .Values.speaker.memberlist.enabled -}}
{{- default (printf "%s-memberlist" (include "metallb.fullname" .)) .Values.speaker.secretName -}}
{{- end -}}
{{- end -}}

{{/* Flags of the speakers' membership. Takes speaker.memberlist. */}}
{{- define "metallb.memberlistArgs" -}}
{{- range $name, $value := .tuning }}
{{- if ne (toString $value) "<nil>" }}
- --ml-{{ kebabcase $name }}={{ ternary (printf "%.0f" $value) (toString $value) (kindIs "float64" $value) }}
{{- end }}
{{- end }}
{{- range $name := list "heartbeat" "silence" }}
{{- with index $ $name }}
- --ml-{{ $name }}={{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "metallb.webhookMode" -}}
{{- default "enabled" .Values.controller.webhookMode -}}
{{- end -}}

{{/* Not empty where the admission webhook is served. */}}
{{- define "metallb.webhook" -}}
{{- if and .Values.controller.enabled (ne (include "metallb.webhookMode" .) "disabled") -}}true{{- end -}}
{{- end -}}

{{/* Not empty where the controller does more than that. */}}
{{- define "metallb.allocates" -}}
{{- if and .Values.controller.enabled (ne (include "metallb.webhookMode" .) "onlywebhook") -}}true{{- end -}}
{{- end -}}
