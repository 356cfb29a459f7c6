//! What can go wrong, each with its evidence and a remedy.

use cpython::discover::{NotFound, Trail};
use remote::ReadError;
use remote::os::OpenError;
use remote::os::diagnose::{self, Denial};
use std::fmt;
use std::path::PathBuf;

/// An error that ends the program. `Display` is for a person: the first line says what,
/// the others what was seen and what to do.
#[derive(Debug)]
pub enum Error {
    /// No process of this id.
    NoSuchProcess(i32),
    /// The process cannot be looked at for a reason of its own.
    Unsuitable(i32, String),
    /// The system refuses.
    Permission(i32, Vec<Denial>),
    /// No CPython was found in it.
    NotPython(i32, Trail),
    /// There is a CPython, without an interpreter.
    NotRunning(i32, Trail),
    /// There is a CPython that is not supported.
    Unsupported(i32, String, Trail),
    /// The process ended while we looked.
    Ended(i32),
    /// A core file that cannot be read, or has no Python in it.
    Core(PathBuf, String),
    /// A file cannot be written.
    Output(PathBuf, std::io::Error),
    /// A recording cannot be read.
    Input(PathBuf, profile::Unreadable),
    /// A program cannot be started.
    Spawn(String, std::io::Error),
    /// The command line makes no sense.
    Usage(String),
    /// Something of the system fails.
    System(&'static str, std::io::Error),
}

impl Error {
    /// From a failure to open the process `pid`.
    pub fn open(pid: i32, error: OpenError) -> Error {
        match error {
            OpenError::NoSuchProcess => Error::NoSuchProcess(pid),
            OpenError::Denied => Error::Permission(pid, diagnose::denial(pid, &own_command())),
            other => Error::Unsuitable(pid, other.to_string()),
        }
    }

    /// From a search that found nothing.
    pub fn not_python(pid: i32, missing: NotFound) -> Error {
        match missing {
            NotFound::NoPython(trail) => Error::NotPython(pid, trail),
            NotFound::NotRunning(trail) => Error::NotRunning(pid, trail),
            NotFound::Unsupported(message, trail) => Error::Unsupported(pid, message, trail),
        }
    }

    /// From a read that failed for good.
    pub fn read(pid: i32, error: ReadError) -> Error {
        match error {
            ReadError::Gone => Error::Ended(pid),
            ReadError::Denied(_) => Error::Permission(pid, diagnose::denial(pid, &own_command())),
            other => Error::Unsuitable(pid, other.to_string()),
        }
    }

    /// Tells a person. Paths and names in it may be the target's: they are escaped.
    pub fn print(&self) {
        for (i, line) in self.to_string().lines().enumerate() {
            let begin = if i == 0 { "Error: " } else { "" };
            crate::say::line(&format!("{begin}{}", profile::printable(line)));
        }
    }

    /// The status that the program ends with: 2 for a wrong command line, 1 otherwise.
    pub fn status(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            _ => 1,
        }
    }
}

/// Our own command line, to be pasted behind sudo.
fn own_command() -> String {
    let quote = |word: String| {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c));
        if plain && !word.is_empty() { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    let path = r#"env "PATH=$PATH" "#;
    path.to_owned() + &std::env::args().map(quote).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoSuchProcess(pid) => write!(
                f,
                "there is no process {pid}\nps -e lists the processes; inside a container, ids are the container's own"
            ),
            Error::Unsuitable(pid, why) => write!(f, "cannot look into process {pid}: {why}"),
            Error::Permission(pid, denials) => {
                write!(f, "Permission Denied: we may not look into process {pid}")?;
                for denial in denials {
                    write!(f, "\n - {}\n   {}", denial.reason, denial.remedy)?;
                }
                Ok(())
            }
            Error::NotPython(pid, trail) => write!(
                f,
                "process {pid} does not seem to be a Python program\nWhat was tried:\n{trail}If it runs Python in a child process, record it with --subprocesses (-s), or give that process's id (pstree -p {pid})"
            ),
            Error::NotRunning(pid, trail) => write!(
                f,
                "process {pid} has a CPython in it whose interpreter is not running (it is starting up, shutting down, or does not use it)\nWhat was tried:\n{trail}"
            ),
            Error::Unsupported(pid, message, trail) => write!(
                f,
                "process {pid}: {message}\nSupported are CPython 2.3 to 2.7, 3.3 and later.\nWhat was tried:\n{trail}"
            ),
            Error::Core(path, why) => write!(f, "core file {}: {why}", path.display()),
            Error::Ended(pid) => write!(f, "process {pid} has ended"),
            Error::Output(path, error) => write!(f, "cannot write {}: {error}", path.display()),
            Error::Input(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Error::Spawn(program, error) => {
                write!(f, "cannot start {program}: {error}")
            }
            Error::Usage(message) => f.write_str(message),
            Error::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for Error {}
