//! The reading end. What it reads may come from anywhere: nothing in it is believed.

use std::fmt;
use std::io::{self, Read};

use super::{FRAME_KINDS, MAGIC, VERSION, counters, field, kind};
use crate::timeline::{Decoder, read_number};
use crate::{
    Event, FrameId, FrameKey, FrameKind, Keep, Meta, Process, ProcessIx, Quality, Recording,
    StackId, StringId, Thread, ThreadIx, WeightUnit,
};

/// What was read.
#[derive(Debug)]
pub struct Restored {
    /// The recording, as far as it could be read.
    pub recording: Recording,
    /// How the file ended.
    pub ending: Ending,
    /// How many bytes of the file are in the recording.
    pub bytes: u64,
}

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Complete,
    /// Before the recording was finished: it is still being written, or its writer was stopped.
    Cut,
    /// What follows cannot be read, for this reason.
    Damaged(&'static str),
}

/// Why nothing was read.
#[derive(Debug)]
pub enum Unreadable {
    /// It is something else.
    NotARecording,
    /// It is written in a later version of the format.
    Newer(u32),
    /// The file itself cannot be read.
    Io(io::Error),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::NotARecording => write!(f, "this is not a recording made by py-spy"),
            Unreadable::Newer(version) => write!(
                f,
                "it was made by a newer py-spy (version {version} of the format; this one reads up to {VERSION})"
            ),
            Unreadable::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unreadable {}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Unreadable {
        Unreadable::Io(error)
    }
}

/// Reads what a [`StreamWriter`](crate::StreamWriter) has written, into a recording that remembers
/// what `keep` says. The input should be buffered.
///
/// A file that ends too early, or is damaged, is read up to there. No more memory is taken than in
/// proportion to what is really there.
///
/// # Errors
///
/// See [`Unreadable`].
pub fn restore(input: &mut dyn Read, keep: Keep) -> Result<Restored, Unreadable> {
    let mut magic = [0; MAGIC.len()];
    let mut version = [0; 4];
    if !fill(input, &mut magic)? || magic != MAGIC || !fill(input, &mut version)? {
        return Err(Unreadable::NotARecording);
    }
    let version = u32::from_le_bytes(version);
    if version > VERSION {
        return Err(Unreadable::Newer(version));
    }
    let mut reader = Reader::new(keep);
    let mut bytes = (MAGIC.len() + 4) as u64;
    let mut payload = Vec::new();
    let ending = loop {
        let kind = match chunk(input, &mut payload)? {
            Ok(kind) => kind,
            Err(ending) => break ending,
        };
        let read = reader.chunk(kind, &payload);
        if let Err(reason) = read {
            break Ending::Damaged(reason);
        }
        // Kind, length and checksum.
        bytes += payload.len() as u64 + 9;
        if kind == kind::END {
            break Ending::Complete;
        }
    };
    Ok(Restored { recording: reader.finish(), ending, bytes })
}

/// Fills `buffer`; false if there is too little.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads the next chunk: its kind, and its payload into `payload`.
fn chunk(input: &mut dyn Read, payload: &mut Vec<u8>) -> io::Result<Result<u8, Ending>> {
    let (mut head, mut checksum) = ([0; 5], [0; 4]);
    if !fill(input, &mut head)? {
        return Ok(Err(Ending::Cut));
    }
    let [kind, length @ ..] = head;
    let length = u32::from_le_bytes(length);
    payload.clear();
    // Grows with what is there, not with what the length says.
    input.take(length.into()).read_to_end(payload)?;
    if payload.len() < length as usize || !fill(input, &mut checksum)? {
        return Ok(Err(Ending::Cut));
    }
    let mut expected = crc32fast::Hasher::new();
    expected.update(&head);
    expected.update(payload);
    if expected.finalize() != u32::from_le_bytes(checksum) {
        return Ok(Err(Ending::Damaged("a checksum is wrong")));
    }
    Ok(Ok(kind))
}

type Damage = &'static str;

