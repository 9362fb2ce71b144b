//! Signals by their names.

/// The names of the signals that every machine has, by their numbers on it.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// A signal by name, with or without `SIG`, or by number; none if there is no such signal.
pub(crate) fn number(text: &str) -> Option<i32> {
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let by_name = SIGNALS.iter().position(|known| *known == name);
    let by_name = by_name.and_then(|place| i32::try_from(place + 1).ok());
    let number = text.parse().ok().or(by_name);
    number.filter(|number| (1..=64).contains(number))
}
