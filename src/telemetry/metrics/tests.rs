use super::*;
use crate::http::Credential;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_run_shows_in_its_result_its_phases_and_the_time_of_the_last_success() {
    let metrics = Metrics::new();
    let staff = Object::new("identity", "staff");
    metrics.run_finished(
        &staff,
        RunResult::Failed,
        2 * SECOND,
        [("Read", 2 * SECOND)],
    );
    assert!(!text(&metrics).contains("last_success_timestamp_seconds{"));

    let phases = [("Read", 2 * SECOND), ("Plan", SECOND)];
    metrics.run_finished(&staff, RunResult::Held, 3 * SECOND, phases);

    let of = r#"namespace="identity",name="staff""#;
    assert_shows(
        &metrics,
        &format!(r#"directory_sync_runs_total{{{of},result="Failed"}} 1"#),
    );
    assert_shows(
        &metrics,
        &format!(r#"directory_sync_runs_total{{{of},result="Held"}} 1"#),
    );
    assert_shows(
        &metrics,
        &format!("directory_sync_run_duration_seconds_sum{{{of}}} 5.0"),
    );
    let phase = "directory_sync_phase_duration_seconds";
    assert_shows(
        &metrics,
        &format!(r#"{phase}_sum{{{of},phase="Read"}} 4.0"#),
    );
    assert_shows(
        &metrics,
        &format!(r#"{phase}_count{{{of},phase="Plan"}} 1"#),
    );
    let stamp = text(&metrics)
        .lines()
        .find_map(|line| {
            line.strip_prefix(&format!(
                "directory_sync_last_success_timestamp_seconds{{{of}}} "
            ))
            .map(str::to_owned)
        })
        .expect("a time of the last success");
    assert!(stamp.parse::<u64>().unwrap() > 1_700_000_000);
}

#[test]
fn requests_are_counted_by_side_endpoint_and_answer() {
    let metrics = Metrics::new();
    let staff = Object::new("identity", "staff");
    let organization = metrics.observer(&staff, RequestSide::Organization);
    for _ in 0..2 {
        organization.request("/public/members", http::CallOutcome::Status(429), SECOND);
    }
    metrics.request(
        None,
        RequestSide::Kubernetes,
        "GET leases",
        RequestOutcome::Unreachable,
        SECOND,
    );
    let made_up = RequestOutcome::Answered(9_999);
    metrics.request(
        Some(&staff),
        RequestSide::Directory,
        "search",
        made_up,
        SECOND,
    );

    let requests = "directory_sync_requests_total";
    let of = r#"namespace="identity",name="staff""#;
    assert_shows(
        &metrics,
        &format!(
            r#"{requests}{{{of},side="organization",endpoint="/public/members",code="429"}} 2"#
        ),
    );
    assert_shows(
        &metrics,
        &format!(
            r#"{requests}{{namespace="",name="",side="kubernetes",endpoint="GET leases",code="unreachable"}} 1"#
        ),
    );
    assert_shows(
        &metrics,
        &format!(r#"{requests}{{{of},side="directory",endpoint="search",code="other"}} 1"#),
    );
    assert_shows(
        &metrics,
        r#"directory_sync_request_duration_seconds_count{side="organization",endpoint="/public/members"} 2"#,
    );
}

#[test]
fn problems_and_conditions_that_are_over_leave_no_series() {
    let metrics = Metrics::new();
    let staff = Object::new("identity", "staff");
    metrics.set_problems(&staff, [("NoEmail", 3), ("DuplicateEmail", 1)]);
    metrics.set_conditions(
        &staff,
        [
            ("Ready", ConditionStatus::False),
            ("Stalled", ConditionStatus::True),
        ],
    );
    metrics.set_problems(&staff, [("NoEmail", 2)]);
    metrics.set_conditions(&staff, [("Ready", ConditionStatus::True)]);

    let of = r#"namespace="identity",name="staff""#;
    assert_shows(
        &metrics,
        &format!(r#"directory_sync_problems{{{of},reason="NoEmail"}} 2"#),
    );
    let condition = "directory_sync_condition";
    assert_shows(
        &metrics,
        &format!(r#"{condition}{{{of},type="Ready",status="True"}} 1"#),
    );
    assert_shows(
        &metrics,
        &format!(r#"{condition}{{{of},type="Ready",status="False"}} 0"#),
    );
    let text = text(&metrics);
    assert!(
        !text.contains("DuplicateEmail") && !text.contains("Stalled"),
        "{text}"
    );
}

#[test]
fn ready_has_one_reason_at_a_time() {
    let metrics = Metrics::new();
    let staff = Object::new("identity", "staff");
    metrics.set_ready_reason(&staff, Some("SourceRefused".into()));

    metrics.set_ready_reason(&staff, Some("Succeeded".into()));

    let of = r#"namespace="identity",name="staff""#;
    assert_shows(
        &metrics,
        &format!(r#"directory_sync_ready_reason{{{of},reason="Succeeded"}} 1"#),
    );
    assert!(!text(&metrics).contains("SourceRefused"));
}

#[test]
fn how_long_access_lasted_is_counted_from_the_first_time_on() {
    let metrics = Metrics::new();
    let staff = Object::new("identity", "staff");
    let exposure = "directory_sync_exposure_seconds";
    let of = |since: &str| format!(r#"namespace="identity",name="staff",since="{since}""#);

    metrics.nobody_exposed(&staff);
    for since in ["entry", "seen"] {
        assert_shows(&metrics, &format!("{exposure}_count{{{}}} 0", of(since)));
    }

    metrics.exposed(&staff, ExposedSince::Entry, 3 * SECOND);
    metrics.nobody_exposed(&staff);
    let bucket = |le: &str, count: u64| {
        assert_shows(
            &metrics,
            &format!(r#"{exposure}_bucket{{le="{le}",{}}} {count}"#, of("entry")),
        );
    };
    bucket("2.0", 0);
    bucket("5.0", 1);
    bucket("3600.0", 1);
    assert_shows(&metrics, &format!("{exposure}_count{{{}}} 0", of("seen")));
}

#[test]
fn an_object_that_is_gone_takes_all_its_series_with_it_and_no_one_elses() {
    let metrics = Metrics::new();
    for object in [
        Object::new("identity", "gone"),
        Object::new("identity", "stays"),
    ] {
        report_everything(&metrics, &object);
    }
    let families_before = families_of(&metrics, "stays");

    metrics.forget(&Object::new("identity", "gone"));

    let text = text(&metrics);
    assert!(!text.contains("gone"), "{text}");
    assert_eq!(families_of(&metrics, "stays"), families_before);
    assert_eq!(
        families_before, 19,
        "one per family of an object: is one missing in forget?"
    );
}

#[test]
fn the_process_has_metrics_of_its_build_its_memory_and_whether_it_leads() {
    let metrics = Metrics::new();
    metrics.set_leader(true);

    assert_shows(&metrics, "directory_sync_leader 1");
    let version = env!("CARGO_PKG_VERSION");
    let text = text(&metrics);
    assert!(
        text.contains(&format!("directory_sync_build_info{{version=\"{version}")),
        "{text}"
    );
    for series in [
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{series} ")))
            .unwrap_or_else(|| panic!("{series} is missing in {text}"));
        assert!(value.parse::<f64>().unwrap() >= 0.0, "{series} {value}");
    }
}

#[test]
fn every_metric_explains_itself_in_both_text_forms() {
    let metrics = Metrics::new();
    report_everything(&metrics, &Object::new("identity", "staff"));

    let openmetrics = text(&metrics);
    assert!(openmetrics.ends_with("# EOF\n"));
    assert!(openmetrics.contains("# TYPE directory_sync_runs counter\n"));

    let older = metrics.expose(Exposition::Prometheus);
    assert!(!older.contains("# EOF") && !older.contains("# UNIT"));
    assert!(older.contains("# TYPE directory_sync_build_info gauge\n"));
    let mut typed = "";
    for line in older.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed = rest.split(' ').next().unwrap();
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let help = rest.split_once(' ').unwrap().1;
            assert!(
                help.len() > 10 && help.ends_with('.') && !help.ends_with(".."),
                "{line}"
            );
        } else {
            assert!(line.starts_with(typed), "{line} has no type of its own");
        }
    }
}

fn report_everything(metrics: &Metrics, object: &Object) {
    metrics.run_finished(object, RunResult::Succeeded, SECOND, [("Read", SECOND)]);
    let ok = RequestOutcome::Answered(200);
    metrics.request(
        Some(object),
        RequestSide::Organization,
        "GET /public/groups",
        ok,
        SECOND,
    );
    metrics.changes_applied(object, "Invite", 5);
    metrics.exposed(object, ExposedSince::Entry, SECOND);
    metrics.set_access(
        object,
        Some([(Kind::SetRole, 1), (Kind::SetCollections, 0)]),
    );
    metrics.set_sizes(object, SizeOf::Directory, 10, 2);
    metrics.set_onboarding(object, OnboardingCounts::default());
    metrics.set_seats_left(object, Some(7));
    metrics.set_held(object, 4);
    metrics.set_problems(object, [("NoEmail", 1)]);
    metrics.set_conditions(object, [("Ready", ConditionStatus::True)]);
    metrics.set_ready_reason(object, Some("Succeeded".into()));
    metrics.set_expiries(object, &[expiry(1_800_000_000)]);
}

fn expiry(ends: i64) -> Expiry {
    let at = |second| Timestamp::from_second(second).unwrap();
    Expiry {
        credential: Credential::DirectoryServer,
        validity: Validity {
            begins: at(ends - 86_400),
            ends: at(ends),
        },
    }
}

#[test]
fn a_credential_that_is_not_known_any_more_leaves_no_series() {
    let metrics = Metrics::new();
    let staff = Object::new("identity", "staff");
    metrics.set_expiries(&staff, &[expiry(1_800_000_000)]);
    let of = r#"namespace="identity",name="staff",credential="directory_server""#;
    let ends = format!("directory_sync_credential_expiry_timestamp_seconds{{{of}}} 1800000000");
    assert_shows(&metrics, &ends);
    assert_shows(
        &metrics,
        &format!("directory_sync_credential_lifetime_seconds{{{of}}} 86400"),
    );
    metrics.set_expiries(&staff, &[]);
    assert!(!text(&metrics).contains("directory_server"));
}

#[test]
fn what_became_of_roles_and_access_is_counted_and_what_waits_is_shown_as_long_as_there_are_rules() {
    let metrics = Metrics::new();
    let staff = Object::new("identity", "staff");
    metrics.set_access(
        &staff,
        Some([(Kind::SetRole, 2), (Kind::SetCollections, 0)]),
    );
    for result in [
        AccessResult::Given,
        AccessResult::Given,
        AccessResult::Refused,
    ] {
        let kind = Kind::SetRole;
        metrics.access_changed(&staff, AccessOutcome { kind, result });
    }
    let of = |kind: &str, rest: &str| {
        format!(r#"{{namespace="identity",name="staff",kind="{kind}"{rest}}}"#)
    };
    let changes = |kind, result, count| {
        let of = of(kind, &format!(r#",result="{result}""#));
        format!("directory_sync_access_changes_total{of} {count}")
    };
    assert_shows(&metrics, &changes("SetRole", "given", 2));
    assert_shows(&metrics, &changes("SetRole", "refused", 1));
    // There from the beginning, so that the first one is an increase.
    assert_shows(&metrics, &changes("SetCollections", "taken", 0));
    let held = |kind, count| format!("directory_sync_access_held{} {count}", of(kind, ""));
    assert_shows(&metrics, &held("SetRole", 2));
    metrics.set_access(&staff, None);
    assert!(!text(&metrics).contains("access_held{"));
    assert_shows(&metrics, &changes("SetRole", "given", 2));
}

fn families_of(metrics: &Metrics, name: &str) -> usize {
    let mut families: Vec<_> = text(metrics)
        .lines()
        .filter(|line| line.contains(&format!("name=\"{name}\"")))
        .map(|line| {
            let series = line.split('{').next().unwrap();
            ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| series.strip_suffix(part))
                .unwrap_or(series)
                .to_owned()
        })
        .collect();
    families.sort();
    families.dedup();
    families.len()
}

fn assert_shows(metrics: &Metrics, line: &str) {
    let text = text(metrics);
    assert!(
        text.lines().any(|shown| shown == line),
        "{line} is missing in\n{text}"
    );
}

fn text(metrics: &Metrics) -> String {
    metrics.expose(Exposition::OpenMetrics)
}
