//! Each accept beside its refuse, by the ids of the attacks.

pub(crate) mod fixture;

mod asked;
mod ends;
mod evidence;
mod properties;
mod signers;
mod standing;
mod undecided;
mod words;
