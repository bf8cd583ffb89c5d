//! A file as the body of an answer, read no faster than it is taken.

use std::fs::File;
use std::io::Read;

use axum::body::Bytes;

/// What is read from the disk at once, for a download.
const PIECE_BYTES: usize = 256 * 1024;

/// The file, piece by piece, each read when the one before has gone.
pub(crate) fn pieces(
    file: File,
    bytes: u64,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    futures_util::stream::try_unfold((file, bytes), |(file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = move || {
            let mut file = file;
            let mut piece = vec![0; left.min(PIECE_BYTES as u64) as usize];
            let count = file.read(&mut piece)?;
            piece.truncate(count);
            Ok::<_, std::io::Error>((file, piece))
        };
        let (file, piece) =
            tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)??;
        if piece.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let left = left - piece.len() as u64;
        Ok(Some((Bytes::from(piece), (file, left))))
    })
}
