//! Who may see one private signal now.

use std::collections::HashSet;
use std::sync::Arc;

use crate::people::AccountId;

/// The owner, people by name, and the members of rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Circle {
    pub(super) owner: AccountId,
    pub(super) people: Vec<AccountId>,
    pub(super) rooms: Vec<Arc<HashSet<AccountId>>>,
}

impl Circle {
    /// Who is nobody in particular is in none.
    pub(crate) fn has(&self, account: Option<&str>) -> bool {
        let Some(account) = account else { return false };
        *self.owner == *account
            || self.people.iter().any(|one| **one == *account)
            || self.rooms.iter().any(|room| room.contains(account))
    }
}
