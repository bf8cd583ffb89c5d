//! How fast people talk.

use std::collections::HashMap;

use components::sample::EngineTime;

use super::ChatError;
use crate::people::AccountId;
use crate::people::limits::Standing;

/// One person says so many at once, and then one a second, wherever they say it.
const BURST: u64 = 5;
pub(super) const MESSAGE_MICROS: u64 = 1_000_000;

/// A sign that they type costs a fifth of a message.
pub(super) const TYPING_MICROS: u64 = MESSAGE_MICROS / 5;

/// People whose pace is remembered; whoever has rested for some seconds makes room.
const TALKER_COUNT_MAX: usize = 100_000;

/// When each may again say all that may be said at once (GCRA, as [`bucket`](crate::bucket)).
#[derive(Debug, Default)]
pub(in crate::rooms) struct Pace(HashMap<AccountId, EngineTime>);

impl Pace {
    /// How somebody stands who has not said anything now.
    pub(super) fn standing(&self, account: &AccountId, now: EngineTime) -> Standing {
        let full_at = self.0.get(account).map_or(now.0, |full_at| full_at.0.max(now.0));
        let owed = full_at - now.0;
        let over = (owed + MESSAGE_MICROS).saturating_sub(BURST * MESSAGE_MICROS);
        Standing {
            limit: BURST,
            remaining: (BURST * MESSAGE_MICROS).saturating_sub(owed) / MESSAGE_MICROS,
            reset_seconds: owed.div_ceil(1_000_000),
            retry_seconds: (over > 0).then(|| over.div_ceil(1_000_000)),
        }
    }

    pub(super) fn take(
        &mut self,
        account: &AccountId,
        micros: u64,
        now: EngineTime,
    ) -> Result<(), ChatError> {
        if self.0.len() >= TALKER_COUNT_MAX && !self.0.contains_key(account) {
            self.0.retain(|_, full_at| *full_at > now);
            if self.0.len() >= TALKER_COUNT_MAX {
                return Err(ChatError::TooFast { retry_ms: BURST * MESSAGE_MICROS / 1000 });
            }
        }
        let full_at = self.0.get(account).map_or(now.0, |full_at| full_at.0.max(now.0));
        let owed = full_at + micros - now.0;
        let over = owed.saturating_sub(BURST * MESSAGE_MICROS);
        if over > 0 {
            return Err(ChatError::TooFast { retry_ms: over.div_ceil(1000) });
        }
        self.0.insert(account.clone(), EngineTime(now.0 + owed));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_says_five_at_once_and_then_one_a_second() {
        let at = |ms: u64| EngineTime(ms * 1000);
        let (anna, bert) = (AccountId::from("anna"), AccountId::from("bert"));
        let mut pace = Pace::default();
        for _ in 0..BURST {
            assert_eq!(pace.take(&anna, MESSAGE_MICROS, at(0)), Ok(()));
        }
        let standing = |pace: &Pace, ms| {
            let Standing { limit, remaining, reset_seconds, retry_seconds } =
                pace.standing(&anna, at(ms));
            (limit, remaining, reset_seconds, retry_seconds)
        };
        assert_eq!(standing(&pace, 0), (5, 0, 5, Some(1)));
        assert_eq!(standing(&pace, 1500), (5, 1, 4, None));
        assert_eq!(standing(&pace, 9000), (5, 5, 0, None));
        let too_fast = |retry_ms| Err(ChatError::TooFast { retry_ms });
        assert_eq!(pace.take(&anna, MESSAGE_MICROS, at(0)), too_fast(1000));
        assert_eq!(pace.take(&anna, MESSAGE_MICROS, at(999)), too_fast(1));
        assert_eq!(pace.take(&bert, MESSAGE_MICROS, at(999)), Ok(()));
        assert_eq!(pace.take(&anna, MESSAGE_MICROS, at(1000)), Ok(()));
        assert_eq!(pace.take(&anna, TYPING_MICROS, at(1000)), too_fast(200));
    }

    #[test]
    fn whoever_has_rested_makes_room() {
        let mut pace = Pace::default();
        for n in 0..TALKER_COUNT_MAX {
            pace.take(&n.to_string().into(), MESSAGE_MICROS, EngineTime(0)).unwrap();
        }
        let late = AccountId::from("late");
        assert!(pace.take(&late, MESSAGE_MICROS, EngineTime(0)).is_err());
        assert_eq!(pace.take(&late, MESSAGE_MICROS, EngineTime(MESSAGE_MICROS)), Ok(()));
        assert_eq!(pace.0.len(), 1);
    }
}
