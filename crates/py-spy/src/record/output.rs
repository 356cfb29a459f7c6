//! Where profiles go: checked before sampling, written whole or not at all.

use crate::cli::{RecordArgs, Subject};
use crate::error::Error;
use profile::{FormatKind, Quality, Recording, Style};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// All outputs of one recording.
#[derive(Debug)]
pub struct Outputs(Vec<Output>);

#[derive(Debug)]
struct Output {
    format: FormatKind,
    place: Place,
}

/// Where an output goes.
#[derive(Debug)]
pub enum Place {
    /// Our standard output.
    Stdout,
    /// A device, a pipe, a file in a folder that is closed to us: written to directly.
    Special(PathBuf),
    /// A plain file, replaced when all is written.
    File(PathBuf),
}

impl Outputs {
    /// What the command line asks for; fails if any of it cannot be written.
    pub fn prepare(args: &RecordArgs) -> Result<Outputs, Error> {
        let mut paths = args.output.clone();
        if paths.is_empty() {
            paths.push(default_name(&args.subject, args.format.unwrap_or_default()));
        }
        Outputs::new(paths, args.format)
    }

    /// These files, `-` being stdout, in this format or else those that their names tell; fails
    /// if any of it cannot be written.
    pub fn new(paths: Vec<PathBuf>, format: Option<FormatKind>) -> Result<Outputs, Error> {
        let prepare = |path: PathBuf| {
            let place = if path.as_os_str() == "-" { None } else { Some(path) };
            Output::prepare(place, format)
        };
        Ok(Outputs(paths.into_iter().map(prepare).collect::<Result<_, _>>()?))
    }

    /// One file, in the format that its name tells; fails if it cannot be written.
    pub fn file(path: PathBuf) -> Result<Outputs, Error> {
        Ok(Outputs(vec![Output::prepare(Some(path), None)?]))
    }

    /// The formats of all outputs.
    pub fn formats(&self) -> impl Iterator<Item = FormatKind> + '_ {
        self.0.iter().map(|output| output.format)
    }

    /// Takes out those of a format.
    pub fn take(&mut self, format: FormatKind) -> Vec<Place> {
        self.0.extract_if(.., |output| output.format == format).map(|output| output.place).collect()
    }

    /// Writes `recording` to all of them. What cannot be written where it should goes to
    /// the folder for temporary files: a recording is not lost. What was written is told to
    /// `say`.
    pub fn write(
        &self,
        recording: &Recording,
        style: &Style,
        mut say: impl FnMut(&str),
    ) -> Result<(), Error> {
        let mut failed = None;
        for output in &self.0 {
            let (failure, path) = match output.write(recording, style) {
                Ok(path) => (None, path),
                Err((path, error)) => match rescue(output, recording, style) {
                    Ok(rescued) => (Some(Error::Output(path, error)), rescued),
                    Err(_) => {
                        failed = Some(Error::Output(path, error));
                        continue;
                    }
                },
            };
            failed = failure.or(failed);
            say(&wrote(output.format, &path, &recording.quality));
        }
        failed.map_or(Ok(()), Err)
    }
}

/// What is said of an output that was written.
pub fn wrote(format: FormatKind, path: &Path, quality: &Quality) -> String {
    let path = path.display();
    format!(
        "Wrote {format} data to '{path}'. Samples: {} Errors: {}",
        quality.samples, quality.errors
    )
}

impl Place {
    /// Its path, `-` for standard output.
    pub fn path(&self) -> PathBuf {
        match self {
            Place::Stdout => PathBuf::from("-"),
            Place::Special(path) | Place::File(path) => path.clone(),
        }
    }

    /// Opens it for writing. A file that exists is replaced.
    pub fn open(&self) -> io::Result<File> {
        match self {
            Place::Stdout => own_stdout(),
            Place::Special(path) => open_in_place(path),
            Place::File(path) => {
                let named = |file: tempfile::NamedTempFile| match file.persist(path) {
                    Ok(file) => Ok(file),
                    Err(_) => open_in_place(path),
                };
                temporary(path).and_then(named)
            }
        }
    }

    fn of(path: PathBuf) -> Result<Place, Error> {
        let failed = |error| Error::Output(path.clone(), error);
        let target = match follow(&path) {
            Some(target) => target,
            None => return Ok(Place::Special(path)),
        };
        match target.metadata() {
            Ok(meta) if meta.is_dir() => Err(failed(io::ErrorKind::IsADirectory.into())),
            Ok(meta) if !meta.is_file() => Ok(Place::Special(target)),
            Ok(meta) if meta.permissions().readonly() => {
                Err(failed(io::ErrorKind::PermissionDenied.into()))
            }
            known => match temporary(&target) {
                Ok(_) => Ok(Place::File(target)),
                Err(error) if known.is_err() => Err(failed(error)),
                // No file can be put beside it, but it itself may be written.
                Err(_) => match File::options().append(true).open(&target) {
                    Ok(_) => Ok(Place::Special(target)),
                    Err(error) => Err(failed(error)),
                },
            },
        }
    }
}

