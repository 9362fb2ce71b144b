//! Which of the places that kiln runs in this is, and what would give the next better one. Pure:
//! what the machine says comes as values.

/// Where kiln can run, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Root, with mounts and namespaces.
    Root,
    /// An ordinary user with subordinate users and groups.
    Subordinate,
    /// An ordinary user who has nobody else.
    Single,
    /// Root without mounts and namespaces.
    Chroot,
    /// An ordinary user without user namespaces.
    Nowhere,
}

impl Place {
    /// Its name in documents.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Subordinate => "subordinate",
            Self::Single => "single",
            Self::Chroot => "chroot",
            Self::Nowhere => "none",
        }
    }

    /// What it is, in words.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Root => "root, with namespaces and mounts",
            Self::Subordinate => "rootless, with subordinate users and groups",
            Self::Single => "rootless, without other users than root",
            Self::Chroot => "root without namespaces and mounts: steps run in a chroot",
            Self::Nowhere => "an ordinary user without user namespaces: no step can run",
        }
    }
}

/// What the machine says of this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The process was root from the start.
    pub(super) is_root: bool,
    /// Why there is no user namespace, for who is not root.
    pub(super) refused: Option<String>,
    /// What lacks for other users than root, each with its remedy.
    pub(super) lacks: Vec<(String, String)>,
    /// Steps can only run in a chroot.
    pub(super) in_chroot: bool,
    /// Somebody has chosen that.
    pub(super) is_chosen: bool,
    /// The process may not mount, whatever else holds.
    pub(super) lacks_sys_admin: bool,
    /// A filter of system calls holds the process.
    pub(super) is_filtered: bool,
    /// The profile of AppArmor's that holds it.
    pub(super) profile: Option<String>,
    /// Sysctls by name, those that there are.
    pub(super) sysctls: Vec<(&'static str, String)>,
}

/// What to do for the next better place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) place: Place,
    pub(super) steps: Vec<String>,
}

/// Where this is, why, and what would be better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub(super) place: Place,
    pub(super) why: Vec<String>,
    pub(super) next: Option<Next>,
}

/// Sysctls that forbid user namespaces: with which value, and which one allows them.
const FORBIDDING: [(&str, &str, &str); 3] = [
    ("user.max_user_namespaces", "0", "15000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
];

/// The sysctls that a diagnosis is made of.
pub(super) fn sysctls() -> impl Iterator<Item = &'static str> {
    FORBIDDING.iter().map(|(name, ..)| *name)
}

impl Found {
    /// What follows from it.
    pub(super) fn diagnose(&self) -> Diagnosis {
        let place = self.place();
        let (why, next) = match place {
            Place::Root => (vec!["this is root, and may mount".to_owned()], None),
            Place::Subordinate => (
                vec!["newuidmap has mapped users and groups".to_owned()],
                None,
            ),
            Place::Single => {
                let why = self.lacks.iter().map(|(lack, _)| lack.clone());
                let mut steps: Vec<_> = self.lacks.iter().map(|(_, to_do)| to_do.clone()).collect();
                steps.dedup();
                (why.collect(), Some(next(Place::Subordinate, steps)))
            }
            Place::Chroot => (
                self.why_no_mounts(),
                Some(next(Place::Root, self.to_mount())),
            ),
            Place::Nowhere => (
                self.why_nowhere(),
                Some(next(Place::Single, self.to_enter())),
            ),
        };
        Diagnosis { place, why, next }
    }

    fn place(&self) -> Place {
        match (self.is_root, &self.refused) {
            (false, Some(_)) => Place::Nowhere,
            _ if self.in_chroot => Place::Chroot,
            (true, _) => Place::Root,
            (false, None) if self.lacks.is_empty() => Place::Subordinate,
            (false, None) => Place::Single,
        }
    }

    fn why_no_mounts(&self) -> Vec<String> {
        if self.is_chosen {
            return vec!["KILN_ISOLATION or build.isolation says so".to_owned()];
        }
        let mut why = Vec::new();
        if self.lacks_sys_admin {
            why.push("the process lacks the capability SYS_ADMIN".to_owned());
        }
        why.extend(self.what_holds());
        why
    }

    fn what_holds(&self) -> Vec<String> {
        let filter = self
            .is_filtered
            .then(|| "a seccomp filter holds the process".to_owned());
        let profile = self.profile.as_ref();
        let profile = profile.map(|name| format!("AppArmor's profile {name} holds the process"));
        filter.into_iter().chain(profile).collect()
    }

    fn to_mount(&self) -> Vec<String> {
        if self.is_chosen {
            return vec!["unset KILN_ISOLATION and build.isolation".to_owned()];
        }
        let mut steps = Vec::new();
        if self.lacks_sys_admin {
            steps.push("docker run --cap-add SYS_ADMIN".to_owned());
            steps.push("pod: securityContext: {capabilities: {add: [SYS_ADMIN]}}".to_owned());
        } else if self.is_filtered {
            steps.push("docker run --security-opt seccomp=unconfined".to_owned());
            steps.push("pod: securityContext: {seccompProfile: {type: Unconfined}}".to_owned());
        }
        if self.profile.is_some() {
            steps.push("docker run --security-opt apparmor=unconfined".to_owned());
            steps.push("pod: securityContext: {appArmorProfile: {type: Unconfined}}".to_owned());
        }
        steps
    }

    fn why_nowhere(&self) -> Vec<String> {
        let mut why: Vec<String> = self.refused.iter().cloned().collect();
        why.extend(
            self.forbidding()
                .map(|(name, value, _)| format!("{name} is {value}")),
        );
        why.extend(self.what_holds());
        why
    }

    fn to_enter(&self) -> Vec<String> {
        let mut steps: Vec<String> = self
            .forbidding()
            .map(|(name, _, allowing)| format!("as root: sysctl -w {name}={allowing}"))
            .collect();
        if self.is_filtered {
            steps.push("docker run --security-opt seccomp=unconfined".to_owned());
            steps.push("pod: securityContext: {seccompProfile: {type: Unconfined}}".to_owned());
            steps.push(
                "or be root, and have steps run in a chroot: docker run --user 0, \
                 pod: securityContext: {runAsUser: 0}"
                    .to_owned(),
            );
        }
        if self.profile.is_some() {
            steps.push("docker run --security-opt apparmor=unconfined".to_owned());
            steps.push("pod: securityContext: {appArmorProfile: {type: Unconfined}}".to_owned());
        }
        steps
    }

    fn forbidding(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        FORBIDDING.into_iter().filter(|(name, forbidding, _)| {
            let is_set =
                |(known, value): &(&'static str, String)| known == name && value == forbidding;
            self.sysctls.iter().any(is_set)
        })
    }
}

fn next(place: Place, steps: Vec<String>) -> Next {
    Next { place, steps }
}

#[cfg(test)]
mod tests;
