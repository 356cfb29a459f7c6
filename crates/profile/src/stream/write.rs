//! The writing end: what has become new since the last time.

use std::io::{self, Write};

use super::{FRAME_KINDS, MAGIC, VERSION, counters, field, kind};
use crate::recording::Renamed;
use crate::{
    FrameId, Meta, ProcessIx, Quality, Recording, StackId, StringId, ThreadIx, WeightUnit,
};

/// A payload is cut where it gets longer than this (an entry is never cut).
const PAYLOAD: usize = 64 * 1024;

/// If nothing but time has passed, that is told this often.
const STILL_THERE_NS: u64 = 10_000_000_000;

/// Writes a recording piece by piece while it is made. What was written at any time can be read
/// with [`restore`](crate::restore).
#[derive(Debug, Default)]
pub struct StreamWriter {
    began: bool,
    /// How much of each table is written.
    strings: usize,
    frames: usize,
    stacks: usize,
    processes: usize,
    threads: usize,
    renames: usize,
    timeline: u64,
    /// These as they were written last.
    meta: Option<Meta>,
    quality: Quality,
    duration_ns: u64,
    payload: Vec<u8>,
}

impl StreamWriter {
    /// Nothing is written yet.
    pub fn new() -> StreamWriter {
        StreamWriter::default()
    }

    /// Appends what has become new in `recording` since the last call, up to its last whole
    /// tick. It must always be the same recording.
    ///
    /// # Errors
    ///
    /// Those of `out`, after which the stream cannot be continued: write to memory where that has
    /// to be possible. [`io::ErrorKind::InvalidInput`] if the recording keeps no timeline, or
    /// samples were forgotten before they were written.
    pub fn update(&mut self, recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
        let error = |text| io::Error::new(io::ErrorKind::InvalidInput, text);
        let timeline = recording
            .timeline_builder()
            .ok_or_else(|| error("the recording did not keep its timeline"))?;
        if timeline.forgotten() > self.timeline {
            return Err(error("samples were forgotten before they were written"));
        }
        if !self.began {
            self.began = true;
            out.write_all(&MAGIC)?;
            out.write_all(&VERSION.to_le_bytes())?;
        }
        if self.meta.as_ref() != Some(recording.meta()) {
            self.write_meta(recording.meta(), out)?;
        }
        self.write_tables(recording, out)?;
        let whole = timeline.whole();
        let news = whole > self.timeline;
        for piece in timeline.pieces(self.timeline) {
            write_chunk(kind::TIMELINE, piece, out)?;
        }
        self.timeline = whole;
        let still_there = recording.duration_ns().saturating_sub(self.duration_ns);
        if news || still_there >= STILL_THERE_NS {
            self.write_quality(recording, out)?;
        }
        Ok(())
    }

    /// Appends what is missing, and that this was all. To be called after
    /// [`Recording::finish`].
    ///
    /// # Errors
    ///
    /// Those of [`StreamWriter::update`].
    pub fn finish(&mut self, recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
        self.update(recording, out)?;
        self.write_quality(recording, out)?;
        write_chunk(kind::END, &[], out)
    }

    fn write_meta(&mut self, meta: &Meta, out: &mut dyn Write) -> io::Result<()> {
        let unit = match meta.unit {
            WeightUnit::Samples => 0,
            WeightUnit::Nanoseconds => 1,
        };
        let fields: [(u64, &[u8]); 6] = [
            (field::COMMAND, meta.command.as_bytes()),
            (field::START_TIME, &meta.start_time.to_le_bytes()),
            (field::RATE, &meta.rate.to_le_bytes()),
            (field::PYTHON_VERSION, meta.python_version.as_bytes()),
            (field::TOOL_VERSION, meta.tool_version.as_bytes()),
            (field::UNIT, &[unit]),
        ];
        self.payload.clear();
        for (tag, bytes) in fields {
            put_number(&mut self.payload, tag);
            put_bytes(&mut self.payload, bytes);
        }
        self.meta = Some(meta.clone());
        self.flush(kind::META, 0, out)
    }

