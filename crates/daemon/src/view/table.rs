//! Columns of text: each as wide as its widest cell and some spaces.

use unicode_width::UnicodeWidthStr as _;

const PADDING: usize = 3;
const LEAST: usize = 10;

/// The rows of `text` with the cells between its tabs lined up, three spaces apart and at least
/// ten wide.
#[must_use]
pub fn align(text: &str) -> String {
    align_by(text, LEAST, PADDING)
}

/// The same, `padding` spaces apart and at least `least` wide.
#[must_use]
pub fn align_by(text: &str, least: usize, padding: usize) -> String {
    let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split('\t').collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        // The last cell of a row has no tab after it and so no width.
        for (column, cell) in row.iter().enumerate().take(row.len() - 1) {
            if widths.len() <= column {
                widths.push(least);
            }
            widths[column] = widths[column].max(cell.width() + padding);
        }
    }
    let mut aligned = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            aligned.push_str(cell);
            if column + 1 < row.len() {
                let pad = widths[column].saturating_sub(cell.width());
                aligned.extend(std::iter::repeat_n(' ', pad));
            }
        }
        aligned.push('\n');
    }
    aligned
}
