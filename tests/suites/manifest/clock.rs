//! Clocks that jump: ended permits stay ended, and an impossible time is reported.

use std::time::Duration;

use jiff::Timestamp;
use pullgate::clock::Clock;
use pullgate_tests::made::Made;
use pullgate_tests::signing::evidence_tag;
use pullgate_tests::upstream::{Fault, When};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, codes};

const HOUR: Duration = Duration::from_secs(3_600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);

fn now() -> Timestamp {
    "2027-03-01T12:00:00Z".parse().unwrap()
}

/// An image that was permitted, and whose signature nobody finds any more.
async fn permitted_before(stage: &Stage) -> Made {
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    stage.upstream.untag("org/app", &evidence_tag(&image.digest(), ".sig"));
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    image
}

async fn assert_ended(stage: &Stage, image: &Made) {
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
    assert_denied(&stage.blob("org/app", &image.layer()).await);
}

#[tokio::test]
async fn a542_a_clock_that_jumps_ahead_ends_permits_and_going_back_revives_none() {
    for jump in [HOUR, YEAR] {
        let clock = Clock::settable(now());
        let stage = Stage::at(&clock, KEYED).await;
        let image = permitted_before(&stage).await;
        clock.set(now() + jump);
        assert_ended(&stage, &image).await;
        clock.set(now());
        assert_ended(&stage, &image).await;
        // The nearest honest case: nothing jumped.
        let clock = Clock::settable(now());
        let stage = Stage::at(&clock, KEYED).await;
        let image = permitted_before(&stage).await;
        clock.advance(HOUR - Duration::from_secs(1));
        assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
        clock.advance(Duration::from_secs(1));
        assert_ended(&stage, &image).await;
    }
}

/// A new process knows nothing of what the clock told the one before.
#[tokio::test]
async fn a542_a_permit_that_a_jump_has_ended_stays_ended_over_a_restart() {
    for jump in [HOUR, YEAR] {
        let mut stage = Stage::at(&Clock::settable(now()), KEYED).await;
        let image = permitted_before(&stage).await;
        stage.gate.restart_at(Clock::settable(now() + jump)).await;
        assert_ended(&stage, &image).await;
        stage.gate.restart_at(Clock::settable(now() + Duration::from_secs(60))).await;
        assert_ended(&stage, &image).await;
        // The nearest honest case: two restarts, and nothing jumped.
        let mut stage = Stage::at(&Clock::settable(now()), KEYED).await;
        let image = permitted_before(&stage).await;
        for second in [60, 120] {
            stage.gate.restart_at(Clock::settable(now() + Duration::from_secs(second))).await;
            assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
        }
    }
}

#[tokio::test]
async fn a541_a_clock_that_is_set_back_prolongs_nothing() {
    for back in [now() - HOUR, now() - YEAR, Timestamp::UNIX_EPOCH] {
        let clock = Clock::settable(now());
        let stage = Stage::at(&clock, KEYED).await;
        let image = permitted_before(&stage).await;
        clock.set(back);
        assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
        // Steady time goes on under the wall clock's feet.
        clock.advance(HOUR);
        assert_ended(&stage, &image).await;
    }
}

