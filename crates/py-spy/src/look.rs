//! How a profile is shown: flags of every command that writes one.

use crate::error::Error;
use clap::Args;
use profile::{Colors, FormatKind, GraphStyle, Lines, Style};

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

    /// The title of the profile [default: the command line]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,

    /// How flame graphs are drawn.
    #[command(flatten)]
    pub graph: Graph,
}

const GRAPHS: &str = "Flame graphs";

/// How flame graphs are drawn.
#[derive(Debug, Args)]
pub struct Graph {
    /// Merge stacks from their innermost frames: what is called, with its callers behind it
    #[arg(help_heading = GRAPHS, long)]
    pub reverse: bool,

    /// Draw the root at the bottom
    #[arg(help_heading = GRAPHS, long, overrides_with = "inverted")]
    pub upright: bool,

    /// Draw the root on top (as is the default)
    #[arg(help_heading = GRAPHS, long, overrides_with = "upright")]
    pub inverted: bool,

    /// The colors: python (whose code it is), hot, mem, io, red, orange, yellow, green, aqua, blue, purple [default: python]
    #[arg(help_heading = GRAPHS, long, value_name = "PALETTE", ignore_case = true)]
    pub colors: Option<Colors>,

    /// Leave out what is narrower than this, in percent of the whole [default: 0.01]
    #[arg(help_heading = GRAPHS, long, alias = "minwidth", value_name = "PERCENT", value_parser = parse_percent, allow_negative_numbers = true)]
    pub min_width: Option<f64>,

    /// The width in pixels [default: that of the window]
    #[arg(help_heading = GRAPHS, long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(200..=100_000))]
    pub width: Option<u32>,
}

impl Graph {
    fn style(&self) -> GraphStyle {
        let default = GraphStyle::default();
        GraphStyle {
            reverse: self.reverse,
            upright: self.upright,
            colors: self.colors.unwrap_or_default(),
            min_width: self.min_width.unwrap_or(default.min_width),
            width: self.width,
        }
    }

    /// The first flag that was given.
    fn given(&self) -> Option<&'static str> {
        let flags = [
            (self.reverse, "--reverse"),
            (self.upright, "--upright"),
            (self.inverted, "--inverted"),
            (self.colors.is_some(), "--colors"),
            (self.min_width.is_some(), "--min-width"),
            (self.width.is_some(), "--width"),
        ];
        flags.into_iter().find(|&(given, _)| given).map(|(_, flag)| flag)
    }
}

fn parse_percent(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').unwrap_or(text).parse();
    percent
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| "a number from 0 to 100".to_owned())
}

impl Look {
    /// Fails if it asks for what none of these formats can show.
    pub fn check(&self, mut formats: impl Iterator<Item = FormatKind>) -> Result<(), Error> {
        match self.graph.given() {
            Some(flag) if !formats.any(|format| format == FormatKind::Flamegraph) => {
                Err(Error::Usage(format!("{flag} is for flame graphs, and none is to be written")))
            }
            _ => Ok(()),
        }
    }

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
            title: self.title.clone(),
            graph: self.graph.style(),
        }
    }
}
