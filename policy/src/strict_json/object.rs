//! The members of an object, by one rule for every reader (A126).

use std::collections::BTreeSet;

use serde::de::MapAccess;

use super::{JsonFault, Reading, fold, memory};

/// A reader of an object.
pub(super) trait Members<'de> {
    /// The state of the text that is being read.
    fn reading(&mut self) -> &mut Reading;

    /// Whether it had a member of this very name.
    fn has(&self, key: &str) -> bool;

    /// Reads the value of a member; from then on it had it.
    fn member<A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error>;
}

/// Reads all members. Refuses a key twice, and a key that differs from another by case alone where one of them is in
/// `names`.
pub(super) fn read<'de, A: MapAccess<'de>>(
    mut map: A,
    members: &mut impl Members<'de>,
) -> Result<(), A::Error> {
    // Folded forms of names that are not their own: the others are had by the reader, and a name is held once (A127).
    let mut folded = BTreeSet::new();
    while let Some(key) = map.next_key::<String>()? {
        let fold = fold(&key);
        let seen = members.has(&fold) || folded.contains(&fold);
        if members.has(&key) || (seen && members.reading().is_read(&fold)) {
            return Err(members.reading().fail(JsonFault::Ambiguous));
        }
        if fold != key {
            members.reading().take(memory::known(&fold))?;
            folded.insert(fold);
        }
        members.member(key, &mut map)?;
    }
    Ok(())
}
