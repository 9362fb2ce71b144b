//! Whether what a front end made can be exported, and is what was asked for.
//!
//! A client may make its result itself and say anything of it, so that is looked at before anything
//! is written; what only differs from the request is a warning.

use std::collections::BTreeSet;

use bollard_buildkit_proto::moby::buildkit::v1::VertexWarning;
use oci::Platform;
use serde_json::Value;
use tonic::Status;

use super::results::{CONFIG, Metadata, PLATFORMS, Results};

/// Makes sure that what is said of a result makes sense.
///
/// # Errors
/// It does not.
pub(super) fn check(metadata: &Metadata) -> Result<(), Status> {
    if let Some(json) = metadata.get(PLATFORMS) {
        check_platforms(&document(PLATFORMS, json)?)?;
    }
    let prefix = format!("{CONFIG}/");
    let is_config = |name: &str| name == CONFIG || name.starts_with(&prefix);
    for (name, json) in metadata.iter().filter(|(name, _)| is_config(name)) {
        check_config(&document(name, json)?)?;
    }
    Ok(())
}

fn check_platforms(platforms: &Value) -> Result<(), Status> {
    let invalid = |message: String| Err(Status::invalid_argument(message));
    let entries = platforms["Platforms"].as_array();
    let Some(entries) = entries.filter(|entries| !entries.is_empty()) else {
        return invalid("invalid empty platforms index for exporter".to_owned());
    };
    for entry in entries {
        if is_empty(&entry["ID"]) {
            return invalid("invalid empty platform key for exporter".to_owned());
        }
        let platform = &entry["Platform"];
        if is_empty(&platform["os"]) || is_empty(&platform["architecture"]) {
            return invalid(format!("invalid platform value {platform} for exporter"));
        }
    }
    Ok(())
}

fn check_config(config: &Value) -> Result<(), Status> {
    if config.is_null() {
        let message = "invalid null image config for export";
        return Err(Status::invalid_argument(message));
    }
    if is_empty(&config["os"]) != is_empty(&config["architecture"]) {
        let message = "invalid image config: os and architecture must be specified together";
        return Err(Status::invalid_argument(message));
    }
    Ok(())
}

fn document(name: &str, json: &[u8]) -> Result<Value, Status> {
    let parsed = serde_json::from_slice(json);
    parsed.map_err(|error| Status::invalid_argument(format!("invalid {name}: {error}")))
}

fn is_empty(value: &Value) -> bool {
    value.as_str().is_none_or(str::is_empty)
}

/// What clients are told when `results` are not for the platforms that were asked for, which the
/// option `platform` names. Of a build that asks for none its front end may have been asked.
pub(super) fn mismatch(
    asked: Option<&str>,
    results: &Results,
    metadata: &Metadata,
) -> Vec<VertexWarning> {
    let is_nothing = matches!(results, Results::Nothing) && !metadata.contains_key(PLATFORMS);
    let Some(asked) = asked.filter(|_| !is_nothing) else {
        return Vec::new();
    };
    let warning = |short: String| VertexWarning {
        short: short.into_bytes(),
        ..VertexWarning::default()
    };
    told(asked, matches!(results, Results::Each(_)), metadata)
        .into_iter()
        .map(warning)
        .collect()
}

fn told(asked: &str, is_each: bool, metadata: &Metadata) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for text in asked.split(',') {
        match text.parse::<Platform>() {
            Err(error) => warnings.push(format!(
                "Invalid platform result requested {text:?}: {error}"
            )),
            Ok(platform) => {
                if !wanted.insert(platform.normalised().to_string()) {
                    warnings.push(format!("Duplicate platform result requested {text:?}"));
                }
            }
        }
    }
    if !warnings.is_empty() {
        return warnings;
    }
    let made: BTreeSet<Platform> = made(metadata).into_iter().collect();
    let is_wanted = |platform: &Platform| {
        let any = Platform {
            os_version: String::new(),
            ..platform.clone()
        };
        wanted.contains(&platform.to_string()) || wanted.contains(&any.to_string())
    };
    if wanted.len() == made.len() && made.iter().all(is_wanted) {
        return Vec::new();
    }
    let listed = |platforms: Vec<String>| platforms.join(",");
    let made: Vec<String> = made.iter().map(ToString::to_string).collect();
    let wanted: Vec<String> = wanted.into_iter().collect();
    vec![match (wanted.as_slice(), made.as_slice()) {
        ([wanted], [made]) => {
            format!("Requested platform {wanted:?} does not match result platform {made:?}")
        }
        _ if !is_each => "Multiple platforms requested but result is not multi-platform".to_owned(),
        _ => format!(
            "Requested platforms {} do not match result platforms {}",
            listed(wanted),
            listed(made)
        ),
    }]
}

