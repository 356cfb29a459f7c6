//! Bytes of files, a few at a time.

use super::CoreError;
use crate::elf::PAGE;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What is read and kept at once.
const BLOCK: usize = 16 << 10;
/// The most blocks of one file that are kept: 16 MiB.
const MAX_BLOCKS: usize = 1 << 10;
/// No more than this is unpacked: more than any machine's memory that one would dump.
const MAX_UNPACKED: u64 = 8 << 40;

/// A file, read in blocks of which the last used ones are kept.
pub struct Source {
    file: File,
    length: u64,
    blocks: RefCell<Blocks>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("length", &self.length).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Blocks {
    known: HashMap<u64, Box<[u8]>>,
    /// In the order in which they came.
    order: VecDeque<u64>,
}

impl Source {
    /// Opens the plain file at `path`, and unpacks it if it is compressed.
    pub fn open(path: &Path) -> Result<Source, CoreError> {
        let mut file = open_plain(path)?;
        let mut magic = [0; 6];
        let got = read_up_to(&mut file, &mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        match &magic[..got] {
            [0x1f, 0x8b, ..] => unpack_gzip(file),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => unpack_zstd(file),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Err(packed("xz", "xz -dk")),
            [0x04, 0x22, 0x4d, 0x18, ..] => Err(packed("lz4", "lz4 -d")),
            [b'B', b'Z', b'h', ..] => Err(packed("bzip2", "bzip2 -dk")),
            _ => Ok(Source::new(file)?),
        }
    }

    /// The plain file at `path` as it is.
    pub fn open_as_is(path: &Path) -> io::Result<Source> {
        Source::new(open_plain(path)?)
    }

    fn new(file: File) -> io::Result<Source> {
        let length = file.metadata()?.len();
        Ok(Source { file, length, blocks: RefCell::default() })
    }

    /// Its size in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Reads from `offset` on, as much as there is up to the end; returns how much.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let end = self.length.min(offset.saturating_add(buffer.len() as u64));
        let want = end.saturating_sub(offset) as usize;
        let buffer = &mut buffer[..want];
        if want > 4 * BLOCK {
            return self.read_file(offset, buffer);
        }
        let mut done = 0;
        while done < want {
            let at = offset + done as u64;
            let got = self.read_block(at, &mut buffer[done..])?;
            if got == 0 {
                break;
            }
            done += got;
        }
        Ok(done)
    }

    /// `length` bytes at `offset`; `None` if they are not all there.
    pub fn bytes(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        if offset.checked_add(length as u64)? > self.length {
            return None;
        }
        let mut bytes = vec![0; length];
        let got = self.read_at(offset, &mut bytes).ok()?;
        (got == length).then_some(bytes)
    }

    fn read_block(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let number = offset / BLOCK as u64;
        let skip = (offset % BLOCK as u64) as usize;
        let mut blocks = self.blocks.borrow_mut();
        if !blocks.known.contains_key(&number) {
            let mut block = vec![0; BLOCK];
            let got = self.read_file(number * BLOCK as u64, &mut block)?;
            block.truncate(got);
            if blocks.order.len() >= MAX_BLOCKS
                && let Some(oldest) = blocks.order.pop_front()
            {
                blocks.known.remove(&oldest);
            }
            blocks.order.push_back(number);
            blocks.known.insert(number, block.into_boxed_slice());
        }
        let rest = blocks.known.get(&number).and_then(|block| block.get(skip..)).unwrap_or(&[]);
        let got = rest.len().min(buffer.len());
        buffer[..got].copy_from_slice(&rest[..got]);
        Ok(got)
    }

