//! What would break: policies that are tried before they are in force, by the program as a site runs it.

mod diff;
mod expected;
mod report;
mod run;
mod shadow;
mod survey;
