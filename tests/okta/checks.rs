//! What `check` reports before the first sync.

use simulators::okta::Config;

use crate::harness::*;

#[tokio::test]
async fn a_check_reports_what_was_seen_and_reads_no_more_than_the_first_pages() {
    let okta = company(Config::default()).await;
    let mut settings = settings(&okta);
    settings.application_id = Some("0oanowhere".into());
    let steps = check(settings).await;
    let lines: Vec<_> = steps
        .iter()
        .map(|step| {
            format!(
                "{}: {}",
                step.name,
                step.result.as_ref().unwrap_or_else(|e| e)
            )
        })
        .collect();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    assert!(
        lines[0].ends_with("more than 2 people, such as ann@example.com"),
        "{lines:#?}"
    );
    assert!(lines[1].ends_with("there is nobody"), "{lines:#?}");
    assert!(steps[2].result.is_err(), "{lines:#?}");
    assert!(
        lines[2].contains("no application \"0oanowhere\""),
        "{lines:#?}"
    );
    assert_eq!(lines[3], "read groups: more than 2 groups of all kinds");
    assert_eq!(lines[4], "read the members of All: more than 2 people");
    assert_eq!(okta.requests().len(), 5);
}