    fn read_file(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        read_up_to(&mut file, buffer)
    }
}

fn packed(how: &str, command: &str) -> CoreError {
    CoreError::Unsupported(format!(
        "it is compressed with {how}, which is not supported (gzip and zstd are): unpack it first ({command} FILE)"
    ))
}

/// Nothing but a plain file is opened: anything else might never answer.
fn open_plain(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    File::open(path)
}

fn read_up_to(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match from.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(got) => done += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn unpack_gzip(file: File) -> Result<Source, CoreError> {
    unpack(flate2::bufread::MultiGzDecoder::new(BufReader::new(file)))
}

fn unpack_zstd(file: File) -> Result<Source, CoreError> {
    let mut input = BufReader::new(file);
    let mut spool = Spool::new()?;
    // A file is one frame after the other.
    while has_more(&mut input)? {
        match ruzstd::decoding::StreamingDecoder::new(&mut input) {
            Ok(frame) => {
                if !spool.take(frame)? {
                    break;
                }
            }
            Err(ruzstd::decoding::errors::FrameDecoderError::ReadFrameHeaderError(
                ruzstd::decoding::errors::ReadFrameHeaderError::SkipFrame { length, .. },
            )) => {
                let length = u64::from(length);
                io::copy(&mut input.by_ref().take(length), &mut io::sink())?;
            }
            // What is there may be enough to be read.
            Err(_) if spool.length > 0 => break,
            Err(error) => {
                return Err(CoreError::NotACore(format!("it cannot be unpacked: {error}")));
            }
        }
    }
    spool.finish()
}

fn has_more(input: &mut impl io::BufRead) -> io::Result<bool> {
    Ok(!input.fill_buf()?.is_empty())
}

fn unpack(from: impl Read) -> Result<Source, CoreError> {
    let mut spool = Spool::new()?;
    spool.take(from)?;
    spool.finish()
}

/// A temporary file that what is unpacked goes into. It has no name, so that nothing is
/// left of it however we end, and where there are only zeros it takes no room.
struct Spool {
    file: File,
    folder: PathBuf,
    length: u64,
}

impl Spool {
    fn new() -> Result<Spool, CoreError> {
        let folder = temp_dir();
        let file = tempfile::tempfile_in(&folder).map_err(|error| no_room(&folder, &error))?;
        Ok(Spool { file, folder, length: 0 })
    }

    /// Appends all of `from`; false if that ended early. A file that was cut off or is
    /// damaged is good for as far as it goes.
    fn take(&mut self, mut from: impl Read) -> Result<bool, CoreError> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            let (got, whole) = match read_or_cut(&mut from, &mut buffer) {
                Ok((got, whole)) => (got, whole),
                Err(error) if self.length == 0 => return Err(damaged(&error)),
                Err(_) => return Ok(false),
            };
            if self.length + got as u64 > MAX_UNPACKED {
                return Err(CoreError::Unsupported("unpacked it is larger than 8 TiB".into()));
            }
            self.write(&buffer[..got])?;
            if !whole {
                return Ok(false);
            }
            if got < buffer.len() {
                return Ok(true);
            }
        }
    }

    /// Appends `bytes`, leaving holes where there are only zeros.
    fn write(&mut self, bytes: &[u8]) -> Result<(), CoreError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let empty = |page: &&[u8]| page.iter().all(|byte| *byte == 0);
            let zeros: usize = rest.chunks(PAGE).take_while(empty).map(<[u8]>::len).sum();
            let (skipped, behind) = rest.split_at(zeros);
            let full = |page: &&[u8]| !empty(page);
            let length: usize = behind.chunks(PAGE).take_while(full).map(<[u8]>::len).sum();
            let (part, behind) = behind.split_at(length);
            self.length += skipped.len() as u64;
            let at = SeekFrom::Start(self.length);
            let written = self.file.seek(at).and_then(|_| self.file.write_all(part));
            written.map_err(|error| no_room(&self.folder, &error))?;
            self.length += part.len() as u64;
            rest = behind;
        }
        Ok(())
    }

    fn finish(self) -> Result<Source, CoreError> {
        self.file.set_len(self.length).map_err(|error| no_room(&self.folder, &error))?;
        Ok(Source::new(self.file)?)
    }
}

