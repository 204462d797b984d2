//! A running gate before an upstream in the same process: each test is a claim about what a client gets, and each accept
//! has its refuse beside it. `tests/ATTACKS.md` maps attack ids to these tests.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a helper of a test may fail as the test itself may"
)]

mod admin;
mod amplified;
mod archives;
mod audit;
mod beside;
mod blobs;
mod borrowed;
mod canary;
mod challenges;
mod clients;
mod clock;
mod conformance;
mod cost;
mod crowd;
mod disk;
mod documented;
mod doors;
mod evidence;
mod fuzzed;
mod grants;
mod hidden;
mod index;
mod issuers;
mod layouts;
mod leaving;
mod limits;
mod listing;
mod looks;
mod lost;
mod lying;
mod memory;
mod naming;
mod nothing_kept;
mod one_request;
mod operators;
mod output;
mod panics;
mod passing;
mod payloads;
mod process;
mod pull_manifests;
mod read_as_json;
mod recorded;
mod reload;
mod resumed;
mod revisions;
mod shapes;
mod slow_clients;
mod stage;
mod state;
mod strays;
mod tags;
mod tls;
mod tokens;
mod too_much;
mod trust_tables;
mod undecided;
mod unknown;
mod unsigned;
mod upstream_faults;
mod upstream_waits;
mod vouched;
mod wearing;
mod whole_claims;
mod whole_costs;
mod whose;
mod wire;
