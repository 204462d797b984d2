//! A sign of life for what takes longer than a second, on a terminal's standard error only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long a command works before its progress is shown.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two frames of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// Waits for `work`, and shows `what` from the second second on.
pub(super) async fn during<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(PATIENCE) => {}
    }
    // The bar hides itself where standard error is no terminal.
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(TICK);
    let done = work.await;
    bar.finish_and_clear();
    done
}
