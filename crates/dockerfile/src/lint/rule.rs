//! The rules there are: names, descriptions and what to do, for lists, pages and JSON.
//!
//! Docker's come first, with Docker's words; then those that only kiln has. A [`Finding`] is one
//! place that breaks a rule.
//!
//! [`Finding`]: super::Finding

/// Something that a Dockerfile should do, or not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Such as `StageNameCasing`; `# check=skip=` takes it.
    pub name: &'static str,
    /// What it asks for.
    pub description: &'static str,
    /// What to do when it is broken.
    pub fix: &'static str,
    /// Whose rule it is.
    pub origin: Origin,
    /// It has to be asked for with `# check=experimental=`.
    pub is_experimental: bool,
    /// [`fix`](crate::fix) can do what it asks for.
    pub is_mechanical: bool,
}

/// Whose rule it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Docker's: builds report it too.
    Docker,
    /// kiln's: only checks report it.
    Kiln,
}

impl Rule {
    const fn docker(name: &'static str, description: &'static str, fix: &'static str) -> Self {
        Self {
            name,
            description,
            fix,
            origin: Origin::Docker,
            is_experimental: false,
            is_mechanical: false,
        }
    }

    const fn kiln(name: &'static str, description: &'static str, fix: &'static str) -> Self {
        Self {
            origin: Origin::Kiln,
            ..Self::docker(name, description, fix)
        }
    }

    const fn mechanical(self) -> Self {
        Self {
            is_mechanical: true,
            ..self
        }
    }

    const fn experimental(self) -> Self {
        Self {
            is_experimental: true,
            ..self
        }
    }

    /// Docker's page on it, when there is one.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        if self.origin == Origin::Kiln || self.name == "InvalidBaseImagePlatform" {
            return None;
        }
        let mut page = String::new();
        for character in self.name.replace("JSON", "Json").chars() {
            if character.is_ascii_uppercase() && !page.is_empty() {
                page.push('-');
            }
            page.push(character.to_ascii_lowercase());
        }
        Some(format!(
            "https://docs.docker.com/go/dockerfile/rule/{page}/"
        ))
    }
}

/// The rule of this name.
#[must_use]
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// All rules.
pub const RULES: &[Rule] = &[
    Rule::docker(
        "StageNameCasing",
        "Stage names should be lowercase",
        "write the name in lower case",
    )
    .mechanical(),
    Rule::docker(
        "FromAsCasing",
        "The 'as' keyword should match the case of the 'from' keyword",
        "write AS in the case of FROM",
    )
    .mechanical(),
    Rule::docker(
        "NoEmptyContinuation",
        "Empty continuation lines will become errors in a future release",
        "remove the empty line",
    )
    .mechanical(),
    Rule::docker(
        "ConsistentInstructionCasing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
        "write the instruction in the case of the others",
    )
    .mechanical(),
    Rule::docker(
        "DuplicateStageName",
        "Stage names should be unique",
        "give one of the stages another name",
    ),
    Rule::docker(
        "ReservedStageName",
        "Reserved words should not be used as stage names",
        "give the stage another name than scratch or context",
    ),
    Rule::docker(
        "JSONArgsRecommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
        "write program and arguments as a JSON list, or set the SHELL that is meant",
    ),
    Rule::docker(
        "MaintainerDeprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
        "use LABEL org.opencontainers.image.authors=…",
    )
    .mechanical(),
    Rule::docker(
        "UndefinedArgInFrom",
        "FROM command must use declared ARGs",
        "declare the argument with ARG before the first FROM",
    ),
    Rule::docker(
        "WorkdirRelativePath",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
        "begin with an absolute WORKDIR",
    ),
    Rule::docker(
        "UndefinedVar",
        "Variables should be defined before their use",
        "declare the variable with ARG or ENV in this stage, above this line",
    ),
    Rule::docker(
        "MultipleInstructionsDisallowed",
        "Multiple instructions of the same type should not be used in the same stage",
        "remove all but the last of them",
    ),
    Rule::docker(
        "LegacyKeyValueFormat",
        "Legacy key/value format with whitespace separator should not be used",
        "put = between name and value, and quotes around a value with blanks",
    )
    .mechanical(),
    Rule::docker(
        "InvalidBaseImagePlatform",
        "Base image platform does not match expected target platform",
        "use an image that exists for the platform, or build for the one that the image has",
    ),
    Rule::docker(
        "RedundantTargetPlatform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        "remove --platform",
    )
    .mechanical(),
    Rule::docker(
        "SecretsUsedInArgOrEnv",
        "Sensitive data should not be used in the ARG or ENV commands",
        "give the secret to the step that needs it: RUN --mount=type=secret,id=…, and --secret",
    ),
    Rule::docker(
        "InvalidDefaultArgInFrom",
        "Default value for global ARG results in an empty or invalid base image name",
        "give the ARG a default with which the image has a name",
    ),
    Rule::docker(
        "FromPlatformFlagConstDisallowed",
        "FROM --platform flag should not use a constant value",
        "remove --platform and choose the platform of the build, or name the stage after it",
    ),
    Rule::docker(
        "CopyIgnoredFile",
        "Attempting to Copy file that is excluded by .dockerignore",
        "copy something else, or add an exception (!path) to .dockerignore",
    ),
    Rule::docker(
        "InvalidDefinitionDescription",
        "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
        "begin the comment with the name, or put an empty comment line below it",
    )
    .experimental(),
    Rule::docker(
        "ExposeProtoCasing",
        "Protocol in EXPOSE instruction should be lowercase",
        "write the protocol in lower case",
    )
    .mechanical(),
    Rule::docker(
        "ExposeInvalidFormat",
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
        "name the container's port alone",
    ),
    Rule::kiln(
        "LatestBaseImage",
        "Base images should have a version, since what latest means changes from build to build",
        "name a version: image:version, or image@sha256:…",
    ),
    Rule::kiln(
        "PackageListsKept",
        "Package lists should not stay in a layer, where they only take space and grow old",
        "remove the lists in the same RUN, or keep them in a cache mount",
    ),
    Rule::kiln(
        "CdInsteadOfWorkdir",
        "The working directory should be changed with WORKDIR, since a cd ends with its RUN",
        "use WORKDIR",
    ),
    Rule::kiln(
        "SudoInRun",
        "Steps should not use sudo, which they do not need and which stays in the image",
        "leave sudo out, or use USER root before the step and USER again after it",
    ),
    Rule::kiln(
        "CacheMountMissing",
        "Package managers should keep what they download in a cache mount, so that it is neither downloaded again nor part of the image",
        "use RUN --mount=type=cache,target=…",
    ),
    Rule::kiln(
        "CopyBeforeInstall",
        "Dependencies should be installed before all of the sources are copied, so that a changed source does not install them again",
        "copy the files that name the dependencies, install, then copy the rest",
    ),
];
