//! The command line: the flags people know, checked before anything is touched.

use crate::error::Error;
use crate::fleet::Filter;
use crate::look::Look;
use crate::sampler::{Options, Policy};
use crate::top::{Column, Level};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};
use profile::FormatKind;
use std::path::PathBuf;
use std::time::Duration;

/// Sampling profiler for Python programs.
#[derive(Debug, Parser)]
#[command(
    name = "py-spy",
    version,
    about = "See what any running Python program is doing, without touching it",
    infer_subcommands = true,
    arg_required_else_help = true,
    after_help = "Status: 0 done, 1 failed, 2 wrong usage; a program started by us that ends first gives its own status."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record a profile: a flame graph or another format
    Record(RecordArgs),
    /// Watch where the time goes, live
    Top(TopArgs),
    /// Show the stack of every thread
    Dump(DumpArgs),
    /// Turn a saved recording into another format
    Convert(ConvertArgs),
    /// Print a completion script for a shell
    #[command(hide = true)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// What is to be sampled.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group(clap::ArgGroup::new("target").required(true).args(["pid", "name", "program"])))]
pub struct Subject {
    /// PID of a running Python program, decimal or 0x hex; may be given several times
    #[arg(short, long, value_name = "PID", value_parser = parse_pid)]
    pub pid: Vec<i32>,

    /// The one running Python program of this name (or the one that started the others)
    #[arg(long, value_name = "NAME", conflicts_with = "pid")]
    pub name: Option<String>,

    /// A program to start and profile, with its arguments (behind --)
    #[arg(value_name = "PROGRAM", trailing_var_arg = true, conflicts_with_all = ["pid", "name"])]
    pub program: Vec<String>,

    /// Profile child processes too
    #[arg(short, long)]
    pub subprocesses: bool,
}

/// What of it is to be shown.
#[derive(Debug, Args)]
pub struct Choice {
    /// Only stacks with a frame whose function, file or module fits this regular expression
    #[arg(long, value_name = "REGEX")]
    pub include: Vec<String>,

    /// No stacks with a frame whose function, file or module fits this regular expression
    #[arg(long, value_name = "REGEX")]
    pub exclude: Vec<String>,

    /// Only threads of this id, or whose name fits this regular expression
    #[arg(long, value_name = "ID|REGEX")]
    pub thread: Vec<String>,

    /// Show the import machinery as one frame
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set
    )]
    pub hide_importlib: bool,

    /// Name the classes of methods also before Python 3.11, where self or cls tells them
    #[arg(long)]
    pub class_names: bool,
}

impl Choice {
    /// As a filter; fails where something is no regular expression.
    pub fn filter(&self) -> Result<Filter, Error> {
        Filter::new(&self.include, &self.exclude, &self.thread, self.hide_importlib)
    }
}

/// When samples are taken.
#[derive(Debug, Args)]
pub struct Timing {
    /// How long, in seconds (fractions allowed), or "unlimited"
    #[arg(short, long, value_name = "SECONDS", default_value = "unlimited", value_parser = parse_duration, allow_negative_numbers = true)]
    pub duration: Limit,

    /// Samples a second
    #[arg(short, long, value_name = "RATE", default_value = "100", value_parser = parse_rate, allow_negative_numbers = true)]
    pub rate: f64,
}

/// What is sampled of the program, and how.
#[derive(Debug, Args)]
pub struct Sampling {
    /// Only threads that hold the GIL
    #[arg(short, long)]
    pub gil: bool,

    /// Threads that wait as well
    #[arg(short, long)]
    pub idle: bool,

    /// Weigh samples by the CPU time that was really used, instead of counting them
    #[arg(long, conflicts_with = "idle")]
    pub cpu: bool,

    /// Native functions.
    #[command(flatten)]
    pub native: Native,

    /// How reading is made safe.
    #[command(flatten)]
    pub pausing: Pausing,

    /// What of it is to be shown.
    #[command(flatten)]
    pub choice: Choice,
}

