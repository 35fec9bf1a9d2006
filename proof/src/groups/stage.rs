//! The scopes and the processes of a script.

use std::collections::BTreeMap;
use std::time::Duration;

use resurgam::{
    CallError, Context, ExitReason, GroupChange, GroupMonitor, GroupScope, Groups, LeaveError,
    Membership, Message, Name, Node, Pid, ProcessRef, ServerRef, exit, join, sleep, spawn,
};

use super::{Case, EVERYBODY, End, GROUPS, Group, SCOPES, Scope, Step, Watch, Who};

/// What a watch tells its watcher, and the watcher who takes the steps.
pub type Told = (usize, GroupChange);

/// What is seen of a script, in the words that Erlang has for it. For the
/// process that takes the steps, in a simulation.
///
/// # Panics
///
/// If something is there that no step put there.
pub async fn seen(mut ctx: Context<Told>, Case(steps): Case) -> String {
    let mut stage = Stage::new(&ctx.self_ref());
    let mut words = Vec::new();
    for step in steps {
        let ends = matches!(step, Step::End(..) | Step::EndAndLeave(..));
        let result = stage.take(step).await;
        sleep(REST).await;
        let mut told = Vec::new();
        while let Some(message) = ctx.try_receive() {
            let Message::User(message) = message else {
                panic!("{message:?}")
            };
            told.push(message);
        }
        told = merged(told);
        if ends {
            // Whether they were told of others who ended with them is open.
            told.retain(|(watch, _)| !stage.ended.contains(&stage.watches[watch].1));
        }
        words.push(format!(
            "{result}({}){}",
            stage.changes(&told),
            stage.looks()
        ));
    }
    words.join(" ")
}

/// In a simulation time passes when nothing else can happen.
const REST: Duration = Duration::from_secs(1);

/// Who ends leaves a group in one notice; in Erlang, in one notice for each
/// time that it was there (PG-03).
fn merged(told: Vec<Told>) -> Vec<Told> {
    let is_left = |(_, change): &Told| change.what == Membership::Left;
    let (left, mut all): (Vec<_>, Vec<_>) = told.into_iter().partition(is_left);
    for (watch, change) in left {
        let known = all
            .iter_mut()
            .find(|known| is_left(known) && known.0 == watch && known.1.group == change.group);
        match known {
            Some((_, known)) => known.pids.extend(change.pids),
            None => all.push((watch, change)),
        }
    }
    all
}

/// The processes, and what has begun.
struct Stage {
    everybody: BTreeMap<Who, ProcessRef<Order>>,
    names: BTreeMap<Pid, Who>,
    watches: BTreeMap<Watch, (GroupMonitor, Who)>,
    ended: Vec<Who>,
}

/// What a process of the script receives.
#[derive(Debug)]
enum Order {
    Tell(Told),
    End(End),
}

impl Stage {
    fn new(steps: &ProcessRef<Told>) -> Self {
        let born = |who| {
            let steps = steps.clone();
            let process = spawn(move |ctx| live(ctx, steps));
            (who, process.expect("nothing hinders it"))
        };
        let everybody = BTreeMap::from(EVERYBODY.map(born));
        let named = |(&who, process): (&Who, &ProcessRef<Order>)| Some((process.pid()?, who));
        Self {
            names: everybody.iter().filter_map(named).collect(),
            everybody,
            watches: BTreeMap::new(),
            ended: Vec::new(),
        }
    }

    async fn take(&mut self, step: Step) -> String {
        match step {
            Step::Start(scope) => {
                let started = Groups::builder(scope.to_string()).start().await;
                started.map_or("taken", |_| "ok").to_owned()
            }
            Step::Stop(scope, how) => stop(scope, how).await,
            Step::Join(scope, group, who) => {
                let (groups, group) = (groups(scope), group.to_string());
                let joined = match self.pids(&who)[..] {
                    [pid] => groups.join(group, pid).await,
                    ref pids => groups.join_all(group, pids.iter().copied()).await,
                };
                joined.map_or_else(noproc, |()| "ok".to_owned())
            }
            Step::Leave(scope, group, who) => self.leave(scope, group, &who).await,
            Step::Watch(watch, scope, group, who) => self.watch(watch, scope, group, who).await,
            Step::Unwatch(scope, watch) => match self.watches.get(&watch) {
                Some(&(monitor, _)) => {
                    let gone = groups(scope).demonitor(monitor).await;
                    gone.map_or_else(noproc, |was_there| was_there.to_string())
                }
                None => "none".to_owned(),
            },
            Step::End(who, how) => {
                who.into_iter().for_each(|who| self.end(who, how));
                String::new()
            }
            Step::EndAndLeave(who, scope, group) => {
                self.end(who, End::Kill);
                // Which comes first is open (PG-10).
                let _ = self.leave(scope, group, &[who]).await;
                String::new()
            }
        }
    }

