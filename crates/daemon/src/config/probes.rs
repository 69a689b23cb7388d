//! `ready` and `liveness`: what an instance is asked.

use std::time::Duration;

use super::error::{Problem, Site};
use super::scalar;
use super::table::{Spot, Table};
use super::{Liveness, Pattern, Readiness};

/// The keys of which one says what is asked.
struct Question {
    key: &'static str,
    tcp: Option<Spot<()>>,
    http: Option<Spot<String>>,
    status: Option<Spot<u16>>,
    log: Option<Spot<Pattern>>,
    /// What may be written if there is no key at all.
    allowed: &'static str,
}

/// `{tcp: true}`, `{http: /healthz, status: 200}` or `{log: "listening"}`; none with a problem noted.
pub(super) fn readiness(table: &mut Table) -> Option<Readiness> {
    let mut question = Question::of_network("ready", table);
    question.log = table.take("log", &scalar::REGEX);
    question.allowed =
        "`{tcp: true}`, `{http: /healthz, status: 200}` or `{log: \"listening on\"}`";
    question.ask(table)
}

/// `{tcp: true}` or `{http: /healthz, status: 200}`, and how often; none with a problem noted.
pub(super) fn liveness(table: &mut Table) -> Option<Liveness> {
    let question = Question::of_network("liveness", table);
    let interval = table.take("interval", &scalar::TIMEOUT);
    let timeout = table.take("timeout", &scalar::TIMEOUT);
    let failures = table.take("failures", &scalar::FAILURES);
    Some(Liveness {
        probe: question.ask(table)?,
        interval: interval.map_or(Duration::from_secs(10), |spot| spot.value),
        timeout: timeout.map_or(Duration::from_secs(3), |spot| spot.value),
        failures: failures.map_or(3, |spot| spot.value),
    })
}

impl Question {
    fn of_network(key: &'static str, table: &mut Table) -> Self {
        Self {
            key,
            tcp: table.take("tcp", &scalar::TRUE),
            http: table.take("http", &scalar::HTTP_PATH),
            status: table.take("status", &scalar::STATUS),
            log: None,
            allowed: "`{tcp: true}` or `{http: /healthz, status: 200}`",
        }
    }

    fn ask(self, table: &mut Table) -> Option<Readiness> {
        // A wrong value is not an absent one, and an unknown key is reported as such.
        if table.has_problems() || !table.is_empty() {
            return None;
        }
        self.decide(table.site()).map_err(|problem| table.note(problem)).ok()
    }

    fn decide(self, site: &Site) -> Result<Readiness, Problem> {
        let key = self.key;
        if let [(one, here), (other, there), ..] = self.given()[..] {
            let message = format!("`{key}` has both `{one}` and `{other}`");
            let problem = Problem::at(here, message, "allowed: one of them");
            return Err(problem.see(there, "the other one"));
        }
        match (self.tcp, self.http, self.log, self.status) {
            (_, Some(path), _, status) => Ok(Readiness::Http {
                path: path.value,
                status: status.map_or(200, |status| status.value),
            }),
            (_, None, _, Some(status)) => Err(Problem::at(
                &status.site,
                format!("`{key}.status` has no `{key}.http`"),
                "needed beside this key: `http`, a path",
            )),
            (_, None, Some(pattern), None) => Ok(Readiness::Log(pattern.value)),
            (Some(_), None, None, None) => Ok(Readiness::Tcp),
            (None, None, None, None) => Err(Problem::at(
                site,
                format!("`{key}` says nothing to ask"),
                format!("allowed: {}", self.allowed),
            )),
        }
    }

    fn given(&self) -> Vec<(&'static str, &Site)> {
        let http = self.http.as_ref().map(|spot| ("http", &spot.site));
        let tcp = self.tcp.as_ref().map(|spot| ("tcp", &spot.site));
        let log = self.log.as_ref().map(|spot| ("log", &spot.site));
        [http, tcp, log].into_iter().flatten().collect()
    }
}
