//! A manifest, by tag and by digest: what is served, what is refused and what is undecided.

mod clock;
mod prefetch;
mod pulls;
mod shapes;
mod tags;
mod undecided;
mod unsigned;
