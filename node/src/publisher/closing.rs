//! A closing: the batches that a zone needs now, one after the other. Source: spec §4.7, §5.6.

use std::thread;
use std::time::Duration;

use bellwether_formats::batch::Batch;
use bellwether_formats::chain;
use bellwether_formats::id::Zone;
use bellwether_formats::signed::Signed;

use super::{Closed, PublishZoneError, Publisher, attempts};
use crate::batcher::plan::{Job, Known, jobs};
use crate::batcher::turn::{MAX_AHEAD_S, MAX_WAIT_S};
use crate::batcher::{self, Content, Place, Policy};
use crate::clock::{self, Clock};
use crate::cost::zone::{FEW_PATIENTS, Lately, few_patients};
use crate::store::{Range, RangeRow};

impl Publisher {
    /// Closes the batches of all zones now, as far as it goes: what one zone cannot publish does
    /// not hold the others up. `allowed` may forbid a zone.
    pub fn close_all(
        &mut self,
        allowed: impl Fn(&Self, &Zone) -> Result<(), PublishZoneError>,
    ) -> Closed {
        let mut closed = Closed::default();
        for zone in self.zone_names() {
            let ready = allowed(self, &zone).and_then(|()| self.wait_for_clock(&zone));
            let done = match ready {
                Ok(()) => self.close(&zone, clock::now()),
                Err(error) => Closed {
                    failed: Some(error),
                    ..Closed::default()
                },
            };
            closed.batches.extend(done.batches);
            if let Some(error) = done.failed {
                tracing::error!(%zone, %error, hint = error.hint(), "batch not published");
                closed.failed.get_or_insert(error);
            }
        }
        closed
    }

    /// Tells whether the clock is believed: what is signed in the future cannot be taken back.
    ///
    /// # Errors
    ///
    /// [`PublishZoneError::Clock`] if it is in doubt.
    pub fn check_clock(&self, clock: &Clock) -> Result<(), PublishZoneError> {
        match clock.read(&self.store)?.doubt {
            Some(doubt) => Err(PublishZoneError::Clock(doubt)),
            None => Ok(()),
        }
    }

    /// Waits while the zone's newest batch stands seconds ahead of the clock, because batches were
    /// closed by hand faster than one a second. A clock that was set back is not waited for.
    fn wait_for_clock(&self, zone: &Zone) -> Result<(), PublishZoneError> {
        let Some(head) = self.head(zone)? else {
            return Ok(());
        };
        let ahead = head.published_at.saturating_sub(clock::now());
        if (MAX_AHEAD_S..MAX_WAIT_S).contains(&ahead) {
            thread::sleep(Duration::from_secs(ahead - MAX_AHEAD_S + 1));
        }
        Ok(())
    }

    /// Closes a zone now: a batch with what is new, or as a heartbeat, then revisions and folds of
    /// earlier batches, each a batch of its own. Those that would run ahead of the clock are left
    /// for [`go_on`](Self::go_on), but one: who closes again and again does not keep them away.
    ///
    /// After a failure, what was prepared stays prepared and is finished by the next call.
    pub fn close(&mut self, zone: &Zone, now: u64) -> Closed {
        self.run(zone, now, true)
    }

    /// When what the last closing of a zone left can go on, in seconds of UTC.
    ///
    /// # Errors
    ///
    /// [`PublishZoneError`]
    pub fn goes_on_at(&self, zone: &Zone) -> Result<Option<u64>, PublishZoneError> {
        if !self.unfinished.contains_key(zone) {
            return Ok(None);
        }
        let head = self.head_at(zone)?.unwrap_or_default();
        Ok(Some(head.saturating_sub(MAX_AHEAD_S - 1)))
    }

    /// When the newest batch of a zone was published, in seconds of UTC.
    pub(super) fn head_at(&self, zone: &Zone) -> Result<Option<u64>, PublishZoneError> {
        Ok(self.head(zone)?.map(|head| head.published_at))
    }

    /// Publishes the revisions and folds that the last closing of a zone left.
    pub fn go_on(&mut self, zone: &Zone, now: u64) -> Closed {
        self.run(zone, now, false)
    }

    fn run(&mut self, zone: &Zone, now: u64, new: bool) -> Closed {
        let mut closed = Closed::default();
        let began = self.unfinished.remove(zone).filter(|_| !new);
        match self.run_jobs(zone, now, new, &mut closed.batches) {
            Ok(true) => {}
            Ok(false) => {
                self.unfinished.insert(zone.clone(), began.unwrap_or(now));
            }
            Err(error) => closed.failed = Some(error),
        }
        closed
    }

    /// Gives whether nothing is left to be published.
    fn run_jobs(
        &mut self,
        zone: &Zone,
        now: u64,
        new: bool,
        batches: &mut Vec<Signed<Batch>>,
    ) -> Result<bool, PublishZoneError> {
        self.resume(zone, now)?;
        let jobs = jobs(&Known {
            now,
            new,
            revise: &self.store.to_revise(zone)?,
            ranges: &self.store.ranges(zone)?,
        });
        // What is new uses up the time that the others wait for: one of them always follows it.
        let exempt = if new { 2 } else { 0 };
        for (place, job) in jobs.into_iter().enumerate() {
            let ahead = self.head_at(zone)?.unwrap_or_default().saturating_sub(now);
            if place >= exempt && ahead >= MAX_AHEAD_S {
                return Ok(false);
            }
            batches.push(self.publish_job(zone, now, job)?);
        }
        Ok(true)
    }