impl Sampling {
    /// The same for the sampler.
    pub fn options(&self) -> Options {
        Options {
            policy: self.pausing.policy(),
            idle: self.idle,
            gil_only: self.gil,
            cpu: self.cpu,
            class_names: self.choice.class_names,
            native: self.native.choice(),
            pause_bound_ns: 10_000_000,
            alone_bound_ns: 10_000_000,
        }
    }
}

/// Flags of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// What is to be sampled.
    #[command(flatten)]
    pub subject: Subject,

    /// Where to write, - for stdout; may be given several times
    #[arg(short, long, value_name = "FILE")]
    pub output: Vec<PathBuf>,

    /// Output format: flamegraph, raw, speedscope, chrometrace, or pyspy (the recording with all that is in it, for convert) [default: by the file's ending, else flamegraph]
    #[arg(short, long, value_name = "FORMAT", ignore_case = true)]
    pub format: Option<FormatKind>,

    /// When.
    #[command(flatten)]
    pub timing: Timing,

    /// How it is shown.
    #[command(flatten)]
    pub look: Look,

    /// What is sampled of it, and how.
    #[command(flatten)]
    pub sampling: Sampling,

    /// More detail about how the samples came about
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,

    /// No line that tells how it goes
    #[arg(long, hide = true)]
    pub hideprogress: bool,
}

/// Flags of `convert`.
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The recording: a file that record has written with -f pyspy, or - for stdin
    #[arg(value_name = "RECORDING")]
    pub input: PathBuf,

    /// Where to write, - for stdout; may be given several times
    #[arg(short, long, value_name = "FILE", required = true)]
    pub output: Vec<PathBuf>,

    /// Output format: flamegraph, raw, speedscope, chrometrace or pyspy [default: by the file's ending, else flamegraph]
    #[arg(short, long, value_name = "FORMAT", ignore_case = true)]
    pub format: Option<FormatKind>,

    /// Show processes as root frames [default: if there are several]
    #[arg(short, long)]
    pub subprocesses: bool,

    /// How it is shown.
    #[command(flatten)]
    pub look: Look,
}

/// Flags of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// What is to be sampled.
    #[command(flatten)]
    pub subject: Subject,

    /// When.
    #[command(flatten)]
    pub timing: Timing,

    /// Seconds between refreshes
    #[arg(long, value_name = "SECONDS", default_value = "1.0", value_parser = parse_delay, allow_negative_numbers = true)]
    pub delay: Duration,

    /// The column to sort by; keys 1 to 4
    #[arg(long, value_name = "COLUMN", default_value = "own", ignore_case = true)]
    pub sort: Column,

    /// What each row is; key l
    #[arg(long, value_name = "WHAT", default_value = "function")]
    pub by: Level,

    /// What is sampled of it, and how.
    #[command(flatten)]
    pub sampling: Sampling,

    /// Full paths of source files instead of short ones
    #[arg(long)]
    pub full_filenames: bool,
}

/// Which native functions are to be shown.
#[derive(Debug, Args)]
pub struct Native {
    /// Native functions too: of extensions and libraries, between the Python ones
    #[arg(short, long, conflicts_with = "nonblocking")]
    pub native: bool,

    /// All native functions, the interpreter's own as well; implies --native
    #[arg(long, conflicts_with = "nonblocking")]
    pub native_all: bool,
}

impl Native {
    /// What these flags ask for.
    pub fn choice(&self) -> Option<native::Choice> {
        (self.native || self.native_all).then_some(native::Choice { all: self.native_all })
    }
}

/// Whether the target may be paused.
#[derive(Debug, Args)]
pub struct Pausing {
    /// Never pause the program; stacks that cannot be trusted are left out and counted
    #[arg(long)]
    pub nonblocking: bool,

    /// Pause the whole program for each sample
    #[arg(long, conflicts_with = "nonblocking")]
    pub blocking: bool,
}

