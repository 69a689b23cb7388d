//! The daemon on its way out: client connections end first, then services drain and stop.

use std::time::{Duration, Instant};

use smoothserve_protocol::event::{Cause, EventKind};

use super::Supervisor;
use super::effect::Effect;

/// What is left to a shutdown that was asked for a second time.
const HURRY: Duration = Duration::from_secs(5);

/// How long a shutdown may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShutdownTimes {
    /// Clients are served as before for so long, while load balancers learn to send them elsewhere.
    pub delay: Duration,
    /// From then on, requests are waited for so long.
    pub timeout: Duration,
}

/// The daemon is on its way out.
#[derive(Clone, Debug)]
pub(super) struct Shutdown {
    pub(super) cause: Cause,
    /// How often it was asked for.
    pub(super) asked: u32,
    /// When what is left is cut.
    pub(super) deadline: Instant,
    pub(super) phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Everything goes on as before; balancers are told.
    Notice { until: Instant },
    /// Client connections end; services serve on until they have. Tunnels are closed then.
    Doors { tunnels_until: Option<Instant> },
    /// Services drain and stop.
    Services,
    /// Everything is down.
    Down,
}

impl Supervisor {
    pub(super) fn begin_shutdown(&mut self, now: Instant, cause: Cause, force: bool) {
        let asked = match &mut self.shutdown {
            None => {
                self.open_shutdown(now, cause);
                1
            }
            Some(shutdown) => {
                shutdown.asked += 1;
                shutdown.asked
            }
        };
        if force {
            self.hurry(now, Duration::ZERO);
        } else if asked == 2 {
            self.hurry(now, HURRY);
        } else if asked > 2 {
            self.effects.push_back(Effect::CutDoors);
            self.stop_services(now);
            self.each(now, |service, ctx| service.kill_all(ctx));
        }
    }

    fn open_shutdown(&mut self, now: Instant, cause: Cause) {
        let kind = EventKind::DaemonStopping { cause: cause.clone() };
        self.effects.push_back(Effect::Note { service: None, slot: None, kind });
        self.each(now, |service, ctx| service.wind_down(ctx, &cause));
        let ShutdownTimes { delay, timeout } = self.shutdown_times;
        let until = now + delay;
        let (deadline, phase) = (until + timeout, Phase::Notice { until });
        self.shutdown = Some(Shutdown { cause, asked: 1, deadline, phase });
        self.effects.push_back(Effect::Unwelcome);
        self.shutdown_timeout(now);
    }

    fn close_doors(&mut self, now: Instant) {
        let Some(shutdown) = &mut self.shutdown else { return };
        let grace = self.services.values().map(|s| s.config.limits.tunnel_grace).max();
        let grace = grace.unwrap_or_default().min(self.shutdown_times.timeout);
        shutdown.phase = Phase::Doors { tunnels_until: Some(now + grace) };
        self.effects.push_back(Effect::CloseDoors);
    }

    fn hurry(&mut self, now: Instant, left: Duration) {
        let Some(shutdown) = &mut self.shutdown else { return };
        shutdown.deadline = shutdown.deadline.min(now + left);
        if let Phase::Notice { until } = &mut shutdown.phase {
            *until = now;
        }
        if shutdown.phase == Phase::Services {
            let cause = shutdown.cause.clone();
            self.each(now, |service, ctx| {
                service.stop(ctx, cause.clone(), None, Some(left), None);
            });
        }
        self.shutdown_timeout(now);
    }

    pub(super) fn shutdown_timeout(&mut self, now: Instant) {
        if let Some(Shutdown { phase: Phase::Notice { until }, .. }) = self.shutdown
            && until <= now
        {
            self.close_doors(now);
        }
        let Some(Shutdown { phase: Phase::Doors { tunnels_until }, deadline, .. }) =
            &mut self.shutdown
        else {
            return;
        };
        let tunnels = tunnels_until.take_if(|at| *at <= now).is_some();
        let over = *deadline <= now;
        if tunnels {
            self.each(now, |service, ctx| service.end_tunnels(ctx));
        }
        if over {
            self.effects.push_back(Effect::CutDoors);
            self.stop_services(now);
        }
    }

    /// No client is connected any more, or the time for that is over.
    pub(super) fn stop_services(&mut self, now: Instant) {
        let Some(shutdown) = &mut self.shutdown else { return };
        if !matches!(shutdown.phase, Phase::Doors { .. }) {
            return;
        }
        shutdown.phase = Phase::Services;
        let left = shutdown.deadline.saturating_duration_since(now);
        let cause = shutdown.cause.clone();
        self.each(now, |service, ctx| service.stop(ctx, cause.clone(), None, Some(left), None));
    }
}
