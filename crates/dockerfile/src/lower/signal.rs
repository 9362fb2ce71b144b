//! Signals by name or number, as Docker knows them on Linux.

const NAMES: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// The text names a signal.
pub(super) fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number != 0;
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str, most: u32| {
        let number = name.strip_prefix(prefix)?;
        // No sign and no leading zero.
        let plain = number.starts_with(|c: char| ('1'..='9').contains(&c));
        plain.then(|| number.parse::<u32>().is_ok_and(|number| number <= most))
    };
    NAMES.contains(&name)
        || real_time("RTMIN+", 15) == Some(true)
        || real_time("RTMAX-", 14) == Some(true)
}
