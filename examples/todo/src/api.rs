//! Requests and their responses: what is asked for is asked of the lists.

use std::convert::Infallible;
use std::error::Error;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use resurgam::Node;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::entry::{Date, Entry, EntryId};
use crate::list::{Change, EntryTaken};
use crate::lists::{Lists, Unavailable};
use crate::route::{Route, RouteError};

/// A longer request is refused.
const LONGEST_BODY: usize = 64 * 1024;

/// An entry as the client sends it. Without an id it is given one.
#[derive(Deserialize)]
struct Draft {
    id: Option<EntryId>,
    date: Date,
    title: String,
}

/// Why the client does not get what it asks for.
#[derive(Debug, thiserror::Error)]
enum ApiError {
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error("request body: {0}")]
    Body(Box<dyn Error + Send + Sync>),
    #[error("entry: {0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Taken(#[from] EntryTaken),
    #[error("{0}; ask again")]
    Unavailable(#[from] Unavailable),
}

/// Answers a request. There is always an answer.
///
/// # Errors
///
/// None.
///
/// # Cancel safety
///
/// The change that is asked for may be made or not.
pub async fn respond<B>(
    request: Request<B>,
    lists: &Lists,
) -> Result<Response<Full<Bytes>>, Infallible>
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send,
{
    let response = try_respond(request, lists).await;
    Ok(response.unwrap_or_else(|error| error.response()))
}

async fn try_respond<B>(
    request: Request<B>,
    lists: &Lists,
) -> Result<Response<Full<Bytes>>, ApiError>
where
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send,
{
    let (method, uri) = (request.method(), request.uri());
    match Route::of(method, uri.path(), uri.query())? {
        Route::Entries(list, date) => Ok(json(
            StatusCode::OK,
            &lists.entries(&list, date.as_ref()).await?,
        )),
        Route::Add(list) => {
            let draft: Draft = body(request).await?;
            let id = draft.id.clone().unwrap_or_else(new_id);
            let entry = draft.called(id);
            lists.change(&list, Change::Add(entry.clone())).await??;
            Ok(json(StatusCode::CREATED, &entry))
        }
        Route::Put(list, id) => {
            let draft: Draft = body(request).await?;
            let entry = draft.called(id);
            lists.change(&list, Change::Put(entry.clone())).await??;
            Ok(json(StatusCode::OK, &entry))
        }
        Route::Remove(list, id) => {
            lists.change(&list, Change::Remove(id)).await??;
            Ok(empty(StatusCode::NO_CONTENT))
        }
    }
}

impl Draft {
    fn called(self, id: EntryId) -> Entry {
        let Self { date, title, .. } = self;
        Entry { id, date, title }
    }
}

/// An id that no other entry has, however often the program is started.
fn new_id() -> EntryId {
    let node = Node::current();
    let id = format!("{:016x}{:016x}", node.random(), node.random());
    EntryId::try_from(id).expect("32 digits are a name")
}

async fn body<B, T>(request: Request<B>) -> Result<T, ApiError>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    T: DeserializeOwned,
{
    let body = Limited::new(request.into_body(), LONGEST_BODY);
    let body = body.collect().await.map_err(ApiError::Body)?;
    Ok(serde_json::from_slice(&body.to_bytes())?)
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Route(RouteError::NoSuchPath) => StatusCode::NOT_FOUND,
            Self::Route(RouteError::NoSuchMethod(_)) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Route(RouteError::Name(_)) | Self::Json(_) => StatusCode::BAD_REQUEST,
            Self::Body(error) if error.is::<http_body_util::LengthLimitError>() => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Taken(_) => StatusCode::CONFLICT,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn response(&self) -> Response<Full<Bytes>> {
        #[derive(Serialize)]
        struct Complaint {
            error: String,
        }
        let error = self.to_string();
        let mut response = json(self.status(), &Complaint { error });
        if let Self::Route(RouteError::NoSuchMethod(methods)) = self {
            let methods = HeaderValue::from_static(methods);
            response.headers_mut().insert(ALLOW, methods);
        }
        response
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    let text = serde_json::to_vec(value).expect("words and lists of words are JSON");
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
