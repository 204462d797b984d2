//! What arrives on the data port: names, heads, limits and TLS.

mod heads;
mod limits;
mod naming;
mod tls;
