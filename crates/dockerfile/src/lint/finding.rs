//! Every check there is, with its message.

use crate::quote::quote;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    StageNameCasing {
        name: String,
    },
    FromAsCasing {
        from: String,
        r#as: String,
    },
    NoEmptyContinuation,
    ConsistentInstructionCasing {
        written: String,
        casing: &'static str,
    },
    DuplicateStageName {
        name: String,
    },
    ReservedStageName {
        name: String,
    },
    JsonArgsRecommended {
        instruction: String,
    },
    MaintainerDeprecated,
    UndefinedArgInFrom {
        name: String,
        nearest: Option<String>,
    },
    WorkdirRelativePath {
        path: String,
    },
    UndefinedVar {
        name: String,
        nearest: Option<String>,
    },
    MultipleInstructionsDisallowed {
        instruction: String,
    },
    LegacyKeyValueFormat {
        instruction: String,
    },
    InvalidBaseImagePlatform {
        image: String,
        expected: String,
        actual: String,
    },
    RedundantTargetPlatform {
        written: String,
    },
    SecretsUsedInArgOrEnv {
        instruction: &'static str,
        key: String,
    },
    InvalidDefaultArgInFrom {
        base: String,
    },
    FromPlatformFlagConstDisallowed {
        platform: String,
    },
    CopyIgnoredFile {
        instruction: &'static str,
        path: String,
    },
    InvalidDefinitionDescription {
        instruction: &'static str,
        name: String,
    },
    ExposeProtoCasing {
        port: String,
    },
    ExposeInvalidFormat {
        port: String,
    },
}

