//! The registries and the processes of a script.

use std::collections::BTreeMap;
use std::time::Duration;

use resurgam::{
    Agent, AgentServer, CallError, ChildSpec, Context, DuplicateKeys, ExitReason, Message, Pid,
    ProcessRef, RegisterKeyError, Registry, RegistryChange, RegistryKeys, Reply, ServerRef,
    StartError, Strategy, Supervisor, SupervisorRef, exit, join, monitor, sleep, spawn, trap_exit,
};

use super::looks::{sorted, word};
use super::{Case, End, Key, Meta, PEOPLE, REGISTRIES, Step, Stop, TRAPPING, Which, Who};

/// What the process that takes the steps hears of the others.
#[derive(Debug)]
pub enum Told {
    /// From a registry: a process was put under a key with a value.
    Registered(Which, Key, Pid, u32),
    /// From a registry: a process is under a key no more.
    Unregistered(Which, Key, Pid),
    /// From a process.
    Noted(String),
}

/// What is seen of a script, in the words that Elixir has for it. For the
/// process that takes the steps, in a simulation.
///
/// # Panics
///
/// If something is there that no step put there.
pub async fn seen(mut ctx: Context<Told>, Case(steps): Case) -> String {
    let mut stage = Stage::new(&ctx.self_ref());
    for which in REGISTRIES {
        stage.start(which).await;
    }
    let mut words = Vec::new();
    for step in steps {
        let result = stage.take(step).await;
        sleep(REST).await;
        let told = stage.told(&mut ctx);
        words.push(format!("{result}({told}){}", stage.looks()));
    }
    words.join(" ")
}

/// In a simulation time passes when nothing else can happen.
const REST: Duration = Duration::from_secs(1);

/// Something for a process to do.
enum Order {
    Do(Box<dyn FnOnce() + Send>),
    Note(u32),
    End(End),
}

/// What a process does comes to this.
enum Done {
    Taken(Pid),
    Word(String),
}

pub(super) struct Stage {
    pub(super) unique: Registry<Key, u32>,
    pub(super) duplicate: Registry<Key, u32, DuplicateKeys>,
    running: BTreeMap<Which, SupervisorRef>,
    people: BTreeMap<Who, ProcessRef<Order>>,
    pub(super) pids: BTreeMap<Who, Pid>,
    pub(super) names: BTreeMap<Pid, Who>,
}

impl Stage {
    fn new(steps: &ProcessRef<Told>) -> Self {
        let mut stage = Self {
            unique: Registry::unique(),
            duplicate: Registry::duplicate(),
            running: BTreeMap::new(),
            people: BTreeMap::new(),
            pids: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        stage
            .unique
            .listen(steps.clone(), |change| told('u', change));
        stage
            .duplicate
            .listen(steps.clone(), |change| told('d', change));
        for who in PEOPLE {
            let steps = steps.clone();
            let process = spawn(move |ctx| live(ctx, who, steps)).expect("nothing hinders it");
            stage.enter(who, process.pid());
            stage.people.insert(who, process);
        }
        stage
    }

    fn enter(&mut self, who: Who, pid: Option<Pid>) {
        let pid = pid.expect("it was started");
        monitor(pid);
        self.pids.insert(who, pid);
        self.names.insert(pid, who);
    }

    async fn take(&mut self, step: Step) -> String {
        match step {
            Step::Start(which) => self.start(which).await.to_owned(),
            Step::Stop(which, how) => self.stop(which, how).await.to_owned(),
            Step::Register(who, which, key, value) => self.register(who, which, key, value).await,
            Step::Unregister(who, which, key) => match which {
                'u' => self.leave(&self.unique, 'u', who, key, 0).await,
                _ => self.leave(&self.duplicate, 'd', who, key, 0).await,
            },
            Step::UnregisterMatch(who, which, key, least) => match which {
                'u' => self.leave(&self.unique, 'u', who, key, least).await,
                _ => self.leave(&self.duplicate, 'd', who, key, least).await,
            },
            Step::Update(who, key) => {
                let registry = self.unique.clone();
                let update = move || match registry.update_value(key, |value| value + 10) {
                    Some((new, old)) => Done::Word(format!("{new}<{old}")),
                    None => Done::Word("error".to_owned()),
                };
                self.by(who, 'u', update).await
            }
            Step::PutMeta(which, meta, value) => self.put_meta(which, meta, value),
            Step::DeleteMeta(which, meta) => self.delete_meta(which, meta),
            Step::Meta(which, meta) => self.meta(which, meta),
            Step::Server(who, key, value) => self.server(who, key, value).await,
            Step::End(who, how) => self.end(who, how).await.to_owned(),
            Step::Take(from, who, key, value) => {
                self.end(from, End::Kill).await;
                self.register(who, 'u', key, value).await
            }
            reading => {
                let read = self.read(&reading).await;
                // In Elixir it is an error to read what does not run.
                let (which, nothing) = match reading {
                    Step::Values(which, ..) | Step::Match(which, ..) | Step::Dispatch(which, _) => {
                        (which, "")
                    }
                    _ => ('u', "noproc"),
                };
                if self.running.contains_key(&which) {
                    return read;
                }
                assert_eq!(read, nothing);
                "not_running".to_owned()
            }
        }
    }

    async fn read(&self, step: &Step) -> String {
        match *step {
            Step::Values('u', key, who) => values(&self.unique, key, self.pid(who)),
            Step::Values(_, key, who) => values(&self.duplicate, key, self.pid(who)),
            Step::Match('u', key, least) => self.matching(&self.unique, key, least),
            Step::Match(_, key, least) => self.matching(&self.duplicate, key, least),
            Step::Dispatch('u', key) => self.dispatch(&self.unique, key),
            Step::Dispatch(_, key) => self.dispatch(&self.duplicate, key),
            Step::Call(key) => self.call(key).await,
            Step::Send(key, number) => self.send(key, number),
            ref other => panic!("{other:?}"),
        }
    }

    // --- registries ---

    async fn start(&mut self, which: Which) -> &'static str {
        let (unique, duplicate) = (self.unique.clone(), self.duplicate.clone());
        let registry = ChildSpec::server_with("registry", move || match which {
            'u' => unique.builder(),
            _ => duplicate.builder(),
        });
        let supervisor = Supervisor::builder(Strategy::OneForOne).child(registry);
        match supervisor.start().await {
            Ok(supervisor) => {
                self.running.insert(which, supervisor);
                "ok"
            }
            Err(_) => {
                assert!(self.running.contains_key(&which), "only one of them runs");
                "taken"
            }
        }
    }

