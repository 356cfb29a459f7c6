//! Outputs that are written while recording goes on: whatever happens to us, what was seen up to
//! then can be read (`py-spy convert`), and the time line takes no memory.

use super::output::{Outputs, Place, rescue_file};
use crate::error::Error;
use crate::say::say;
use profile::{FormatKind, Recording, StreamWriter};
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

/// How often what is new is written.
const EVERY_NS: u64 = 1_000_000_000;

/// What could not be written waits up to this size: a full disk may be made room on.
const PATIENCE_BYTES: usize = 64 << 20;

/// All such outputs of one recording.
#[derive(Debug)]
pub struct Streams {
    streams: Vec<Stream>,
    /// What nothing else will need of what was written.
    forget: Forget,
    next_ns: u64,
}

#[derive(Debug, Clone, Copy)]
enum Forget {
    Nothing,
    Events,
    Samples,
}

#[derive(Debug)]
struct Stream {
    place: Place,
    file: File,
    writer: StreamWriter,
    /// What is to be written, and how much of it was.
    pending: Vec<u8>,
    sent: usize,
    /// How much was written before that.
    written: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Good,
    /// It failed the last time, and will be tried again.
    Failing,
    /// For good.
    Failed(io::Error),
}

impl Streams {
    /// Opens those outputs of a recording that are written while it is made, and takes them out
    /// of `outputs`.
    pub fn open(outputs: &mut Outputs) -> Result<Streams, Error> {
        let mut streams = Vec::new();
        for place in outputs.take(FormatKind::Pyspy) {
            let file = place.open().map_err(|error| Error::Output(place.path(), error))?;
            streams.push(Stream {
                place,
                file,
                writer: StreamWriter::new(),
                pending: Vec::new(),
                sent: 0,
                written: 0,
                state: State::Good,
            });
        }
        let forget = if streams.is_empty() {
            Forget::Nothing
        } else if outputs.formats().next().is_none() {
            Forget::Samples
        } else if outputs.formats().any(|kind| kind.format().needs_timeline()) {
            Forget::Nothing
        } else {
            Forget::Events
        };
        Ok(Streams { streams, forget, next_ns: 0 })
    }

    /// Writes what is new, if that is due. False if there is no output left that could be written.
    pub fn write(&mut self, recording: &mut Recording, now_ns: u64) -> bool {
        if self.streams.is_empty() || now_ns < self.next_ns {
            return true;
        }
        self.next_ns = now_ns + EVERY_NS;
        for stream in &mut self.streams {
            stream.update(recording);
        }
        match self.forget {
            Forget::Nothing => {}
            Forget::Events => recording.forget_events(),
            Forget::Samples => recording.forget_samples(),
        }
        !matches!(self.forget, Forget::Samples)
            || self.streams.iter().any(|stream| !matches!(stream.state, State::Failed(_)))
    }

    /// Writes what is new at once, and says so.
    pub fn snapshot(&mut self, recording: &mut Recording, now_ns: u64) {
        self.next_ns = now_ns;
        self.write(recording, now_ns);
        for stream in self.streams.iter().filter(|stream| matches!(stream.state, State::Good)) {
            stream.tell(recording);
        }
    }

    /// Writes the rest.
    pub fn finish(self, recording: &Recording) -> Result<(), Error> {
        let mut failed = None;
        for stream in self.streams {
            failed = stream.finish(recording).err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Stream {
    fn update(&mut self, recording: &Recording) {
        if matches!(self.state, State::Failed(_)) {
            return;
        }
        let encoded = self.writer.update(recording, &mut self.pending);
        match encoded.and_then(|()| self.send()) {
            Ok(()) => self.state = State::Good,
            Err(error) => {
                let waiting = self.pending.len() - self.sent;
                let lost = error.kind() == io::ErrorKind::BrokenPipe || waiting > PATIENCE_BYTES;
                if !lost && matches!(self.state, State::Good) {
                    let path = self.place.path();
                    say(&format!("cannot write {}: {error}; trying on", path.display()));
                }
                self.state = if lost { State::Failed(error) } else { State::Failing };
            }
        }
    }

    /// Writes what is pending. What is left after an error can be written later: a file that is
    /// cut in the middle is read up to there.
    fn send(&mut self) -> io::Result<()> {
        while let Some(rest @ [_, ..]) = self.pending.get(self.sent..) {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.written += self.sent as u64;
        self.pending.clear();
        self.sent = 0;
        Ok(())
    }

    fn finish(mut self, recording: &Recording) -> Result<(), Error> {
        let path = self.place.path();
        let result = match std::mem::replace(&mut self.state, State::Good) {
            // What came since was not kept.
            State::Failed(error) => Err(error),
            _ => self.writer.finish(recording, &mut self.pending).and_then(|()| self.send()),
        };
        match result {
            Ok(()) => {
                self.tell(recording);
                Ok(())
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::BrokenPipe
                    && let Some(rescued) = self.rescue()
                {
                    say(&wrote(&rescued, recording));
                }
                Err(Error::Output(path, error))
            }
        }
    }

    /// Puts together a whole file in the folder for temporary files.
    fn rescue(&self) -> Option<PathBuf> {
        let Place::File(path) = &self.place else { return None };
        rescue_file(FormatKind::Pyspy, |out| {
            let written = self.written + self.sent as u64;
            let copied = io::copy(&mut io::Read::take(File::open(path)?, written), out)?;
            if copied < written {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            out.write_all(self.pending.get(self.sent..).unwrap_or_default())
        })
        .ok()
    }

    fn tell(&self, recording: &Recording) {
        say(&wrote(&self.place.path(), recording));
    }
}

fn wrote(path: &std::path::Path, recording: &Recording) -> String {
    super::output::wrote(FormatKind::Pyspy, path, &recording.quality)
}
