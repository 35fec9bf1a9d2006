//! The environment of applications: what they can be configured by.

use std::any::{Any, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use resurgam_runtime::{Name, StartError};

/// Why a setting could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvError {
    /// It has no value.
    #[error("{key:?} of application {application:?} is not set")]
    NotSet {
        /// Whose it is.
        application: Name,
        /// What it is called.
        key: Name,
    },
    /// Its value is of another type.
    #[error("{key:?} of application {application:?} is a `{found}`; expected a `{expected}`")]
    WrongType {
        /// Whose it is.
        application: Name,
        /// What it is called.
        key: Name,
        /// What was asked for.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
}

/// So that `?` works in the start function of an application.
impl From<EnvError> for StartError {
    fn from(error: EnvError) -> Self {
        Self::Failed(error.into())
    }
}

/// What can be a setting: any value that can be compared, for a change of it to
/// be seen.
pub trait EnvValue: Any + Send + Sync {
    /// Whether the other value is the same.
    fn equals(&self, other: &dyn Any) -> bool;
    /// The name of the type.
    fn type_name(&self) -> &'static str;
}

impl<T: Any + PartialEq + Send + Sync> EnvValue for T {
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }

    fn type_name(&self) -> &'static str {
        type_name::<T>()
    }
}

type Value = Arc<dyn EnvValue>;
type Settings = BTreeMap<Name, Value>;

/// Settings that take the place of the applications' own: what a configuration
/// file is for.
///
/// # Examples
///
/// ```
/// use resurgam_supervisor::Config;
///
/// let config = Config::new().set("shop", "port", 8080_u16).set("shop", "motto", "buy");
/// # drop(config);
/// ```
#[derive(Clone, Default)]
pub struct Config(BTreeMap<Name, Settings>);

impl Config {
    /// No settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets this, of this application.
    #[must_use]
    pub fn set(
        mut self,
        application: impl Into<Name>,
        key: impl Into<Name>,
        value: impl EnvValue,
    ) -> Self {
        let settings = self.0.entry(application.into()).or_default();
        settings.insert(key.into(), Arc::new(value));
        self
    }
}

/// The own settings of an application.
#[derive(Clone, Default)]
pub(crate) struct Defaults(Settings);

impl Defaults {
    pub(crate) fn set(&mut self, key: Name, value: impl EnvValue) {
        self.0.insert(key, Arc::new(value));
    }
}

/// What a change of the configuration changed for one application: the names
/// of the settings. Their values are in the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigChange {
    /// Those that have another value.
    pub changed: Vec<Name>,
    /// Those that had none.
    pub new: Vec<Name>,
    /// Those that have none any more.
    pub removed: Vec<Name>,
}

