//! The memory that a value takes from the allocator of glibc: within a factor of two, which a test measures (A602).

/// Bytes of a [`serde_json::Value`] itself.
const VALUE: usize = 32;
/// Bytes of one node of an object's tree, of at most eleven keys; nodes that were split hold six.
const NODE: usize = 640;
/// Keys for which a node is counted.
const KEYS_OF_NODE: usize = 6;
/// The least that an allocation takes, and its head.
const ALLOCATION: usize = 32;
const HEAD: usize = 8;

/// What the text of a string or key takes.
pub(super) fn text(length: usize) -> usize {
    if length == 0 { 0 } else { (length + HEAD).next_multiple_of(16).max(ALLOCATION) }
}

/// What one more element takes in a list of `length`: a full list doubles its capacity.
pub(super) fn element(length: usize) -> usize {
    match length {
        0 => 4 * VALUE + HEAD,
        1..4 => 0,
        length if length.is_power_of_two() => length * VALUE,
        _ => 0,
    }
}

/// What one more key of an object takes, where it has `length` already.
pub(super) fn key(length: usize, key: &str) -> usize {
    let node = if length.is_multiple_of(KEYS_OF_NODE) { NODE } else { 0 };
    node + text(key.len())
}

/// What a key takes while its object is read and duplicates are looked for.
pub(super) fn known(key: &str) -> usize {
    // Its place among the others: a node of text keys, as full as above.
    text(key.len()) + 48
}
