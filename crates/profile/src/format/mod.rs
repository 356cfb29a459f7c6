//! The formats a recording can be written in: one file each.

mod chrometrace;
mod flamegraph;
mod pyspy;
mod raw;
mod speedscope;

use std::fmt;
use std::io;
use std::str::FromStr;

use crate::{Folded, Recording, Style, Timeline};

/// A format: turns a recording into bytes.
pub trait Format {
    /// Writes the whole recording. Output is buffered here and flushed at the end.
    ///
    /// # Errors
    ///
    /// Those of `out`, and [`io::ErrorKind::InvalidInput`] if the recording has forgotten its
    /// samples, or the format needs a timeline and the recording has none.
    fn write(
        &self,
        recording: &Recording,
        style: &Style,
        out: &mut dyn io::Write,
    ) -> io::Result<()>;

    /// Whether the recording must have kept its timeline.
    fn needs_timeline(&self) -> bool;

    /// The usual end of a file's name, without the dot.
    fn extension(&self) -> &'static str;
}

/// The names of the formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FormatKind {
    /// An interactive SVG.
    #[default]
    Flamegraph,
    /// Folded stacks, one a line, for flame graph tools.
    Raw,
    /// JSON for <https://www.speedscope.app>.
    Speedscope,
    /// Trace events for `chrome://tracing` and <https://ui.perfetto.dev>.
    Chrometrace,
    /// The recording with everything in it, from which the others can be made: see
    /// [`restore`](crate::restore).
    Pyspy,
}

impl FormatKind {
    /// All formats, in the order they are listed in.
    pub const ALL: [FormatKind; 5] = [
        FormatKind::Flamegraph,
        FormatKind::Raw,
        FormatKind::Speedscope,
        FormatKind::Chrometrace,
        FormatKind::Pyspy,
    ];

    /// The writer.
    pub fn format(self) -> &'static dyn Format {
        match self {
            FormatKind::Flamegraph => &flamegraph::Flamegraph,
            FormatKind::Raw => &raw::Raw,
            FormatKind::Speedscope => &speedscope::Speedscope,
            FormatKind::Chrometrace => &chrometrace::Chrometrace,
            FormatKind::Pyspy => &pyspy::Pyspy,
        }
    }

    /// The name, as [`FromStr`] reads it.
    pub fn name(self) -> &'static str {
        match self {
            FormatKind::Flamegraph => "flamegraph",
            FormatKind::Raw => "raw",
            FormatKind::Speedscope => "speedscope",
            FormatKind::Chrometrace => "chrometrace",
            FormatKind::Pyspy => "pyspy",
        }
    }

    /// The format a file of that name (or path) is likely meant to have, in any case of letters;
    /// `None` if it does not tell.
    ///
    /// `.svg` is a flame graph; `.txt`, `.raw`, `.folded` and `.collapsed` are raw; `.trace`,
    /// `.chrometrace`, and these followed by `.json`, are a chrome trace; any other `.json` is
    /// speedscope; `.pyspy` is the recording itself.
    pub fn from_file_name(name: &str) -> Option<FormatKind> {
        let name = name.rsplit(['/', '\\']).next()?.to_lowercase();
        let (stem, extension) = name.rsplit_once('.')?;
        Some(match extension {
            "svg" => FormatKind::Flamegraph,
            "txt" | "raw" | "folded" | "collapsed" => FormatKind::Raw,
            "speedscope" => FormatKind::Speedscope,
            "trace" | "chrometrace" => FormatKind::Chrometrace,
            "json" if stem.ends_with(".trace") || stem.ends_with(".chrometrace") => {
                FormatKind::Chrometrace
            }
            "json" => FormatKind::Speedscope,
            "pyspy" => FormatKind::Pyspy,
            _ => return None,
        })
    }
}

