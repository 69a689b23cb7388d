//! What an application does that makes its restarts harder, told from what was measured.

use std::time::Duration;

use smoothserve_protocol::snapshot::Receipt;

use crate::config::{ServiceConfig, StopSignal};

/// A line for each instance that had to be killed, and one if requests were sent again because
/// connections were closed under them.
pub(super) fn remarks(receipt: &Receipt, config: &ServiceConfig, sent_again: u64) -> Vec<String> {
    let killed = receipt.steps.iter().filter(|step| step.killed).map(|step| {
        let (name, slot) = (&receipt.service, step.slot);
        let signal = name_of(config.stop_signal);
        let given = spoken(config.limits.stop_timeout);
        format!("{name}-{slot} ignored {signal} for {given} and was killed")
    });
    let closing = match sent_again {
        0 => None,
        1 => Some("1 request was".to_owned()),
        many => Some(format!("{many} requests were")),
    };
    let closing = closing.map(|these| {
        format!("{these} sent again because instances close kept-alive connections early")
    });
    killed.chain(closing).collect()
}

fn spoken(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{} s", duration.as_secs()),
        _ => format!("{} ms", duration.as_millis()),
    }
}

fn name_of(signal: StopSignal) -> &'static str {
    match signal {
        StopSignal::Term => "SIGTERM",
        StopSignal::Int => "SIGINT",
        StopSignal::Quit => "SIGQUIT",
        StopSignal::Hup => "SIGHUP",
        StopSignal::Usr1 => "SIGUSR1",
        StopSignal::Usr2 => "SIGUSR2",
    }
}

#[cfg(test)]
mod tests {
    use smoothserve_protocol::event::Cause;
    use smoothserve_protocol::id::{Generation, OperationId, Slot};
    use smoothserve_protocol::snapshot::{Ledger, StepPhase, StepView};

    use super::*;
    use crate::core::sample_service;

    fn of(killed: [bool; 3], config: &ServiceConfig, sent_again: u64) -> Vec<String> {
        let slots = (0..).map(Slot).zip(killed);
        let step = |(slot, killed)| StepView { killed, ..StepView::new(slot, StepPhase::Done) };
        let receipt = Receipt {
            operation: OperationId(1),
            service: config.name.clone(),
            cause: Cause::Daemon,
            from: Generation(1),
            to: Generation(2),
            done: true,
            halted: None,
            replaced: 3,
            of: 3,
            took_ms: 1,
            steps: slots.map(step).collect(),
            ledger: Ledger::default(),
            min_ready: 2,
            slowest_held_us: None,
            failure: None,
            remarks: Vec::new(),
            unix_ms: 0,
        };
        remarks(&receipt, config, sent_again)
    }

    #[test]
    fn an_application_that_behaves_is_not_remarked_on() {
        assert_eq!(of([false; 3], &sample_service("shop", 3), 0), [""; 0]);
    }

    #[test]
    fn what_makes_restarts_harder_is_said_in_the_words_of_the_configuration() {
        let mut config = sample_service("shop", 3);
        config.limits.stop_timeout = Duration::from_secs(10);
        assert_eq!(
            of([false, true, false], &config, 7),
            [
                "shop-2 ignored SIGTERM for 10 s and was killed",
                "7 requests were sent again because instances close kept-alive connections early",
            ]
        );
        config.stop_signal = StopSignal::Quit;
        config.limits.stop_timeout = Duration::from_millis(500);
        assert_eq!(
            of([true, false, false], &config, 1),
            [
                "shop-1 ignored SIGQUIT for 500 ms and was killed",
                "1 request was sent again because instances close kept-alive connections early",
            ]
        );
    }
}
