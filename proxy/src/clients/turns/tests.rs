//! Who has the next turn, and who has none.

use std::collections::BTreeMap;

use super::*;

fn group(last: u8) -> Group {
    Group::of(std::net::IpAddr::from([192, 0, 2, last]))
}

/// Everybody who waits, by what they are called here.
#[derive(Default)]
struct All(BTreeMap<String, oneshot::Receiver<Turn>>);

impl All {
    fn ask(&mut self, turns: &Turns, who: Who<'_>) -> String {
        let called = match &who {
            Who::RightLately => "lately".to_owned(),
            Who::Named(_, name) => (*name).to_owned(),
            Who::MadeUp(_) => "made up".to_owned(),
        };
        let called = format!("{called} {}", self.0.len());
        let TurnAnswer::Waits(waits) = turns.ask(who) else { panic!("a turn was free") };
        self.0.insert(called.clone(), waits);
        called
    }

    fn named(&mut self, turns: &Turns, at: u8, name: &str) -> String {
        self.ask(turns, Who::Named(group(at), name))
    }

    fn made_up(&mut self, turns: &Turns, at: u8) -> String {
        self.ask(turns, Who::MadeUp(group(at)))
    }

    /// Whether it will never have a turn.
    fn is_dropped(&mut self, called: &str) -> bool {
        self.0.get_mut(called).unwrap().try_recv().err() == Some(oneshot::error::TryRecvError::Closed)
    }

    fn count_dropped(&mut self) -> usize {
        let all: Vec<_> = self.0.keys().cloned().collect();
        all.iter().filter(|called| self.is_dropped(called)).count()
    }

    /// Whose turns come, in their order, when each one is over before the next begins.
    fn run(mut self, turn: Turn) -> Vec<String> {
        let (mut order, mut turn) = (Vec::new(), Some(turn));
        while turn.take().is_some() {
            let next =
                self.0.iter_mut().find_map(|(called, waits)| Some((called.clone(), waits.try_recv().ok()?)));
            if let Some((called, had)) = next {
                order.push(called);
                turn = Some(had);
            }
        }
        order
    }
}

/// One turn at once, and it is taken.
fn taken() -> (Turns, Turn) {
    let turns = Turns::new(1);
    let TurnAnswer::Free(turn) = turns.ask(Who::RightLately) else { panic!("nobody has it") };
    (turns, turn)
}

#[test]
fn a614_each_address_and_each_name_has_a_turn_and_made_up_names_come_last() {
    let ((turns, held), mut all) = (taken(), All::default());
    all.made_up(&turns, 3);
    for (at, name) in [(1, "flood"), (1, "flood"), (1, "flood"), (1, "node"), (2, "other")] {
        all.named(&turns, at, name);
    }
    all.made_up(&turns, 1);
    all.ask(&turns, Who::RightLately);
    let order = all.run(held);
    let expected =
        ["lately 7", "flood 1", "other 5", "node 4", "flood 2", "flood 3", "made up 0", "made up 6"];
    assert_eq!(order, expected);
    assert_eq!(turns.waiting(), 0);
    assert_eq!(turns.lock().free, 1);
}

#[test]
fn a614_a_name_that_exists_has_the_next_turn_before_all_made_up_ones() {
    let ((turns, held), mut all) = (taken(), All::default());
    for at in 1..=20 {
        for _ in 0..=limits::PASSWORDS_WAITING_OF_ONE {
            all.made_up(&turns, at);
        }
    }
    assert_eq!(turns.waiting(), limits::PASSWORDS_WAITING);
    let right = all.named(&turns, 1, "node");
    for _ in 0..=limits::PASSWORDS_WAITING_OF_ONE {
        all.made_up(&turns, 1);
    }
    assert_eq!(turns.waiting(), limits::PASSWORDS_WAITING);
    assert_eq!(all.run(held).first(), Some(&right));
}

#[test]
fn a614_over_the_limit_of_an_address_the_newest_of_the_largest_has_no_turn() {
    let ((turns, held), mut all) = (taken(), All::default());
    let mut flood: Vec<_> =
        (0..limits::PASSWORDS_WAITING_OF_ONE).map(|_| all.named(&turns, 1, "flood")).collect();
    assert_eq!((all.count_dropped(), turns.waiting()), (0, limits::PASSWORDS_WAITING_OF_ONE));
    let right = all.named(&turns, 1, "a node");
    let newest = flood.pop().unwrap();
    assert!(all.is_dropped(&newest) && !all.is_dropped(&right));
    let late = all.named(&turns, 1, "flood");
    assert!(all.is_dropped(&late));
    assert_eq!((all.count_dropped(), turns.waiting()), (2, limits::PASSWORDS_WAITING_OF_ONE));
    assert_eq!(all.run(held)[1], right, "the second of all, behind one of the flood");
}

#[test]
fn a614_of_names_that_have_as_much_the_last_to_come_has_no_turn() {
    for (first, other) in [("a node", "z"), ("z node", "a")] {
        let ((turns, _held), mut all) = (taken(), All::default());
        let right = all.named(&turns, 1, first);
        for n in 0..2 * limits::PASSWORDS_WAITING_OF_ONE {
            all.named(&turns, 1, &format!("{other}{n}"));
        }
        assert!(!all.is_dropped(&right));
        assert_eq!(all.count_dropped(), limits::PASSWORDS_WAITING_OF_ONE + 1);
    }
}

#[test]
fn a614_over_the_limit_of_all_the_address_that_has_most_loses_one() {
    let ((turns, held), mut all) = (taken(), All::default());
    let addresses = u8::try_from(limits::PASSWORDS_WAITING / limits::PASSWORDS_WAITING_OF_ONE).unwrap();
    for at in 1..=addresses {
        for _ in 0..limits::PASSWORDS_WAITING_OF_ONE {
            all.named(&turns, at, "flood");
        }
    }
    assert_eq!((all.count_dropped(), turns.waiting()), (0, limits::PASSWORDS_WAITING));
    for at in [0, 255] {
        let right = all.named(&turns, at, "node");
        assert!(!all.is_dropped(&right));
    }
    assert_eq!((all.count_dropped(), turns.waiting()), (2, limits::PASSWORDS_WAITING));
    assert!(all.run(held).iter().filter(|called| called.starts_with("node")).count() == 2);
}

#[test]
fn a614_who_has_left_makes_room_before_anybody_else_does() {
    let ((turns, _held), mut all) = (taken(), All::default());
    for _ in 0..limits::PASSWORDS_WAITING_OF_ONE {
        all.named(&turns, 1, "flood");
    }
    let left = all.0.keys().next().unwrap().clone();
    all.0.remove(&left);
    all.named(&turns, 1, "flood");
    assert_eq!((all.count_dropped(), turns.waiting()), (0, limits::PASSWORDS_WAITING_OF_ONE));
}

#[test]
fn who_has_left_is_passed_over_and_every_turn_comes_back() {
    let ((turns, held), mut all) = (taken(), All::default());
    let left = all.named(&turns, 1, "left");
    let stays = all.named(&turns, 1, "stays");
    all.0.remove(&left);
    assert_eq!(all.run(held), [stays]);
    assert_eq!(turns.waiting(), 0);
    assert_eq!(turns.lock().free, 1);
}
