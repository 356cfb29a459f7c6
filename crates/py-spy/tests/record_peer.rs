//! Side by side with the py-spy that people know (0.4.3, from PyPI) on the same target:
//! scripts that read its folded stacks can read ours.

mod record_kit;
mod support;

use record_kit::{Folded, Folder, folded, peer, record_until, total};
use std::collections::BTreeSet;
use std::process::Command;
use support::{Target, for_each, interpreter, run};

/// All stacks of a recording, without their counts.
fn stacks(found: &Folded) -> BTreeSet<String> {
    found.iter().map(|(frames, _)| frames.join(";")).collect()
}

/// What the peer folds. Its tracker knows of samples that never were: stacks that are
/// rare are left out.
fn by_peer(pid: &str, args: &[&str]) -> BTreeSet<String> {
    let folder = Folder::new();
    let out = folder.file("peer.txt");
    let mut command = Command::new(peer());
    command.args(["record", "-f", "raw", "-d", "1", "-r", "100", "-o", &out, "-p", pid]).args(args);
    run(&mut command).ok();
    let mut found = folded(&folder.read("peer.txt"));
    let few = total(&found) / 20;
    found.retain(|(_, count)| *count > few);
    stacks(&found)
}

#[test]
fn folded_stacks_have_the_peers_shape() {
    let versions = ["3.8.*", "3.13.*"].map(|version| interpreter(&[version, "3.13.*"]));
    for_each(versions, |python| {
        let deep = Target::start(python, "record_deep.py", &["20"]);
        let threads = Target::start(python, "record_threads.py", &["sleeper", "waiter"]);
        let cases: [(&Target, &[&str]); 6] = [
            (&deep, &[]),
            (&deep, &["-F"]),
            (&deep, &["--nolineno"]),
            (&deep, &["--full-filenames"]),
            (&deep, &["-g"]),
            (&threads, &["-t", "-i"]),
        ];
        // It may not be away from what says that it is ready.
        record_kit::wait_computed(deep.pid());
        threads.wait_asleep();
        for (target, args) in cases {
            let pid = target.pid().to_string();
            let ours = [&["-d", "0.5", "-r", "200"], args].concat();
            let found = record_until(target.pid(), &ours, |found, _| total(found) >= 50);
            let peers = by_peer(&pid, args);
            assert!(!peers.is_empty());
            assert_eq!(stacks(&found), peers, "{} {args:?}", target.label);
        }
    });
}