impl fmt::Display for FormatKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no format of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFormat(pub String);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = FormatKind::ALL.iter().map(|kind| kind.name()).collect();
        write!(f, "unknown format {:?}, expected one of {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for FormatKind {
    type Err = UnknownFormat;

    /// Reads a format's name, in any case of letters.
    fn from_str(name: &str) -> Result<FormatKind, UnknownFormat> {
        let found = FormatKind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| UnknownFormat(name.to_string()))
    }
}

/// The stacks as they are shown, or the error that they are not all there.
fn aggregate(recording: &Recording, style: &Style) -> io::Result<Folded> {
    if recording.is_partial() {
        let error = "the recording has forgotten its samples";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
    }
    Ok(recording.aggregate(style))
}

/// The timeline, or the error that there is none.
fn timeline(recording: &Recording) -> io::Result<Timeline<'_>> {
    recording.timeline().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the recording did not keep its timeline")
    })
}

/// What the JSON formats say about the run beside the samples.
#[derive(serde::Serialize)]
struct About<'a> {
    #[serde(flatten)]
    meta: &'a crate::Meta,
    duration: f64,
    quality: &'a crate::Quality,
}

impl<'a> About<'a> {
    fn new(recording: &'a Recording) -> About<'a> {
        let duration = recording.duration_ns() as f64 / 1e9;
        About { meta: recording.meta(), duration, quality: &recording.quality }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keep;
    use crate::testing::Sample;

    #[test]
    fn names_and_extensions() {
        for kind in FormatKind::ALL {
            assert_eq!(kind.name().to_uppercase().parse(), Ok(kind));
        }
        let error = "pdf".parse::<FormatKind>().unwrap_err().to_string();
        assert!(error.contains("pdf") && error.contains("chrometrace"), "{error}");
        let expected = [
            ("a.svg", Some(FormatKind::Flamegraph)),
            ("/tmp/x.d/OUT.SVG", Some(FormatKind::Flamegraph)),
            ("a.folded", Some(FormatKind::Raw)),
            ("a.txt", Some(FormatKind::Raw)),
            ("a.json", Some(FormatKind::Speedscope)),
            ("a.speedscope.json", Some(FormatKind::Speedscope)),
            ("a.trace.json", Some(FormatKind::Chrometrace)),
            ("a.chrometrace.json", Some(FormatKind::Chrometrace)),
            ("a.trace", Some(FormatKind::Chrometrace)),
            ("run.pyspy", Some(FormatKind::Pyspy)),
            ("a.b/c", None),
            ("-", None),
            ("a.py", None),
        ];
        for (name, kind) in expected {
            assert_eq!(FormatKind::from_file_name(name), kind, "{name}");
        }
    }

    #[test]
    fn a_missing_timeline_is_an_error() {
        let mut sample = Sample::new(Keep::default());
        sample.tick(&["f"]);
        for kind in FormatKind::ALL {
            let mut out = Vec::new();
            let result = kind.format().write(&sample.recording, &Style::default(), &mut out);
            assert_eq!(result.is_err(), kind.format().needs_timeline(), "{kind}");
        }
    }

    #[test]
    fn forgotten_samples_are_an_error() {
        let mut sample = Sample::new(Keep::ALL);
        sample.tick(&["f"]);
        sample.recording.finish(0);
        sample.recording.forget_events();
        for kind in FormatKind::ALL {
            let mut out = Vec::new();
            let result = kind.format().write(&sample.recording, &Style::default(), &mut out);
            assert_eq!(result.is_err(), kind.format().needs_timeline(), "{kind}");
        }
        sample.recording.forget_samples();
        for kind in FormatKind::ALL {
            let mut out = Vec::new();
            let result = kind.format().write(&sample.recording, &Style::default(), &mut out);
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{kind}");
        }
    }

    #[test]
    fn errors_of_the_output_are_passed_on() {
        struct Full(usize);
        impl io::Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut sample = Sample::new(Keep::ALL);
        sample.tick(&["f"]);
        for kind in FormatKind::ALL {
            let result = kind.format().write(&sample.recording, &Style::default(), &mut Full(5));
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull, "{kind}");
        }
    }
}
