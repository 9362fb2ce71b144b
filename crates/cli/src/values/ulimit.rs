//! `--ulimit name=soft[:hard]`.

use engine::Ulimit;

use super::ValueError;

const NAMES: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// The limit that `text` names.
///
/// # Errors
/// The text is malformed, names no limit, or its soft limit is above the hard one.
pub fn parse(text: &str) -> Result<Ulimit, ValueError> {
    let invalid = || ValueError::Ulimit(text.to_owned());
    let (name, values) = text.split_once('=').ok_or_else(invalid)?;
    if !NAMES.contains(&name) {
        return Err(ValueError::UlimitName(name.to_owned()));
    }
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard): (i64, i64) = (
        soft.parse().map_err(|_| invalid())?,
        hard.parse().map_err(|_| invalid())?,
    );
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(ValueError::UlimitOrder { soft, hard });
    }
    Ok(Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, expected) in [
            ("nofile=1024", "nofile 1024 1024"),
            ("nofile=1024:2048", "nofile 1024 2048"),
            ("core=-1", "core -1 -1"),
            ("core=5:-1", "core 5 -1"),
            (
                "nofile=5:2",
                "ulimit soft limit must be less than or equal to hard limit: 5 > 2",
            ),
            ("what=1", "invalid ulimit type: what"),
            ("nofile", "invalid ulimit argument: nofile"),
            ("nofile=x", "invalid ulimit argument: nofile=x"),
        ] {
            let got = match parse(text) {
                Ok(limit) => format!("{} {} {}", limit.name, limit.soft, limit.hard),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected);
        }
    }
}
