//! Passwords of `[clients] htpasswd`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::limits;
use moka::future::Cache;
use pullgate_config::Secret as Hash;
use pullgate_policy::code::Code;
use tokio::time::Instant;

use super::SetupFault;
use super::group::Group;
use super::secret::Secret;
use super::turns::{Turn, TurnAnswer, Turns, Who};
use crate::refusal::Refusal;

/// The password hashes of one load, and the memory of passwords that were right.
pub(super) struct Passwords {
    hashes: BTreeMap<String, Hash>,
    highest: u32,
    memory: Memory,
}

/// What outlives a load: a key is also one of the hash that the file had.
#[derive(Clone)]
struct Memory {
    /// Passwords that verified a while ago, by their keyed hash: bcrypt takes its time, and a node asks often.
    known: Cache<Vec<u8>, ()>,
    /// The same for longer: they are hashed again, and first.
    lately: Cache<Vec<u8>, ()>,
    secret: std::sync::Arc<Secret>,
    turns: Turns,
}

/// How long a password that verified is not verified again.
const KNOWN_FOR: Duration = Duration::from_secs(600);
/// How long one that verified is hashed before others.
const FIRST_FOR: Duration = Duration::from_secs(24 * 3600);
/// Passwords hashed at once.
const WORK: usize = 2;
/// A hash without a known password, after its cost: it is checked for unknown names.
const NOBODY: &str = "$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

impl Passwords {
    /// # Errors
    /// [`SetupFault`].
    pub(super) fn new(hashes: &BTreeMap<String, Hash>, before: Option<&Self>) -> Result<Self, SetupFault> {
        let highest = hashes.values().map(|hash| cost(hash.reveal())).max().unwrap_or_default();
        let memory = before.map_or_else(Memory::new, |before| Ok(before.memory.clone()))?;
        Ok(Self { hashes: hashes.clone(), highest, memory })
    }

    /// # Errors
    /// It is wrong; or undecided, where it could not be looked at in time. A wrong password that has to wait gets the same
    /// answer at the same time: else it would show which names are in the file that theirs come first (A614).
    pub(super) async fn verify(&self, from: Group, name: &str, password: String) -> Result<(), Refusal> {
        if self.hashes.is_empty() {
            return Err(Refusal::Unauthenticated);
        }
        let hash = self.hashes.get(name).map(|hash| hash.reveal().to_owned());
        let expected = hash.as_deref().unwrap_or_default().as_bytes();
        let key = self.memory.secret.hash(&[name.as_bytes(), password.as_bytes(), expected]);
        if self.memory.known.contains_key(&key) {
            return Ok(());
        }
        let who = match (&hash, self.memory.lately.contains_key(&key)) {
            (_, true) => Who::RightLately,
            (Some(_), false) => Who::Named(from, name),
            (None, false) => Who::MadeUp(from),
        };
        let highest = self.highest;
        let work = Work { key, password, hash, highest };
        let until = Instant::now() + limits::PASSWORD_WAIT;
        let waits = match self.memory.turns.ask(who) {
            TurnAnswer::Free(turn) => return self.memory.work(turn, work).await,
            TurnAnswer::Waits(waits) => waits,
        };
        let worked = async {
            let turn = waits.await.map_err(|_dropped| Refusal::undecided(Code::Overload))?;
            self.memory.work(turn, work).await
        };
        if let Ok(Ok(())) = tokio::time::timeout_at(until, worked).await {
            return Ok(());
        }
        tokio::time::sleep_until(until).await;
        Err(Refusal::undecided(Code::Overload))
    }
}

/// What is to be hashed.
struct Work {
    /// The key under which a right password is remembered.
    key: Vec<u8>,
    password: String,
    hash: Option<String>,
    highest: u32,
}

impl Memory {
    fn new() -> Result<Self, SetupFault> {
        let cache = |time| Cache::builder().max_capacity(limits::NEGATIVE_ENTRIES).time_to_live(time).build();
        let (secret, turns) = (std::sync::Arc::new(Secret::random()?), Turns::new(WORK));
        Ok(Self { known: cache(KNOWN_FOR), lately: cache(FIRST_FOR), secret, turns })
    }