const SHORT: Damage = "an entry ends too early";
const NO_SUCH_THING: Damage = "an entry refers to something that is not there";
const TWICE: Damage = "an entry is there twice";
const TOO_BIG: Damage = "a number is too big";

/// The recording that is being read.
struct Reader {
    recording: Recording,
    lanes: Vec<Lane>,
    decoder: Decoder,
    /// Bytes of the timeline that make no whole event yet.
    rest: Vec<u8>,
    /// The tick that may go on: its time and what happened in it.
    open: Option<(u64, Vec<Event>)>,
    /// How many ticks there were before it.
    ticks: u64,
    quality: Quality,
    duration_ns: u64,
}

/// A thread of the file.
struct Lane {
    /// The recording's, which may stand for several.
    thread: ThreadIx,
    /// What it runs, with which weight, and since which tick.
    run: Option<(StackId, u64, u64)>,
}

impl Reader {
    fn new(keep: Keep) -> Reader {
        Reader {
            recording: Recording::new(Meta::default(), keep),
            lanes: Vec::new(),
            decoder: Decoder::new(0),
            rest: Vec::new(),
            open: None,
            ticks: 0,
            quality: Quality::default(),
            duration_ns: 0,
        }
    }

    fn chunk(&mut self, kind: u8, payload: &[u8]) -> Result<(), Damage> {
        let mut bytes = Bytes(payload);
        match kind {
            kind::META => self.meta(bytes),
            kind::STRINGS => bytes.entries(|entries| self.string(entries)),
            kind::FRAMES => bytes.entries(|entries| self.frame(Bytes(entries.bytes()?))),
            kind::STACKS => bytes.entries(|entries| self.stack(entries)),
            kind::PROCESSES => bytes.entries(|entries| self.process(Bytes(entries.bytes()?))),
            kind::PROCESS_NAMES => bytes.entries(|entries| self.process_name(entries)),
            kind::THREADS => bytes.entries(|entries| self.thread(Bytes(entries.bytes()?))),
            kind::THREAD_NAMES => bytes.entries(|entries| self.thread_name(entries)),
            kind::TIMELINE => self.timeline(payload),
            kind::QUALITY => self.quality(bytes),
            kind::END => {
                self.close_tick();
                Ok(())
            }
            _ if kind.is_ascii_lowercase() => Ok(()),
            _ => Err("there is a kind of chunk that is not known"),
        }
    }

    fn meta(&mut self, mut bytes: Bytes<'_>) -> Result<(), Damage> {
        let meta = self.recording.meta_mut();
        bytes.entries(|entries| {
            let tag = entries.number()?;
            let mut value = Bytes(entries.bytes()?);
            match tag {
                field::COMMAND => meta.command = value.rest_as_text()?.to_owned(),
                field::START_TIME => meta.start_time = value.float()?,
                field::RATE => meta.rate = value.float()?,
                field::PYTHON_VERSION => meta.python_version = value.rest_as_text()?.to_owned(),
                field::TOOL_VERSION => meta.tool_version = value.rest_as_text()?.to_owned(),
                field::UNIT => {
                    meta.unit = match value.number()? {
                        0 => WeightUnit::Samples,
                        1 => WeightUnit::Nanoseconds,
                        _ => return Err("the unit is not known"),
                    }
                }
                _ => {}
            }
            Ok(())
        })
    }

    fn string(&mut self, entries: &mut Bytes<'_>) -> Result<(), Damage> {
        let next = self.recording.string_count();
        let text = Bytes(entries.bytes()?).rest_as_text()?;
        let id = self.recording.intern_string(text);
        if id.index() == next { Ok(()) } else { Err(TWICE) }
    }

    fn frame(&mut self, mut entry: Bytes<'_>) -> Result<(), Damage> {
        let strings = self.recording.string_count();
        let next = self.recording.frames().len();
        let frame = FrameKey {
            name: StringId(entry.index(strings)?),
            file: StringId(entry.index(strings)?),
            short_file: StringId(entry.index(strings)?),
            module: entry.optional_index(strings)?.map(StringId),
            line: entry.number32()?,
            first_line: entry.number32()?,
            // A kind that is not known is shown as something special.
            kind: FRAME_KINDS.get(entry.number32()? as usize).copied().unwrap_or(FrameKind::Marker),
        };
        let id = self.recording.intern_frame(frame);
        if id.index() == next { Ok(()) } else { Err(TWICE) }
    }

