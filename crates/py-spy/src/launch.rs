//! Who is to be sampled: processes that run, or a program that we start.

use crate::cli::Subject;
use crate::error::Error;
use crate::named;
use crate::say::say;
use remote::os::family;
use remote::os::spawn::Program;
use std::collections::HashSet;
use std::fs::File;
use std::time::{Duration, Instant};

/// The processes to begin with, and the program among them that is ours.
#[derive(Debug)]
pub struct Launched {
    /// The processes to begin with.
    pub pids: Vec<i32>,
    /// What we started.
    pub program: Option<Program>,
}

/// Finds or starts what the command line names. A program writes to `output` where that is given,
/// and reads nothing then. To be called before there are other threads.
pub fn launch(subject: &Subject, output: Option<&File>) -> Result<Launched, Error> {
    if let Some(name) = &subject.name {
        return Ok(Launched { pids: vec![named::find(name)?], program: None });
    }
    let Some(name) = subject.program.first() else {
        return Ok(Launched { pids: processes(&subject.pid), program: None });
    };
    if subject.subprocesses {
        family::adopt_orphans();
    }
    let started = match output {
        Some(output) => Program::start_into(&subject.program, output),
        None => Program::start(&subject.program),
    };
    let program = started.map_err(|error| Error::Spawn(name.clone(), error))?;
    Ok(Launched { pids: vec![program.pid()], program: Some(program) })
}

/// The processes that ids name, each once: some viewers show the ids of threads.
pub fn processes(ids: &[i32]) -> Vec<i32> {
    let process = |id: &i32| match family::process_of_thread(*id) {
        Some(pid) => {
            say(&format!("{id} is a thread of process {pid}, which is looked at"));
            pid
        }
        None => *id,
    };
    let mut seen = HashSet::new();
    ids.iter().map(process).filter(|pid| seen.insert(*pid)).collect()
}

impl Launched {
    /// The status of our program if it has ended, or is about to: its memory is gone first.
    pub fn ended_status(&mut self) -> Option<u8> {
        let program = self.program.as_mut()?;
        let start = Instant::now();
        loop {
            if let Some(status) = program.status() {
                return Some(status as u8);
            }
            let patience = match family::has_memory(program.pid()) {
                true => Duration::from_millis(500),
                // It is ending, as soon as it is given a processor.
                false => Duration::from_secs(30),
            };
            if start.elapsed() > patience {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
