//! `pullgate verify --explain CODE`.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command};
use pullgate_policy::code::Code;

use super::{Exit, complain, print};

/// Any text, of which shells are told the codes: an id of an answer is taken too, and told what it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codes;

impl TypedValueParser for Codes {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Code::ALL.iter().map(|code| PossibleValue::new(code.as_str()))))
    }
}

/// Prints cause and cure of a reason code.
pub(super) fn run(text: &str) -> Exit {
    match Code::find(text) {
        Some(code) => {
            print(&format!("{code}\n  cause  {}\n  cure   {}\n", code.cause(), code.cure()));
            Exit::Success
        }
        None if is_id(text) => {
            print(&format!(
                "{text} is the id of an answer, no code: `pullgate audit show {text}` tells what it was, and why\n"
            ));
            Exit::Success
        }
        None => {
            let known: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
            complain(&format!("error: no such code; there are\n  {}\n", known.join("\n  ")));
            Exit::Usage
        }
    }
}

/// Whether it has the form of the id that a refused client sees.
fn is_id(text: &str) -> bool {
    (12..=32).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}
