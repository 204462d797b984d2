//! What is large or many: a layer of 300 MB, 500 layers, images side by side, and a layer whose transfer broke.

use std::io;
use std::thread;
use std::time::Duration;

use pullgate_tests::clients::{
    Containerd, Containers, Content, Outcome, Trust, containerd, containers, image, oci_tools, tool,
};

use crate::cosign::sign;
use crate::stage::{ALIAS, NOT_SIGNED, Stage, assert_pulled, assert_refused, have};

const LARGE: usize = 300 << 20;
/// Files are put into the layout as they come: to compress them is not what is looked at here.
const AS_THEY_COME: &[&str] = &["--dest-oci-accept-uncompressed-layers"];

/// Whether the client is here, and what signs for it.
fn have_signing(client: &str, needs: Result<(), String>) -> bool {
    have(client, needs.and(tool::built("cosign").map(|_| ())))
}

/// Pushes and signs it, and tells its name: `shop/TAG:TAG`.
fn signed(stage: &Stage, content: &Content, tag: &str) -> io::Result<String> {
    sign(stage, "release", content, tag)?;
    Ok(format!("shop/{tag}:{tag}"))
}

fn skopeo(stage: &Stage) -> io::Result<Containers> {
    Containers::new(stage.around.address(), ALIAS, stage.front.address(), Trust::Shipped)
}

#[test]
fn skopeo_pulls_a_layer_of_300_mb() -> io::Result<()> {
    if !have_signing("skopeo-large", containers::available("skopeo")) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let name = signed(&stage, &image::large("large", "skopeo", LARGE), "large")?;
    assert_pulled(&skopeo(&stage)?.skopeo_copy(AS_THEY_COME, &stage.image(&name))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn skopeo_and_crane_pull_500_layers() -> io::Result<()> {
    let needs = containers::available("skopeo").and(tool::built("crane").map(|_| ()));
    if !have_signing("many-layers", needs) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let name = signed(&stage, &image::many_layers("layers", "many", 500), "layers")?;
    for round in ["cold", "warm"] {
        assert_pulled(&skopeo(&stage)?.skopeo_copy(AS_THEY_COME, &stage.image(&name))?);
        let blobs = stage.front.take_requests().iter().filter(|line| line.contains("/blobs/")).count();
        assert_eq!(blobs, 501, "{round}: each layer and the config");
        assert_pulled(&oci_tools::crane_pull(&stage.prefixed(&name), stage.home.path())?);
        stage.front.take_requests();
    }
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn containerd_goes_on_with_a_layer_of_300_mb_where_its_transfer_broke() -> io::Result<()> {
    if !have_signing("containerd-large", containerd::available()) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let name = signed(&stage, &image::large("large", "containerd", LARGE), "large")?;
    let containerd = Containerd::start(stage.front.address())?;
    stage.front.cut_next_after(100 << 20);
    assert_pulled(&containerd.cri_pull(&stage.image(&name))?);
    let ranges = stage.front.take_ranges();
    assert!(goes_on(&ranges), "{ranges:?}");
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn containerd_goes_on_with_a_pull_that_was_broken_off_by_asking_for_the_rest() -> io::Result<()> {
    if !have_signing("containerd-resumed", containerd::available()) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let mut ranges = Vec::new();
    for attempt in 0..3 {
        let tag = format!("resumed-{attempt}");
        let name = stage.image(&signed(&stage, &image::large(&tag, &tag, LARGE / 4), &tag)?);
        let containerd = Containerd::start(stage.front.address())?;
        stage.front.stall_next_after(40 << 20);
        let begun = containerd.begin_cri_pull(&name)?;
        stage.front.wait_stalled()?;
        begun.kill()?;
        assert_eq!(stage.front.take_ranges(), Vec::<String>::new(), "the first time all of it is asked for");
        assert_pulled(&containerd.cri_pull(&name)?);
        stage.assert_nobody_went_around();
        ranges = stage.front.take_ranges();
        if goes_on(&ranges) {
            return Ok(());
        }
        // What it had not written down when it was told to stop, it asks for again: on a busy machine, all of it.
    }
    panic!("{ranges:?}")
}

#[test]
fn containerd_and_skopeo_pull_a_layer_behind_a_link_that_breaks_each_mib() -> io::Result<()> {
    let needs = containerd::available().and(containers::available("skopeo"));
    if !have_signing("broken-link", needs) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let name = signed(&stage, &image::large("broken-link", "link", LARGE / 20), "broken-link")?;
    stage.link.cut_each_after(1 << 20);
    let containerd = Containerd::start(stage.front.address())?;
    assert_pulled(&containerd.cri_pull(&stage.image(&name))?);
    assert!(goes_on(&stage.link.take_ranges()));
    let other = signed(&stage, &image::large("broken-too", "link", LARGE / 20), "broken-too")?;
    assert_pulled(&skopeo(&stage)?.skopeo_copy(AS_THEY_COME, &stage.image(&other))?);
    stage.assert_nobody_went_around();
    Ok(())
}

#[test]
fn containerd_pulls_from_a_registry_that_answers_after_12_s() -> io::Result<()> {
    if !have_signing("containerd-late", containerd::available()) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let name = signed(&stage, &image::large("late", "late", 1 << 20), "late")?;
    stage.link.answer_late(Duration::from_secs(12));
    let containerd = Containerd::start(stage.front.address())?;
    // A client is answered after 15 s; the work goes on for its next try.
    for _ in 0..5 {
        if containerd.cri_pull(&stage.image(&name))?.succeeded() {
            stage.assert_nobody_went_around();
            return Ok(());
        }
    }
    panic!("not pulled in five tries");
}

/// Some range begins where a good part had come.
fn goes_on(ranges: &[String]) -> bool {
    let begins = |range: &String| range.strip_prefix("bytes=")?.split('-').next()?.parse::<u64>().ok();
    ranges.iter().filter_map(begins).any(|from| from > 1 << 20)
}

#[test]
fn containerd_pulls_images_side_by_side_and_only_what_is_signed() -> io::Result<()> {
    if !have_signing("containerd-parallel", containerd::available()) {
        return Ok(());
    }
    let stage = Stage::new()?;
    let mut names = Vec::new();
    for number in 0..6 {
        let tag = format!("beside-{number}");
        names.push(stage.image(&signed(&stage, &image::many_layers(&tag, &tag, 12), &tag)?));
    }
    let containerd = Containerd::start_parallel(stage.front.address(), 6)?;
    let not_signed = stage.image(NOT_SIGNED);
    let outcomes = thread::scope(|scope| -> Vec<io::Result<Outcome>> {
        let every = names.iter().chain([&not_signed]);
        let pulls: Vec<_> = every.map(|name| scope.spawn(|| containerd.cri_pull(name))).collect();
        pulls.into_iter().map(|pull| pull.join().unwrap()).collect()
    });
    let mut outcomes = outcomes.into_iter().collect::<io::Result<Vec<_>>>()?;
    assert_refused(&outcomes.pop().unwrap());
    outcomes.iter().for_each(assert_pulled);
    assert_eq!(outcomes.len(), names.len());
    stage.assert_nobody_went_around();
    Ok(())
}