/// The platforms that results are said to be for.
fn made(metadata: &Metadata) -> Vec<Platform> {
    let read = |json: &Vec<u8>| serde_json::from_slice::<Value>(json).unwrap_or_default();
    let platform = |value: &Value| {
        let platform: Option<Platform> = serde_json::from_value(value.clone()).ok();
        platform.map(|platform| platform.normalised())
    };
    if let Some(platforms) = metadata.get(PLATFORMS).map(read) {
        let entries = platforms["Platforms"].as_array().into_iter().flatten();
        return entries
            .filter_map(|entry| platform(&entry["Platform"]))
            .collect();
    }
    let own = metadata.get(CONFIG).map(read);
    let own = own.filter(|config| !is_empty(&config["os"]));
    own.as_ref()
        .and_then(platform)
        .map_or_else(|| vec![Platform::host()], |platform| vec![platform])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(given: &[(&str, &str)]) -> Metadata {
        let given = given.iter();
        given
            .map(|(name, json)| ((*name).to_owned(), json.as_bytes().to_vec()))
            .collect()
    }

    #[test]
    fn what_makes_no_sense() {
        for (name, json, expected) in [
            (CONFIG, "null", "invalid null image config for export"),
            (
                CONFIG,
                r#"{"os":"","architecture":"amd64"}"#,
                "invalid image config: os and architecture must be specified together",
            ),
            (
                "containerimage.config/linux/amd64",
                r#"{"os":"linux"}"#,
                "invalid image config: os and architecture must be specified together",
            ),
            (CONFIG, r#"{"os":"linux","architecture":"amd64"}"#, ""),
            (CONFIG, "{}", ""),
            ("containerimage.configuration", "null", ""),
            (
                PLATFORMS,
                "null",
                "invalid empty platforms index for exporter",
            ),
            (
                PLATFORMS,
                r#"{"Platforms":[]}"#,
                "invalid empty platforms index for exporter",
            ),
            (
                PLATFORMS,
                r#"{"Platforms":[{"ID":""}]}"#,
                "invalid empty platform key for exporter",
            ),
            (
                PLATFORMS,
                r#"{"Platforms":[{"ID":"x","Platform":{"os":"","architecture":"a"}}]}"#,
                r#"invalid platform value {"architecture":"a","os":""} for exporter"#,
            ),
            (PLATFORMS, "{", "invalid refs.platforms: "),
        ] {
            let told = match check(&metadata(&[(name, json)])) {
                Ok(()) => String::new(),
                Err(status) => status.message().to_owned(),
            };
            assert!(told.starts_with(expected), "{told} is not {expected}");
            assert_eq!(told.is_empty(), expected.is_empty(), "{told}");
        }
    }

    #[test]
    fn what_is_not_what_was_asked_for() {
        let arm = r#"{"os":"linux","architecture":"arm64"}"#;
        let windows = r#"{"os":"windows","os.version":"10.0.1","architecture":"amd64"}"#;
        let both = r#"{"Platforms":[
            {"ID":"a","Platform":{"os":"linux","architecture":"arm64","variant":"v8"}},
            {"ID":"b","Platform":{"os":"linux","architecture":"amd64"}}]}"#;
        for (asked, given, is_each, expected) in [
            ("linux/arm64", &[(CONFIG, arm)][..], false, ""),
            ("windows/amd64", &[(CONFIG, windows)], false, ""),
            (
                "linux/amd64",
                &[(CONFIG, arm)],
                false,
                r#"Requested platform "linux/amd64" does not match result platform "linux/arm64""#,
            ),
            (
                "linux/amd64,linux/arm64",
                &[(CONFIG, arm)],
                false,
                "Multiple platforms requested but result is not multi-platform",
            ),
            ("linux/amd64,linux/arm64/v8", &[(PLATFORMS, both)], true, ""),
            (
                "linux/amd64,linux/s390x",
                &[(PLATFORMS, both)],
                true,
                "Requested platforms linux/amd64,linux/s390x do not match result platforms \
                 linux/amd64,linux/arm64",
            ),
            (
                "linux/amd64,linux/x86_64",
                &[(CONFIG, arm)],
                false,
                r#"Duplicate platform result requested "linux/x86_64""#,
            ),
            (
                "a/b/c/d",
                &[],
                false,
                "Invalid platform result requested \"a/b/c/d\": \"a/b/c/d\": invalid platform, \
                 expected os/arch or os/arch/variant",
            ),
        ] {
            let told = told(asked, is_each, &metadata(given));
            assert_eq!(told.join("\n"), expected, "{asked}");
        }
    }
}
