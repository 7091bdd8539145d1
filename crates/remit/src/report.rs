//! Incidents that people report: what the server has made of a run goes to a place of the configuration.

use api::incident::IncidentPlace;
use gate::Gate;
use tools::incident::{Place, Sender};

pub(crate) struct Reporter {
    sender: Sender,
    gate: Gate,
}

impl Reporter {
    pub(crate) fn new(places: &[Place], gate: Gate) -> Result<Reporter, tools::Error> {
        Ok(Reporter { sender: Sender::new(places)?, gate })
    }
}

impl server::Reports for Reporter {
    fn places(&self) -> Vec<IncidentPlace> {
        let view = |place: &Place| IncidentPlace {
            name: place.name.clone(),
            kind: place.kind().to_owned(),
            says: place.says(),
        };
        self.sender.places().map(view).collect()
    }

    fn send(&self, to: String, report: server::Report) -> server::Sending<'_> {
        let server::Report { run, title, summary, file } = report;
        let now_seconds = self.gate.now().0 / 1_000;
        let report = tools::incident::Report { run, title, summary, file, now_seconds };
        Box::pin(async move { self.sender.send(&to, &report).await })
    }
}
