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
        /// What the command is as a list, when no shell is needed to tell.
        list: Option<String>,
    },
    MaintainerDeprecated,
    UndefinedArgInFrom {
        name: String,
        nearest: Option<String>,
        declared: Declared,
    },
    WorkdirRelativePath {
        path: String,
    },
    UndefinedVar {
        name: String,
        nearest: Option<String>,
        declared: Declared,
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
    LatestBaseImage {
        image: String,
    },
    PackageListsKept {
        command: String,
        remove: &'static str,
        cache: &'static str,
    },
    CdInsteadOfWorkdir {
        directory: String,
    },
    SudoInRun,
    CacheMountMissing {
        command: String,
        cache: &'static str,
    },
    CopyBeforeInstall {
        source: String,
        command: String,
        manifests: &'static str,
    },
}

/// Where a variable is declared that cannot be used where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    Nowhere,
    /// Before the first `FROM`.
    BeforeFrom,
    /// In a stage, on this line.
    InStage(u32),
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
            Self::LatestBaseImage { .. } => "LatestBaseImage",
            Self::PackageListsKept { .. } => "PackageListsKept",
            Self::CdInsteadOfWorkdir { .. } => "CdInsteadOfWorkdir",
            Self::SudoInRun => "SudoInRun",
            Self::CacheMountMissing { .. } => "CacheMountMissing",
            Self::CopyBeforeInstall { .. } => "CopyBeforeInstall",
        }
    }

    pub(crate) const fn is_experimental(&self) -> bool {
        matches!(self, Self::InvalidDefinitionDescription { .. })
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
            Self::JsonArgsRecommended { instruction, .. } => format!(
                "JSON arguments recommended for {instruction} to prevent unintended behavior related to OS signals"
            ),
            Self::MaintainerDeprecated => {
                "Maintainer instruction is deprecated in favor of using label".to_owned()
            }
            Self::UndefinedArgInFrom { name, nearest, .. } => {
                format!(
                    "FROM argument '{name}' is not declared{}",
                    hint("", nearest)
                )
            }
            Self::WorkdirRelativePath { path } => format!(
                "Relative workdir {} can have unexpected results if the base image changes",
                quote(path)
            ),
            Self::UndefinedVar { name, nearest, .. } => {
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
            other => other.message_of_kiln(),
        }
    }

    /// Messages of checks that only kiln has.
    fn message_of_kiln(&self) -> String {
        match self {
            Self::LatestBaseImage { image } => format!(
                "Base image {} has no version, and is another one whenever a new one comes out",
                quote(image)
            ),
            Self::PackageListsKept { command, .. } => {
                format!("'{command}' leaves its package lists in the layer")
            }
            Self::CdInsteadOfWorkdir { directory } => {
                format!("'cd {directory}' ends with its RUN, WORKDIR {directory} would not")
            }
            Self::SudoInRun => "'sudo' is not needed in a step, and stays in the image".to_owned(),
            Self::CacheMountMissing { command, .. } => format!(
                "'{command}' has no cache mount: it downloads everything again whenever it runs, and may leave it in the layer"
            ),
            Self::CopyBeforeInstall {
                source, command, ..
            } => format!(
                "Copying {} before '{command}' makes every change of a file install all dependencies again",
                quote(source)
            ),
            other => other.rule().to_owned(),
        }
    }
}

/// A variable by this name likely holds a secret.
#[must_use]
pub fn is_secret(key: &str) -> bool {
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
