//! A record as a line: escaped, cut, and bounded.

use pullgate_policy::text;

use super::{Client, Failed, Reason, Record, Signer};

/// Entries of one list in one record. More would say no more to people; they are counted.
const LIST_ENTRIES: usize = 64;

impl Record {
    /// The record as one line, without its end.
    #[must_use]
    pub fn into_line(self) -> String {
        self.written().1
    }

    /// The record as it is shown, and its line. Every text is escaped and cut, so nothing from outside breaks it (A521).
    pub(crate) fn written(mut self) -> (Self, String) {
        self.shorten();
        for text in self.texts() {
            text::escape_in_place(text);
        }
        // A record of texts and numbers is always JSON.
        let line = serde_json::to_string(&self).unwrap_or_default();
        (self, line)
    }

    fn shorten(&mut self) {
        let mut left_out = cut(&mut self.reasons) + cut(&mut self.signers) + cut(&mut self.failed);
        for signer in &mut self.signers {
            left_out += cut(&mut signer.authorities);
        }
        left_out += self.client.as_mut().map_or(0, |client| cut(&mut client.names));
        for list in [
            &mut self.requirements,
            &mut self.unmet,
            &mut self.authorities,
            &mut self.identities,
            &mut self.evidence,
        ] {
            left_out += cut(list);
        }
        self.left_out += left_out;
    }

    /// Every text. Taken apart field by field, so that a new one cannot be forgotten here.
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let Self {
            time: _,
            sequence: _,
            gate,
            id,
            verdict_id,
            story,
            kind: _,
            count: _,
            since: _,
            client,
            method,
            repository,
            upstream,
            reference,
            digest,
            media_type,
            moved_from,
            verdict: _,
            status: _,
            ground,
            root,
            warning,
            policy,
            policy_revision,
            trust_revision,
            requirements,
            unmet,
            authorities,
            identities,
            evidence,
            reasons,
            signers,
            failed,
            left_out: _,
            cache,
            milliseconds: _,
            lost: _,
        } = self;
        let whole = [
            gate,
            id,
            story,
            method,
            repository,
            upstream,
            reference,
            ground,
            policy_revision,
            trust_revision,
            cache,
        ];
        let perhaps = [verdict_id, digest, media_type, moved_from, root, warning, policy];
        let lists = [requirements, unmet, authorities, identities, evidence];
        let client = client.iter_mut().flat_map(|Client { address, forwarded, names, user_agent }| {
            names.iter_mut().chain(forwarded).chain([address, user_agent])
        });
        let reasons = reasons
            .iter_mut()
            .flat_map(|Reason { code, location, text }| [Some(code), location.as_mut(), Some(text)])
            .flatten();
        let signers = signers.iter_mut().flat_map(|Signer { by, layout, attests, authorities, code }| {
            [by, layout].into_iter().chain(attests).chain(code).chain(authorities)
        });
        let failed =
            failed.iter_mut().flat_map(|Failed { digest, layout, code }| [digest, layout, code].into_iter());
        whole
            .into_iter()
            .chain(perhaps.into_iter().flatten())
            .chain(lists.into_iter().flatten())
            .chain(client)
            .chain(reasons)
            .chain(signers)
            .chain(failed)
    }
}

fn cut<T>(list: &mut Vec<T>) -> u64 {
    let over = list.len().saturating_sub(LIST_ENTRIES);
    list.truncate(LIST_ENTRIES);
    over as u64
}
