//! Protections, each with the text that takes it out and the test that must then fail. The command `mutants` does it; `tidy`
//! holds the texts true and lists them in `ATTACKS.md`.

mod found;
mod table;

/// Every protection that can be taken out.
pub fn protections() -> impl Iterator<Item = &'static Protection> {
    table::PROTECTIONS.iter().chain(found::PROTECTIONS)
}

/// A protection that can be taken out.
#[derive(Debug, Clone, Copy)]
pub struct Protection {
    /// The attack it holds against.
    pub id: &'static str,
    /// What is taken out, in words.
    pub without: &'static str,
    /// The file it stands in.
    pub file: &'static str,
    /// Its text, which stands there once.
    pub text: &'static str,
    /// What stands there without it.
    pub put: &'static str,
    /// Where the test is.
    pub suite: Suite,
    /// The test that must fail.
    pub test: &'static str,
}

/// Where a test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// The unit tests of `policy`.
    Policy,
    /// The unit tests of `proxy`.
    Proxy,
    /// The unit tests of `proxy/store`.
    Store,
    /// `tests/suites`: a running gate.
    Gate,
    /// `policy/verify/tests/minted`: evidence of our own making.
    Minted,
}

impl Suite {
    /// Every suite.
    pub const ALL: [Self; 5] = [Self::Policy, Self::Proxy, Self::Store, Self::Gate, Self::Minted];

    /// What cargo is told to run.
    #[must_use]
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Policy => &["-p", "pullgate-policy", "--lib"],
            Self::Proxy => &["-p", "pullgate", "--lib"],
            Self::Store => &["-p", "pullgate-store", "--lib"],
            Self::Gate => &["-p", "pullgate-tests", "--test", "suites"],
            Self::Minted => &["-p", "pullgate-verify", "--test", "minted"],
        }
    }
}

impl Protection {
    /// The source without the protection; none when its text does not stand there exactly once.
    #[must_use]
    pub fn taken_out_of(&self, source: &str) -> Option<String> {
        let mut parts = source.splitn(3, self.text);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(before), Some(after), None) => Some(format!("{before}{}{after}", self.put)),
            _ => None,
        }
    }
}
