//! Inputs that once were a finding, and the ones that each target begins with.

use pullgate_tests::fuzz::TARGETS;

#[test]
fn what_was_found_once_is_found_no_more() {
    for target in TARGETS {
        let kept = std::fs::read_dir(target.kept()).into_iter().flatten().flatten();
        for file in kept.map(|entry| entry.path()) {
            let input = std::fs::read(&file).unwrap();
            assert!(target.one(&input).is_ok(), "{}: {}", target.name, file.display());
        }
    }
}

#[test]
fn every_target_begins_with_inputs_that_are_right() {
    for target in TARGETS {
        let seeds = (target.seeds)();
        assert!(!seeds.is_empty(), "{}", target.name);
        for seed in seeds {
            assert!(target.one(&seed).is_ok(), "{}", target.name);
        }
    }
}
