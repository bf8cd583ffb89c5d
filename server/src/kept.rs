//! Changes on their way to the disk: refused at once, or waited for a little.

use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::store::record::Revision;
use crate::store::{Change, Refused, Store};

/// What nobody waits for longer: the answer says then that it is not on the disk yet.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was handed over, and is made even if nobody waits.
pub(crate) struct Kept(Pin<Box<dyn Future<Output = Result<Revision, Refused>> + Send>>);

impl Kept {
    /// # Errors
    /// The store refuses it at once; then nothing is done.
    pub(crate) fn hand_over(store: &Store, changes: Vec<Change>) -> Result<Self, Refused> {
        let mut kept = Box::pin(store.commit(changes));
        match kept.as_mut().now_or_never() {
            Some(Err(refused)) => Err(refused),
            Some(Ok(revision)) => Ok(Self(Box::pin(std::future::ready(Ok(revision))))),
            None => Ok(Self(kept)),
        }
    }

    /// Whether it is on the disk, and outlives the server.
    pub(crate) async fn wait(self, store: &Store) -> bool {
        matches!(timeout(PATIENCE, self.0).await, Ok(Ok(_))) && store.is_kept()
    }
}