#[tokio::test]
async fn a541_an_exemption_that_had_ended_stays_ended_while_the_process_lives() {
    let clock = Clock::settable(now());
    let exempt = "[[exempt]]\nscope = [\"registry.test/org/app\"]\nuntil = 2027-03-01T12:30:00Z\nowner = \"o\"\nreason = \"r\"\n";
    let stage = Stage::at(&clock, &format!("{KEYED}{exempt}")).await;
    let image = stage.unsigned("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    clock.set(now() + HOUR);
    assert_ended(&stage, &image).await;
    clock.set(now());
    stage.gate.app().memory.forget_denials();
    assert_ended(&stage, &image).await;
}

#[tokio::test]
async fn a541_rows_from_the_future_count_as_expired_after_a_restart() {
    let mut stage = Stage::at(&Clock::settable(now()), KEYED).await;
    let image = permitted_before(&stage).await;
    stage.gate.restart_at(Clock::settable(now() - HOUR)).await;
    assert_ended(&stage, &image).await;
    // Evidence that is there is looked at anew, and its verdict is kept from now on.
    let other = stage.signed("org/app", "v2");
    assert_serves(&stage.manifest("org/app", "v2").await, &other);
    stage.gate.restart_at(Clock::settable(now() - HOUR / 2)).await;
    stage.upstream.forget();
    assert_serves(&stage.manifest("org/app", &other.digest()).await, &other);
    assert_eq!(stage.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a543_neither_heads_nor_grants_nor_restarts_prolong_a_permit() {
    let mut stage = Stage::at(&Clock::settable(now()), KEYED).await;
    let image = permitted_before(&stage).await;
    for minutes in [15_i64, 30, 45, 59] {
        stage
            .gate
            .restart_at(Clock::settable(now() + Duration::from_secs(60) * u32::try_from(minutes).unwrap()))
            .await;
        let target = crate::stage::manifest("org/app", &image.digest());
        assert_eq!(stage.gate.head(&target).await.status, 200, "{minutes}");
        assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200, "{minutes}");
    }
    stage.gate.restart_at(Clock::settable(now() + HOUR)).await;
    assert_ended(&stage, &image).await;
}

#[tokio::test]
async fn a418_a_clock_of_1970_decides_nothing_says_so_and_is_mended_without_a_restart() {
    let clock = Clock::settable(Timestamp::UNIX_EPOCH);
    let stage = Stage::at(&clock, &format!("{KEYED}[[policy]]\nname = \"open\"\nscope = [\"registry.test/open/**\"]\non_undecided = \"insecure_permit\"\n[[policy.require]]\nsigned_by = {{ any_of = [\"release\"] }}\n")).await;
    let image = stage.signed("org/app", "v1");
    stage.unsigned("open/app", "v1");
    for repository in ["org/app", "open/app"] {
        assert_undecided(&stage.manifest(repository, "v1").await);
        assert_eq!(codes(&stage.gate.record().await), ["clock-implausible"]);
    }
    assert_eq!(stage.gate.get("/v2/").await.status, 200);
    let ready = stage.gate.admin("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(String::from_utf8_lossy(&ready.body).contains("clock"), "{ready:?}");
    clock.set(now());
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.gate.admin("/readyz").await.status, 200);
}

#[tokio::test]
async fn a418_a_restart_in_1970_judges_by_nothing_that_is_stored_and_spoils_none_of_it() {
    let mut stage = Stage::at(&Clock::settable(now()), KEYED).await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    let clock = Clock::settable(Timestamp::UNIX_EPOCH);
    stage.gate.restart_at(clock.clone()).await;
    for answer in [
        stage.manifest("org/app", "v1").await,
        stage.manifest("org/app", &image.digest()).await,
        stage.blob("org/app", &image.layer()).await,
    ] {
        assert_undecided(&answer);
        assert!(answer.message().contains("clock-implausible"), "{}", answer.message());
    }
    assert_eq!(stage.gate.get("/v2/").await.status, 200);
    stage.upstream.forget();
    clock.set(now() + HOUR / 2);
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    assert_eq!(stage.upstream.count("manifests"), 0, "what was stored before still counts");
}

#[tokio::test]
async fn a543_a_permit_ttl_that_becomes_shorter_ends_permits_that_were_given_before() {
    let clock = Clock::settable(now());
    let mut stage = Stage::at(&clock, KEYED).await;
    let image = permitted_before(&stage).await;
    let configuration = std::fs::read_to_string(stage.gate.path("pullgate.toml")).unwrap();
    let shorter = configuration.replace("[cache]", "[cache]\npermit_ttl = \"10m\"");
    stage.gate.write("pullgate.toml", shorter);
    stage.reload(KEYED).await;
    clock.advance(Duration::from_secs(599));
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    // From memory and from the store alike.
    stage.gate.restart_at(clock.clone()).await;
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    clock.advance(Duration::from_secs(1));
    assert_ended(&stage, &image).await;
    stage.gate.restart_at(clock.clone()).await;
    assert_ended(&stage, &image).await;
    // Longer again: what has ended by the clock of its evidence is not brought back by age it never had.
    stage.gate.write("pullgate.toml", configuration);
    stage.reload(KEYED).await;
    clock.advance(HOUR - Duration::from_secs(600));
    assert_ended(&stage, &image).await;
}

#[tokio::test]
async fn a544_what_was_undecided_while_a_clock_jumped_is_not_remembered() {
    let clock = Clock::settable(now());
    let mut stage = Stage::at(&clock, KEYED).await;
    let image = stage.signed("org/app", "v1");
    stage.upstream.fail(When::on(".sig"), Fault::Status(500));
    for jump in [Duration::ZERO, HOUR, YEAR] {
        clock.set(now() + jump);
        assert_undecided(&stage.manifest("org/app", "v1").await);
        clock.set(now());
    }
    let before = crate::store::state::count(&stage, "records where kind in ('permit', 'deny')").await;
    assert_eq!(before, 0, "nothing undecided lies in the store");
    stage.upstream.heal();
    stage.gate.restart_at(Clock::settable(now())).await;
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a220_a_permit_ends_with_the_exemption_that_it_rests_on() {
    let clock = Clock::settable(now());
    let exempt = |until: &str| {
        format!(
            "{KEYED}[[exempt]]\nscope = [\"registry.test/org/app\"]\nuntil = {until}\nowner = \"o\"\nreason = \"r\"\n"
        )
    };
    let stage = Stage::at(&clock, &exempt("2027-03-01T12:01:00Z")).await;
    let image = stage.unsigned("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    clock.advance(Duration::from_secs(59));
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    clock.advance(Duration::from_secs(1));
    assert_ended(&stage, &image).await;
}
