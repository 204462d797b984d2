//! Requests with credentials: each challenge is answered at most once, and the meaning of a refusal depends on the
//! credentials.

use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use pullgate_policy::oci::Repository;

use crate::answer::{Answer, Responder};
use crate::challenge::Challenge;
use crate::client::{Ask, Shown};
use crate::fault::Fault;
use crate::origin::Origin;
use crate::registry::Upstream;

impl Upstream {
    /// Sends a request with the credentials it needs. One challenge is met; a second 401 is the answer (A169). A login
    /// that a 403 refuses may have ended: it is asked for anew, once. A host that a redirect led to gets an
    /// anonymous token, if both lists name it, and nothing else.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Fault> {
        let repository = ask.repository;
        let (mut home, mut elsewhere) =
            (self.access.known(repository), self.access.known_elsewhere(repository));
        let (mut met_home, mut met_elsewhere) = (Met::No, Met::No);
        loop {
            let shown = Shown {
                home: home.as_ref(),
                elsewhere: elsewhere.as_ref().map(|(host, token)| (host, token)),
            };
            let answer = self.client.send(ask, shown).await?;
            match (&answer.place, answer.status()) {
                (Responder::Home(at), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                    let at = at.clone();
                    if !self.is_refused(repository, &answer, home.as_ref()) {
                        return Ok(answer);
                    }
                    if let Some(sent) = &home {
                        self.access.refused(repository, sent);
                    }
                    if met_home == Met::Yes {
                        return Ok(answer);
                    }
                    let (challenge, at) = match self.challenge(ask, answer, at, home.is_some()).await? {
                        Ok(found) => found,
                        Err(answer) => return Ok(answer),
                    };
                    home = Some(self.access.meet(repository, challenge, at).await?);
                    met_home = Met::Yes;
                }
                (Responder::Elsewhere(host), StatusCode::UNAUTHORIZED) => {
                    let host = host.clone();
                    if let Some((_, sent)) = &elsewhere {
                        self.access.refused_elsewhere(repository, sent);
                    }
                    let challenge = Challenge::find(answer.headers());
                    let Ok(challenge) = challenge else { return Ok(answer) };
                    if met_elsewhere == Met::Yes {
                        return Ok(answer);
                    }
                    match self.access.meet_elsewhere(repository, challenge, host.clone()).await {
                        Ok(token) => elsewhere = Some((host, token)),
                        Err(Fault::Unauthorized) => return Ok(answer),
                        Err(fault) => return Err(fault),
                    }
                    met_elsewhere = Met::Yes;
                }
                (Responder::Home(_) | Responder::Elsewhere(_), _) => return Ok(answer),
            }
        }
    }

    /// Whether an answer refuses the header that was sent: a 401, or a 403 to a login that may have expired.
    fn is_refused(&self, repository: &Repository, answer: &Answer, sent: Option<&HeaderValue>) -> bool {
        answer.status() == StatusCode::UNAUTHORIZED
            || sent.is_some_and(|sent| self.access.may_have_ended(repository, sent))
    }

    /// The challenge of an answer, and its host; where an answer refuses a header without a challenge, the challenge to
    /// a request without that header. Else the final answer.
    async fn challenge(
        &self,
        ask: &Ask<'_>,
        answer: Answer,
        at: Origin,
        was_sent: bool,
    ) -> Result<Result<(Challenge, Origin), Answer>, Fault> {
        match Challenge::find(answer.headers()) {
            Ok(challenge) => return Ok(Ok((challenge, at))),
            Err(_) if !was_sent => return Ok(Err(answer)),
            Err(_) => drop(answer),
        }
        let bare = self.client.send(ask, Shown::default()).await?;
        let at = match &bare.place {
            Responder::Home(at) if bare.status() == StatusCode::UNAUTHORIZED => at.clone(),
            Responder::Home(_) | Responder::Elsewhere(_) => return Ok(Err(bare)),
        };
        Ok(match Challenge::find(bare.headers()) {
            Ok(challenge) => Ok((challenge, at)),
            Err(_) => Err(bare),
        })
    }

    /// The meaning of an answer: without credentials, 401 and 403 mean that the content is not shown, if it exists.
    pub(crate) async fn found(&self, repository: &Repository, answer: Answer) -> Result<Answer, Fault> {
        // An unreadable challenge does not tell whether the content would be shown.
        let is_garbled =
            answer.headers().contains_key(WWW_AUTHENTICATE) && Challenge::find(answer.headers()).is_err();
        // The refusal of a redirect's target does not tell what the upstream itself would show.
        let is_home = matches!(answer.place, Responder::Home(_));
        match answer.found().await {
            Err(Fault::Unauthorized) if is_home && !is_garbled && self.access.is_anonymous(repository) => {
                Err(Fault::NotShown)
            }
            found => found,
        }
    }
}

/// Whether a challenge was met already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Met {
    No,
    Yes,
}