    async fn leave(&self, scope: Scope, group: Group, who: &[Who]) -> String {
        let (groups, group) = (groups(scope), group.to_string());
        let left = match self.pids(who)[..] {
            [pid] => groups.leave(group, pid).await,
            ref pids => groups.leave_all(group, pids.iter().copied()).await,
        };
        match left {
            Ok(()) => "ok".to_owned(),
            Err(LeaveError::NotJoined(_)) => "not_joined".to_owned(),
            Err(LeaveError::NoAnswer(error)) => noproc(error),
            Err(error) => panic!("{error}"),
        }
    }

    async fn watch(
        &mut self,
        watch: Watch,
        scope: Scope,
        group: Option<Group>,
        who: Who,
    ) -> String {
        let (groups, watcher) = (groups(scope), self.everybody[&who].clone());
        let tell = move |change| Order::Tell((watch, change));
        let begun = match group {
            Some(group) => {
                let begun = groups.monitor(group.to_string(), watcher, tell).await;
                begun.map(|(monitor, members)| (monitor, self.whos(&members)))
            }
            None => {
                let begun = groups.monitor_scope(watcher, tell).await;
                begun.map(|(monitor, all)| (monitor, self.groups_with(all)))
            }
        };
        match begun {
            Ok((monitor, members)) => {
                self.watches.insert(watch, (monitor, who));
                format!("<{members}>")
            }
            Err(error) => noproc(error),
        }
    }

    fn groups_with(&self, groups: Vec<(Name, Vec<Pid>)>) -> String {
        let word = |(group, pids): (Name, Vec<Pid>)| format!("{group}:{}", self.whos(&pids));
        let mut words: Vec<_> = groups.into_iter().map(word).collect();
        words.sort_unstable();
        words.join(",")
    }

    fn end(&mut self, who: Who, how: End) {
        self.ended.push(who);
        let process = &self.everybody[&who];
        match (how, process.pid()) {
            (End::Normal | End::Crash, _) => process.cast(Order::End(how)),
            (End::Shutdown, Some(pid)) => exit(pid, ExitReason::Shutdown),
            (End::Kill, Some(pid)) => exit(pid, ExitReason::Kill),
            (End::Shutdown | End::Kill, None) => unreachable!("it was spawned"),
        }
    }

    fn pids(&self, who: &[Who]) -> Vec<Pid> {
        let pids = who.iter().map(|who| self.everybody[who].pid());
        pids.flatten().collect()
    }

    /// What processes are called, in one order.
    fn whos(&self, pids: &[Pid]) -> String {
        let mut whos: Vec<_> = pids.iter().map(|pid| self.names[pid]).collect();
        whos.sort_unstable();
        whos.into_iter().collect()
    }

    fn changes(&self, told: &[Told]) -> String {
        let word = |(watch, change): &Told| {
            let way = match change.what {
                Membership::Joined => '+',
                Membership::Left => '-',
            };
            format!("{watch}{way}{}:{}", change.group, self.whos(&change.pids))
        };
        let mut words: Vec<_> = told.iter().map(word).collect();
        words.sort_unstable();
        words.join(",")
    }

    /// The groups that there are in each scope, and the members of all that
    /// could be there.
    fn looks(&self) -> String {
        let look = |scope| {
            let groups = groups(scope);
            let mut there: Vec<_> = groups.which_groups();
            there.sort_unstable();
            let there: String = there.iter().map(Name::as_str).collect();
            let members = GROUPS.map(|group| self.whos(&groups.members(group.to_string())));
            format!("{scope}{there}={}", members.join("/"))
        };
        SCOPES.map(look).join(";")
    }
}

async fn stop(scope: Scope, how: End) -> String {
    let server: ServerRef<GroupScope> = Node::current().named(scope.to_string());
    let Some(pid) = server.pid() else {
        return "noproc".to_owned();
    };
    match how {
        End::Kill => {
            exit(pid, ExitReason::Kill);
            join(pid).await;
        }
        _ => server.stop(ExitReason::Normal).await.expect("it runs"),
    }
    "ok".to_owned()
}

fn groups(scope: Scope) -> Groups {
    Groups::named(scope.to_string())
}

fn noproc(error: CallError) -> String {
    assert!(
        matches!(error, CallError::Down(ExitReason::NoProcess)),
        "{error}"
    );
    "noproc".to_owned()
}

/// A process of the script.
async fn live(mut ctx: Context<Order>, steps: ProcessRef<Told>) {
    loop {
        match ctx.receive().await {
            Message::User(Order::Tell(told)) => steps.cast(told),
            Message::User(Order::End(End::Normal)) => return,
            // A panic that prints nothing.
            Message::User(Order::End(_)) => {
                std::panic::resume_unwind(Box::new("as the script says"))
            }
            other => panic!("{other:?}"),
        }
    }
}
