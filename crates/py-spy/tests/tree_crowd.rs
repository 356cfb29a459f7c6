//! `record --subprocesses` on a machine with many other processes: they are looked at
//! once, and not for every sample.

mod record_kit;
mod support;

use record_kit::cost::record_traced;
use record_kit::modern;
use std::process::Command;
use support::{Target, until};

const CROWD: u64 = 1000;

#[test]
fn other_processes_cost_nothing() {
    let target = Target::start(modern(), "depth.py", &["28"]);
    let files = || {
        // Traced it is slow, and on a busy machine does not get far every time.
        until("a recording of more than 50 samples", || {
            let (samples, calls) = record_traced(target.pid(), "1.5", &["-s"]);
            (samples > 50).then(|| calls.get("openat").copied().unwrap_or(0))
        })
    };
    let alone = files();
    // All in one process group, which ends with the target.
    let mut command = Command::new("sh");
    let script = format!(
        "i=0; while [ $i -lt {CROWD} ]; do sleep 1000 & i=$((i + 1)); done; echo READY; wait"
    );
    command.args(["-c", &script]);
    let _crowd = Target::start_command("the crowd", command);
    let crowded = files();
    println!("files opened: {alone} alone, {crowded} in a crowd");
    // Once at the start all processes are looked at, to find children that are there already.
    // Looking every 40 ms, and more often when anything is started, would be 40 times that.
    assert!(crowded <= alone + 4 * CROWD, "{alone} and {crowded}");
}
