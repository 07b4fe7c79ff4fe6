// The definitions of ServiceMonitor, PodMonitor and PrometheusRule, for the API server that the
// chart is tested on. Nothing is built here.
module github.com/directorysync/directory-sync-operator/tools/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
