//! Programs of another name with a Python inside: tests/embed/embed.c.

use super::{Target, cache, interpreters};
use std::path::PathBuf;
use std::process::Command;

/// The host-app of each interpreter that has one, oldest first. They are made from
/// interpreters with a shared libpython: where there is none of those, there is no host
/// either.
#[track_caller]
pub fn hosts() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(cache().join("variants")).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = folders
        .map(|folder| folder.path().join("embed/host-app"))
        .filter(|path| path.exists())
        .collect();
    let key = |path: &PathBuf| -> Vec<u32> {
        let version = path.ancestors().nth(2).and_then(|folder| folder.file_name()?.to_str());
        version.unwrap_or("").split('.').filter_map(|part| part.parse().ok()).collect()
    };
    found.sort_by_key(key);
    let shared = interpreters()
        .iter()
        .any(|one| one.is("shared") && !one.is("stripped") && !one.free_threaded());
    assert!(!shared || !found.is_empty(), "no variants/*/embed/host-app: run scripts/setup-tests");
    if found.is_empty() {
        eprintln!(
            "no interpreter with a shared libpython on this machine: no program that embeds it either"
        );
    }
    found
}

/// Runs a script in a host-app.
#[track_caller]
pub fn start_host(host: &PathBuf, script: &str, args: &[&str]) -> Target {
    let mut command = Command::new(host);
    command.arg(super::target::script_path(script)).args(args);
    command.env("PYTHONPATH", super::targets_dir());
    Target::start_command(&format!("{} {script}", host.display()), command)
}