/// Like [`read_up_to`], but what came before an error counts; false if there was one.
fn read_or_cut(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
    let mut done = 0;
    while done < buffer.len() {
        match from.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(got) => done += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if done == 0 => return Err(error),
            Err(_) => return Ok((done, false)),
        }
    }
    Ok((done, true))
}

fn damaged(error: &io::Error) -> CoreError {
    CoreError::NotACore(format!("it cannot be unpacked: {error}"))
}

fn no_room(folder: &Path, error: &io::Error) -> CoreError {
    CoreError::Io(io::Error::new(
        error.kind(),
        format!(
            "unpacking into {} failed: {error} (set TMPDIR to a folder with enough room)",
            folder.display()
        ),
    ))
}

/// Not `/tmp` if it can be helped: that is memory on many systems, and cores are large.
fn temp_dir() -> PathBuf {
    let large = Path::new("/var/tmp");
    if std::env::var_os("TMPDIR").is_none() && large.is_dir() {
        return large.to_owned();
    }
    std::env::temp_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    fn sample() -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..200_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        bytes.extend(vec![0; 300_000]);
        bytes.extend(b"the end");
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn plain_and_compressed_files_read_the_same() {
        let bytes = sample();
        let (front, back) = bytes.split_at(70_000);
        let mut skippable = zstd(front);
        skippable.extend([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
        skippable.extend(zstd(back));
        let forms = [
            bytes.clone(),
            gzip(&bytes),
            [gzip(front), gzip(back)].concat(),
            zstd(&bytes),
            skippable,
        ];
        for form in forms {
            let file = written(&form);
            let source = Source::open(file.path()).expect("opens");
            assert_eq!(source.length(), bytes.len() as u64);
            for (offset, length) in [(0, 10), (16_380, 10), (100, 400_000), (499_990, 17)] {
                let got = source.bytes(offset, length).expect("there");
                assert_eq!(got, bytes[offset as usize..][..length]);
            }
            assert_eq!(source.bytes(500_000, 8), None);
            assert_eq!(source.bytes(u64::MAX, 8), None);
            assert_eq!(source.read_at(500_000, &mut [0; 100]).expect("read"), 7);
            assert_eq!(source.read_at(u64::MAX - 3, &mut [0; 100]).expect("read"), 0);
        }
    }

    #[test]
    fn what_was_cut_off_is_good_up_to_there() {
        // Of zstd, what later parts may refer back to is not given out before the end.
        let bytes = sample().repeat(8);
        for form in [gzip(&bytes), zstd(&bytes)] {
            let file = written(&form[..form.len() / 2]);
            let source = Source::open(file.path()).expect("opens");
            assert!(source.length() > 10_000 && source.length() < bytes.len() as u64);
            assert_eq!(source.bytes(0, 9000).expect("there"), bytes[..9000]);
            let file = written(&form[..5]);
            assert!(matches!(Source::open(file.path()), Err(CoreError::NotACore(_))));
        }
    }

    #[test]
    fn the_oldest_blocks_go() {
        let bytes: Vec<u8> = (0..(MAX_BLOCKS + 20) * BLOCK).map(|i| (i / BLOCK) as u8).collect();
        let file = written(&bytes);
        let source = Source::open(file.path()).expect("opens");
        for round in 0..2 {
            for block in 0..MAX_BLOCKS + 20 {
                let at = (block * BLOCK) as u64 + 5;
                assert_eq!(source.bytes(at, 2), Some(vec![block as u8; 2]), "round {round}");
            }
        }
        assert_eq!(source.blocks.borrow().known.len(), MAX_BLOCKS);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let file = written(b"\xfd7zXZ\0and so on");
        let error = Source::open(file.path()).expect_err("xz").to_string();
        assert!(error.contains("compressed with xz") && error.contains("xz -dk FILE"), "{error}");
        let folder = tempfile::tempdir().expect("a folder");
        assert!(matches!(Source::open(folder.path()), Err(CoreError::Io(_))));
    }
}