    async fn stop(&mut self, which: Which, how: Stop) -> &'static str {
        let Some(supervisor) = self.running.remove(&which) else {
            return "none";
        };
        match how {
            Stop::Shutdown => supervisor.stop().await.expect("it runs"),
            Stop::Kill => kill(supervisor.pid()).await,
            Stop::Crash => {
                let registry = supervisor.which_child("registry").await.expect("it runs");
                kill(registry.pid()).await;
                self.running.insert(which, supervisor);
            }
        }
        "ok"
    }

    // --- what processes do ---

    async fn register(&self, who: Who, which: Which, key: Key, value: u32) -> String {
        let (unique, duplicate) = (self.unique.clone(), self.duplicate.clone());
        let register = move || {
            let registered = match which {
                'u' => unique.register(key, value),
                _ => duplicate.register(key, value),
            };
            match registered {
                Ok(()) => Done::Word("ok".to_owned()),
                Err(RegisterKeyError::AlreadyRegistered(holder)) => Done::Taken(holder),
                Err(RegisterKeyError::NotRunning) => Done::Word("not_running".to_owned()),
                Err(error) => panic!("{error}"),
            }
        };
        self.by(who, which, register).await
    }

    async fn leave<D: RegistryKeys>(
        &self,
        registry: &Registry<Key, u32, D>,
        which: Which,
        who: Who,
        key: Key,
        least: u32,
    ) -> String {
        let registry = registry.clone();
        let leave = move || {
            let gone = match least {
                0 => registry.unregister(key),
                _ => registry.unregister_match(key, |value| *value >= least),
            };
            Done::Word(gone.to_string())
        };
        self.by(who, which, leave).await
    }

    /// What a process does, with a registry that runs.
    async fn by(
        &self,
        who: Who,
        which: Which,
        act: impl FnOnce() -> Done + Send + 'static,
    ) -> String {
        let request = |reply: Reply<Done>| Order::Do(Box::new(move || reply.send(act())));
        match self.people[&who].call(request).await {
            Ok(_) if !self.running.contains_key(&which) => "not_running".to_owned(),
            Ok(Done::Word(word)) => word,
            Ok(Done::Taken(holder)) => format!("taken by {}", self.names[&holder]),
            Err(CallError::Down(ExitReason::NoProcess)) => "dead".to_owned(),
            Err(error) => panic!("{error}"),
        }
    }

    async fn server(&mut self, who: Who, key: Key, value: u32) -> String {
        let agent = Agent::builder(move || value).via(&self.unique, key, value);
        match agent.start().await {
            Ok(agent) => {
                self.enter(who, agent.pid());
                "ok".to_owned()
            }
            Err(StartError::AlreadyStarted(holder)) => format!("taken by {}", self.names[&holder]),
            Err(error) => {
                assert!(!self.running.contains_key(&'u'), "{error}");
                "not_running".to_owned()
            }
        }
    }

    async fn end(&self, who: Who, how: End) -> &'static str {
        let Some(pid) = self.pid(who) else {
            return "dead";
        };
        let ended = join(pid);
        match (how, self.people.get(&who)) {
            (End::Kill, _) | (_, None) => exit(pid, ExitReason::Kill),
            (how, Some(process)) => process.cast(Order::End(how)),
        }
        match ended.await {
            ExitReason::NoProcess => "dead",
            _ => "ok",
        }
    }

    // --- what is read ---

    fn matching<D: RegistryKeys>(
        &self,
        registry: &Registry<Key, u32, D>,
        key: Key,
        least: u32,
    ) -> String {
        self.pairs(registry.select(|other, pid, value| {
            (*other == key && *value >= least).then_some((pid, *value))
        }))
    }

    fn dispatch<D: RegistryKeys>(&self, registry: &Registry<Key, u32, D>, key: Key) -> String {
        let mut word = String::new();
        registry.dispatch(key, |all| {
            assert!(!all.is_empty(), "it is not called for none");
            word = self.pairs(all.iter().map(|(pid, value)| (*pid, **value)));
        });
        word
    }

    async fn call(&self, key: Key) -> String {
        let via: ServerRef<AgentServer<u32>> = self.unique.via(key);
        let holder = self.unique.whereis(key).map(|pid| self.names[&pid]);
        match holder {
            Some(who) if PEOPLE.contains(&who) => who.to_string(),
            Some(_) => {
                let value = Agent::from(via).get(|value| *value).await;
                value.expect("it runs").to_string()
            }
            None => {
                let error = Agent::from(via).get(|value| *value).await;
                let error = error.expect_err("nobody is there");
                assert!(
                    matches!(error, CallError::Down(ExitReason::NoProcess)),
                    "{error}"
                );
                "noproc".to_owned()
            }
        }
    }

    fn send(&self, key: Key, number: u32) -> String {
        let holder = self.unique.whereis(key).map(|pid| self.names[&pid]);
        match (holder, self.unique.send(key, Order::Note(number))) {
            (Some(who), sent) => {
                // A server takes messages of another type.
                assert_eq!(sent.is_ok(), PEOPLE.contains(&who), "{who}");
                who.to_string()
            }
            (None, sent) => {
                assert!(sent.is_err(), "nobody is there");
                "noproc".to_owned()
            }
        }
    }

    fn put_meta(&self, which: Which, meta: Meta, value: u32) -> String {
        match which {
            'u' => self.unique.put_meta(meta, value),
            _ => self.duplicate.put_meta(meta, value),
        }
        "ok".to_owned()
    }

    fn delete_meta(&self, which: Which, meta: Meta) -> String {
        let before = self.meta(which, meta);
        let meta = meta.to_string();
        let was_there = match which {
            'u' => self.unique.delete_meta(meta),
            _ => self.duplicate.delete_meta(meta),
        };
        assert_eq!(was_there, before != "none");
        "ok".to_owned()
    }

    fn meta(&self, which: Which, meta: Meta) -> String {
        let meta = meta.to_string();
        let value: Option<u32> = match which {
            'u' => self.unique.meta(meta),
            _ => self.duplicate.meta(meta),
        };
        value.map_or("none".to_owned(), |value| value.to_string())
    }

    fn pid(&self, who: Who) -> Option<Pid> {
        self.pids.get(&who).copied()
    }
}

