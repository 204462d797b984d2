//! Where an upstream's list goes on, sealed: a client hands it back, and it can be nothing that the upstream did not say.

use serde::{Deserialize, Serialize};

use super::{AsRecord, Record, Seal, Sealed};
use crate::oci::Repository;

/// The query of the next page of a repository's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    repository: String,
    query: String,
}

impl Cursor {
    /// The query by which the list of `repository` goes on.
    #[must_use]
    pub fn new(repository: &Repository, query: String) -> Self {
        Self { repository: repository.to_string(), query }
    }

    /// The query, where the seal holds and it is about this repository.
    #[must_use]
    pub fn open(seal: &Seal, sealed: &Sealed, repository: &Repository) -> Option<String> {
        let cursor: Self = seal.open(sealed)?;
        (cursor.repository == repository.to_string()).then_some(cursor.query)
    }
}

impl Record for Cursor {
    const PURPOSE: &'static str = "cursor/1";
}

impl AsRecord for Cursor {
    type Record = Self;

    fn as_record(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a011_a_cursor_is_for_its_repository_and_nobody_makes_one() {
        let (seal, app): (_, Repository) = (Seal::new(&[1; 32]), "r.io/app".parse().unwrap());
        let sealed = seal.seal(&Cursor::new(&app, "last=x&n=2".to_owned()));
        assert_eq!(Cursor::open(&seal, &sealed, &app).as_deref(), Some("last=x&n=2"));
        assert_eq!(Cursor::open(&seal, &sealed, &"r.io/other".parse().unwrap()), None);
        assert_eq!(Cursor::open(&Seal::new(&[2; 32]), &sealed, &app), None);
        let forged = Sealed { body: sealed.body.replace("n=2", "n=9"), ..sealed };
        assert_eq!(Cursor::open(&seal, &forged, &app), None);
    }
}
