//! A mistake: its code, and where its text goes.

use pullgate_config::Code;

/// A mistake and the code it must have.
pub(crate) struct Case {
    pub(crate) code: Code,
    pub(crate) part: Part,
}

/// Where the text of a mistake goes.
#[derive(Debug)]
pub(crate) enum Part {
    /// Into the policy file, before `[[policy]]`.
    Authority(&'static str),
    /// At the end of the policy file.
    After(&'static str),
    /// Into the configuration: at the top, and before `[upstream]`.
    Config(&'static str, &'static str),
    /// Into the one `[[policy]]`.
    InPolicy(&'static str),
    /// In place of all policies.
    Policy(&'static str),
    /// In place of the one requirement.
    Require(&'static str),
    /// At the end of the configuration, behind `[upstream."ghcr.io"]`.
    Upstream(&'static str),
    /// In place of the configuration.
    Whole(&'static str),
}

pub(crate) const fn case(code: Code, part: Part) -> Case {
    Case { code, part }
}

macro_rules! keyless {
    ($rest:literal) => {
        Part::Authority(concat!("[authority.ci]\nissuer = \"https://issuer.example\"\n", $rest))
    };
}

/// An authority by a certificate.
macro_rules! certified {
    ($rest:literal) => {
        Part::Authority(concat!("[authority.corp]\nca = \"certificate.pub\"\n", $rest))
    };
}

/// A list of one issuer.
macro_rules! oidc {
    ($rest:literal) => {
        Part::Config("", concat!("[clients]\noidc = [{ audience = \"a\", ", $rest, " }]\n"))
    };
}

/// A `where`.
macro_rules! asks {
    ($text:literal) => {
        Part::Require(concat!(
            "signed_by = { any_of = [\"release\"] }\nattestation = \"vuln\"\nwhere = '",
            $text,
            "'\n"
        ))
    };
}

macro_rules! exempt {
    ($rest:literal) => {
        Part::After(concat!("[[exempt]]\nreason = \"INC-1\"\n", $rest))
    };
}
