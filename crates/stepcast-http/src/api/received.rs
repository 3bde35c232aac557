//! `/v1/events`: what came in, and what came of it.

use axum::{
    extract::{Path, Request, State},
    response::Response,
};
use stepcast_engine::store::{EventQuery, StoredEvent};
use stepcast_protocol::{ErrorCode, EventId, EventName, Timestamp, limits};

use super::{
    envelope::enveloped,
    problem::{Problem, shown},
    query::Query,
    runs::marked,
    shown::{ShownEvent, ShownRun},
};
use crate::gateway::Gateway;

pub(super) async fn list(
    State(gateway): State<Gateway>,
    request: Request,
) -> Result<Response, Problem> {
    let query = asked(&Query::of(request.uri())?)?;
    let events = gateway.engine().events(query).await?;
    let events = events.iter().map(|stored| ShownEvent::from(&*stored.event));
    Ok(enveloped(&gateway, events.collect::<Vec<_>>()))
}

pub(super) async fn read(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let stored = found(&gateway, &id).await?;
    Ok(enveloped(&gateway, ShownEvent::from(&*stored.event)))
}

/// Never cached: who waits for a run asks here again and again.
pub(super) async fn runs(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let stored = found(&gateway, &id).await?;
    let runs = gateway.engine().runs_of(stored.event.id).await?;
    let runs = runs.into_iter().map(|run| marked(&gateway, run));
    let runs = runs.map(ShownRun::from);
    Ok(enveloped(&gateway, runs.collect::<Vec<_>>()))
}

/// An event's id holds the time at which it came in.
fn asked(query: &Query) -> Result<EventQuery, Problem> {
    let first_at =
        |at: Timestamp| EventId::from_parts(u64::try_from(at.as_millis()).unwrap_or(0), 0);
    let cursor = query.get("cursor").filter(|cursor| !cursor.is_empty());
    let cursor = cursor.map(str::parse::<EventId>).transpose()?;
    let received_before = query.time("received_before")?.map(first_at);
    let before = cursor.into_iter().chain(received_before).min();
    let name = query.get("name").filter(|name| !name.is_empty());
    Ok(EventQuery {
        name: name.map(EventName::parse).transpose()?,
        before,
        from: query.time("received_after")?.map(first_at),
        limit: query.limit(limits::EVENTS_ON_PAGE, limits::EVENTS_ON_PAGE_MAX)?,
    })
}

async fn found(gateway: &Gateway, id: &str) -> Result<StoredEvent, Problem> {
    let event = gateway.engine().event(id.parse()?).await?;
    event.ok_or_else(|| {
        let sentence = format!(
            "event {} does not exist; ask with the id that the server has answered, not with one of your own",
            shown(id)
        );
        Problem::new(ErrorCode::NotFound, sentence)
    })
}
