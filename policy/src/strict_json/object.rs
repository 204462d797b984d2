//! The members of an object, by one rule for every reader (A126).

use std::collections::BTreeSet;

use serde::de::MapAccess;

use super::{JsonFault, Reading, fold, memory};

/// A reader of an object.
pub(super) trait Members<'de> {
    /// What is known of the text.
    fn reading(&mut self) -> &mut Reading;

    /// Whether it had a member of this very name.
    fn has(&self, key: &str) -> bool;

    /// Reads the value of a member; from then on it had it.
    fn member<A: MapAccess<'de>>(&mut self, key: String, map: &mut A) -> Result<(), A::Error>;
}

/// Reads all members: no name twice, and none that differs from another by case alone, where one of them is read by its
/// name.
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
