//! `dump`: the stack of every thread, once.

mod core;
pub mod deadlock;
mod json;
mod native;
pub mod snapshot;
mod text;
mod tree;
mod values;
pub mod waits;

use crate::cli::DumpArgs;
use crate::error::Error;
use crate::named;
use ::native::Library;
use snapshot::{Request, Snapshot};
use std::io::Write;
use tree::Taken;

/// Runs the command.
pub fn run(args: &DumpArgs) -> Result<u8, Error> {
    let library = Library::default();
    let request = Request {
        policy: args.pausing.policy(),
        locals: args.locals,
        class_names: args.class_names,
        native: args.native.choice(),
        library: &library,
    };
    let pids = match &args.name {
        Some(name) => vec![named::find(name)?],
        None => crate::launch::processes(&args.pid),
    };
    let Taken { snapshots, failures } = match &args.core {
        Some(core) => Taken { snapshots: vec![core::take(core, args)?], ..Taken::default() },
        None if args.subprocesses => tree::whole(&pids, request),
        None => tree::each(&pids, request),
    };
    match print(&snapshots, args) {
        // Who reads it has seen enough: `py-spy dump | head`.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
        other => other.map_err(|error| Error::System("cannot write to stdout", error))?,
    }
    // With several processes all failures are told, behind what was read of the others.
    let mut failures = failures;
    let Some(last) = failures.pop() else { return Ok(0) };
    failures.iter().for_each(Error::print);
    Err(last)
}

fn print(snapshots: &[Snapshot], args: &DumpArgs) -> std::io::Result<()> {
    if args.json {
        if snapshots.is_empty() {
            return Ok(());
        }
        // Rust's stdout writes out every line by itself, and this has millions.
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        json::write(snapshots, &mut out)?;
        return out.flush();
    }
    let mut out = anstream::stdout().lock();
    text::write_tree(snapshots, &mut out)?;
    for (i, snapshot) in snapshots.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        text::write(snapshot, args.full_filenames, &mut out)?;
    }
    out.flush()
}
