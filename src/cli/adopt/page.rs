//! The page that says what became of each setting.

use super::read::Connector;
use super::translate::Translation;

/// The page, in Markdown. `folder` is where everything was written, `name` the resource's name.
pub fn page(from: &Connector, translation: &Translation, name: &str, folder: &str) -> String {
    let mut lines = vec![
        "# From Bitwarden Directory Connector".to_owned(),
        String::new(),
        format!(
            "Made of `{}`: {}.",
            cell(&from.path.display().to_string()),
            from.kind.describe()
        ),
    ];
    if !translation.gaps.is_empty() {
        lines.extend([
            String::new(),
            "## Missing".into(),
            String::new(),
            "Fill these in first:".into(),
            String::new(),
        ]);
        lines.extend(
            translation
                .gaps
                .iter()
                .map(|gap| format!("- {}", cell(gap))),
        );
    }
    lines.extend([
        String::new(),
        "## Setting by setting".into(),
        String::new(),
        "| connector | value | here | what is different |".into(),
        "|---|---|---|---|".into(),
    ]);
    lines.extend(translation.rows.iter().map(|row| {
        format!(
            "| {} | {} | {} | {} |",
            cell(&row.setting),
            cell(&row.value),
            cell(&row.ours),
            cell(&row.remark)
        )
    }));
    lines.extend([
        String::new(),
        "## Different in any case".into(),
        String::new(),
    ]);
    let differences = translation.differences.iter();
    lines.extend(differences.map(|difference| format!("- {difference}")));
    lines.extend([
        String::new(),
        "## Next".into(),
        String::new(),
        "The connector may run until step 5: before it, nothing is changed here.".into(),
        String::new(),
        format!("1. Test both sides: `directory-sync check -f {folder}`"),
        format!(
            "2. See what would change: `directory-sync plan -f {folder}`. Nobody who is a member already \
             should be invited, and nobody removed."
        ),
        format!(
            "3. With a cluster, apply it: `kubectl apply -f {folder}`. It previews, and changes nothing."
        ),
        format!("4. Read the operator's plan: `kubectl directorysync plan {name}`"),
        "5. Stop the connector. Two programs that fill one organization undo each other's work.".into(),
        "6. Look at the plan once more (step 2).".into(),
        format!(
            "7. Set `mode: Apply` in `directorysync.yaml`, and apply it again; without a cluster: \
             `directory-sync sync -f {folder}`"
        ),
        String::new(),
    ]);
    lines.join("\n")
}

/// A text within a cell of a table.
fn cell(text: &str) -> String {
    crate::text::sanitize(text).replace('|', "\\|")
}
