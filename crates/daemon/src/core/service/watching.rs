//! What becomes of file changes: when they are quiet their content is looked at, and if it is not
//! what runs, a rollout follows. Which files those are, and how one looks, is the shell's business.

use smoothserve_protocol::event::{Cause, EventKind};

use super::super::effect::Effect;
use super::super::input::{InspectionId, Verdict};
use super::super::settle::OFTEN_PAUSE;
use super::{Ctx, Goal, Service, Work};

impl Service {
    pub(in crate::core) fn files_changed(&mut self, ctx: &mut Ctx<'_>, file: String) {
        if !self.heeds_files() {
            return;
        }
        let files = vec![file.clone()];
        if self.settle.changed(ctx.now, self.config.delay_update_time, file) {
            self.note(ctx, None, EventKind::FilesChanged { files });
        }
    }

    /// Has the content looked at when the files have been quiet.
    pub(super) fn look_at_files(&mut self, ctx: &mut Ctx<'_>) {
        if let Some((inspection, files)) = self.settle.look(ctx.now) {
            let config = self.config.clone();
            ctx.push(Effect::Inspect { config, inspection, files });
        }
    }

    pub(in crate::core) fn inspected(
        &mut self,
        ctx: &mut Ctx<'_>,
        inspection: InspectionId,
        verdict: Verdict,
    ) {
        let Some(files) = self.settle.looked(inspection) else { return };
        if !self.heeds_files() {
            return;
        }
        match verdict {
            Verdict::Changed(files) => self.files_differ(ctx, files),
            Verdict::Unchanged(files) => self.note(ctx, None, EventKind::FilesUnchanged { files }),
            Verdict::Unstable => {
                self.settle.put_back(ctx.now, self.config.delay_update_time, files);
            }
        }
    }

    fn heeds_files(&self) -> bool {
        self.goal == Goal::Run && self.config.auto_restart && !self.settle.is_suspended()
    }

    /// A rollout, now or after the work under way.
    fn files_differ(&mut self, ctx: &mut Ctx<'_>, files: Vec<String>) {
        let is_one_more = match &self.work {
            Work::None => true,
            Work::Rollout(rollout) => rollout.again.is_none(),
            Work::Start(start) => start.again.is_none(),
            Work::Stop(_) => return,
        };
        if is_one_more && !self.settle.admit(ctx.now) {
            return self.pause_watching(ctx, files);
        }
        let cause = Cause::FilesChanged(files);
        match &mut self.work {
            Work::None => self.begin_rollout(ctx, cause),
            Work::Rollout(rollout) => rollout.again = Some(cause),
            Work::Start(start) => start.again = Some(cause),
            Work::Stop(_) => {}
        }
    }

    /// What changed is not forgotten: it is looked at again after the pause.
    fn pause_watching(&mut self, ctx: &mut Ctx<'_>, files: Vec<String>) {
        let minutes = OFTEN_PAUSE.as_secs() / 60;
        let file = files.first().map_or("", String::as_str);
        let text = format!(
            "restarts for file changes pause for {minutes} minutes: there were 5 within a minute, \
             and {file} has changed again; if the service writes it, watch_ignore leaves it out; a \
             restart or a start ends the pause"
        );
        self.settle.put_back(ctx.now, self.config.delay_update_time, files);
        self.note(ctx, None, EventKind::Warning { text });
    }
}