    fn write_tables(&mut self, recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
        self.write_names(recording, out)?;
        // The empty string is known.
        for index in self.strings.max(1)..recording.string_count() {
            let text = recording.string(StringId(index as u32));
            put_bytes(&mut self.payload, text.as_bytes());
            self.flush(kind::STRINGS, PAYLOAD, out)?;
        }
        self.strings = recording.string_count();
        self.flush(kind::STRINGS, 0, out)?;

        let mut entry = Vec::new();
        for index in self.frames..recording.frames().len() {
            let frame = recording.frame(FrameId(index as u32));
            let kind = FRAME_KINDS.iter().position(|&kind| kind == frame.kind).unwrap_or(0);
            entry.clear();
            for number in [
                frame.name.0.into(),
                frame.file.0.into(),
                frame.short_file.0.into(),
                frame.module.map_or(0, |module| u64::from(module.0) + 1),
                frame.line.into(),
                frame.first_line.into(),
                kind as u64,
            ] {
                put_number(&mut entry, number);
            }
            put_bytes(&mut self.payload, &entry);
            self.flush(kind::FRAMES, PAYLOAD, out)?;
        }
        self.frames = recording.frames().len();
        self.flush(kind::FRAMES, 0, out)?;

        for index in self.stacks.max(1)..recording.stack_count() {
            if let Some((parent, frame)) = recording.stack(StackId(index as u32)) {
                put_number(&mut self.payload, (index - parent.index()) as u64);
                put_number(&mut self.payload, frame.0.into());
                self.flush(kind::STACKS, PAYLOAD, out)?;
            }
        }
        self.stacks = recording.stack_count();
        self.flush(kind::STACKS, 0, out)?;

        for index in self.processes..recording.processes().len() {
            let process = recording.process(ProcessIx(index as u32));
            entry.clear();
            put_number(&mut entry, u64::from(process.pid.cast_unsigned()));
            put_number(&mut entry, process.parent.map_or(0, |parent| u64::from(parent.0) + 1));
            put_bytes(&mut entry, process.cmdline.as_bytes());
            put_bytes(&mut self.payload, &entry);
            self.flush(kind::PROCESSES, PAYLOAD, out)?;
        }
        self.processes = recording.processes().len();
        self.flush(kind::PROCESSES, 0, out)?;
        self.write_threads(recording, out)
    }

    /// Writes the new names of what is written already: the rest is with the names that it has now.
    fn write_names(&mut self, recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
        let mut last = None;
        for &renamed in recording.renamed(self.renames) {
            let (kind, index, written) = match renamed {
                Renamed::Process(ix) => (kind::PROCESS_NAMES, ix.index(), self.processes),
                Renamed::Thread(ix) => (kind::THREAD_NAMES, ix.index(), self.threads),
            };
            if index >= written {
                continue;
            }
            if let Some(last) = last.replace(kind).filter(|&last| last != kind) {
                self.flush(last, 0, out)?;
            }
            put_number(&mut self.payload, index as u64);
            match renamed {
                Renamed::Process(ix) => {
                    put_bytes(&mut self.payload, recording.process(ix).cmdline.as_bytes());
                }
                Renamed::Thread(ix) => {
                    put_name(&mut self.payload, recording.thread(ix).name.as_deref());
                }
            }
            self.flush(kind, PAYLOAD, out)?;
        }
        self.renames = recording.renames();
        last.map_or(Ok(()), |kind| self.flush(kind, 0, out))
    }

    fn write_threads(&mut self, recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
        let mut entry = Vec::new();
        for index in self.threads..recording.threads().len() {
            let thread = recording.thread(ThreadIx(index as u32));
            entry.clear();
            put_number(&mut entry, thread.process.0.into());
            put_number(&mut entry, thread.tid);
            put_name(&mut entry, thread.name.as_deref());
            put_bytes(&mut self.payload, &entry);
            self.flush(kind::THREADS, PAYLOAD, out)?;
        }
        self.threads = recording.threads().len();
        self.flush(kind::THREADS, 0, out)
    }

    fn write_quality(&mut self, recording: &Recording, out: &mut dyn Write) -> io::Result<()> {
        self.duration_ns = recording.duration_ns();
        self.quality = recording.quality.clone();
        put_number(&mut self.payload, self.duration_ns);
        for counter in counters(&mut self.quality) {
            put_number(&mut self.payload, *counter);
        }
        self.flush(kind::QUALITY, 0, out)
    }

    /// Writes the payload as a chunk if it is longer than `limit`.
    fn flush(&mut self, kind: u8, limit: usize, out: &mut dyn Write) -> io::Result<()> {
        if self.payload.len() > limit {
            write_chunk(kind, &self.payload, out)?;
            self.payload.clear();
        }
        Ok(())
    }
}

fn write_chunk(kind: u8, payload: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "a text of 4 GB");
    let length = u32::try_from(payload.len()).map_err(too_long)?.to_le_bytes();
    let mut checksum = crc32fast::Hasher::new();
    for part in [&[kind], &length[..], payload] {
        checksum.update(part);
        out.write_all(part)?;
    }
    out.write_all(&checksum.finalize().to_le_bytes())
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A length and as many bytes.
fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// 0, or a length plus one and as many bytes.
fn put_name(out: &mut Vec<u8>, name: Option<&str>) {
    match name {
        None => out.push(0),
        Some(name) => {
            put_number(out, name.len() as u64 + 1);
            out.extend_from_slice(name.as_bytes());
        }
    }
}
