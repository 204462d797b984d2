//! A601: what passes for evidence is handed to the libraries by which podman, containerd and Docker engine unpack
//! layers. None of them gets a file out of it.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, thread};

use pullgate_tests::borrowed;
use pullgate_tests::clients::tool::{built, installed, recorded};
use pullgate_tests::polyglot::{is_evidence, made};
use pullgate_tests::random::Random;

/// Of how many made texts.
const TEXTS: usize = 10_000;
/// Recorded texts that pass, at least.
const PASS_AT_LEAST: usize = 10;
/// podman, containerd, Docker engine, and two readers of headers.
const READERS: usize = 5;

/// What each reader got out, and the layer as it was packed.
type Unpacked = ([u8; READERS], Vec<u8>);

/// Hands layers to the readers, each with the way in which it is packed first.
fn unpack(program: &Path, layers: Vec<(u8, Vec<u8>)>) -> io::Result<Vec<Unpacked>> {
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or_else(|| io::Error::other("no stdin"))?;
    let count = layers.len();
    let writing = thread::spawn(move || {
        layers.into_iter().try_for_each(|(packing, layer)| {
            let length = u32::try_from(layer.len()).map_err(io::Error::other)?;
            stdin.write_all(&[packing])?;
            stdin.write_all(&length.to_be_bytes())?;
            stdin.write_all(&layer)
        })
    });
    let output = child.wait_with_output()?;
    writing.join().map_err(|_| io::Error::other("the writer died"))??;
    let (mut rest, mut all) = (output.stdout.as_slice(), Vec::new());
    while let Some((counts, more)) = rest.split_first_chunk::<READERS>() {
        let (length, more) = more.split_first_chunk().ok_or_else(|| io::Error::other("cut"))?;
        let (layer, more) =
            more.split_at(usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?);
        all.push((*counts, layer.to_vec()));
        rest = more;
    }
    assert_eq!(all.len(), count, "an answer for each");
    Ok(all)
}

/// Every file below a folder that is not larger than evidence may be.
fn files(folder: &Path, found: &mut Vec<Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else {
            found.push(fs::read(path)?);
        }
    }
    Ok(())
}

fn program() -> Option<std::path::PathBuf> {
    let program = built("unpack");
    let needs = program.clone().map(|_| ());
    pullgate_tests::clients::have("real_clients/unpack", &[needs]).then_some(program.ok()?)
}

#[test]
fn a601_no_real_reader_unpacks_what_passes_in_the_fixtures() -> io::Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let mut found = Vec::new();
    files(&recorded(""), &mut found)?;
    if let Some(folder) = borrowed::folder("passing") {
        files(&folder.join("bundles"), &mut found)?;
    }
    found.retain(|bytes| is_evidence(bytes));
    found.sort();
    found.dedup();
    assert!(found.len() > PASS_AT_LEAST, "{}", found.len());
    for (counts, layer) in unpack(&program, found.into_iter().map(|bytes| (b'n', bytes)).collect())? {
        assert_eq!(counts, [0; READERS], "{}", String::from_utf8_lossy(&layer));
    }
    Ok(())
}

#[test]
fn a601_of_ten_thousand_almost_archives_no_real_reader_unpacks_one_that_passes() -> io::Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let packers = [(b'b', "bzip2"), (b'x', "xz")];
    let mut packings = vec![b'g', b'z', b's'];
    packings.extend(packers.iter().filter(|(_, packer)| installed(packer).is_some()).map(|(way, _)| *way));
    let mut random = Random::new(601);
    let layers = (0..TEXTS).map(|_| {
        let layer = made(&mut random);
        let packing =
            if random.below(20) == 0 { random.one(&packings).copied().unwrap_or(b'n') } else { b'n' };
        (packing, layer)
    });
    let (mut passed, mut unpacked) = (0, [0; READERS]);
    for (n, (counts, layer)) in unpack(&program, layers.collect())?.into_iter().enumerate() {
        let passes = is_evidence(&layer);
        assert!(!passes || counts == [0; READERS], "{n} {counts:?}: {}", String::from_utf8_lossy(&layer));
        passed += usize::from(passes);
        for (sum, count) in unpacked.iter_mut().zip(counts) {
            *sum += usize::from(count > 0);
        }
    }
    // Else nothing was tried.
    assert!(passed > TEXTS / 10, "{passed} pass");
    assert!(unpacked.iter().all(|count| *count > TEXTS / 10), "{unpacked:?} are unpacked");
    Ok(())
}
