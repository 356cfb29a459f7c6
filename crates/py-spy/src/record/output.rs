//! Where profiles go: checked before sampling, written whole or not at all.

use super::say;
use crate::cli::RecordArgs;
use crate::error::Error;
use profile::{FormatKind, Recording, Style};
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

#[derive(Debug)]
enum Place {
    Stdout,
    /// A device, a pipe: written to directly.
    Special(PathBuf),
    File(PathBuf),
}

impl Outputs {
    /// What the command line asks for; fails if any of it cannot be written.
    pub fn prepare(args: &RecordArgs) -> Result<Outputs, Error> {
        let mut paths = args.output.clone();
        if paths.is_empty() {
            paths.push(default_name(args));
        }
        let mut outputs = Vec::new();
        for path in paths {
            let by_name = path.to_str().and_then(FormatKind::from_file_name);
            let format = args.format.or(by_name).unwrap_or_default();
            let place = if path.as_os_str() == "-" { Place::Stdout } else { Place::of(path)? };
            outputs.push(Output { format, place });
        }
        Ok(Outputs(outputs))
    }

    /// The formats of all outputs.
    pub fn formats(&self) -> impl Iterator<Item = FormatKind> + '_ {
        self.0.iter().map(|output| output.format)
    }

    /// Writes `recording` to all of them. What cannot be written where it should goes to
    /// the folder for temporary files: a recording is not lost.
    pub fn write(&self, recording: &Recording, style: &Style) -> Result<(), Error> {
        let mut failed = None;
        for output in &self.0 {
            let (wrote, path) = match output.write(recording, style) {
                Ok(path) => (None, path),
                Err((path, error)) => match rescue(output, recording, style) {
                    Ok(rescued) => (Some(Error::Output(path, error)), rescued),
                    Err(_) => {
                        failed = Some(Error::Output(path, error));
                        continue;
                    }
                },
            };
            if wrote.is_some() {
                failed = wrote;
            }
            let quality = &recording.quality;
            say(&format!(
                "Wrote {} data to '{}'. Samples: {} Errors: {}",
                output.format,
                path.display(),
                quality.samples,
                quality.errors
            ));
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Place {
    fn of(path: PathBuf) -> Result<Place, Error> {
        let failed = |error| Error::Output(path.clone(), error);
        match path.metadata() {
            Ok(meta) if meta.is_dir() => Err(failed(io::ErrorKind::IsADirectory.into())),
            Ok(meta) if !meta.is_file() => Ok(Place::Special(path)),
            Ok(meta) if meta.permissions().readonly() => {
                Err(failed(io::ErrorKind::PermissionDenied.into()))
            }
            _ => {
                temporary(&path).map_err(failed)?;
                Ok(Place::File(path))
            }
        }
    }
}

impl Output {
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
                let write = || render(&mut File::options().write(true).open(path)?);
                write().map_err(|error| (path.clone(), error))?;
                Ok(path.clone())
            }
            Place::File(path) => {
                let write = || {
                    let mut file = temporary(path)?;
                    render(file.as_file_mut())?;
                    file.persist(path).map_err(|failure| failure.error)
                };
                write().map_err(|error| (path.clone(), error))?;
                Ok(path.clone())
            }
        }
    }
}

fn rescue(output: &Output, recording: &Recording, style: &Style) -> io::Result<PathBuf> {
    let suffix = format!(".{}", output.format.format().extension());
    let file = tempfile::Builder::new().prefix("py-spy-").suffix(&suffix).tempfile()?;
    let mut out = BufWriter::new(file.as_file());
    output.format.format().write(recording, style, &mut out)?;
    out.flush()?;
    drop(out);
    Ok(file.keep().map_err(|failure| failure.error)?.1)
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
fn default_name(args: &RecordArgs) -> PathBuf {
    let subject = &args.subject;
    let who = match (subject.program.first().or(subject.name.as_ref()), subject.pid.first()) {
        (Some(program), _) => Path::new(program)
            .file_name()
            .map_or("profile".to_owned(), |name| name.to_string_lossy().into_owned()),
        (None, pid) => pid.copied().unwrap_or(0).to_string(),
    };
    let now = time::OffsetDateTime::now_local().unwrap_or_else(|_| time::OffsetDateTime::now_utc());
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let when = now.format(format).unwrap_or_default();
    let extension = args.format.unwrap_or_default().format().extension();
    PathBuf::from(format!("{who}-{when}.{extension}"))
}
