//! The daemon's log as it is written: a line for each entry, in the form that the daemons have that
//! kiln stands in for.

use std::fmt::Write as _;
use std::time::SystemTime;

use daemon::{Entry, Level};
use engine::{LogFormat, LogLevel, ServeConfig};
use serde_json::{Map, Value};

use crate::ui::Ui;

/// Writes entries to standard error.
pub(super) struct Writer<'ui, 'out> {
    ui: &'ui mut Ui<'out>,
    format: LogFormat,
    level: LogLevel,
    now: fn() -> SystemTime,
}

impl<'ui, 'out> Writer<'ui, 'out> {
    pub(super) fn new(
        ui: &'ui mut Ui<'out>,
        config: &ServeConfig,
        now: fn() -> SystemTime,
    ) -> Self {
        Self {
            ui,
            format: config.log_format,
            level: config.log_level,
            now,
        }
    }

    /// Writes as `config` says from now on.
    pub(super) fn set(&mut self, config: &ServeConfig) {
        (self.format, self.level) = (config.log_format, config.log_level);
    }

    pub(super) fn write(&mut self, entry: &Entry) {
        if level(entry.level) >= self.level {
            self.ui.say(&line(entry, self.format, (self.now)()));
        }
    }
}

const fn level(level: Level) -> LogLevel {
    match level {
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warning => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}

fn line(entry: &Entry, format: LogFormat, now: SystemTime) -> String {
    let level = match entry.level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let time = engine::rfc3339(now);
    match format {
        LogFormat::Text => {
            let mut line = format!("time={time:?} level={level} msg={:?}", entry.message);
            for (name, value) in &entry.fields {
                // Writing to a text does not fail.
                let _ = match is_plain(value) {
                    true => write!(line, " {name}={value}"),
                    false => write!(line, " {name}={value:?}"),
                };
            }
            line
        }
        LogFormat::Json => {
            let known = [("time", &*time), ("level", level), ("msg", entry.message)];
            let known = known.map(|(name, value)| (name.to_owned(), Value::from(value)));
            let mut object: Map<String, Value> = known.into_iter().collect();
            for (name, value) in &entry.fields {
                object.insert((*name).to_owned(), value.as_str().into());
            }
            Value::from(object).to_string()
        }
    }
}

/// Whether a value needs no quotes.
fn is_plain(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/@:+".contains(&byte);
    !value.is_empty() && value.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let entry = Entry::new(Level::Warning, "something happened")
            .with("path", "/v1.43/build")
            .with("error", "a \"b\"\nc")
            .with("empty", "");
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(
            line(&entry, LogFormat::Text, now),
            "time=\"1970-01-01T00:00:00Z\" level=warning msg=\"something happened\" \
             path=/v1.43/build error=\"a \\\"b\\\"\\nc\" empty=\"\""
        );
        assert_eq!(
            line(&entry, LogFormat::Json, now),
            "{\"empty\":\"\",\"error\":\"a \\\"b\\\"\\nc\",\"level\":\"warning\",\
             \"msg\":\"something happened\",\"path\":\"/v1.43/build\",\
             \"time\":\"1970-01-01T00:00:00Z\"}"
        );
    }

    #[test]
    fn what_matters_less_is_left_out() {
        let mut written = Vec::new();
        let mut ui = Ui::new(std::io::sink(), &mut written);
        let config = ServeConfig {
            log_level: LogLevel::Warn,
            ..ServeConfig::default()
        };
        let mut writer = Writer::new(&mut ui, &config, || SystemTime::UNIX_EPOCH);
        writer.write(&Entry::new(Level::Info, "one"));
        writer.write(&Entry::new(Level::Error, "two"));
        writer.set(&ServeConfig::default());
        writer.write(&Entry::new(Level::Info, "three"));
        drop(ui);
        let written = String::from_utf8(written).unwrap();
        let messages: Vec<&str> = written
            .lines()
            .filter_map(|line| line.split("msg=").nth(1))
            .collect();
        assert_eq!(messages, ["\"two\"", "\"three\""]);
    }
}
