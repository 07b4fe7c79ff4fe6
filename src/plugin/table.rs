//! Columns that line up.

use anstyle::Style;

use crate::text::truncate;

/// Spaces between two columns.
const GAP: usize = 3;

/// One field of a table.
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text in a style.
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }
}

impl Cell {
    /// How many characters it has.
    pub fn width(&self) -> usize {
        self.text.chars().count()
    }

    /// Cuts it to so many characters.
    pub fn truncate(&mut self, max: usize) {
        self.text = truncate(&self.text, max);
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, Style::new())
    }
}

/// Rows with their columns under each other, each line indented. Styles take no room; whoever
/// prints takes them out where nobody sees them.
pub fn lines(rows: &[Vec<Cell>], indent: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widths = cells.map(|cell| cell.text.chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        text.push_str(&" ".repeat(indent));
        for (column, cell) in row.iter().enumerate() {
            let Cell { text: word, style } = cell;
            text.push_str(&format!("{style}{word}{style:#}"));
            if column + 1 < row.len() {
                let room = widths[column] - word.chars().count() + GAP;
                text.push_str(&" ".repeat(room));
            }
        }
        text.push('\n');
    }
    text
}

/// The characters of the longest line.
pub fn width(rows: &[Vec<Cell>]) -> usize {
    let shown = lines(rows, 0);
    let shown = anstream::adapter::strip_str(&shown).to_string();
    let widths = shown.lines().map(|line| line.chars().count());
    widths.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn columns_line_up_whatever_is_coloured_and_nothing_trails() {
        let red = AnsiColor::Red.on_default();
        let rows = vec![
            vec!["NAME".into(), "STATE".into(), "HELD".into()],
            vec![
                "staff".into(),
                Cell::styled("changes held", red),
                "70".into(),
            ],
            vec!["über".into(), Cell::styled("in sync", red), "-".into()],
        ];
        let shown = anstream::adapter::strip_str(&lines(&rows, 2)).to_string();
        assert_eq!(
            shown,
            "  NAME    STATE          HELD\n  staff   changes held   70\n  über    in sync        -\n"
        );
    }
}
