//! An agenda agrees with a plain list of what is to come, whatever happens.

use std::collections::BTreeMap;

use super::*;

type Name = TimeoutType<u8>;
type Orders = Vec<(Name, Order<u32>)>;

const NAMES: [Name; 4] = [
    TimeoutType::Event,
    TimeoutType::State,
    TimeoutType::Generic(0),
    TimeoutType::Generic(1),
];

/// Timers as whoever owns the agenda has them: those that run, by when they are
/// due, and the numbers of those that have fired.
#[derive(Default)]
struct Clockwork {
    now: u64,
    armed: BTreeMap<(u64, u64), ()>,
    fired: VecDeque<u64>,
}

impl Timers for Clockwork {
    type Timer = (u64, u64);

    fn arm(&mut self, number: u64, due: Due) -> (u64, u64) {
        let Due::After(time) = due else {
            panic!("no such order was given");
        };
        assert_ne!(time, Duration::ZERO);
        let key = (self.now + time.as_secs(), number);
        assert_eq!(self.armed.insert(key, ()), None);
        key
    }

    fn cancel(&mut self, timer: (u64, u64)) {
        let was_armed = self.armed.remove(&timer).is_some();
        assert!(was_armed || self.fired.contains(&timer.1));
    }
}

impl Clockwork {
    fn pass(&mut self, time: u64) {
        self.now += time;
        while let Some(first) = self.armed.first_entry()
            && first.key().0 <= self.now
        {
            self.fired.push_back(first.remove_entry().0.1);
        }
    }
}

/// What is to be: all that a machine has to do in one list, in its order, and
/// the timeouts that run.
#[derive(Default)]
struct Model {
    to_do: Vec<Item>,
    postponed: Vec<u32>,
    running: Vec<Timer>,
    started: u64,
    now: u64,
}

enum Item {
    Event(u32),
    Timeout(Name, u32),
}

struct Timer {
    name: Name,
    content: u32,
    due: u64,
    start: u64,
    /// Whether its notice is in the mailbox.
    has_fired: bool,
}

impl Model {
    fn next(&mut self) -> Option<Next<u32, u8, u32>> {
        let first = (!self.to_do.is_empty()).then(|| self.to_do.remove(0))?;
        Some(match first {
            Item::Event(event) => Next::Event(event),
            Item::Timeout(name, content) => Next::Timeout(name, content),
        })
    }

    fn cancel(&mut self, name: Name) {
        self.running.retain(|timer| timer.name != name);
        self.to_do
            .retain(|item| !matches!(item, Item::Timeout(other, _) if *other == name));
    }

    fn transition(&mut self, change: Change, postponed: &[u32], inserted: &[u32]) {
        self.postponed.extend(postponed);
        let mut first: Vec<_> = inserted.iter().copied().map(Item::Event).collect();
        if change == Change::Changed {
            self.cancel(TimeoutType::State);
            first.extend(self.postponed.drain(..).map(Item::Event));
        }
        self.to_do.splice(..0, first);
    }

    fn set(&mut self, orders: &[(Name, Order<u32>)]) {
        for (at, (name, order)) in orders.iter().enumerate() {
            if orders[at + 1..].iter().any(|(later, _)| later == name) {
                continue;
            }
            match *order {
                Order::Cancel => self.cancel(*name),
                Order::Start(due, content) => self.start(*name, due, content),
                Order::Update(content) => self.update(*name, content),
            }
        }
    }

    fn start(&mut self, name: Name, due: Due, content: u32) {
        self.cancel(name);
        self.started += 1;
        match due {
            Due::AT_ONCE => self.to_do.push(Item::Timeout(name, content)),
            Due::After(time) => self.running.push(Timer {
                name,
                content,
                due: self.now + time.as_secs(),
                start: self.started,
                has_fired: false,
            }),
            Due::At(_) => panic!("no such order was given"),
        }
    }

    fn update(&mut self, name: Name, new: u32) {
        let mut waiting = self.to_do.iter_mut().filter_map(|item| match item {
            Item::Timeout(other, content) if *other == name => Some(content),
            Item::Timeout(..) | Item::Event(_) => None,
        });
        let mut running = self.running.iter_mut().filter(|timer| timer.name == name);
        let running = running.next().map(|timer| &mut timer.content);
        match waiting.next().or(running) {
            Some(content) => *content = new,
            None => self.start(name, Due::AT_ONCE, new),
        }
    }

