//! The words of the OCI image and distribution specifications, as types that cannot hold anything else.

pub mod digest;
pub mod image;
pub mod manifest;
pub mod media_type;
pub mod name;

pub use digest::{Digest, Hasher};
pub use image::Image;
pub use manifest::{Descriptor, Document, Index, Manifest, ManifestFault};
pub use name::{Reference, Registry, Repository, Tag};