impl ConfigChange {
    fn between(before: &Settings, after: &Settings) -> Self {
        let mut change = Self::default();
        for (key, value) in after {
            match before.get(key) {
                None => change.new.push(key.clone()),
                Some(old) if !value.equals(&**old as &dyn Any) => change.changed.push(key.clone()),
                Some(_) => {}
            }
        }
        let is_gone = |key: &&Name| !after.contains_key(*key);
        change.removed = before.keys().filter(is_gone).cloned().collect();
        change
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The settings of all applications of a node. Cheap to clone. To read asks
/// nobody.
///
/// A setting comes from the application itself, from the [`Config`], or from
/// [`set`](Self::set), whichever was last; what was set
/// [for good](Self::set_persistent) takes the place of all of them when the
/// application is loaded or the configuration changed.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use resurgam_runtime::Node;
/// use resurgam_supervisor::{Application, Applications, Config, EnvError};
///
/// let node = Node::new()?;
/// # node.block_on(async {
/// let config = Config::new().set("shop", "port", 9000_u16);
/// let apps = Applications::builder().config(config).start_on(&node).await?;
/// let shop = Application::new("shop").env("port", 80_u16).env("motto", "buy");
/// apps.load(shop).await?;
///
/// let env = apps.env();
/// assert_eq!(env.get("shop", "port"), Ok(9000_u16));
/// assert_eq!(env.get("shop", "motto"), Ok("buy"));
/// let error = env.get::<u64>("shop", "port").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#""port" of application "shop" is a `u16`; expected a `u64`"#,
/// );
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Environment(Arc<Mutex<Tables>>);

#[derive(Default)]
struct Tables {
    settings: BTreeMap<Name, Settings>,
    /// The own settings of those that are loaded.
    defaults: BTreeMap<Name, Settings>,
    config: Config,
    /// What was set for good, whether its application is loaded or not.
    lasting: BTreeMap<Name, Settings>,
}

impl Environment {
    pub(crate) fn new(config: Config) -> Self {
        let tables = Tables {
            config,
            ..Tables::default()
        };
        Self(Arc::new(Mutex::new(tables)))
    }

    /// A setting of an application.
    ///
    /// # Errors
    ///
    /// It has no value, or one of another type.
    pub fn get<T: Any + Clone>(
        &self,
        application: impl AsRef<str>,
        key: impl AsRef<str>,
    ) -> Result<T, EnvError> {
        let (application, key) = (application.as_ref(), key.as_ref());
        let Some(value) = self.value(application, key) else {
            return Err(EnvError::NotSet {
                application: application.into(),
                key: key.into(),
            });
        };
        // Cloned here, where there is no lock.
        match (&*value as &dyn Any).downcast_ref::<T>() {
            Some(value) => Ok(value.clone()),
            None => Err(EnvError::WrongType {
                application: application.into(),
                key: key.into(),
                expected: type_name::<T>(),
                found: EnvValue::type_name(&*value),
            }),
        }
    }

    /// The names of an application's settings.
    pub fn keys(&self, application: impl AsRef<str>) -> Vec<Name> {
        let tables = self.tables();
        let settings = tables.settings.get(application.as_ref());
        settings.map_or_else(Vec::new, |settings| settings.keys().cloned().collect())
    }

    /// Sets this, until the application is loaded again or configured anew.
    pub fn set(&self, application: impl Into<Name>, key: impl Into<Name>, value: impl EnvValue) {
        let (application, value): (Name, Value) = (application.into(), Arc::new(value));
        let mut tables = self.tables();
        let settings = tables.settings.entry(application).or_default();
        let before = settings.insert(key.into(), value);
        // The value is the user's.
        drop(tables);
        drop(before);
    }

    /// Sets this for good: neither the application's own settings nor the
    /// [`Config`] replace it, also if it is unloaded and loaded again.
    pub fn set_persistent(
        &self,
        application: impl Into<Name>,
        key: impl Into<Name>,
        value: impl EnvValue,
    ) {
        let (application, key): (Name, Name) = (application.into(), key.into());
        let value: Value = Arc::new(value);
        let mut tables = self.tables();
        let lasting = tables.lasting.entry(application.clone()).or_default();
        let lasted = lasting.insert(key.clone(), Arc::clone(&value));
        let settings = tables.settings.entry(application).or_default();
        let before = settings.insert(key, value);
        drop(tables);
        drop((lasted, before));
    }

    /// Takes a setting away, also one that was set for good; whether it was
    /// there.
    pub fn unset(&self, application: impl AsRef<str>, key: impl AsRef<str>) -> bool {
        let (application, key) = (application.as_ref(), key.as_ref());
        let mut tables = self.tables();
        let lasting = tables.lasting.get_mut(application);
        let lasted = lasting.and_then(|lasting| lasting.remove(key));
        let settings = tables.settings.get_mut(application);
        let before = settings.and_then(|settings| settings.remove(key));
        drop(tables);
        drop(lasted);
        before.is_some()
    }

    fn value(&self, application: &str, key: &str) -> Option<Value> {
        let tables = self.tables();
        tables.settings.get(application)?.get(key).cloned()
    }

    /// An application is loaded: its own settings, and what is configured in
    /// their place, take the place of what was set.
    pub(crate) fn load(&self, application: &Name, defaults: Defaults) {
        let mut tables = self.tables();
        tables.defaults.insert(application.clone(), defaults.0);
        let fresh = tables.configured(application);
        let settings = tables.settings.entry(application.clone()).or_default();
        let before: Vec<_> = fresh
            .into_iter()
            .filter_map(|(key, value)| settings.insert(key, value))
            .collect();
        drop(tables);
        drop(before);
    }

    /// An application is unloaded, and its settings with it. What was set for
    /// good is there again when it is loaded.
    pub(crate) fn unload(&self, application: &Name) {
        let mut tables = self.tables();
        let defaults = tables.defaults.remove(application);
        let settings = tables.settings.remove(application);
        drop(tables);
        drop((defaults, settings));
    }

    /// Configures all loaded applications anew; what that changed for each.
    pub(crate) fn configure(&self, config: Config) -> Vec<(Name, ConfigChange)> {
        let mut tables = self.tables();
        let old_config = std::mem::replace(&mut tables.config, config);
        let loaded: Vec<Name> = tables.defaults.keys().cloned().collect();
        let mut changes = Vec::new();
        for application in loaded {
            let after = tables.configured(&application);
            let before = tables.settings.insert(application.clone(), after.clone());
            changes.push((application, before.unwrap_or_default(), after));
        }
        drop(tables);
        drop(old_config);
        // Compared here, where there is no lock.
        let changes = changes.into_iter();
        changes
            .map(|(name, before, after)| (name, ConfigChange::between(&before, &after)))
            .collect()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// What an application has if nobody set anything.
    fn configured(&self, application: &Name) -> Settings {
        let mut settings = self.defaults.get(application).cloned().unwrap_or_default();
        for more in [&self.config.0, &self.lasting] {
            settings.extend(more.get(application).cloned().unwrap_or_default());
        }
        settings
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.iter().map(|(name, settings)| {
            let keys: Vec<_> = settings.keys().collect();
            (name, keys)
        });
        f.debug_map().entries(keys).finish()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}
