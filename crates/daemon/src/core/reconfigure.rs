//! Services that come, change and go while the others run.

use std::sync::Arc;
use std::time::Instant;

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::plan::ChangeKind;

use super::Supervisor;
use super::effect::Effect;
use super::input::Reconfigure;
use super::service::{Change, Service};
use crate::config::ServiceConfig;

impl Supervisor {
    pub(super) fn configure(&mut self, now: Instant, change: Reconfigure) {
        match change {
            Reconfigure::Add(config) => self.add(now, config),
            Reconfigure::Change { config, kind, what } => {
                let name = config.name.clone();
                self.on_service(now, &name, |service, ctx| {
                    service.reconfigure(ctx, Change { config, kind, what });
                });
            }
            Reconfigure::Remove(name) => self.on_service(now, &name, |service, ctx| {
                let cause = Cause::ConfigChanged(vec!["its file was removed".to_owned()]);
                service.leaving = true;
                service.stop(ctx, cause, None, None, None);
            }),
        }
    }

    /// A new service; or one that was on its way out and is wanted after all.
    fn add(&mut self, now: Instant, config: Arc<ServiceConfig>) {
        let (name, enabled) = (config.name.clone(), config.enabled);
        let what = vec!["added".to_owned()];
        match self.services.get_mut(&name) {
            Some(service) => {
                service.leaving = false;
                self.on_service(now, &name, |service, ctx| {
                    // What still runs may be taken back, and must not stay as it was.
                    let is_same = *service.config == *config;
                    let kind = if is_same { ChangeKind::Scale } else { ChangeKind::Restart };
                    service.reconfigure(ctx, Change { config, kind, what: what.clone() });
                });
            }
            None => {
                self.services.insert(name.clone(), Service::new(config, now));
            }
        }
        self.on_service(now, &name, |service, ctx| {
            if enabled {
                service.start(ctx, Cause::ConfigChanged(what), None);
            }
            // Not before: requests for it wait already, and none is to hear that it is stopped.
            service.refresh_route(ctx);
        });
    }

    /// Lets go of services that have ended for good.
    pub(super) fn forget(&mut self, now: Instant) {
        let gone = |service: &Service| service.leaving && service.has_ended();
        let names: Vec<_> =
            self.services.values().filter(|s| gone(s)).map(|s| s.config.name.clone()).collect();
        let any = !names.is_empty();
        for service in names {
            self.services.remove(&service);
            self.effects.push_back(Effect::Forget { service });
        }
        if any {
            // Its ports may be those that another one waits for.
            self.each(now, |service, ctx| service.ports_were_left(ctx));
        }
    }
}