    fn stack(&mut self, entries: &mut Bytes<'_>) -> Result<(), Damage> {
        let next = self.recording.stack_count();
        let back = entries.number()?;
        let parent = (next as u64).checked_sub(back).filter(|_| back > 0).ok_or(NO_SUCH_THING)?;
        let parent = StackId(u32::try_from(parent).map_err(|_| TOO_BIG)?);
        let frame = FrameId(entries.index(self.recording.frames().len())?);
        let id = self.recording.intern_stack(parent, frame);
        if id.index() == next { Ok(()) } else { Err(TWICE) }
    }

    fn process(&mut self, mut entry: Bytes<'_>) -> Result<(), Damage> {
        let pid = entry.number32()?.cast_signed();
        let parent = entry.optional_index(self.recording.processes().len())?.map(ProcessIx);
        let cmdline = Bytes(entry.bytes()?).rest_as_text()?.to_owned();
        self.recording.add_process(Process { pid, parent, cmdline });
        Ok(())
    }

    fn process_name(&mut self, entries: &mut Bytes<'_>) -> Result<(), Damage> {
        let process = ProcessIx(entries.index(self.recording.processes().len())?);
        let cmdline = Bytes(entries.bytes()?).rest_as_text()?.to_owned();
        self.recording.rename_process(process, cmdline);
        Ok(())
    }

    fn thread(&mut self, mut entry: Bytes<'_>) -> Result<(), Damage> {
        let process = ProcessIx(entry.index(self.recording.processes().len())?);
        let tid = entry.number()?;
        let name = entry.name()?.map(str::to_owned);
        let thread = self.recording.add_thread(Thread { process, tid, name });
        self.lanes.push(Lane { thread, run: None });
        self.decoder.add_thread();
        Ok(())
    }

    fn thread_name(&mut self, entries: &mut Bytes<'_>) -> Result<(), Damage> {
        let index = entries.index(self.lanes.len())?;
        let name = entries.name()?.map(str::to_owned);
        let lane = self.lanes.get(index as usize).ok_or(NO_SUCH_THING)?;
        self.recording.rename_thread(lane.thread, name);
        Ok(())
    }

    fn timeline(&mut self, payload: &[u8]) -> Result<(), Damage> {
        // A few bytes may be left from the chunk before.
        let joined;
        let mut bytes = if self.rest.is_empty() {
            payload
        } else {
            self.rest.extend_from_slice(payload);
            joined = std::mem::take(&mut self.rest);
            &joined
        };
        loop {
            let mut ahead = bytes;
            let mut short = false;
            let event = self.decoder.next(|| {
                let number = read_number(|| {
                    let (&byte, rest) = ahead.split_first()?;
                    ahead = rest;
                    Some(byte)
                });
                short |= number.is_none() && ahead.is_empty();
                number
            });
            match event {
                Some(event) => self.event(event)?,
                None if short => break,
                None => return Err("an event makes no sense"),
            }
            bytes = ahead;
        }
        self.rest = bytes.to_vec();
        Ok(())
    }

    fn event(&mut self, event: Event) -> Result<(), Damage> {
        match event {
            Event::Tick { time_us } => {
                self.close_tick();
                self.open = Some((time_us, Vec::new()));
                return Ok(());
            }
            Event::Run { stack, .. } if stack.index() >= self.recording.stack_count() => {
                return Err(NO_SUCH_THING);
            }
            Event::Run { .. } | Event::Idle { .. } => {}
        }
        let (_, events) = self.open.as_mut().ok_or("an event comes before the first tick")?;
        events.push(event);
        Ok(())
    }

