//! The recorded profile and the formats it can be written in.
//!
//! A sampler fills a [`Recording`]: processes, threads, strings, frames and stacks are interned
//! once, then each sample is only ids and a weight. Writers ([`Format`], one per [`FormatKind`])
//! read the recording through its accessors and stream their output, so whatever else fills a
//! recording can be written in every format. A [`StreamWriter`] saves a recording while it is
//! made, and [`restore`] reads it back.
//!
//! This crate knows neither operating systems nor Python's internals.
//!
//! ```
//! use profile::{FormatKind, FrameKey, Keep, Meta, Process, Recording, StackId, Style, Thread};
//!
//! let mut recording = Recording::new(Meta::default(), Keep::default());
//! let process = recording.add_process(Process { pid: 7, parent: None, cmdline: "app".into() });
//! let thread = recording.add_thread(Thread { process, tid: 7, name: None });
//! let name = recording.intern_string("main");
//! let file = recording.intern_string("/srv/app.py");
//! let short_file = recording.intern_string("app.py");
//! let frame = recording.intern_frame(FrameKey { name, file, short_file, line: 3, ..FrameKey::default() });
//! let stack = recording.intern_stack(StackId::ROOT, frame);
//! recording.begin_tick(0);
//! recording.sample(thread, stack, 1);
//! recording.finish(10_000_000);
//!
//! let mut out = Vec::new();
//! FormatKind::Raw.format().write(&recording, &Style::default(), &mut out)?;
//! assert_eq!(out, b"main (app.py:3) 1\n");
//! # Ok::<(), std::io::Error>(())
//! ```

mod escape;
mod fold;
mod format;
mod graph;
mod model;
mod quality;
mod recording;
mod render;
mod stream;
#[cfg(test)]
mod testing;
mod timeline;

pub use escape::{escape, printable, unescape};
pub use fold::{Folded, LabelId, Origin};
pub use format::{Format, FormatKind, UnknownFormat};
pub use graph::{Colors, GraphStyle, UnknownColors};
pub use model::{
    FrameId, FrameKey, FrameKind, Keep, Meta, Process, ProcessIx, StackId, StringId, Thread,
    ThreadIx, WeightUnit,
};
pub use quality::Quality;
pub use recording::Recording;
pub use render::{FrameView, Lines, Style};
pub use stream::{Ending, Restored, StreamWriter, Unreadable, restore};
pub use timeline::{Event, Timeline};