    /// What fires by now, in its order.
    fn pass(&mut self, time: u64) -> Vec<u64> {
        self.now += time;
        let now = self.now;
        let due = |timer: &&mut Timer| timer.due <= now && !timer.has_fired;
        let mut due: Vec<_> = self.running.iter_mut().filter(due).collect();
        due.sort_by_key(|timer| (timer.due, timer.start));
        due.iter_mut().for_each(|timer| timer.has_fired = true);
        due.iter().map(|timer| timer.start).collect()
    }

    fn due(&mut self, start: u64) -> Option<(Name, u32)> {
        let at = self.running.iter().position(|timer| timer.start == start)?;
        let timer = self.running.remove(at);
        Some((timer.name, timer.content))
    }
}

/// An agenda beside what it is to be.
struct Pair {
    agenda: Agenda<u32, u8, u32, (u64, u64)>,
    clockwork: Clockwork,
    model: Model,
    /// The starts that have fired, by the model.
    fired: VecDeque<u64>,
    events: u32,
    random: u64,
}

impl Pair {
    fn new(seed: u64) -> Self {
        Self {
            agenda: Agenda::new(),
            clockwork: Clockwork::default(),
            model: Model::default(),
            fired: VecDeque::new(),
            events: 0,
            random: seed,
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    fn fresh(&mut self) -> u32 {
        self.events += 1;
        self.events
    }

    fn orders(&mut self) -> Orders {
        let count = self.random(4);
        let order = |pair: &mut Self| {
            let name = NAMES[pair.random(4) as usize];
            let content = pair.fresh();
            let order = match pair.random(6) {
                0 => Order::Cancel,
                1 => Order::Update(content),
                _ => Order::Start(Due::After(Duration::from_secs(pair.random(4))), content),
            };
            (name, order)
        };
        (0..count).map(|_| order(self)).collect()
    }

    /// Handles what is next, or what comes by the mailbox.
    fn step(&mut self) {
        let next = self.agenda.next();
        assert_eq!(next, self.model.next());
        let event = match next {
            Some(Next::Event(event)) => event,
            Some(Next::Timeout(_, content)) => content,
            None => match self.mail() {
                Some(event) => event,
                None => return,
            },
        };
        self.agenda.begin(&mut self.clockwork);
        self.model.cancel(TimeoutType::Event);
        self.pass();
        self.transition(event);
        self.pass();
    }

    /// A timeout that has fired, or a message.
    fn mail(&mut self) -> Option<u32> {
        let Some(number) = self.clockwork.fired.pop_front() else {
            assert_eq!(self.fired.pop_front(), None);
            return Some(self.fresh());
        };
        let start = self.fired.pop_front();
        let due = self.agenda.due(number);
        assert_eq!(due, start.and_then(|start| self.model.due(start)));
        due.map(|(_, content)| content)
    }

    fn pass(&mut self) {
        let time = self.random(3);
        self.clockwork.pass(time);
        self.fired.extend(self.model.pass(time));
        assert_eq!(self.clockwork.fired.len(), self.fired.len());
    }

    fn transition(&mut self, event: u32) {
        let change = match self.random(4) {
            0 => Change::Changed,
            _ => Change::Same,
        };
        let postponed = match self.random(3) {
            0 => vec![event],
            _ => Vec::new(),
        };
        // Less than one on average, so that the queue is empty again and again.
        let inserted = match self.random(4) {
            0 => vec![self.fresh()],
            1 => vec![self.fresh(), self.fresh()],
            _ => Vec::new(),
        };
        self.model.transition(change, &postponed, &inserted);
        self.agenda
            .transition(change, postponed, inserted, &mut self.clockwork);
        let orders = self.orders();
        self.model.set(&orders);
        self.agenda.set(orders, &mut self.clockwork);
        assert_eq!(self.clockwork.armed.len(), self.armed());
    }

    fn armed(&self) -> usize {
        let running = self.model.running.iter();
        running.filter(|timer| !timer.has_fired).count()
    }
}

#[test]
fn an_agenda_agrees_with_a_plain_list() {
    for seed in 0..3_000 {
        let mut pair = Pair::new(seed);
        for _ in 0..100 {
            pair.step();
        }
    }
}
