//! Values that can't be meant are refused, with words that help.

use crate::helm::template;

#[track_caller]
fn refused(values: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values).unwrap();
    match template(&["--values", file.path().to_str().unwrap()]) {
        Err(said) => said,
        Ok(_) => panic!("{values} was accepted"),
    }
}

#[test]
fn a_misspelt_value_is_refused_wherever_it_stands() {
    for (values, place, name) in [
        ("relicas: 2", "''", "relicas"),
        ("image: {tga: x}", "'/image'", "tga"),
        ("crds: {install: true}", "'/crds'", "install"),
        ("watch: {namespace: a}", "'/watch'", "namespace"),
        ("retry: {backoff: 1s}", "'/retry'", "backoff"),
        ("logs: {levle: info}", "'/logs'", "levle"),
        ("tracing: {url: x}", "'/tracing'", "url"),
        ("rbac: {secrets: []}", "'/rbac'", "secrets"),
        ("egress: {hosts: []}", "'/egress'", "hosts"),
        (
            "workloadIdentity: {tokenFile: /x}",
            "'/workloadIdentity'",
            "tokenFile",
        ),
        ("serviceAccount: {nam: x}", "'/serviceAccount'", "nam"),
        ("resources: {limit: {}}", "'/resources'", "limit"),
        ("affinity: {podAfinity: {}}", "'/affinity'", "podAfinity"),
        ("strategy: {kind: x}", "'/strategy'", "kind"),
        ("dnsConfig: {nameserver: []}", "'/dnsConfig'", "nameserver"),
        (
            "podDisruptionBudget: {enable: true}",
            "'/podDisruptionBudget'",
            "enable",
        ),
        ("networkPolicy: {ports: []}", "'/networkPolicy'", "ports"),
        ("metrics: {monitor: {}}", "'/metrics'", "monitor"),
        (
            "metrics: {serviceMonitor: {label: {}}}",
            "'/metrics/serviceMonitor'",
            "label",
        ),
        (
            "metrics: {prometheusRule: {stale: 1h}}",
            "'/metrics/prometheusRule'",
            "stale",
        ),
        (
            "metrics: {dashboard: {label: {}}}",
            "'/metrics/dashboard'",
            "label",
        ),
    ] {
        let said = refused(values);
        let wanted = format!("at {place}: additional properties '{name}' not allowed");
        assert!(said.contains(&wanted), "{values}: {said}");
    }
}

#[test]
fn a_value_of_another_form_is_refused_with_what_may_stand_there() {
    for (values, place, words) in [
        ("replicas: two", "/replicas", "got string, want integer"),
        ("replicas: -1", "/replicas", "minimum"),
        (
            "egress: {allowedHosts: ['https://vault.example.com']}",
            "/egress/allowedHosts/0",
            "pattern",
        ),
        (
            "egress: {namespaceHosts: {a: []}}",
            "/egress/namespaceHosts/a",
            "minItems",
        ),
        (
            "egress: {deniedNetworks: [cluster]}",
            "/egress/deniedNetworks/0",
            "pattern",
        ),
        (
            "rbac: {planSecrets: ['*', staff-plan]}",
            "/rbac/planSecrets",
            "anyOf",
        ),
        (
            "rbac: {planSecrets: [payroll]}",
            "/rbac/planSecrets",
            "pattern",
        ),
        (
            "workloadIdentity: {ownIdentityNamespaces: ['*', a]}",
            "/workloadIdentity/ownIdentityNamespaces",
            "anyOf",
        ),
        (
            "workloadIdentity: {vendorUrls: {entra-graph: 'http://graph.example.com'}}",
            "/workloadIdentity/vendorUrls/entra-graph",
            "pattern",
        ),
        ("concurrency: 0", "/concurrency", "minimum: got 0, want 1"),
        (
            "image: {pullPolicy: Often}",
            "/image/pullPolicy",
            "'IfNotPresent'",
        ),
        ("image: {digest: 'sha256:abc'}", "/image/digest", "pattern"),
        (
            "watch: {scope: Own}",
            "/watch/scope",
            "'Cluster', 'Release', 'Namespaces'",
        ),
        (
            "watch: {namespaces: [Not_One]}",
            "/watch/namespaces/0",
            "pattern",
        ),
        (
            "watch: {namespaces: identity}",
            "/watch/namespaces",
            "got string, want array",
        ),
        ("logs: {format: xml}", "/logs/format", "'json', 'text'"),
        (
            "retry: {minBackoff: 5}",
            "/retry/minBackoff",
            "got number, want string",
        ),
        ("retry: {minBackoff: soon}", "/retry/minBackoff", "pattern"),
        (
            "tracing: {endpoint: 'collector:4318'}",
            "/tracing/endpoint",
            "https?",
        ),
        (
            "tracing: {sampleRatio: 2}",
            "/tracing/sampleRatio",
            "maximum",
        ),
        (
            "networkPolicy: {egressPorts: [0]}",
            "/networkPolicy/egressPorts/0",
            "minimum",
        ),
        (
            "podDisruptionBudget: {maxUnavailable: half}",
            "/podDisruptionBudget/maxUnavailable",
            "pattern",
        ),
        (
            "metrics: {serviceMonitor: {enabled: maybe}}",
            "/metrics/serviceMonitor/enabled",
            "'IfServed'",
        ),
        (
            "metrics: {prometheusRule: {disabled: [DirectorySyncSlow]}}",
            "/metrics/prometheusRule/disabled/0",
            "'DirectorySyncStale'",
        ),
        (
            "metrics: {prometheusRule: {staleAfter: 1h30m}}",
            "/metrics/prometheusRule/staleAfter",
            "pattern",
        ),
        (
            "nodeSelector: {a: 1}",
            "/nodeSelector/a",
            "got number, want string",
        ),
        (
            "extraEnv: [{value: x}]",
            "/extraEnv/0",
            "missing property 'name'",
        ),
        ("tolerations: {}", "/tolerations", "got object, want array"),
        (
            "hostAliases: [{ip: 10.0.0.1}]",
            "/hostAliases/0",
            "missing property 'hostnames'",
        ),
    ] {
        let said = refused(values);
        let line = said
            .lines()
            .find(|line| line.contains(&format!("'{place}'")));
        let line = line.unwrap_or_else(|| panic!("{values}: {said}"));
        assert!(said.contains(words), "{values}: {line}");
    }
}

#[test]
fn values_that_contradict_each_other_are_refused_with_the_way_out() {
    for (values, words) in [
        (
            "watch: {scope: Namespaces}",
            "list them in watch.namespaces",
        ),
        (
            "watch: {namespaces: [identity]}",
            "set watch.scope to Namespaces",
        ),
        (
            "serviceAccount: {create: false}",
            "name the account in serviceAccount.name",
        ),
        (
            "rbac: {secretNames: [org], planSecrets: ['*']}",
            "list the names of the plans in rbac.planSecrets",
        ),
        (
            "metrics: {serviceMonitor: {enabled: true}, podMonitor: {enabled: true}}",
            "would both scrape every pod: enable one",
        ),
    ] {
        let said = refused(values);
        assert!(said.contains(words), "{values}: {said}");
    }
}
