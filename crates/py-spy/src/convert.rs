//! `convert`: a recording that was saved, in any other format.

use crate::cli::ConvertArgs;
use crate::error::Error;
use crate::record::output::Outputs;
use crate::say::say;
use profile::{Ending, Keep, Recording, Restored, restore};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Runs the command.
pub fn run(args: &ConvertArgs) -> Result<u8, Error> {
    let outputs = Outputs::new(args.output.clone(), args.format)?;
    args.look.check(outputs.formats())?;
    let keep = Keep::needed_for(outputs.formats(), &args.look.style(false));
    let (input, size) =
        open(&args.input).map_err(|error| Error::Input(args.input.clone(), error.into()))?;
    let restored = restore(&mut BufReader::with_capacity(1 << 16, input), keep)
        .map_err(|error| Error::Input(args.input.clone(), error))?;
    if let Some(warning) = warning(&args.input, size, &restored) {
        say(&warning);
    }
    let recording = restored.recording;
    let style = args.look.style(args.subprocesses || has_several_processes(&recording));
    outputs.write(&recording, &style, say)?;
    Ok(0)
}

/// The file, or what comes in; and how long it is.
fn open(path: &Path) -> io::Result<(Box<dyn Read>, Option<u64>)> {
    if path.as_os_str() == "-" {
        return Ok((Box::new(io::stdin()), None));
    }
    let file = File::open(path)?;
    let size = file.metadata().ok().filter(|meta| meta.is_file()).map(|meta| meta.len());
    Ok((Box::new(file), size))
}

/// What is to be said of a file that is not whole.
fn warning(path: &Path, size: Option<u64>, restored: &Restored) -> Option<String> {
    let recording = &restored.recording;
    let of = size.map_or(String::new(), |size| format!(" of {size}"));
    let read = format!(
        "{}{of} bytes were read, {} samples in {:.1} seconds",
        restored.bytes,
        recording.quality.samples,
        recording.duration_ns() as f64 / 1e9
    );
    let path = path.display();
    match restored.ending {
        Ending::Complete => None,
        Ending::Cut => Some(format!(
            "'{path}' is not complete (it was cut short, or is being written): {read}"
        )),
        Ending::Damaged(why) => Some(format!("'{path}' is damaged, {why}: {read}")),
    }
}

/// A process that has replaced its program is one.
fn has_several_processes(recording: &Recording) -> bool {
    let pids: HashSet<i32> = recording.processes().map(|(_, process)| process.pid).collect();
    pids.len() > 1
}
