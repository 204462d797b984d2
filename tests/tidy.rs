//! The rules of the house that no lint knows. `UPDATE=1 cargo test -p pullgate-tests --test tidy` writes the tables that are
//! made from the code; the rest is for people to mend.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a rule that cannot be looked at is broken"
)]

#[path = "tidy/attacks.rs"]
mod attacks;
#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/drift.rs"]
mod drift;
#[path = "tidy/habits.rs"]
mod habits;
#[path = "tidy/packages.rs"]
mod packages;
#[path = "tidy/rooms.rs"]
mod rooms;
#[path = "tidy/tree.rs"]
mod tree;
