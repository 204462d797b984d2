//! The facts that repeat from record to record: client, content, policy, ground. The hot table names it by its hash,
//! the roll-up counts it by day.

use std::borrow::Cow;
use std::net::SocketAddr;

use aws_lc_rs::digest::{Context, SHA256};

use crate::record::{Client, Record, Word};

/// Bytes of the name of facts: two facts with one name cannot be found (birthday bound of 128 bits).
const NAME_BYTES: usize = 16;
/// Columns of the table `what` that are facts.
pub(crate) const COLUMNS: usize = 14;

/// What repeats from record to record. Empty where unknown; several values of one field are parted by line feeds, which no
/// field contains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The gate that wrote the record.
    pub gate: String,
    /// What the record is about, as it is written.
    pub kind: Cow<'static, str>,
    /// The canonical repository; of a registry that is not served, the registry.
    pub repository: String,
    /// The tag or digest as asked.
    pub reference: String,
    /// The digest that was served or judged.
    pub digest: String,
    /// The root whose permit a grant rests on.
    pub root: String,
    /// The client's address without its port: the one that a trusted proxy names, where one does.
    pub client: String,
    /// The names that the client proved.
    pub names: String,
    /// The `User-Agent`.
    pub agent: String,
    /// The policy that governs.
    pub policy: String,
    /// The answer, as it is written.
    pub verdict: Cow<'static, str>,
    /// On what ground it was permitted.
    pub ground: String,
    /// The code of the first reason.
    pub code: String,
    /// The signers: for a permit those that counted, for a denial those of every valid signature.
    pub signers: String,
}

/// The name of facts: the beginning of their SHA-256.
pub(crate) type Name = [u8; NAME_BYTES];

impl Facts {
    /// The facts of a record, which are taken out of it.
    pub(crate) fn of(record: &mut Record) -> Self {
        let mut signers = std::mem::take(&mut record.identities);
        signers.extend(std::mem::take(&mut record.signers).into_iter().map(|signer| signer.by));
        signers.sort_unstable();
        signers.dedup();
        let (client, names, agent) = record.client.take().map(of_client).unwrap_or_default();
        let repository =
            if record.repository.is_empty() { &mut record.upstream } else { &mut record.repository };
        Self {
            gate: std::mem::take(&mut record.gate),
            kind: Cow::Borrowed(record.kind.as_str()),
            repository: std::mem::take(repository),
            reference: std::mem::take(&mut record.reference),
            digest: record.digest.take().unwrap_or_default(),
            root: record.root.take().unwrap_or_default(),
            client,
            names,
            agent,
            policy: record.policy.take().unwrap_or_default(),
            verdict: Cow::Borrowed(record.verdict.as_str()),
            ground: std::mem::take(&mut record.ground),
            code: record
                .reasons
                .first_mut()
                .map(|reason| std::mem::take(&mut reason.code))
                .unwrap_or_default(),
            signers: signers.join("\n"),
        }
    }

    /// In the order of the table's columns.
    pub(crate) fn columns(&self) -> [&str; COLUMNS] {
        let Self {
            gate,
            kind,
            repository,
            reference,
            digest,
            root,
            client,
            names,
            agent,
            policy,
            verdict,
            ground,
            code,
            signers,
        } = self;
        [
            gate, kind, repository, reference, digest, root, client, names, agent, policy, verdict, ground,
            code, signers,
        ]
    }

    /// The facts of such columns.
    pub(crate) fn from_columns(columns: [String; COLUMNS]) -> Self {
        let [
            gate,
            kind,
            repository,
            reference,
            digest,
            root,
            client,
            names,
            agent,
            policy,
            verdict,
            ground,
            code,
            signers,
        ] = columns;
        let (kind, verdict) = (Cow::Owned(kind), Cow::Owned(verdict));
        Self {
            gate,
            kind,
            repository,
            reference,
            digest,
            root,
            client,
            names,
            agent,
            policy,
            verdict,
            ground,
            code,
            signers,
        }
    }

    /// Their name. Each column ends with a byte that no text has, so that no column flows into the next.
    pub(crate) fn name(&self) -> Name {
        let mut hash = Context::new(&SHA256);
        for column in self.columns() {
            hash.update(column.as_bytes());
            hash.update(&[0xff]);
        }
        let mut name = Name::default();
        for (to, from) in name.iter_mut().zip(hash.finish().as_ref()) {
            *to = *from;
        }
        name
    }

    /// Whether people were shown the id of such an answer: of everything that is not simply served.
    pub(crate) fn is_shown(&self) -> bool {
        self.verdict != Word::Permit.as_str() || self.ground == "warn-only"
    }
}

fn of_client(client: Client) -> (String, String, String) {
    let Client { mut address, forwarded, names, user_agent } = client;
    if let Some(forwarded) = forwarded {
        address = forwarded;
    } else if let Ok(socket) = address.parse::<SocketAddr>() {
        address = socket.ip().to_canonical().to_string();
    }
    (address, names.join("\n"), user_agent)
}
