//! What a request asks for, by its path, its query and its method.

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::entry::{Date, EntryId, ListName, NameError};

/// What a request asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// `GET /lists/{name}/entries`, perhaps with `?date=`.
    Entries(ListName, Option<Date>),
    /// `POST /lists/{name}/entries`.
    Add(ListName),
    /// `PUT /lists/{name}/entries/{id}`.
    Put(ListName, EntryId),
    /// `DELETE /lists/{name}/entries/{id}`.
    Remove(ListName, EntryId),
}

/// Why a request asks for nothing that there is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// There is nothing at this path.
    #[error(
        "there is nothing here; expected /lists/{{name}}/entries or /lists/{{name}}/entries/{{id}}"
    )]
    NoSuchPath,
    /// There is something, and only these can be done with it.
    #[error("expected one of: {0}")]
    NoSuchMethod(&'static str),
    /// A word in it cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Route {
    /// Reads what is asked for.
    ///
    /// # Errors
    ///
    /// See [`RouteError`].
    pub fn of(method: &Method, path: &str, query: Option<&str>) -> Result<Self, RouteError> {
        let words: Vec<&str> = path.split('/').collect();
        match words[..] {
            ["", "lists", list, "entries"] => match *method {
                Method::GET => Ok(Self::Entries(word(list)?, date(query)?)),
                Method::POST => Ok(Self::Add(word(list)?)),
                _ => Err(RouteError::NoSuchMethod("GET, POST")),
            },
            ["", "lists", list, "entries", id] => match *method {
                Method::PUT => Ok(Self::Put(word(list)?, word(id)?)),
                Method::DELETE => Ok(Self::Remove(word(list)?, word(id)?)),
                _ => Err(RouteError::NoSuchMethod("PUT, DELETE")),
            },
            _ => Err(RouteError::NoSuchPath),
        }
    }
}

fn word<T: TryFrom<String, Error = NameError>>(word: &str) -> Result<T, NameError> {
    T::try_from(percent_decode_str(word).decode_utf8_lossy().into_owned())
}

fn date(query: Option<&str>) -> Result<Option<Date>, NameError> {
    form_urlencoded::parse(query.unwrap_or("").as_bytes())
        .find(|(key, _)| key == "date")
        .map(|(_, date)| Date::try_from(date.into_owned()))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::{Method, NameError, Route, RouteError};

    fn route(method: Method, path: &str) -> Result<Route, RouteError> {
        let (path, query) = path
            .split_once('?')
            .map_or((path, None), |(p, q)| (p, Some(q)));
        Route::of(&method, path, query)
    }

    fn word<T: TryFrom<String, Error = NameError>>(word: &str) -> T {
        T::try_from(word.to_owned()).unwrap()
    }

    #[test]
    fn a_path_and_a_method_say_what_is_asked_for() {
        let bob = || word("Bob's list");
        for (method, path, expected) in [
            (
                Method::GET,
                "/lists/Bob's%20list/entries",
                Route::Entries(bob(), None),
            ),
            (
                Method::GET,
                "/lists/Bob's%20list/entries?x=1&date=2026-11-22",
                Route::Entries(bob(), Some(word("2026-11-22"))),
            ),
            (
                Method::POST,
                "/lists/Bob's%20list/entries",
                Route::Add(bob()),
            ),
            (
                Method::PUT,
                "/lists/Bob's%20list/entries/a%2Fb",
                Route::Put(bob(), word("a/b")),
            ),
            (
                Method::DELETE,
                "/lists/Bob's%20list/entries/1",
                Route::Remove(bob(), word("1")),
            ),
        ] {
            assert_eq!(route(method, path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for path in [
            "",
            "/",
            "/lists",
            "/lists/bob",
            "/lists/bob/entries/1/2",
            "/lists/bob/x",
        ] {
            assert_eq!(
                route(Method::GET, path),
                Err(RouteError::NoSuchPath),
                "{path}"
            );
        }
        let refused = route(Method::PATCH, "/lists/bob/entries");
        assert_eq!(refused, Err(RouteError::NoSuchMethod("GET, POST")));
        let refused = route(Method::GET, "/lists//entries");
        assert_eq!(refused, Err(NameError::Name(String::new()).into()));
        let refused = route(Method::GET, "/lists/bob/entries?date=today");
        assert_eq!(refused, Err(NameError::Date("today".to_owned()).into()));
    }
}
