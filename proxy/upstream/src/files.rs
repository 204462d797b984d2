//! Plain files of one host: a TUF mirror or an issuer of tokens. No credential is sent and no redirect followed: only the
//! configured address is asked (A161).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Uri;
use pullgate_config::Credentials;
use pullgate_policy::oci::Registry;

use crate::client::Client;
use crate::fault::Fault;
use crate::origin::{Listed, Origin, Scheme};
use crate::patience::Patience;
use crate::settings::Settings;
use crate::tunnel::Proxies;

/// The files below one URL.
pub struct Files {
    client: Client,
    base: String,
    home: Origin,
}

impl Files {
    /// Files below `url`, which has no trailing slash, of a host whose certificate chains to `ca_pem`, or to the
    /// system's. Makes no request yet.
    ///
    /// # Errors
    /// What is wrong with the URL or the certificates.
    pub fn below(url: &str, ca_pem: Option<Vec<u8>>) -> Result<Self, &'static str> {
        let malformed = "the URL is malformed";
        let origin = url.parse::<Uri>().ok().and_then(|url| Origin::of(&url)).ok_or(malformed)?;
        let host = url.split_once("://").and_then(|(_, rest)| rest.split('/').next()).ok_or(malformed)?;
        let registry: Registry = host.parse().map_err(|_| malformed)?;
        let settings = Settings {
            registry,
            trusted: vec![Listed::host_of(&origin)],
            redirect_hosts: Vec::new(),
            urls: vec![origin.clone()],
            prefix: None,
            ca_pem,
            client_cert_pem: None,
            credentials: Credentials::Anonymous,
            logins: BTreeMap::new(),
            patience: Patience::default(),
            proxies: Proxies::of_the_process(),
            token_hosts: Vec::new(),
        };
        Ok(Self { client: Client::new(&settings)?, base: url.to_owned(), home: origin })
    }

    /// One file of at most `most` bytes; `None` where it does not exist. Object stores that forbid listing answer 403
    /// for a missing file.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn read(&self, name: &str, most: u64) -> Result<Option<Bytes>, Fault> {
        let url: Uri = format!("{}/{name}", self.base).parse().map_err(|_| Fault::Internal)?;
        self.read_at(&url, most).await
    }

    /// The same of a file that stands elsewhere: of another host, at a public address only; in clear, at this host only.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn read_elsewhere(&self, url: &str, most: u64) -> Result<Option<Bytes>, Fault> {
        let url: Uri = url.parse().map_err(|_| Fault::RedirectRefused)?;
        let origin = Origin::of(&url).ok_or(Fault::RedirectRefused)?;
        if origin.scheme != Scheme::Https && origin != self.home {
            return Err(Fault::RedirectRefused);
        }
        self.read_at(&url, most).await
    }

    async fn read_at(&self, url: &Uri, most: u64) -> Result<Option<Bytes>, Fault> {
        let answer = self.client.plain(url).await?;
        match answer.status().as_u16() {
            200 => answer.read(most).await.map(Some),
            403 | 404 | 410 => Ok(None),
            300..=399 => Err(Fault::RedirectRefused),
            status => Err(Fault::Status(status)),
        }
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("base", &self.base).finish_non_exhaustive()
    }
}
