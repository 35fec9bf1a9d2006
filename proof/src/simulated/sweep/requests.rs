//! Scenarios of asynchronous requests.

use futures::StreamExt;
use resurgam::sim::Sim;
use resurgam::{
    CallError, Context, Node, ProcessRef, Request, RequestCollection, Strategy, Supervisor,
};

use super::clerk::{Ask, plain};
use super::{Root, SECOND, answered, must, role};

fn next(clerk: &ProcessRef<Ask>, number: u32) -> Request<u64> {
    clerk.send_request(|reply| Ask::Next(number.into(), reply))
}

fn slowly(clerk: &ProcessRef<Ask>, number: u32) -> Request<u64> {
    clerk.send_request(|reply| Ask::Slowly(number.into(), reply))
}

/// Four requests to two clerks and one to nobody.
fn five(node: &Node) -> RequestCollection<u64, u32> {
    let [a, b, nobody] = ["a", "b", "nobody"].map(|name| node.named::<Ask>(name));
    let mut requests = RequestCollection::new(node);
    for label in 0..5 {
        let request = match label {
            0 | 1 => next(&a, label),
            2 | 3 => slowly(&b, label),
            _ => next(&nobody, label),
        };
        requests.add(request, label);
    }
    requests
}

/// What a response must be, by its label.
fn fits(label: u32, response: &Result<u64, CallError>) -> bool {
    match response {
        Ok(number) => label < 4 && *number == u64::from(label) + 1,
        Err(error) => matches!(error, CallError::Down(_)),
    }
}

/// Collections in processes and outside, and single requests that are waited
/// for in pieces: each request has one response.
pub(super) fn collected(sim: &mut Sim) {
    let top = Supervisor::builder(Strategy::OneForOne).children(["a", "b"].map(plain));
    let root = Root::start(sim, top);
    role(sim, "collector", |ctx: Context<()>| async move {
        let mut requests = five(&ctx.node());
        let mut labels = Vec::new();
        while let Ok(Some((response, label))) = requests.wait_response(100 * SECOND).await {
            must(fits(label, &response), || format!("{label}: {response:?}"));
            labels.push(label);
        }
        labels.sort_unstable();
        must(labels == [0, 1, 2, 3, 4], || format!("{labels:?}"));
    });
    role(sim, "patient", |ctx: Context<()>| async move {
        let b = ctx.node().named::<Ask>("b");
        let mut request = slowly(&b, 7);
        let abandoned = slowly(&b, 8).receive_response(SECOND / 2).await;
        must(!matches!(abandoned, Ok(n) if n != 9), || {
            format!("{abandoned:?}")
        });
        let response = match request.wait_response(SECOND / 4).await {
            Some(response) => response,
            None => request.await,
        };
        answered(response, 8);
    });
    let outside = five(sim.node());
    sim.outside(async move {
        let all: Vec<_> = outside.collect().await;
        assert_eq!(all.len(), 5, "{all:?}");
        let fit = all.iter().all(|(response, label)| fits(*label, response));
        assert!(fit, "{all:?}");
    });
    root.expect_whole_or_gone(sim, 3, &["a", "b"]);
    root.stop(sim);
}