    /// The open tick is whole.
    fn close_tick(&mut self) {
        let Some((time_us, events)) = self.open.take() else { return };
        self.ticks += 1;
        self.duration_ns = self.duration_ns.max(time_us.saturating_mul(1000));
        self.recording.replay(Event::Tick { time_us });
        for event in events {
            let (Event::Run { thread, .. } | Event::Idle { thread }) = event else { continue };
            let Some(lane) = self.lanes.get_mut(thread.index()) else { continue };
            settle(&mut self.recording, lane, self.ticks);
            let thread = lane.thread;
            self.recording.replay(match event {
                Event::Run { stack, weight, .. } => {
                    lane.run = Some((stack, weight, self.ticks));
                    Event::Run { thread, stack, weight }
                }
                _ => Event::Idle { thread },
            });
        }
    }

    fn quality(&mut self, mut bytes: Bytes<'_>) -> Result<(), Damage> {
        self.close_tick();
        self.duration_ns = self.duration_ns.max(bytes.number()?);
        for counter in counters(&mut self.quality) {
            // A file from before there was this counter.
            if bytes.0.is_empty() {
                break;
            }
            *counter = bytes.number()?;
        }
        Ok(())
    }

    /// What has been read. The open tick is left out: it may have been cut.
    fn finish(mut self) -> Recording {
        for lane in &mut self.lanes {
            settle(&mut self.recording, lane, self.ticks + 1);
        }
        self.recording.end_replay(self.duration_ns);
        let samples = self.recording.quality.samples;
        let ticks = self.quality.ticks.max(self.ticks);
        self.recording.quality = Quality { samples, ticks, ..self.quality };
        self.recording
    }
}

/// Counts what a thread ran before the tick `now`.
fn settle(recording: &mut Recording, lane: &mut Lane, now: u64) {
    if let Some((stack, weight, since)) = lane.run.take() {
        recording.replay_samples((lane.thread, stack), weight, now.saturating_sub(since));
    }
}

/// What is left of a payload or an entry.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Calls `read` until nothing is left.
    fn entries(
        &mut self,
        mut read: impl FnMut(&mut Bytes<'a>) -> Result<(), Damage>,
    ) -> Result<(), Damage> {
        while !self.0.is_empty() {
            read(self)?;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<u64, Damage> {
        read_number(|| {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            Some(byte)
        })
        .ok_or(SHORT)
    }

    fn number32(&mut self) -> Result<u32, Damage> {
        self.number()?.try_into().map_err(|_| TOO_BIG)
    }

    /// The index of one of `count` things.
    fn index(&mut self, count: usize) -> Result<u32, Damage> {
        let index = self.number32()?;
        if (index as usize) < count { Ok(index) } else { Err(NO_SUCH_THING) }
    }

    /// 0, or an index plus one.
    fn optional_index(&mut self, count: usize) -> Result<Option<u32>, Damage> {
        let Some(index) = self.number()?.checked_sub(1) else { return Ok(None) };
        let index = u32::try_from(index).map_err(|_| TOO_BIG)?;
        if (index as usize) < count { Ok(Some(index)) } else { Err(NO_SUCH_THING) }
    }

    /// A length and as many bytes.
    fn bytes(&mut self) -> Result<&'a [u8], Damage> {
        let length = self.number()?;
        self.take(length)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Damage> {
        let length = usize::try_from(length).map_err(|_| TOO_BIG)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// 0, or a length plus one and as many bytes of text.
    fn name(&mut self) -> Result<Option<&'a str>, Damage> {
        let Some(length) = self.number()?.checked_sub(1) else { return Ok(None) };
        Bytes(self.take(length)?).rest_as_text().map(Some)
    }

    fn rest_as_text(&mut self) -> Result<&'a str, Damage> {
        std::str::from_utf8(self.0).map_err(|_| "a text is not UTF-8")
    }

    /// A number that is finite.
    fn float(&mut self) -> Result<f64, Damage> {
        let bytes = self.0.first_chunk().ok_or(SHORT)?;
        let number = f64::from_le_bytes(*bytes);
        if number.is_finite() { Ok(number) } else { Err("a number is not finite") }
    }
}
