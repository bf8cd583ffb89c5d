//! What scenarios are, and how mistakes in them are told.

use super::*;

#[test]
fn the_shipped_ones_are_as_large_as_they_say() {
    for listed in library(None) {
        let summary = listed.outcome.unwrap();
        println!("{summary:?}");
    }
}
