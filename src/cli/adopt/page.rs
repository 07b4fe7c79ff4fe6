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
        "1. Stop the connector. Two programs that fill one organization undo each other's work.".into(),
        format!("2. Test both sides: `directory-sync check -f {folder}`"),
        format!("3. See what would change: `directory-sync plan -f {folder}`"),
        format!("4. Apply it: `kubectl apply -f {folder}`. It previews, and changes nothing."),
        format!(
            "5. Read the plan: `kubectl directorysync plan {name}`. Nobody who is a member already should \
             be invited, and nobody removed."
        ),
        "6. Set `mode: Apply`.".into(),
        String::new(),
    ]);
    lines.join("\n")
}

/// A text within a cell of a table.
fn cell(text: &str) -> String {
    crate::text::sanitize(text).replace('|', "\\|")
}
