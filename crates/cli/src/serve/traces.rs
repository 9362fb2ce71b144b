//! Where traces are sent, in the variables that OpenTelemetry's programs share (OpenTelemetry
//! Protocol Exporter, section "Configuration Options").

use daemon::TraceOptions;

use crate::environment::Environment;
use crate::error::Error;

/// Where traces are sent, if the environment says so.
///
/// # Errors
/// It asks for a protocol that kiln does not speak, or a variable is not UTF-8.
pub(super) fn options(environment: &Environment) -> Result<Option<TraceOptions>, Error> {
    let value = |name: &str| environment.text(name);
    // What is for traces alone is stronger.
    let either = |name: &str| {
        let own = environment.text(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))?;
        let shared = environment.text(&format!("OTEL_EXPORTER_OTLP_{name}"))?;
        Ok::<_, Error>(own.or(shared))
    };
    let is_off = value("OTEL_SDK_DISABLED")? == Some("true");
    if is_off || value("OTEL_TRACES_EXPORTER")? == Some("none") {
        return Ok(None);
    }
    let endpoint = match value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")? {
        Some(whole) => whole.to_owned(),
        None => match value("OTEL_EXPORTER_OTLP_ENDPOINT")? {
            Some(base) => format!("{}/v1/traces", base.trim_end_matches('/')),
            None => return Ok(None),
        },
    };
    if let Some(protocol) = either("PROTOCOL")?.filter(|protocol| *protocol != "http/protobuf") {
        let message = format!("OTEL_EXPORTER_OTLP_PROTOCOL: kiln does not speak {protocol:?}");
        return Err(
            Error::new(message).hint("say http/protobuf, which collectors listen for on port 4318")
        );
    }
    Ok(Some(TraceOptions {
        endpoint,
        headers: headers(either("HEADERS")?.unwrap_or_default()),
        service: value("OTEL_SERVICE_NAME")?.unwrap_or("kiln").to_owned(),
    }))
}

/// `name=value` with commas between; values are percent-encoded.
fn headers(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), decoded(value.trim())))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let encoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match encoded.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::environment::Terminals;

    fn of(variables: &[(&str, &str)]) -> Result<Option<TraceOptions>, Error> {
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        options(&Environment {
            arguments: Vec::new(),
            variables: variables.collect(),
            working_directory: "/".into(),
            is_root: true,
            terminals: Terminals::default(),
            now: || SystemTime::UNIX_EPOCH,
        })
    }

    #[test]
    fn what_the_environment_says() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
        let options = of(&[
            base,
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Basic%20eA==, x=%zz%",
            ),
        ]);
        let expected = TraceOptions {
            endpoint: "http://collector:4318/v1/traces".to_owned(),
            headers: vec![
                ("authorization".to_owned(), "Basic eA==".to_owned()),
                ("x".to_owned(), "%zz%".to_owned()),
            ],
            service: "kiln".to_owned(),
        };
        assert_eq!(options.unwrap(), Some(expected));
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/own");
        let options = of(&[base, own, ("OTEL_SERVICE_NAME", "ci")])
            .unwrap()
            .unwrap();
        assert_eq!(
            (&*options.endpoint, &*options.service),
            ("https://c/own", "ci")
        );
        for nothing in [
            &[][..],
            &[base, ("OTEL_SDK_DISABLED", "true")],
            &[base, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert_eq!(of(nothing).unwrap(), None);
        }
        let error = of(&[base, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
        assert_eq!(
            error.message,
            "OTEL_EXPORTER_OTLP_PROTOCOL: kiln does not speak \"grpc\""
        );
    }
}
