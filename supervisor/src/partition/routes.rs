//! From keys to partitions: what can be read without asking anybody.

use std::hash::{BuildHasher, Hash};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use foldhash::quality::FixedState;
use resurgam_runtime::{Pid, ServerRef};

use super::FindPartitionError;
use super::shell::Shell;
use crate::process_handle::ProcessHandle;

/// The routes of one partition supervisor, through all its restarts.
pub(crate) struct Routes<H: ProcessHandle> {
    /// Made at the first start and kept, so that a key keeps its partition.
    table: OnceLock<Table<H>>,
    /// How many partitions keys are spread over, plus one; 0 while there is no
    /// supervisor. Written by the tenant alone.
    open: AtomicUsize,
    tenancy: Mutex<Tenancy<H>>,
}

struct Table<H> {
    hasher: FixedState,
    routes: Box<[RwLock<Route<H>>]>,
}

/// The way to one partition.
struct Route<H> {
    /// Whose partition it is: only that tenant's starts count.
    tenancy: u64,
    /// `None` before the partition has started, and when it was stopped.
    handle: Option<Arc<H>>,
}

/// Which supervisor the routes belong to now.
struct Tenancy<H: ProcessHandle> {
    number: u64,
    tenant: Option<ServerRef<Shell<H>>>,
}

/// The supervisor that the routes belong to. Dropped with its process, however
/// that ends, it leaves the routes to the next one.
pub(crate) struct Tenant<H: ProcessHandle> {
    routes: Arc<Routes<H>>,
    number: u64,
}

impl<H: ProcessHandle> Routes<H> {
    pub(crate) fn new() -> Self {
        Self {
            table: OnceLock::new(),
            open: AtomicUsize::new(0),
            tenancy: Mutex::new(Tenancy {
                number: 0,
                tenant: None,
            }),
        }
    }

    /// The supervisor, if it is there.
    pub(crate) fn supervisor(&self) -> Option<ServerRef<Shell<H>>> {
        self.tenancy().tenant.clone()
    }

    /// How many partitions keys are spread over; `None` without a supervisor.
    pub(crate) fn open(&self) -> Option<usize> {
        // Acquire: the routes are there once they are open.
        self.open.load(Ordering::Acquire).checked_sub(1)
    }

    pub(crate) fn of_key<K: Hash + ?Sized>(&self, key: &K) -> Result<H, FindPartitionError> {
        let (table, open) = self.opened()?;
        let number = table.hasher.hash_one(key) % open.get() as u64;
        table.handle(number as usize)
    }

    pub(crate) fn nth(&self, number: usize) -> Result<H, FindPartitionError> {
        let (table, open) = self.opened()?;
        table.handle(number % open)
    }

    /// Those that have started, by their numbers.
    pub(crate) fn all(&self) -> Vec<H> {
        let Ok((table, open)) = self.opened() else {
            return Vec::new();
        };
        let numbers = 0..open.get();
        numbers
            .filter_map(|number| table.handle(number).ok())
            .collect()
    }

    fn opened(&self) -> Result<(&Table<H>, NonZero<usize>), FindPartitionError> {
        let open = self.open().ok_or(FindPartitionError::NotStarted)?;
        let table = self.table.get().ok_or(FindPartitionError::NotStarted)?;
        let open = NonZero::new(open).ok_or(FindPartitionError::NoPartitions)?;
        Ok((table, open))
    }

    /// Makes a supervisor the tenant, or says who is. `count` and `seed` are
    /// for the first one.
    pub(crate) fn rent(
        self: &Arc<Self>,
        supervisor: ServerRef<Shell<H>>,
        count: usize,
        seed: u64,
    ) -> Result<Tenant<H>, Pid> {
        let mut tenancy = self.tenancy();
        if let Some(pid) = tenancy.tenant.as_ref().and_then(ServerRef::<Shell<H>>::pid) {
            return Err(pid);
        }
        tenancy.number += 1;
        tenancy.tenant = Some(supervisor);
        let number = tenancy.number;
        drop(tenancy);
        self.table.get_or_init(|| Table::new(count, seed));
        let routes = Arc::clone(self);
        let tenant = Tenant { routes, number };
        tenant.forget_all();
        Ok(tenant)
    }

    fn tenancy(&self) -> MutexGuard<'_, Tenancy<H>> {
        self.tenancy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H> Table<H> {
    fn new(count: usize, seed: u64) -> Self {
        let route = |_| {
            RwLock::new(Route {
                tenancy: 0,
                handle: None,
            })
        };
        Self {
            hasher: FixedState::with_seed(seed),
            routes: (0..count).map(route).collect(),
        }
    }
}

impl<H: ProcessHandle> Table<H> {
    fn handle(&self, number: usize) -> Result<H, FindPartitionError> {
        let route = self.routes[number].read();
        let handle = route.unwrap_or_else(PoisonError::into_inner).handle.clone();
        // Cloned only when the lock is gone, as the handle is the user's.
        handle
            .map(|handle| H::clone(&handle))
            .ok_or(FindPartitionError::NotRunning(number))
    }
}

impl<H: ProcessHandle> Tenant<H> {
    /// How many partitions there are at most.
    pub(crate) fn most(&self) -> usize {
        self.table().routes.len()
    }

    /// Spreads keys over so many partitions from now on.
    pub(crate) fn open(&self, count: usize) {
        self.routes.open.store(count + 1, Ordering::Release);
    }

    /// Tells nobody the way any more.
    pub(crate) fn close(&self) {
        self.routes.open.store(0, Ordering::Release);
    }

    /// What the start function of a partition does with what it started.
    pub(crate) fn guide(&self) -> Guide<H> {
        Guide {
            routes: Arc::clone(&self.routes),
            tenancy: self.number,
        }
    }

    /// The way to this partition is no more.
    pub(crate) fn forget(&self, number: usize) {
        self.guide().put(number, None);
    }

    fn forget_all(&self) {
        (0..self.most()).for_each(|number| self.forget(number));
    }

    fn table(&self) -> &Table<H> {
        let table = self.routes.table.get();
        table.expect("it is made when the routes are rented")
    }
}

impl<H: ProcessHandle> Drop for Tenant<H> {
    fn drop(&mut self) {
        self.close();
        self.forget_all();
        let supervisor = self.routes.tenancy().tenant.take();
        drop(supervisor);
    }
}

/// Enters partitions into the routes, for one tenant.
pub(crate) struct Guide<H: ProcessHandle> {
    routes: Arc<Routes<H>>,
    tenancy: u64,
}

impl<H: ProcessHandle> Clone for Guide<H> {
    fn clone(&self) -> Self {
        Self {
            routes: Arc::clone(&self.routes),
            tenancy: self.tenancy,
        }
    }
}

impl<H: ProcessHandle> Guide<H> {
    /// A partition has started.
    pub(crate) fn lead_to(&self, number: usize, handle: H) {
        self.put(number, Some(Arc::new(handle)));
    }

    /// A supervisor that was killed may be survived by its partitions for a
    /// moment; what starts there then is no way for those who ask the next one.
    fn put(&self, number: usize, handle: Option<Arc<H>>) {
        let Some(table) = self.routes.table.get() else {
            return;
        };
        let mut route = table.routes[number]
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if route.tenancy > self.tenancy {
            return;
        }
        route.tenancy = self.tenancy;
        let before = std::mem::replace(&mut route.handle, handle);
        drop(route);
        drop(before);
    }
}
