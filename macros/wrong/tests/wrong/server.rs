#![allow(unused)]

use resurgam_macros::server;

// They are known by their names.
struct ExitReason;
struct InitError;
struct Info;
struct Reply<T>(T);

struct State(u32);

#[server(name = "state")]
impl State {}

#[server]
impl State {}

#[server]
impl Clone for State {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

// Markers.
#[server]
impl State {
    #[handle_call]
    fn get(&self) -> u32 {
        self.0
    }

    #[call(soon)]
    fn soon(&self) -> u32 {
        self.0
    }

    #[cast(later)]
    fn later(&self) {}

    #[call]
    #[cast]
    fn both(&self) {}
}

// Init.
#[server]
impl State {
    #[init]
    fn new(start: u32) -> Self {
        Self(start)
    }

    #[init]
    fn again(start: u32) -> Result<Self, InitError> {
        Ok(Self(start))
    }

    #[init]
    fn of_itself(&self) -> Self {
        Self(self.0)
    }

    #[init]
    fn nothing(start: u32) {}

    #[init]
    fn start() -> Self {
        Self(0)
    }
}

#[server]
impl State {
    fn init(start: u32) -> Self {
        Self(start)
    }

    #[cast]
    fn add(&mut self) {}
}

// What travels, and who is asked.
#[server]
impl State {
    #[call]
    fn without_self(n: u32) -> u32 {
        n
    }

    #[call]
    fn by_value(self) -> u32 {
        self.0
    }

    #[cast]
    fn borrowed(&mut self, name: &str) {}

    #[cast]
    fn borrowed_within(&mut self, names: Vec<(u8, &str)>) {}

    #[call]
    fn borrowed_reply(&self) -> &u32 {
        &self.0
    }

    #[cast]
    fn unnamed(&mut self, value: impl Into<u32>) {}

    #[cast]
    fn generic<T: Into<u32>>(&mut self, value: T) {}

    #[cast]
    fn stop(&mut self) {}

    #[cast]
    fn answered(&mut self) -> u32 {
        self.0
    }

    #[call(later)]
    fn no_reply(&mut self, n: u32) {}

    #[call(later)]
    fn two_ways(&mut self, reply: Reply<u32>) -> u32 {
        self.0
    }
}

// The other callbacks.
#[server]
impl State {
    #[info]
    fn no_info(&mut self) {}

    #[info]
    fn something(&mut self, info: Info) {}

    #[terminate]
    fn bye(&mut self, reason: &ExitReason) -> Result<(), ExitReason> {
        Ok(())
    }

    #[format_status]
    fn status(&mut self) -> u32 {
        self.0
    }

    #[protocol]
    fn protocol(&mut self) {}
}

// Parameters.
struct Borrowing<'a>(&'a u32);

#[server]
impl<'a> Borrowing<'a> {
    #[call]
    fn get(&self) -> u32 {
        *self.0
    }
}

struct Keeping<T>(T);

#[server]
impl<T: Send + 'static> Keeping<T> {
    #[cast]
    fn drop_it(&mut self) {}
}

fn main() {}