    /// Draws up one batch, has it signed, makes it the head.
    pub(super) fn publish_job(
        &mut self,
        zone: &Zone,
        now: u64,
        job: Job,
    ) -> Result<Signed<Batch>, PublishZoneError> {
        let policy = self.policy(zone)?.clone();
        let head = self.head(zone)?;
        let at = batcher::publication_time(head.as_ref(), now)?;
        let descriptor = self.descriptor()?;
        let mut place = Place {
            provider: self.provider,
            zone,
            key: self.key(&descriptor, at)?,
            desc: (descriptor.epoch, descriptor.cid()),
            head: head.as_ref(),
            at,
            salt: [0; 16],
        };
        chain::check_listed(&batcher::heartbeat(&policy, &place), &descriptor)?;
        // From here on nothing more comes into the batch; only now is its salt drawn.
        let content = self.content(zone, &policy, job, at)?;
        let draft = attempts::make(attempts::salt, |salt| {
            place.salt = salt;
            self.store.unstage(zone)?;
            let mut no_random = false;
            let random = |bytes: &mut [u8]| no_random |= getrandom::fill(bytes).is_err();
            let draft = batcher::draw(&policy, place.clone(), &content, random, |blocks| {
                Ok::<_, PublishZoneError>(self.store.stage(zone, &blocks)?)
            })?;
            if no_random {
                return Err(PublishZoneError::Random);
            }
            Ok(draft)
        })?;
        let prepared = self.store.prepare(&draft)?;
        let batch = self.sign_and_publish(zone, &prepared)?;
        tracing::info!(
            %zone, seq = batch.seq, cid = %batch.cid(), parts = batch.parts.len(), ?job,
            notifications = content.notifications(), dummies = draft.dummies.len(),
            "batch published"
        );
        warn_of_few(zone, batch.seq, &content);
        if !batch.parts.is_empty() {
            self.warn_of_cost(zone, policy.interval_s, now);
        }
        Ok(batch)
    }

    /// Says what the zone costs its clients, if that is much. The batch is out: what cannot be read
    /// now is told by whatever needs it next.
    fn warn_of_cost(&self, zone: &Zone, interval_s: u64, now: u64) {
        let lately = Lately::of(&self.store, &self.feed(zone), interval_s, now);
        if let Some(advice) = lately.ok().and_then(|lately| lately.advice()) {
            tracing::warn!(%zone, "this zone {advice}");
        }
    }

    /// What a batch that is published at `at` is to say, as the store stands now.
    fn content(
        &self,
        zone: &Zone,
        policy: &Policy,
        job: Job,
        at: u64,
    ) -> Result<Content, PublishZoneError> {
        let (first, last) = match job {
            Job::New => {
                let pending = self
                    .store
                    .pending_notes(zone, policy.max_notifications, at)?;
                return Ok(Content::new(&pending));
            }
            Job::Revise(batch) => (batch, batch),
            Job::Fold { first, last } => (first, last),
        };
        let notes = self.store.sealed_notes(zone, first, last)?;
        let ranges = self.store.ranges(zone)?;
        let mut range = covered(&ranges, first, last);
        if range.row.window.0 >= range.row.window.1 {
            // Its row is lost: the batches spoke of what the policy says.
            let closed = notes.iter().map(|(_, note)| note.observed_before);
            let to = closed.max().unwrap_or_default();
            range.row.window = (to.saturating_sub(policy.window_s), to);
        }
        Ok(match job {
            Job::Fold { .. } => Content::fold(&range, &notes),
            Job::New | Job::Revise(_) => Content::revision(&range, &notes),
        })
    }
}

/// A range, with the window of all the batches in it and the schemes that they have.
fn covered(ranges: &[Range], first: u64, last: u64) -> Range {
    let mut row = RangeRow {
        seq: 0,
        published_at: 0,
        window: (u64::MAX, 0),
        counts: Default::default(),
        ids: Default::default(),
        came_back: false,
    };
    let inside = ranges.iter().filter(|range| !range.is_fold());
    for range in inside.filter(|range| (first..=last).contains(&range.first)) {
        let (from, to) = range.row.window;
        row.window = (row.window.0.min(from), row.window.1.max(to));
        row.ids.extend(range.row.identifiers());
    }
    Range { first, last, row }
}

/// Says how well the patients of a sealed batch, revision or fold are hidden among each other.
fn warn_of_few(zone: &Zone, seq: u64, content: &Content) {
    let Some(patients) = content.sealed_patients() else {
        return;
    };
    // None at all are left of a batch that was revoked whole: there is nobody to tell apart.
    if (1..FEW_PATIENTS).contains(&patients) {
        tracing::warn!(%zone, seq, patients, "{}", few_patients(seq, patients));
    }
}
