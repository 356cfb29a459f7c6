//! Why the system refuses to let us read a process, and what mends that.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A reason with its remedy, both full sentences for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What stands in the way.
    pub reason: String,
    /// What to do about it: a command or a line of configuration where there is one.
    pub remedy: String,
}

/// `CAP_SYS_PTRACE`, include/uapi/linux/capability.h.
const CAP_SYS_PTRACE: u32 = 19;

/// What can be found out about us and the process `pid` that explains a refusal; never
/// empty. `command` is our own command line, for remedies that can be pasted.
pub fn denial(pid: i32, command: &str) -> Vec<Denial> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let facts = Facts {
        our_uid: status_numbers(&status, "Uid:").get(1).copied().unwrap_or(0),
        capable: status_hex(&status, "CapEff:") >> CAP_SYS_PTRACE & 1 == 1,
        seccomp: status_numbers(&status, "Seccomp:").first() == Some(&2),
        target_uid: Path::new(&format!("/proc/{pid}")).metadata().ok().map(|meta| meta.uid()),
        ptrace_scope: std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope")
            .ok()
            .and_then(|text| text.trim().parse().ok()),
        same_user_namespace: same_user_namespace(&pid.to_string()),
        in_container: in_container(),
    };
    explain(&facts, pid, command)
}

struct Facts {
    our_uid: u64,
    capable: bool,
    seccomp: bool,
    target_uid: Option<u32>,
    ptrace_scope: Option<u32>,
    same_user_namespace: bool,
    in_container: bool,
}

fn explain(facts: &Facts, pid: i32, command: &str) -> Vec<Denial> {
    let denials = std::cell::RefCell::new(Vec::new());
    let say = |reason: String, remedy: String| denials.borrow_mut().push(Denial { reason, remedy });
    let as_root = format!("sudo {command}");
    let container = "docker run --cap-add SYS_PTRACE ..., or in a Kubernetes container: \
         securityContext: {capabilities: {add: [\"SYS_PTRACE\"]}}";
    if facts.ptrace_scope == Some(3) {
        say(
            "kernel.yama.ptrace_scope is 3: nobody, not even root, may look into another process."
                .into(),
            "This can only be changed by a reboot with another setting.".into(),
        );
    }
    if !facts.capable && facts.in_container {
        say(
            "We run in a container without the capability SYS_PTRACE.".into(),
            format!("Start the container with it: {container}. Or run py-spy on the host."),
        );
    }
    let target = facts.target_uid.map(u64::from);
    if !facts.capable && target.is_some_and(|uid| uid != facts.our_uid) {
        say(
            format!(
                "Process {pid} belongs to another user (uid {}; we are uid {}).",
                target.unwrap_or(0),
                facts.our_uid
            ),
            if facts.in_container {
                "Run as that user, or as root with SYS_PTRACE.".into()
            } else {
                as_root.clone()
            },
        );
    } else if !facts.capable && matches!(facts.ptrace_scope, Some(1 | 2)) {
        let scope = facts.ptrace_scope.unwrap_or(0);
        say(
            format!(
                "kernel.yama.ptrace_scope is {scope}: only root, or for 1 a parent, may look into a process."
            ),
            if scope == 1 {
                format!(
                    "{as_root}; or until the next boot: sudo sysctl kernel.yama.ptrace_scope=0; or start the program with py-spy record -- PROGRAM"
                )
            } else {
                as_root.clone()
            },
        );
    } else if !facts.capable && target == Some(facts.our_uid) && facts.our_uid != 0 {
        say(
            format!(
                "Process {pid} is protected: it has more privileges than we have, or gave up being dumpable (a setuid program, or one with capabilities)."
            ),
            as_root.clone(),
        );
    }
    let host_root = facts.capable && facts.our_uid == 0 && !facts.in_container;
    if !(facts.same_user_namespace || host_root) {
        say(
            format!("Process {pid} lives in another user namespace (a rootless container)."),
            format!("Run as root on the host: {as_root}"),
        );
    }
    if denials.borrow().is_empty() && facts.seccomp {
        say(
            "A seccomp filter forbids process_vm_readv or ptrace to us (older container runtimes do that).".into(),
            format!("Start the container with {container}."),
        );
    }
    if denials.borrow().is_empty() {
        say(
            "The system refuses although nothing known stands in the way (a security module such as SELinux or AppArmor may).".into(),
            format!("Look at the audit log (dmesg | grep -i denied), and try: {as_root}"),
        );
    }
    denials.into_inner()
}

fn status_numbers(status: &str, key: &str) -> Vec<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("");
    line.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn status_hex(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("");
    u64::from_str_radix(line.trim(), 16).unwrap_or(0)
}

/// As far as can be told: who may not look into a process may not see its namespaces either,
/// but how these number their users.
fn same_user_namespace(pid: &str) -> bool {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let numbers = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/uid_map")).ok();
    match (namespace("self"), namespace(pid)) {
        (Some(ours), Some(its)) => ours == its,
        _ => numbers(pid).is_none_or(|its| numbers("self") == Some(its)),
    }
}

fn in_container() -> bool {
    let markers = ["/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io"];
    markers.iter().any(|path| Path::new(path).exists())
        || std::env::var_os("container").is_some()
        || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            our_uid: 1000,
            capable: false,
            seccomp: false,
            target_uid: Some(1000),
            ptrace_scope: Some(0),
            same_user_namespace: true,
            in_container: false,
        }
    }

    fn reasons(facts: Facts) -> Vec<(String, String)> {
        explain(&facts, 7, "py-spy dump -p 7").into_iter().map(|d| (d.reason, d.remedy)).collect()
    }

    #[test]
    fn what_cannot_be_seen_is_no_other_namespace() {
        assert!(same_user_namespace("self"));
        assert!(same_user_namespace("no process"));
    }

    #[test]
    fn each_cause_is_named_with_its_remedy() {
        let other = reasons(Facts { target_uid: Some(0), ..facts() });
        assert!(other[0].0.contains("another user") && other[0].1 == "sudo py-spy dump -p 7");
        let yama = reasons(Facts { ptrace_scope: Some(1), ..facts() });
        assert!(yama[0].0.contains("ptrace_scope is 1") && yama[0].1.contains("sysctl"));
        let docker =
            reasons(Facts { in_container: true, our_uid: 0, target_uid: Some(0), ..facts() });
        assert!(docker[0].0.contains("SYS_PTRACE") && docker[0].1.contains("--cap-add"));
        let locked = reasons(Facts { ptrace_scope: Some(3), capable: true, our_uid: 0, ..facts() });
        assert!(locked[0].0.contains("ptrace_scope is 3"));
        let unknown = reasons(Facts { capable: true, our_uid: 0, ..facts() });
        assert_eq!(unknown.len(), 1);
        let seccomp = reasons(Facts { capable: true, our_uid: 0, seccomp: true, ..facts() });
        assert!(seccomp[0].0.contains("seccomp"));
    }
}
