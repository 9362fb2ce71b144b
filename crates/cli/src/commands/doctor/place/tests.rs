//! What is told of places to build in.

use super::*;

fn told(found: &Found) -> String {
    let Diagnosis { place, why, next } = found.diagnose();
    let next = next.map_or(String::new(), |next| {
        format!(" | {}: {}", next.place.name(), next.steps.join("; "))
    });
    format!("{}: {}{next}", place.name(), why.join("; "))
}

#[test]
fn root_in_containers() {
    let root = Found {
        is_root: true,
        ..Found::default()
    };
    assert_eq!(told(&root), "root: this is root, and may mount");
    let unprivileged = Found {
        in_chroot: true,
        lacks_sys_admin: true,
        is_filtered: true,
        profile: Some("docker-default".into()),
        ..root.clone()
    };
    assert_eq!(
        told(&unprivileged),
        "chroot: the process lacks the capability SYS_ADMIN; a seccomp filter holds the \
         process; AppArmor's profile docker-default holds the process | root: docker run \
         --cap-add SYS_ADMIN; pod: securityContext: {capabilities: {add: [SYS_ADMIN]}}; docker \
         run --security-opt apparmor=unconfined; pod: securityContext: {appArmorProfile: \
         {type: Unconfined}}"
    );
    let chosen = Found {
        in_chroot: true,
        is_chosen: true,
        ..root
    };
    assert_eq!(
        told(&chosen),
        "chroot: KILN_ISOLATION or build.isolation says so | root: unset KILN_ISOLATION and \
         build.isolation"
    );
}

#[test]
fn ordinary_users() {
    assert_eq!(
        told(&Found::default()),
        "subordinate: newuidmap has mapped users and groups"
    );
    let single = Found {
        lacks: vec![
            ("newuidmap is not installed".into(), "install it".into()),
            ("newgidmap is not installed".into(), "install it".into()),
        ],
        ..Found::default()
    };
    assert_eq!(
        told(&single),
        "single: newuidmap is not installed; newgidmap is not installed | subordinate: install \
         it"
    );
    let refused = |name, value: &str| Found {
        refused: Some("unshare a user namespace: Operation not permitted".into()),
        sysctls: vec![(name, value.to_owned())],
        ..Found::default()
    };
    assert_eq!(
        told(&refused(
            "kernel.apparmor_restrict_unprivileged_userns",
            "1"
        )),
        "none: unshare a user namespace: Operation not permitted; \
         kernel.apparmor_restrict_unprivileged_userns is 1 | single: as root: sysctl -w \
         kernel.apparmor_restrict_unprivileged_userns=0"
    );
    let in_pod = Found {
        is_filtered: true,
        ..refused("user.max_user_namespaces", "100")
    };
    assert_eq!(
        told(&in_pod),
        "none: unshare a user namespace: Operation not permitted; a seccomp filter holds the \
         process | single: docker run --security-opt seccomp=unconfined; pod: securityContext: \
         {seccompProfile: {type: Unconfined}}; or be root, and have steps run in a chroot: \
         docker run --user 0, pod: securityContext: {runAsUser: 0}"
    );
}
