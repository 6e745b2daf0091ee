//! Lanes, their turns, and steps that are abandoned or panic.

use std::sync::mpsc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

/// Blocks the only thread of a pool until the sender is used or dropped.
async fn block_pool(pool: &BackgroundPool) -> (mpsc::Sender<()>, JoinSet<()>) {
    let (release, blocked) = mpsc::channel();
    let (started_sender, started) = oneshot::channel();
    let lane = pool.lane(u64::MAX);
    let mut task = JoinSet::new();
    task.spawn(async move {
        let step = move || {
            started_sender.send(()).unwrap();
            let _ = blocked.recv();
        };
        lane.run(step).await.unwrap();
    });
    timeout(DEADLINE, started).await.unwrap().unwrap();
    (release, task)
}

#[tokio::test]
async fn steps_return_what_they_computed() {
    let pool = BackgroundPool::new(2);
    let lane = pool.lane(1);
    for number in 0..100 {
        assert_eq!(timeout(DEADLINE, lane.run(move || number * 2)).await.unwrap(), Ok(number * 2));
    }
}

#[tokio::test]
async fn lanes_take_turns_regardless_of_their_number_of_steps() {
    let pool = BackgroundPool::new(1);
    let (release, mut first) = block_pool(&pool).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = JoinSet::new();
    // All steps are queued before the first one runs.
    for (id, steps) in [(1, 5), (2, 1), (3, 2)] {
        for _ in 0..steps {
            let (lane, order) = (pool.lane(id), order.clone());
            let mut run = Box::pin(async move { lane.run(move || order.lock().push(id)).await });
            assert!(is_pending(run.as_mut()).await);
            tasks.spawn(run);
        }
    }
    release.send(()).unwrap();
    timeout(DEADLINE, first.join_next()).await.unwrap();
    timeout(DEADLINE, tasks.join_all()).await.unwrap();
    assert_eq!(*order.lock(), [1, 2, 3, 1, 3, 1, 1, 1]);
}

/// Polls a future once and returns whether it is pending.
async fn is_pending<F: Future + ?Sized>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
    })
    .await
}

#[tokio::test]
async fn a_lane_runs_one_step_at_a_time_and_other_lanes_run_beside_it() {
    let pool = BackgroundPool::new(2);
    let (release, mut first) = block_pool(&pool).await;
    let mut second = pool.lane(u64::MAX);
    let mut second_step = Box::pin(second.run(|| ()));
    assert!(is_pending(second_step.as_mut()).await);
    // The second thread is free for other lanes.
    assert_eq!(timeout(DEADLINE, pool.lane(1).run(|| 7)).await.unwrap(), Ok(7));
    assert!(is_pending(second_step.as_mut()).await);
    release.send(()).unwrap();
    timeout(DEADLINE, second_step).await.unwrap().unwrap();
    timeout(DEADLINE, first.join_next()).await.unwrap();
    second = pool.lane(2);
    assert_eq!(timeout(DEADLINE, second.run(|| 7)).await.unwrap(), Ok(7));
}

#[tokio::test]
async fn an_abandoned_step_does_not_run() {
    let pool = BackgroundPool::new(1);
    let (release, mut first) = block_pool(&pool).await;
    let lane = pool.lane(1);
    let (sender, receiver) = mpsc::channel();
    let mut step = Box::pin(lane.run(move || sender.send(()).unwrap()));
    assert!(is_pending(step.as_mut()).await);
    drop(step);
    release.send(()).unwrap();
    timeout(DEADLINE, lane.run(|| ())).await.unwrap().unwrap();
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    timeout(DEADLINE, first.join_next()).await.unwrap();
}

#[tokio::test]
async fn steps_of_a_dropped_pool_return_an_error() {
    let pool = BackgroundPool::new(1);
    let (release, mut first) = block_pool(&pool).await;
    let lane = pool.lane(1);
    let mut step = Box::pin(lane.run(|| ()));
    assert!(is_pending(step.as_mut()).await);
    drop(pool);
    assert_eq!(timeout(DEADLINE, step).await.unwrap(), Err(PoolClosed));
    assert_eq!(timeout(DEADLINE, lane.run(|| ())).await.unwrap(), Err(PoolClosed));
    release.send(()).unwrap();
    timeout(DEADLINE, first.join_next()).await.unwrap();
}

#[tokio::test]
#[should_panic(expected = "on purpose")]
async fn a_panic_of_a_step_is_raised_in_its_caller() {
    let _ = BackgroundPool::new(1).lane(1).run(|| panic!("on purpose")).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn steps_run_at_low_priority() {
    let nice = || {
        // Field 19 of stat(5), counted from the end of the name, which may contain any character.
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().to_owned()
    };
    let pool = BackgroundPool::new(1);
    let low = pool.lane(1).run(nice).await.unwrap();
    assert!(low.parse::<i32>().unwrap() > nice().parse().unwrap(), "{low}");
}
