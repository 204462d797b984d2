use pullgate_policy::limits::OFF_THREAD_BYTES;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

fn repository(name: &str) -> Repository {
    name.parse().unwrap()
}

/// Runs something that takes so much memory.
async fn run<T: Send + 'static>(
    workers: &ComputePool,
    name: &str,
    memory: u64,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Died> {
    workers.run(Work { repository: &repository(name), memory }, work).await
}

#[tokio::test]
async fn no_more_than_so_many_work_at_once_though_nobody_waits_for_them() {
    let workers = ComputePool::new(2);
    let (working, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut waiting = Vec::new();
    for at in 0..10 {
        let (workers, working, most) = (workers.clone(), Arc::clone(&working), Arc::clone(&most));
        let work = move || {
            most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(20));
            working.fetch_sub(1, Ordering::SeqCst);
        };
        let task = tokio::spawn(async move { run(&workers, "r.example/a", 1, work).await });
        if at % 3 == 0 {
            // Leaves while it may be at work.
            tokio::time::sleep(Duration::from_millis(5)).await;
            task.abort();
        } else {
            waiting.push(task);
        }
    }
    for task in waiting {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
    assert!(most.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn so_many_do_work_at_once() {
    let (workers, both) = (ComputePool::new(2), Arc::new(std::sync::Barrier::new(2)));
    let work = || {
        let both = Arc::clone(&both);
        move || {
            both.wait();
        }
    };
    let one = run(&workers, "r.example/a", 1, work());
    assert_eq!(tokio::join!(one, run(&workers, "r.example/a", 1, work())), (Ok(()), Ok(())));
}

#[tokio::test]
async fn a_panic_is_told_and_its_place_is_free_again() {
    let workers = ComputePool::new(1);
    assert_eq!(run(&workers, "r.example/a", 1, || panic!("on purpose")).await, Err::<(), _>(Died));
    assert_eq!(run(&workers, "r.example/a", 1, || 7).await, Ok(7));
    assert_eq!((workers.busy(), workers.memory()), ((0, 1), 0));
}

/// Holds a thread until it is let go.
fn hold(workers: &ComputePool, name: &'static str, memory: u64) -> std::sync::mpsc::SyncSender<()> {
    let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
    let workers = workers.clone();
    tokio::spawn(async move { run(&workers, name, memory, move || held.recv().is_err()).await });
    release
}

async fn busy(workers: &ComputePool, most: usize) {
    while workers.busy().0 < most {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a604_another_upstream_waits_for_one_turn_and_not_for_all_who_came_before() {
    let workers = ComputePool::new(1);
    let held = hold(&workers, "evil.example/a", 1);
    busy(&workers, 1).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for (n, name) in ["evil.example/a"; 20].into_iter().chain(["good.example/x"]).enumerate() {
        let (theirs, order) = (workers.clone(), Arc::clone(&order));
        tasks.push(tokio::spawn(async move { run(&theirs, name, 1, move || order.lock().push(name)).await }));
        while workers.0.lock().waiting.len() <= n {
            tokio::task::yield_now().await;
        }
    }
    drop(held);
    for task in tasks {
        assert_eq!(task.await.unwrap(), Ok(()));
    }
    let place = order.lock().iter().position(|name| *name == "good.example/x");
    assert!(place.is_some_and(|place| place <= 1), "{place:?}");
}

#[tokio::test]
async fn a602_what_runs_at_once_takes_so_much_memory_and_not_a_byte_more() {
    let workers = ComputePool::new(3);
    let first = hold(&workers, "a.example/a", limits::WORK_BYTES - 1);
    busy(&workers, 1).await;
    let second = hold(&workers, "b.example/b", 1);
    busy(&workers, 2).await;
    assert_eq!(workers.memory(), limits::WORK_BYTES);
    let third = hold(&workers, "c.example/c", 1);
    while workers.0.lock().waiting.len() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(workers.busy(), (2, 3));
    drop(second);
    while workers.0.lock().waiting.len() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop((first, third));
    // What says that it takes more than all runs alone.
    assert_eq!(run(&workers, "d.example/d", u64::MAX, || 7).await, Ok(7));
}

#[tokio::test]
async fn a611_what_is_small_is_done_at_once_and_what_is_larger_by_one_byte_elsewhere() {
    let (workers, here) = (ComputePool::new(1), std::thread::current().id());
    let name = repository("r.example/a");
    let at = |bytes| workers.over(&name, bytes, || std::thread::current().id());
    assert_eq!(at(OFF_THREAD_BYTES).await, Ok(here));
    assert_ne!(at(OFF_THREAD_BYTES + 1).await, Ok(here));
}