impl Finding {
    pub(crate) const fn rule(&self) -> &'static str {
        match self {
            Self::StageNameCasing { .. } => "StageNameCasing",
            Self::FromAsCasing { .. } => "FromAsCasing",
            Self::NoEmptyContinuation => "NoEmptyContinuation",
            Self::ConsistentInstructionCasing { .. } => "ConsistentInstructionCasing",
            Self::DuplicateStageName { .. } => "DuplicateStageName",
            Self::ReservedStageName { .. } => "ReservedStageName",
            Self::JsonArgsRecommended { .. } => "JSONArgsRecommended",
            Self::MaintainerDeprecated => "MaintainerDeprecated",
            Self::UndefinedArgInFrom { .. } => "UndefinedArgInFrom",
            Self::WorkdirRelativePath { .. } => "WorkdirRelativePath",
            Self::UndefinedVar { .. } => "UndefinedVar",
            Self::MultipleInstructionsDisallowed { .. } => "MultipleInstructionsDisallowed",
            Self::LegacyKeyValueFormat { .. } => "LegacyKeyValueFormat",
            Self::InvalidBaseImagePlatform { .. } => "InvalidBaseImagePlatform",
            Self::RedundantTargetPlatform { .. } => "RedundantTargetPlatform",
            Self::SecretsUsedInArgOrEnv { .. } => "SecretsUsedInArgOrEnv",
            Self::InvalidDefaultArgInFrom { .. } => "InvalidDefaultArgInFrom",
            Self::FromPlatformFlagConstDisallowed { .. } => "FromPlatformFlagConstDisallowed",
            Self::CopyIgnoredFile { .. } => "CopyIgnoredFile",
            Self::InvalidDefinitionDescription { .. } => "InvalidDefinitionDescription",
            Self::ExposeProtoCasing { .. } => "ExposeProtoCasing",
            Self::ExposeInvalidFormat { .. } => "ExposeInvalidFormat",
        }
    }

    pub(crate) const fn is_experimental(&self) -> bool {
        matches!(self, Self::InvalidDefinitionDescription { .. })
    }

    /// Docker's page on the check.
    pub(crate) fn url(&self) -> Option<String> {
        let page = match self {
            Self::InvalidBaseImagePlatform { .. } => return None,
            Self::JsonArgsRecommended { .. } => "json-args-recommended".to_owned(),
            _ => {
                let mut page = String::new();
                for character in self.rule().chars() {
                    if character.is_ascii_uppercase() && !page.is_empty() {
                        page.push('-');
                    }
                    page.push(character.to_ascii_lowercase());
                }
                page
            }
        };
        Some(format!(
            "https://docs.docker.com/go/dockerfile/rule/{page}/"
        ))
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::StageNameCasing { name } => format!("Stage name '{name}' should be lowercase"),
            Self::FromAsCasing { from, r#as } => {
                format!("'{as}' and '{from}' keywords' casing do not match")
            }
            Self::NoEmptyContinuation => "Empty continuation line".to_owned(),
            Self::ConsistentInstructionCasing { written, casing } => format!(
                "Command '{written}' should match the case of the command majority ({casing})"
            ),
            Self::DuplicateStageName { name } => format!(
                "Duplicate stage name {}, stage names should be unique",
                quote(name)
            ),
            Self::ReservedStageName { name } => format!(
                "Stage name should not use the same name as reserved stage {}",
                quote(name)
            ),
            Self::JsonArgsRecommended { instruction } => format!(
                "JSON arguments recommended for {instruction} to prevent unintended behavior related to OS signals"
            ),
            Self::MaintainerDeprecated => {
                "Maintainer instruction is deprecated in favor of using label".to_owned()
            }
            Self::UndefinedArgInFrom { name, nearest } => {
                format!(
                    "FROM argument '{name}' is not declared{}",
                    hint("", nearest)
                )
            }
            Self::WorkdirRelativePath { path } => format!(
                "Relative workdir {} can have unexpected results if the base image changes",
                quote(path)
            ),
            Self::UndefinedVar { name, nearest } => {
                format!(
                    "Usage of undefined variable '${name}'{}",
                    hint("$", nearest)
                )
            }
            Self::MultipleInstructionsDisallowed { instruction } => format!(
                "Multiple {instruction} instructions should not be used in the same stage because only the last one will be used"
            ),
            Self::LegacyKeyValueFormat { instruction } => format!(
                "\"{instruction} key=value\" should be used instead of legacy \"{instruction} key value\" format"
            ),
            _ => self.message_of_values(),
        }
    }

    /// Messages of checks that look at values.
    fn message_of_values(&self) -> String {
        match self {
            Self::InvalidBaseImagePlatform {
                image,
                expected,
                actual,
            } => format!(
                "Base image {image} was pulled with platform {}, expected {} for current build",
                quote(actual),
                quote(expected)
            ),
            Self::RedundantTargetPlatform { written } => format!(
                "Setting platform to predefined {written} in FROM is redundant as this is the default behavior"
            ),
            Self::SecretsUsedInArgOrEnv { instruction, key } => format!(
                "Do not use ARG or ENV instructions for sensitive data ({instruction} {})",
                quote(key)
            ),
            Self::InvalidDefaultArgInFrom { base } => {
                format!("Default value for ARG {base} results in empty or invalid base image name")
            }
            Self::FromPlatformFlagConstDisallowed { platform } => format!(
                "FROM --platform flag should not use constant value {}",
                quote(platform)
            ),
            Self::CopyIgnoredFile { instruction, path } => format!(
                "Attempting to {instruction} file {} that is excluded by .dockerignore",
                quote(path)
            ),
            Self::InvalidDefinitionDescription { instruction, name } => format!(
                "Comment for {instruction} should follow the format: `# {name} <description>`"
            ),
            Self::ExposeProtoCasing { port } => {
                format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase")
            }
            Self::ExposeInvalidFormat { port } => format!(
                "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
            ),
            other => other.rule().to_owned(),
        }
    }
}

/// A variable by this name likely holds a secret.
pub(crate) fn is_secret(key: &str) -> bool {
    const SECRET: &[&str] = &[
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ];
    const HARMLESS: &[&str] = &["public", "file", "version"];
    let lower = key.to_lowercase();
    let has = |words: &[&str]| lower.split('_').any(|word| words.contains(&word));
    has(SECRET) && !has(HARMLESS)
}

fn hint(mark: &str, nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or_else(String::new, |name| format!(" (did you mean {mark}{name}?)"))
}
