//! How a profile is shown: flags of every command that writes one.

use clap::Args;
use profile::{Lines, Style};

/// How a profile is shown.
#[derive(Debug, Args)]
pub struct Look {
    /// Aggregate by a function's first line instead of by line
    #[arg(short = 'F', long, conflicts_with = "nolineno")]
    pub function: bool,

    /// Leave line numbers out
    #[arg(long)]
    pub nolineno: bool,

    /// Show threads as root frames
    #[arg(short, long)]
    pub threads: bool,

    /// Full paths of source files instead of short ones
    #[arg(long)]
    pub full_filenames: bool,
}

impl Look {
    /// As a style; processes are shown as root frames or not.
    pub fn style(&self, show_processes: bool) -> Style {
        Style {
            lines: match (self.function, self.nolineno) {
                (true, _) => Lines::FunctionFirstLine,
                (_, true) => Lines::NoLine,
                _ => Lines::Line,
            },
            full_filenames: self.full_filenames,
            show_threads: self.threads,
            show_processes,
            ..Style::default()
        }
    }
}
