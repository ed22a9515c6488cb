//! Messages to a core, and what carries each out.

use crate::core::message::Message;
use crate::core::state::Core;
use crate::core::turns::Turn;
use crate::limits::{MAILBOX_BATCH, MAILBOX_TURN_MAX, MAILBOX_TURN_PER_MESSAGE, TURN};
use crate::serve::flush::flush;
use crate::serve::{
    clock, execute, keys, metrics, pushes, replies, sealing, steps, storage, streams, subscriptions, tell,
};
use std::time::{Duration, Instant};

/// Cost of a push, which may be sent at once, beside that of other messages.
const PUSH_COST: usize = 8;

/// Carries out messages until it has done so once more with `enough` being true.
pub async fn carry_out_messages(core: &Core, enough: impl Fn(&Core) -> bool) {
    let mailbox = &core.shared.mailboxes[core.index];
    let mut batch = Vec::with_capacity(MAILBOX_BATCH);
    // Not begun anew with each batch: this task and a connection's can keep each other ready to run, a
    // piece of a large reply after the other, and no socket would be looked at.
    let mut turn = Turn::begin(TURN);
    while !enough(core) {
        mailbox.receive(&mut batch, MAILBOX_BATCH).await;
        core.counters.messages.add(batch.len() as u64);
        let began = Instant::now();
        core.durations.set_mail_clock(began);
        for message in batch.drain(..) {
            let is_push = matches!(message, Message::Push(_));
            handle(core, message);
            turn.spend(if is_push { PUSH_COST } else { 1 });
            core.durations.set_mail_clock(turn.looked_at().max(began));
            if turn.is_over() {
                flush(core);
                core.turns.next().await;
                turn = Turn::begin(turn_length(mailbox.waiting()));
            }
        }
        flush(core);
        if core.subscriptions.is_pumping.get() || !core.unfinished.borrow().is_empty() {
            // A step, and the pushes at the end of a burst, cost far more than a message.
            turn.look();
        }
    }
}

/// The more messages wait, the longer is a turn.
fn turn_length(waiting: usize) -> Duration {
    (MAILBOX_TURN_PER_MESSAGE * waiting.min(u32::MAX as usize) as u32).clamp(TURN, MAILBOX_TURN_MAX)
}

fn handle(core: &Core, message: Message) {
    match message {
        Message::Execute { ticket, id, packet } => execute::for_ticket(core, ticket, id, packet),
        Message::Reply { ticket, payload, rest } => replies::take(core, ticket, payload, rest),
        Message::Pull(stream) | Message::Continue(stream) => streams::advance(core, stream),
        Message::Piece { peer, stream, payload, last } => {
            replies::take_piece(core, peer, stream, payload, last);
        }
        Message::Abandon(stream) => core.streams.borrow_mut().abandon(stream),
        Message::StepChanges => steps::step(core),
        Message::CollectGarbage => steps::collect_garbage(core),
        Message::Sealed(work) => sealing::take(core, work),
        Message::Tell(ticket, question) => tell::tell(core, ticket, question),
        Message::Measure { from, scrape } => metrics::tell(core, from, scrape),
        Message::Measured { scrape, measures } => core.scrapes.add(scrape, *measures),
        Message::ManageKeys { ticket, id, action } => keys::manage(core, ticket, &id, action),
        Message::ApplyKeyChange { number, change } => keys::apply(core, number, &change),
        Message::KeyChangeApplied(number) => keys::applied(core, number),
        Message::KeyChangeNotStored(number, wrong) => keys::not_stored(core, number, &wrong),
        Message::Subscribe { ticket, id, key, terms } => subscriptions::begin(core, ticket, &id, key, &terms),
        Message::Unsubscribe(receiver) => subscriptions::end(core, receiver),
        Message::Push(push) => pushes::take(core, &push),
        Message::Credit(ids) => pushes::take_credit(core, &ids),
        // The end of the burst makes them.
        Message::PumpSubscriptions => core.subscriptions.is_pumping.set(false),
        Message::Committed => storage::committed(core),
        Message::CommitFailed(why) => storage::commit_failed(core, why),
        Message::Storage { core: of, state } => storage::note(core, of, state),
        Message::RenewCertificates(certificates) => core.renew(&certificates),
        Message::Stop => clock::stop(core),
        Message::CoreDone => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_makes_the_turns_of_the_mailbox_longer() {
        assert_eq!(turn_length(0), TURN);
        assert!(turn_length(1000) > TURN && turn_length(1000) < MAILBOX_TURN_MAX);
        assert_eq!(turn_length(usize::MAX), MAILBOX_TURN_MAX);
    }
}