fn values<D: RegistryKeys>(registry: &Registry<Key, u32, D>, key: Key, pid: Option<Pid>) -> String {
    let values = pid.map(|pid| registry.values(key, pid));
    sorted(values.into_iter().flatten())
}

fn told(which: Which, change: RegistryChange<'_, Key, u32>) -> Told {
    match change {
        RegistryChange::Registered { key, pid, value } => Told::Registered(which, key, pid, *value),
        RegistryChange::Unregistered { key, pid } => Told::Unregistered(which, key, pid),
        other => panic!("{other:?}"),
    }
}

async fn kill(pid: Option<Pid>) {
    let pid = pid.expect("it runs");
    let ended = join(pid);
    exit(pid, ExitReason::Kill);
    ended.await;
}

/// A process of the script.
async fn live(mut ctx: Context<Order>, who: Who, steps: ProcessRef<Told>) {
    trap_exit(TRAPPING.contains(&who));
    loop {
        match ctx.receive().await {
            Message::User(Order::Do(act)) => act(),
            Message::User(Order::Note(number)) => {
                steps.cast(Told::Noted(format!("{who}<{number}")))
            }
            Message::User(Order::End(End::Return)) => return,
            // A panic that prints nothing.
            Message::User(Order::End(_)) => {
                std::panic::resume_unwind(Box::new("as the script says"))
            }
            Message::Exit(exit) => {
                steps.cast(Told::Noted(format!("{who}?{}", word(&exit.reason))));
            }
            Message::Down(down) => panic!("{down:?}"),
        }
    }
}
