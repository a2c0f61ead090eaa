//! A trace in a file, as it is: opened, looked at where it begins, and given out in pieces.
//!
//! Owns the file, whose name comes from whoever started the service, never from a request. Must not know what is in it
//! beyond its header: the page reads it, and says where it is broken. VIEW.md §5.1, §5.4 (8), (10).

use super::answer;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use vr_sim::view::read;
use vr_tokio::AnswerBody;

/// A longer file is refused.
const BYTES_MAX: u64 = 2 << 30;
/// A longer line is refused.
const LINE_MAX: u64 = 1 << 20;
/// How much is read at once.
const PIECE: usize = 256 << 10;

/// A trace in a file.
#[derive(Clone, Debug)]
pub(super) struct TraceFile {
    path: PathBuf,
    is_packed: bool,
}

impl TraceFile {
    /// Looks at a file.
    pub(super) fn open(path: PathBuf) -> Result<Self, String> {
        let said = |why: String| format!("{}: {why}", path.display());
        let (is_packed, size) = look(&path).map_err(|error| said(error.to_string()))?;
        if size > BYTES_MAX {
            return Err(said(format!("{size} bytes are too many: at most {BYTES_MAX}")));
        }
        if !is_packed {
            let file = File::open(&path).map_err(|error| said(error.to_string()))?;
            let mut first = Vec::new();
            let read = BufReader::new(file).take(LINE_MAX).read_until(b'\n', &mut first);
            read.map_err(|error| said(error.to_string()))?;
            read::begins(&first).map_err(|error| said(error.to_string()))?;
        }
        Ok(Self { path, is_packed })
    }

    /// The events in it.
    pub(super) fn events(&self) -> Result<read::Trace, String> {
        let said = |why: String| format!("{}: {why}", self.path.display());
        if self.is_packed {
            let path = self.path.display();
            return Err(format!(
                "{path} is packed; unpacked it can be read: gunzip -c {path} | kv-demo view --trace - …"
            ));
        }
        let file = File::open(&self.path).map_err(|error| said(error.to_string()))?;
        read::trace(BufReader::new(file)).map_err(|error| said(error.to_string()))
    }

    /// The whole of it, as an answer. It is read as fast as the reader reads.
    pub(super) fn answer(&self) -> Result<Response<AnswerBody>, String> {
        let file = File::open(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))?;
        let pieces = futures_util::stream::unfold(Some(file), |file| async move {
            let read = move |mut file: File| {
                let mut piece = vec![0; PIECE];
                let length = file.read(&mut piece).unwrap_or(0);
                piece.truncate(length);
                (piece, file)
            };
            let file = file?;
            let (piece, file) = tokio::task::spawn_blocking(move || read(file)).await.ok()?;
            (!piece.is_empty()).then(|| (Bytes::from(piece), Some(file)))
        });
        let mut response = answer::pieces("application/x-ndjson", pieces);
        if self.is_packed {
            response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(response)
    }
}

/// Is it packed, and how long is it?
fn look(path: &Path) -> io::Result<(bool, u64)> {
    let mut file = File::open(path)?;
    let mut first = Vec::new();
    file.by_ref().take(2).read_to_end(&mut first)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
    }
    Ok((first == [0x1F, 0x8B], about.len()))
}

/// The events in a file, or for the name - those that come from standard input.
pub(super) fn events_of(path: &Path) -> Result<read::Trace, String> {
    if path.as_os_str() == "-" {
        return read::trace(io::stdin().lock()).map_err(|error| format!("standard input: {error}"));
    }
    TraceFile::open(path.to_owned())?.events()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &[u8]) -> Result<TraceFile, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("trace.jsonl");
        std::fs::write(&path, text).expect("written");
        TraceFile::open(path)
    }

    #[test]
    fn a_file_that_is_no_trace_of_this_format_is_refused_in_a_line() {
        let good = b"{\"k\":\"meta\",\"format\":\"vrtrace/1\"}\n";
        assert!(open(good).is_ok());
        assert!(open(&[0x1F, 0x8B, 8, 0]).is_ok_and(|file| file.is_packed));
        for wrong in [&b""[..], b"x", b"{}\n", b"{\"k\":\"meta\",\"format\":\"vrtrace/2\"}\n", b"\xFF\xFE"] {
            let why = open(wrong).expect_err("refused");
            assert!(why.contains("line 1"), "{why}");
        }
        assert!(TraceFile::open("/".into()).is_err());
        assert!(TraceFile::open("/nowhere".into()).is_err());
    }
}
