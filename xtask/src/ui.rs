//! What a person sees: the only place in this crate that prints.

use std::fmt::Display;
use std::time::Duration;

/// A line of result.
#[expect(clippy::print_stdout, reason = "the one place that prints results")]
pub(crate) fn say(line: impl Display) {
    println!("{line}");
}

/// A line that tells what is being done now, kept apart from results.
#[expect(clippy::print_stderr, reason = "the one place that prints progress")]
pub(crate) fn step(line: impl Display) {
    eprintln!("==> {line}");
}

/// The error that ends a chore, with its causes, one a line.
#[expect(clippy::print_stderr, reason = "the one place that prints errors")]
pub(crate) fn failure(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  caused by: {cause}");
    }
}

/// Rows under a head, in columns as wide as their widest cell. The first column is text and stands
/// left, the others are figures and stand right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut text = String::new();
    for row in [&head, &rule].into_iter().chain(rows) {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            if column == 0 {
                line.push_str(cell);
                line.push_str(&gap);
            } else {
                line.push_str("  ");
                line.push_str(&gap);
                line.push_str(cell);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A time as people read it.
pub(crate) fn time(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    match milliseconds {
        0.0..10.0 => format!("{milliseconds:.2} ms"),
        10.0..1000.0 => format!("{milliseconds:.0} ms"),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{table, time};

    #[test]
    fn times_have_three_figures() {
        let shown = [500, 12_345, 345_678, 12_345_678].map(|t| time(Duration::from_micros(t)));
        assert_eq!(shown, ["0.50 ms", "12 ms", "346 ms", "12.35 s"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a long name".to_owned(), "1".to_owned()],
            vec!["b".to_owned(), "1,000.0 ms".to_owned()],
        ];
        let expected = "\
what               time
-----------  ----------
a long name           1
b            1,000.0 ms
";
        assert_eq!(table(&["what", "time"], &rows), expected);
    }
}