/// What a path leads to: a link stays one, the file behind it is the one to be replaced. `None`
/// for a file that somebody has open (`/dev/stdout`, `/dev/fd/3`): that very one is meant.
fn follow(path: &Path) -> Option<PathBuf> {
    /// As the kernel's (`MAXSYMLINKS`).
    const MAX_LINKS: usize = 40;
    let is_open = |path: &Path| {
        let named = ["/dev/stdin", "/dev/stdout", "/dev/stderr"].map(Path::new).contains(&path);
        let folder = path.parent().unwrap_or(Path::new(""));
        named
            || folder == Path::new("/dev/fd")
            || folder.starts_with("/proc") && folder.ends_with("fd")
    };
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if is_open(&path) {
            return None;
        }
        match path.read_link() {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    Some(path)
}

/// Opens what is there already. What a file that somebody has open holds is kept: it may be the
/// end of a log.
fn open_in_place(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    match follow(path) {
        Some(_) => options.write(true).truncate(true).open(path),
        None => options.append(true).open(path),
    }
}

/// Gives a finished file its name. Where it cannot replace the one of that name (which is mounted
/// by itself, or another user's), that one is written to.
fn put(file: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    use io::{Seek, SeekFrom};
    let Err(mut failure) = file.persist(path) else { return Ok(()) };
    let mut copy = || {
        let from = failure.file.as_file_mut();
        from.seek(SeekFrom::Start(0))?;
        io::copy(from, &mut open_in_place(path)?)
    };
    copy().map(|_| ()).map_err(|_: io::Error| failure.error)
}

impl Output {
    /// To a file, or else to stdout; without a format, in the one that the file's name tells.
    fn prepare(path: Option<PathBuf>, format: Option<FormatKind>) -> Result<Output, Error> {
        let name = path.as_ref().and_then(|path| path.to_str());
        let format = format.or(name.and_then(FormatKind::from_file_name)).unwrap_or_default();
        Ok(Output { format, place: path.map_or(Ok(Place::Stdout), Place::of)? })
    }

    fn write(&self, recording: &Recording, style: &Style) -> Result<PathBuf, (PathBuf, io::Error)> {
        let format = self.format.format();
        let render = |out: &mut dyn Write| {
            let mut out = BufWriter::new(out);
            format.write(recording, style, &mut out)?;
            out.flush()
        };
        match &self.place {
            Place::Stdout => {
                let path = PathBuf::from("-");
                render(&mut io::stdout().lock()).map_err(|error| (path.clone(), error))?;
                Ok(path)
            }
            Place::Special(path) => {
                let write = || render(&mut open_in_place(path)?);
                write().map_err(|error| (path.clone(), error))?;
                Ok(path.clone())
            }
            Place::File(path) => {
                let write = || {
                    let mut file = temporary(path)?;
                    render(file.as_file_mut())?;
                    put(file, path)
                };
                write().map_err(|error| (path.clone(), error))?;
                Ok(path.clone())
            }
        }
    }
}

fn rescue(output: &Output, recording: &Recording, style: &Style) -> io::Result<PathBuf> {
    rescue_file(output.format, |out| output.format.format().write(recording, style, out))
}

/// Writes a file where there is room, and keeps it: in the folder for temporary files, or else in
/// one of the others that there may be.
pub fn rescue_file(
    format: FormatKind,
    write: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let suffix = format!(".{}", format.format().extension());
    let from_environment = ["XDG_RUNTIME_DIR", "HOME"].map(std::env::var_os);
    let others = [Some("/var/tmp".into()), Some("/dev/shm".into()), Some(".".into())];
    let mut folders = vec![std::env::temp_dir()];
    folders.extend(from_environment.into_iter().chain(others).flatten().map(PathBuf::from));
    let mut failed = io::ErrorKind::NotFound.into();
    for folder in folders {
        let save = || {
            let mut builder = tempfile::Builder::new();
            let file = builder.prefix("py-spy-").suffix(&suffix).tempfile_in(&folder)?;
            let mut out = BufWriter::new(file.as_file());
            write(&mut out)?;
            out.flush()?;
            drop(out);
            Ok(file.keep().map_err(|failure| failure.error)?.1)
        };
        match save() {
            Ok(path) => return Ok(path),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Standard output without the buffer that Rust puts before it.
fn own_stdout() -> io::Result<File> {
    #[cfg(unix)]
    let handle = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned()?;
    #[cfg(windows)]
    let handle = std::os::windows::io::AsHandle::as_handle(&io::stdout()).try_clone_to_owned()?;
    Ok(File::from(handle))
}

/// A file beside `path`, with the permissions of a new one, removed when dropped.
fn temporary(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The umask takes away what it should, as for any file.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// `<program or pid>-<local time>.<ending>` in the current directory.
pub fn default_name(subject: &Subject, format: FormatKind) -> PathBuf {
    let who = match (subject.program.first().or(subject.name.as_ref()), subject.pid.first()) {
        (Some(program), _) => Path::new(program)
            .file_name()
            .map_or("profile".to_owned(), |name| name.to_string_lossy().into_owned()),
        (None, pid) => pid.copied().unwrap_or(0).to_string(),
    };
    let now = time::OffsetDateTime::now_local().unwrap_or_else(|_| time::OffsetDateTime::now_utc());
    let stamp = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let when = now.format(stamp).unwrap_or_default();
    let extension = format.format().extension();
    PathBuf::from(format!("{who}-{when}.{extension}"))
}
