//! Callbacks: an agent may name where it is told how it stands with what people are asked about.

use api::problem::Code;
use gate::{Answered, Caller, Ticket};
use kernel::id::RunId;

use crate::ask::recorded;
use crate::house::{House, Shared};
use crate::refusal::Refusal;

/// An address that it may not name is refused before anything is asked.
pub(crate) async fn check(
    house: &House,
    caller: &Caller,
    run: RunId,
    url: Option<&str>,
) -> Result<(), Refusal> {
    let Some(url) = url else { return Ok(()) };
    let checked = match &house.options.callbacks {
        Some(callbacks) => callbacks.check(&caller.agent, url),
        None => Err("this Remit calls nobody back".to_owned()),
    };
    match checked {
        Ok(()) => Ok(()),
        Err(why) => {
            let refusal = Refusal::new(Code::CallbackRefused, why).at("/callback");
            Err(recorded(house, caller, Some(run), refusal).await)
        }
    }
}

/// Asks, and notes whom to tell before anybody hears of the ticket. Detached: a hang-up loses neither.
pub(crate) async fn noted(
    house: &Shared,
    caller: Caller,
    url: String,
    asking: impl Future<Output = Result<Answered, gate::error::Error>> + Send + 'static,
) -> Result<(Answered, bool), Refusal> {
    let house = house.clone();
    let asked = tokio::spawn(async move {
        let answered = asking.await?;
        let noted = answered.ticket.as_ref().is_some_and(|ticket| note(&house, &caller, ticket, &url));
        Ok::<_, Refusal>((answered, noted))
    });
    asked.await.map_err(|_| Refusal::new(Code::Internal, Code::Internal.title()))?
}

/// False: nobody will be told, and the answer does not say otherwise.
pub(crate) fn note(house: &House, caller: &Caller, ticket: &Ticket, url: &str) -> bool {
    let Some(callbacks) = &house.options.callbacks else { return false };
    match callbacks.expect(ticket.call, ticket.run, &caller.agent, url) {
        Ok(()) => true,
        Err(why) => {
            tracing::error!(ticket = %ticket.call, why, "a callback cannot be kept: its agent must poll");
            false
        }
    }
}
