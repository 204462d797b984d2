//! The sums of the pull log: pulls, their signers, and images that a stricter policy would refuse. They are read from the
//! roll-up; a record is read only where the roll-up does not say why a signature counted for nothing.

use jiff::Timestamp;
use pullgate_config::Policies;
/// A text fit for a screen: a copy of a log, or a row that somebody put in, says whatever it likes (A522).
pub(crate) use pullgate_policy::text::escape_whole as fit;
use serde::Serialize;

use crate::audit::read::{Filter, ReadError, Reader};

mod counts;
mod exemptions;
mod images;
mod moved;
mod rests;
mod sections;
pub mod shown;
mod strangers;
mod told;
mod unserved;

pub use self::counts::{Counts, Day, Group};
pub use self::exemptions::{Ends, Exemption, Use};
pub use self::images::{Image, Said};
pub use self::moved::{Held, Moved};
pub use self::rests::{Rests, Without};
pub use self::sections::{Section, Sections};
pub use self::strangers::{Signer, Stranger};
pub use self::unserved::Unserved;

/// The version of the JSON shape.
const VERSION: u32 = 1;

/// The question.
#[derive(Debug, Clone)]
pub struct About<'a> {
    /// Not before.
    pub since: Timestamp,
    /// Before.
    pub until: Timestamp,
    /// By whose end exemptions are soon to end.
    pub now: Timestamp,
    /// The policy of now: its exemptions and its authorities; none for a log alone.
    pub policies: Option<&'a Policies>,
    /// An authority, or a signer as the log names it: what rests on it.
    pub authority: Option<&'a str>,
    /// Entries of each kind that are told apart.
    pub most: usize,
}

/// All of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Of the JSON shape.
    pub version: u32,
    /// From when.
    pub since: Timestamp,
    /// To when.
    pub until: Timestamp,
    /// All answers about manifests.
    pub total: Counts,
    /// By day, UTC, the first one first.
    pub days: Vec<Day>,
    /// By repository.
    pub repositories: Vec<Group>,
    /// By client: proven names, else the address.
    pub clients: Vec<Group>,
    /// By gate.
    pub gates: Vec<Group>,
    /// Images served with a warning, which would be refused.
    pub would_deny: Vec<Image>,
    /// Refused images.
    pub refused: Vec<Image>,
    /// Served images without a known signer.
    pub unsigned: Vec<Image>,
    /// Signers of pulled images.
    pub signers: Vec<Signer>,
    /// Signers that no requirement names.
    pub strangers: Vec<Stranger>,
    /// The lines of a policy that would admit them.
    pub lines: String,
    /// Images that rest on the authority of the question.
    pub rests: Vec<Rests>,
    /// The exemptions of the policy.
    pub exemptions: Vec<Exemption>,
    /// Tags that were more than one thing.
    pub moved: Vec<Moved>,
    /// Registries that were asked for and are not served.
    pub unserved: Vec<Unserved>,
    /// Images on which the policy of `audit.shadow` differs.
    pub shadow: Vec<Image>,
    /// Answers about manifests that are told of in the sums alone: there were too many to tell apart.
    pub left_out: u64,
}

/// Reads the log.
///
/// # Errors
/// [`ReadError`].
pub async fn make(reader: &Reader, about: &About<'_>) -> Result<Report, ReadError> {
    let filter = Filter { since: Some(about.since), until: Some(about.until), ..Filter::default() };
    let mut told = told::Told::new(about.most);
    let mut sums = reader.sums(filter.clone());
    while let Some(sum) = sums.next().await? {
        // The roll-up knows days; what lies wholly outside is left out, what lies across is counted.
        if sum.last >= about.since && sum.first < about.until {
            told.add(&sum);
        }
    }
    let strangers = strangers::of(reader, &told, about.policies).await?;
    let rests = match about.authority {
        Some(name) => rests::on(reader, &told, name).await?,
        None => Vec::new(),
    };
    let unserved = unserved::of(reader, filter, about.most).await?;
    Ok(Report {
        version: VERSION,
        since: about.since,
        until: about.until,
        would_deny: told.images(|one| one.said() == Said::Warned),
        refused: told.images(|one| one.said() == Said::Refused),
        unsigned: told.images(images::Seen::is_unsigned),
        moved: moved::of(&told),
        exemptions: exemptions::of(&told, about),
        signers: told.signers(),
        lines: strangers.lines,
        strangers: strangers.all,
        rests,
        unserved,
        total: told.total,
        days: told.days.iter().map(|(day, counts)| Day::of(*day, *counts)).collect(),
        repositories: told.repositories.sorted(),
        clients: told.clients.sorted(),
        gates: told.gates.sorted(),
        shadow: told.shadow.images(|_| true),
        left_out: told.left_out(),
    })
}

/// Each manifest that a filter lets through, with the place of the last record about it.
///
/// # Errors
/// [`ReadError`].
pub async fn images(reader: &Reader, filter: Filter, most: usize) -> Result<Vec<(Image, i64)>, ReadError> {
    let mut told = told::Told::new(most);
    let mut sums = reader.sums(filter);
    while let Some(sum) = sums.next().await? {
        told.add(&sum);
    }
    Ok(told.each().map(|seen| (seen.image.clone(), seen.position)).collect())
}

impl Report {
    /// Whether something that was served would be refused if warnings became refusals.
    #[must_use]
    pub fn would_deny(&self) -> bool {
        !self.would_deny.is_empty()
    }
}

#[cfg(test)]
mod tests;