impl Pausing {
    /// The policy that these flags ask for.
    pub fn policy(&self) -> Policy {
        match (self.nonblocking, self.blocking) {
            (true, _) => Policy::NonBlocking,
            (_, true) => Policy::Blocking,
            _ => Policy::Witness,
        }
    }
}

/// Flags of `dump`.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// PID of a running Python program, decimal or 0x hex; may be given several times
    #[arg(short, long, value_name = "PID", required_unless_present_any = ["core", "name"], value_parser = parse_pid)]
    pub pid: Vec<i32>,

    /// The one running Python program of this name (or the one that started the others)
    #[arg(long, value_name = "NAME", conflicts_with = "pid")]
    pub name: Option<String>,

    /// Read a core file instead of a process
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["pid", "name"])]
    pub core: Option<PathBuf>,

    /// The program that the core file is of, if it is not where it was
    #[arg(long, value_name = "FILE", requires = "core")]
    pub executable: Option<PathBuf>,

    /// A folder with libraries of the core file, before all others; may be given several times
    #[arg(long, value_name = "FOLDER", requires = "core")]
    pub lib_path: Vec<PathBuf>,

    /// A copy of the root folder of the machine that the core file is from
    #[arg(long, value_name = "FOLDER", requires = "core")]
    pub sysroot: Option<PathBuf>,

    /// Show local variables, more of them when given twice
    #[arg(short, long, action = ArgAction::Count)]
    pub locals: u8,

    /// Name the classes of methods also before Python 3.11, where self or cls tells them
    #[arg(long)]
    pub class_names: bool,

    /// Print JSON
    #[arg(short, long)]
    pub json: bool,

    /// Child processes too
    #[arg(short, long, conflicts_with = "core")]
    pub subprocesses: bool,

    /// Native functions.
    #[command(flatten)]
    pub native: Native,

    /// How reading is made safe.
    #[command(flatten)]
    pub pausing: Pausing,

    /// Full paths of source files instead of short ones
    #[arg(long)]
    pub full_filenames: bool,
}

/// How long to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Option<Duration>);

fn parse_pid(text: &str) -> Result<i32, String> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let number = match hex {
        Some(digits) => i32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match number {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err("a process id is a positive number, decimal or 0x hex".to_owned()),
    }
}

fn parse_duration(text: &str) -> Result<Limit, String> {
    if text.eq_ignore_ascii_case("unlimited") {
        return Ok(Limit(None));
    }
    let seconds: f64 =
        text.parse().map_err(|_| "a number of seconds or \"unlimited\"".to_owned())?;
    if !(seconds > 0.0 && seconds <= 1e9) {
        return Err("a number of seconds above 0 and up to 1e9, or \"unlimited\"".to_owned());
    }
    Ok(Limit(Some(Duration::from_secs_f64(seconds))))
}

fn parse_delay(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds".to_owned())?;
    if !(0.05..=1e6).contains(&seconds) {
        return Err("a number of seconds from 0.05 to 1000000".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number of samples a second".to_owned())?;
    if !(0.001..=1e6).contains(&rate) {
        return Err("a number of samples a second from 0.001 to 1000000".to_owned());
    }
    Ok(rate)
}

/// Prints the completion script for `shell`.
pub fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "py-spy", &mut std::io::stdout());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_are_checked() {
        assert_eq!(parse_pid("0x10"), Ok(16));
        assert!(
            parse_pid("-1").is_err()
                && parse_pid("0").is_err()
                && parse_pid("99999999999").is_err()
        );
        assert_eq!(parse_duration("1.5"), Ok(Limit(Some(Duration::from_millis(1500)))));
        assert_eq!(parse_duration("unlimited"), Ok(Limit(None)));
        for bad in ["0", "-1", "NaN", "inf", "1e300", ""] {
            assert!(parse_duration(bad).is_err() && parse_rate(bad).is_err(), "{bad}");
        }
    }
}