    /// Work that has begun runs to its end, and a right password is remembered, even if the caller leaves.
    async fn work(&self, turn: Turn, work: Work) -> Result<(), Refusal> {
        let (known, lately) = (self.known.clone(), self.lately.clone());
        let worked = tokio::spawn(async move {
            let Work { key, password, hash, highest } = work;
            let checked = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                check(&password, hash.as_deref(), highest, |password, hash| {
                    bcrypt::verify(password, hash).is_ok_and(|right| right)
                })
            });
            let checked = checked.await?;
            if checked == Checked::Right {
                known.insert(key.clone(), ()).await;
                lately.insert(key, ()).await;
            }
            Ok(checked)
        });
        match worked.await.and_then(|checked: Result<_, tokio::task::JoinError>| checked) {
            Ok(Checked::Right) => Ok(()),
            Ok(Checked::Wrong) => Err(Refusal::Unauthenticated),
            Err(_) => Err(Refusal::undecided(Code::Internal)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checked {
    Right,
    Wrong,
}

/// A wrong password costs as much as one of the highest cost of the file, whether there is such a name and whatever its own
/// cost is: else the time would tell which names there are (A614). Each step of the cost doubles the work, so that a hash of
/// cost c and one of each cost from c up to the highest make that.
fn check(
    password: &str,
    hash: Option<&str>,
    highest: u32,
    mut verify: impl FnMut(&str, &str) -> bool,
) -> Checked {
    let nobody = |cost: u32| format!("$2b${cost:02}{NOBODY}");
    let Some(hash) = hash else {
        verify(password, &nobody(highest));
        return Checked::Wrong;
    };
    if verify(password, hash) {
        return Checked::Right;
    }
    for cost in cost(hash)..highest {
        verify(password, &nobody(cost));
    }
    Checked::Wrong
}

/// The cost of a hash, whose form was checked at load.
fn cost(hash: &str) -> u32 {
    hash.split('$').nth(2).and_then(|cost| cost.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_cost(cost: u32) -> String {
        format!("$2y${cost:02}{NOBODY}")
    }

    /// Rounds of the key schedule, which is all that takes time.
    fn rounds(hash: Option<&str>, highest: u32) -> u64 {
        let mut rounds = 0;
        let checked = check("wrong", hash, highest, |_, hash| {
            rounds += 1 << cost(hash);
            false
        });
        assert_eq!(checked, Checked::Wrong);
        rounds
    }

    #[test]
    fn a614_a_wrong_password_costs_the_same_with_and_without_the_name() {
        for highest in [4, 5, 10, pullgate_config::limits::BCRYPT_COST_MAX] {
            assert_eq!(rounds(None, highest), 1 << highest);
            for own in 4..=highest {
                assert_eq!(rounds(Some(&of_cost(own)), highest), 1 << highest, "{own} of {highest}");
            }
        }
    }

    #[test]
    fn a614_what_nobody_knows_is_a_hash_that_is_worked_on() {
        let right = bcrypt::hash("right", 4).unwrap();
        let verify = |password: &str, hash: &str| bcrypt::verify(password, hash).unwrap();
        assert_eq!(check("right", Some(&right), 5, verify), Checked::Right);
        assert_eq!(check("wrong", Some(&right), 5, verify), Checked::Wrong);
        assert_eq!(check("right", None, 5, verify), Checked::Wrong);
    }

    #[test]
    fn the_highest_cost_is_that_of_the_file() {
        let file = |costs: &[u32]| {
            costs.iter().map(|cost| (cost.to_string(), Hash::new(of_cost(*cost)))).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(Passwords::new(&file(&[5, 12, 10]), None).unwrap().highest, 12);
        assert_eq!(Passwords::new(&file(&[4]), None).unwrap().highest, 4);
    }

    /// Of one user "there" with the password "right", and with both turns taken.
    fn busy() -> (Passwords, [Turn; 2]) {
        let hash = bcrypt::hash("right", 4).unwrap();
        let passwords = Passwords::new(&[("there".to_owned(), Hash::new(hash))].into(), None).unwrap();
        let turn = || match passwords.memory.turns.ask(Who::RightLately) {
            TurnAnswer::Free(turn) => turn,
            TurnAnswer::Waits(_) => panic!("nobody has it"),
        };
        let turns = [turn(), turn()];
        (passwords, turns)
    }

    fn from(last: u8) -> Group {
        Group::of(std::net::IpAddr::from([192, 0, 2, last]))
    }

    #[tokio::test(start_paused = true)]
    async fn a614_a_right_password_has_its_turn_whatever_names_are_made_up_at_its_address() {
        let (passwords, held) = busy();
        let flood = (0..200).map(|n| passwords.verify(from(1), "zz", format!("wrong-{n}")));
        let flood = futures_util::future::join_all(flood);
        let right = async {
            tokio::task::yield_now().await;
            let begun = Instant::now();
            let right = passwords.verify(from(1), "there", "right".to_owned());
            let (right, ()) = tokio::join!(right, async { drop(held) });
            (right.is_ok(), begun.elapsed())
        };
        let (flood, (right, took)) = tokio::join!(flood, right);
        assert!(right && took < limits::PASSWORD_WAIT, "{took:?}");
        assert!(flood.iter().all(Result::is_err));
    }

    /// The same where there is the name and where there is not, whether it had a turn or none.
    #[tokio::test(start_paused = true)]
    async fn a614_who_had_to_wait_and_is_wrong_is_told_so_when_all_are_whatever_the_name() {
        for (name, has_turn) in [("there", true), ("there", false), ("made up", true), ("made up", false)] {
            let (passwords, held) = busy();
            let (begun, mut held) = (Instant::now(), Some(held));
            let told = passwords.verify(from(1), name, "wrong".to_owned());
            let (told, ()) = tokio::join!(told, async { held = held.take().filter(|_| !has_turn) });
            assert!(
                matches!(&told, Err(Refusal::Undecided(undecided)) if undecided.code() == Code::Overload)
            );
            assert_eq!(begun.elapsed(), limits::PASSWORD_WAIT, "{name} {has_turn}");
            drop(held);
        }
    }

    #[tokio::test]
    async fn a614_who_need_not_wait_is_told_at_once_that_the_password_is_wrong() {
        let (passwords, held) = busy();
        drop(held);
        for name in ["there", "made up"] {
            let told = passwords.verify(from(1), name, "wrong".to_owned()).await;
            assert!(matches!(told, Err(Refusal::Unauthenticated)), "{name}");
        }
        assert!(passwords.verify(from(1), "there", "right".to_owned()).await.is_ok());
    }
}
