//! Fetches the keys of issuers before tokens ask for them.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::health::Condition;

/// How often the refresh of an issuer is checked.
const TICK: Duration = Duration::from_secs(10);

/// Fetches the keys that are due, for ever.
pub async fn watch(app: Arc<App>) {
    loop {
        refresh(&app).await;
        tokio::time::sleep(TICK).await;
    }
}

/// Fetches what is due.
pub async fn refresh(app: &App) {
    if let Some(clients) = app.live().clients() {
        clients.refresh(&app.clock).await;
    }
}

/// What `/readyz` says of issuers.
pub(super) fn condition(app: &App) -> Condition {
    app.live().clients().map_or(Condition::Good, |clients| clients.condition(app.clock.now()))
}
