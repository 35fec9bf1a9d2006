//! Coming to rest on many threads: asking round after round.
//!
//! A round asks every process for its `process_info`. All is at rest when three
//! rounds in a row have seen the same, and it was this:
//!
//! * each process that lives waits for orders, or waits for mail and has none;
//! * nobody who lives is linked to, watches, or is watched by one who is dead.
//!
//! Why that is enough. A process answers after it has handled every signal that
//! came before the question, and what it sends while it handles them is in the
//! other's mailbox before it answers. So what is under way when a round begins
//! has been handled when the round ends; and if anything came of it, the next
//! round finds that under way. What comes of a signal is seen (a link, a
//! monitor, mail, a longer log, an end), except that an unlink may be followed
//! by an acknowledgement unseen, and that by nothing. So three rounds that saw
//! the same leave nothing under way.
//!
//! A body does nothing by itself, as it waits; it says so itself, before it
//! waits and after whatever it did. And a process that is about to end answers
//! nothing any more although it has not told everyone yet; but whoever it is
//! yet to tell still shows the link or the monitor: hence the second point.

use futures::future::join_all;
use resurgam::Node;

use super::{Activity, Crowd, Look, Rest, Restless};

/// How many rounds are asked before something is said to hang: some minutes.
const MOST_ROUNDS: usize = 2_000_000;

/// Rest on a node that runs on threads.
#[derive(Copy, Clone, Debug, Default)]
pub struct Rounds;

impl Rest for Rounds {
    async fn rest(&self, crowd: &Crowd) -> Result<Vec<Look>, Restless> {
        let mut last = Vec::new();
        let mut same = 0;
        for _ in 0..MOST_ROUNDS {
            let looks = ask(crowd.node(), crowd).await;
            same = if looks == last && is_quiet(&looks) {
                same + 1
            } else {
                0
            };
            if same == 2 {
                return Ok(looks);
            }
            last = looks;
        }
        Err(Restless(last))
    }
}

/// A look at every process.
pub(crate) async fn ask(node: &Node, crowd: &Crowd) -> Vec<Look> {
    let ask = |(who, pid): (usize, Option<resurgam::Pid>)| async move {
        let info = match pid {
            Some(pid) => node.process_info(pid).await.ok().flatten(),
            None => None,
        };
        crowd.look(who, info)
    };
    join_all(crowd.pids().into_iter().enumerate().map(ask)).await
}

fn is_quiet(looks: &[Look]) -> bool {
    let lives = |who: &usize| looks[*who].info.is_some();
    looks.iter().all(|look| {
        let Some(info) = &look.info else {
            return true;
        };
        let waits = match look.activity {
            Activity::Busy => false,
            Activity::ForMail => info.unread == 0,
            Activity::Idle => true,
        };
        let watched = info
            .monitors
            .iter()
            .all(|who| who.as_ref().is_some_and(lives));
        waits && watched && info.links.iter().chain(&info.watched_by).all(lives)
    })
}
