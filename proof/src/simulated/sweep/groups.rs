//! Scenarios of process groups.

use resurgam::sim::Sim;
use resurgam::{
    ChildSpec, Context, GroupChange, GroupScope, Groups, Membership, Message, Pid, Strategy,
    Supervisor, monitor, sleep,
};

use super::{Root, SECOND, is_a_blow, must, role};

const GROUP: &str = "group";

/// Members come and go, and are looked at by somebody who counts. In the end
/// nobody is a member who has ended.
pub(super) fn groups(sim: &mut Sim) {
    let scope = || Groups::builder("scope");
    let spec = ChildSpec::server_with::<GroupScope, _>("scope", scope);
    let root = Root::start(sim, Supervisor::builder(Strategy::OneForOne).child(spec));
    role(sim, "watcher", watch);
    for stays in [false, true] {
        role(sim, "member", move |ctx: Context<()>| async move {
            let groups = Groups::named("scope");
            let _ = groups.join(GROUP, ctx.pid()).await;
            let _ = groups.join_all("other", [ctx.pid(), ctx.pid()]).await;
            sleep(SECOND).await;
            if !stays {
                let _ = groups.leave(GROUP, ctx.pid()).await;
            }
            sleep(SECOND).await;
        });
    }
    role(sim, "third", |_: Context<()>| async {
        let groups = Groups::named("scope");
        sleep(SECOND / 2).await;
        for member in groups.members(GROUP) {
            let _ = groups.join("third", member).await;
        }
    });
    root.expect_whole_or_gone(sim, 2, &["scope"]);
    let groups = Groups::on(sim.node(), "scope");
    let left = groups.which_groups();
    assert!(left.is_empty(), "groups of the dead: {left:?}");
    root.stop(sim);
}

/// Follows one group until its scope ends, or everybody has had the time to
/// leave.
async fn watch(mut ctx: Context<Option<GroupChange>>) {
    let groups = Groups::named("scope");
    // Before the watch, or the end of its scope may go by unseen.
    let scope = monitor("scope");
    let watching = groups.monitor(GROUP, ctx.self_ref(), Some).await;
    let Ok((watch, mut members)) = watching else {
        return;
    };
    resurgam::send_after(10 * SECOND, ctx.pid(), None::<GroupChange>);
    loop {
        match ctx.receive().await {
            Message::User(Some(change)) => follow(&mut members, change),
            Message::User(None) => break,
            Message::Down(down) => {
                must(down.reference == scope, || format!("{down:?}"));
                must(is_a_blow(&down.reason), || format!("{down:?}"));
                // The restarted scope knows nothing of this watch.
                return;
            }
            Message::Exit(exit) => must(false, || format!("{exit:?}")),
        }
    }
    must(members.is_empty(), || {
        format!("they did not leave: {members:?}")
    });
    let _ = groups.demonitor(watch).await;
}

fn follow(members: &mut Vec<Pid>, change: GroupChange) {
    for pid in change.pids {
        match change.what {
            Membership::Joined => members.push(pid),
            Membership::Left => {
                let place = members.iter().position(|member| *member == pid);
                must(place.is_some(), || format!("{pid} left who is no member"));
                place.map(|place| members.remove(place));
            }
        }
    }
}
