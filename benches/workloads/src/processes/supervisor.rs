//! Children that are started at a supervisor's.

use std::time::Duration;

use resurgam::{ChildSpec, Context, DynamicSupervisor, Node};
use tokio::time::Instant;

use super::in_process;

/// The driver starts children, one after the other.
pub(super) async fn dynamic_start(node: &Node, count: u64) -> Duration {
    in_process(node, move |_: Context<()>| async move {
        let supervisor = DynamicSupervisor::builder().start().await;
        let supervisor = supervisor.expect("the supervisor starts");
        let began = Instant::now();
        for _ in 0..count {
            let spec = ChildSpec::process("child", || idle).temporary();
            supervisor
                .start_child(spec)
                .await
                .expect("the child starts");
        }
        let took = began.elapsed();
        supervisor.stop().await.expect("the supervisor stops");
        took
    })
    .await
}

async fn idle(mut ctx: Context<()>) {
    ctx.receive().await;
}
