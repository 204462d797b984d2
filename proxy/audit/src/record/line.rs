//! A record as a line: escaped, cut, and bounded.

use pullgate_policy::text;

use super::{Client, Failed, Identity, Reason, Record, Signer};

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
            &mut self.note,
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
            before,
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
            ripe_at: _,
            authorities,
            identities,
            evidence,
            reasons,
            signers,
            failed,
            left_out: _,
            cache,
            note,
            milliseconds: _,
            lost: _,
        } = self;
        let whole = [
            before,
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
        let lists = [requirements, unmet, authorities, identities, evidence, note];
        let details = signers.iter_mut().flat_map(of_signer).chain(failed.iter_mut().flat_map(of_failed));
        whole
            .into_iter()
            .chain(perhaps.into_iter().flatten())
            .chain(lists.into_iter().flatten())
            .chain(client.iter_mut().flat_map(of_client))
            .chain(reasons.iter_mut().flat_map(of_reason))
            .chain(details)
    }
}

fn of_client(client: &mut Client) -> impl Iterator<Item = &mut String> {
    let Client { address, forwarded, names, user_agent } = client;
    names.iter_mut().chain(forwarded).chain([address, user_agent])
}

fn of_reason(reason: &mut Reason) -> impl Iterator<Item = &mut String> {
    let Reason { code, location, text } = reason;
    [code, text].into_iter().chain(location)
}

fn of_signer(signer: &mut Signer) -> impl Iterator<Item = &mut String> {
    let Signer { by, layout, attests, authorities, code, identity, logged: _ } = signer;
    let identity = identity
        .iter_mut()
        .flat_map(|Identity { trust, issuer, name, source }| [trust, issuer, name].into_iter().chain(source));
    [by, layout].into_iter().chain(attests).chain(code).chain(authorities).chain(identity)
}

fn of_failed(failed: &mut Failed) -> impl Iterator<Item = &mut String> {
    let Failed { digest, layout, code } = failed;
    [digest, layout, code].into_iter()
}

fn cut<T>(list: &mut Vec<T>) -> u64 {
    let over = list.len().saturating_sub(LIST_ENTRIES);
    list.truncate(LIST_ENTRIES);
    over as u64
}
