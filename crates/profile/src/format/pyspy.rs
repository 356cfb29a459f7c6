//! The recording itself, to be converted later: see [`crate::StreamWriter`].

use std::io::{self, BufWriter, Write};

use crate::{Format, Recording, StreamWriter, Style};

pub(super) struct Pyspy;

impl Format for Pyspy {
    /// The style makes no difference: nothing is left out.
    fn write(&self, recording: &Recording, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        let mut out = BufWriter::new(out);
        StreamWriter::new().finish(recording, &mut out)?;
        out.flush()
    }

    fn needs_timeline(&self) -> bool {
        true
    }

    fn extension(&self) -> &'static str {
        "pyspy"
    }
}
