# Places of the engine that must not be weaker than they are, by protocol.

# --- the owner word ---

schedules_mutant(unlock_relaxed owner_word sync/owner_word.hpp
  [[word_.exchange(0, std::memory_order_seq_cst)]]
  [[word_.exchange(0, std::memory_order_relaxed)]]
  sync/owner_word.cpp)
schedules_mutant(lock_relaxed owner_word sync/owner_word.hpp
  [[me.bits, std::memory_order_acquire,]]
  [[me.bits, std::memory_order_relaxed,]]
  sync/owner_word.cpp)
schedules_mutant(slept_and_forgets_others owner_word sync/owner_word.cpp
  [[compare_exchange_weak(now, me.bits | kSleepers, std::memory_order_acquire)]]
  [[compare_exchange_weak(now, me.bits, std::memory_order_acquire)]]
  sync/owner_word.cpp)
schedules_mutant(leaves_without_a_word owner_word sync/owner_word.cpp
  [[if (!woken && slices.expired()) return Locked::timed_out;]]
  [[if (slices.expired()) return Locked::timed_out;]]
  sync/owner_word.cpp)
schedules_mutant(takes_over_and_forgets_sleepers owner_word sync/owner_word.cpp
  [[compare_exchange_weak(was, me.bits | kSleepers, std::memory_order_acquire)]]
  [[compare_exchange_weak(was, me.bits, std::memory_order_acquire)]]
  sync/owner_word.cpp)

# --- the bell ---

schedules_mutant(unlock_acq_rel bell sync/owner_word.hpp
  [[word_.exchange(0, std::memory_order_seq_cst)]]
  [[word_.exchange(0, std::memory_order_acq_rel)]]
  sync/owner_word.cpp)
schedules_mutant(looks_not_past_the_lock bell sync/owner_word.hpp
  [[(void)word_.load(std::memory_order_seq_cst);]]
  [[(void)word_.load(std::memory_order_acquire);]]
  sync/bell.cpp)
schedules_mutant(spinner_withdraws_with_release bell sync/bell.hpp
  [[bell_.withdraw(mine_, std::memory_order_seq_cst);]]
  [[bell_.withdraw(mine_, std::memory_order_release);]]
  sync/bell.cpp)
schedules_mutant(woken_and_forgets_others bell sync/bell.hpp
  [[word_.fetch_or(kSleepers, std::memory_order_seq_cst);]]
  [[return Waited::done;]]
  sync/bell.cpp)
schedules_mutant(notifies_by_acquire bell sync/bell.hpp
  [[if ((word_.load(std::memory_order_seq_cst) & kSleepers) == 0) return;]]
  [[if ((word_.load(std::memory_order_acquire) & kSleepers) == 0) return;]]
  sync/bell.cpp)
schedules_mutant(sleeps_by_acquire bell sync/bell.hpp
  [[!word_.compare_exchange_weak(seen, seen | kSleepers, std::memory_order_seq_cst)]]
  [[!word_.compare_exchange_weak(seen, seen | kSleepers, std::memory_order_acq_rel)]]
  sync/bell.cpp)
schedules_mutant(closes_by_the_bit bell sync/bell.cpp
  [[word_.fetch_add(kOneNotification, std::memory_order_seq_cst);
  kernel::futex_wake(word_, kEverybody);]]
  [[wake(kEverybody);]]
  sync/bell.cpp)
schedules_mutant(forgets_the_rest bell sync/bell.hpp
  [[look_past_lock();
    return true;]]
  [[return true;]]
  sync/bell.cpp)

# --- events ---

schedules_mutant(event_looked_at_by_acquire event_word sync/event_word.hpp
  [[state_.load(std::memory_order_seq_cst) != before]]
  [[state_.load(std::memory_order_acquire) != before]]
  sync/bell.cpp)
schedules_mutant(event_set_by_release event_word sync/event_word.hpp
  [[(now + 2) | 1, std::memory_order_seq_cst)]]
  [[(now + 2) | 1, std::memory_order_release)]]
  sync/bell.cpp)
schedules_mutant(event_set_relaxed event_word sync/event_word.hpp
  [[(now + 2) | 1, std::memory_order_seq_cst)]]
  [[(now + 2) | 1, std::memory_order_relaxed)]]
  sync/bell.cpp)
schedules_mutant(event_does_not_count event_word sync/event_word.hpp
  [[(now + 2) | 1]]
  [[now | 1]]
  sync/bell.cpp)
schedules_mutant(event_wakes_and_does_not_count event_word sync/bell.cpp
  [[(seen & ~kSleepers) + kOneNotification]]
  [[seen & ~kSleepers]]
  sync/bell.cpp)
schedules_mutant(event_wakes_one event_word sync/bell.hpp
  [[wake(kEverybody);]]
  [[wake(1);]]
  sync/bell.cpp)

# --- semaphores ---

schedules_mutant(permit_looked_for_by_acquire semaphore_word sync/semaphore_word.cpp
  [[value_.load(std::memory_order_seq_cst) > 0]]
  [[value_.load(std::memory_order_acquire) > 0]]
  sync/bell.cpp sync/semaphore_word.cpp)
schedules_mutant(permit_given_by_release semaphore_word sync/semaphore_word.cpp
  [[now + 1, std::memory_order_seq_cst]]
  [[now + 1, std::memory_order_release]]
  sync/bell.cpp sync/semaphore_word.cpp)
schedules_mutant(permit_taken_relaxed semaphore_word sync/semaphore_word.hpp
  [[now - 1, std::memory_order_acquire]]
  [[now - 1, std::memory_order_relaxed]]
  sync/bell.cpp sync/semaphore_word.cpp)
schedules_mutant(permits_left_and_nobody_told semaphore_word sync/semaphore_word.cpp
  [[    if (try_acquire()) {
      if (value_.load(std::memory_order_relaxed) > 0) bell_.notify();
      return Waited::done;]]
  [[    if (try_acquire()) {
      return Waited::done;]]
  sync/bell.cpp sync/semaphore_word.cpp)

# --- the ring ---

schedules_mutant(tail_relaxed ring channel/ring.cpp
  [[put.tail.store(sent, std::memory_order_release);]]
  [[put.tail.store(sent, std::memory_order_relaxed);]]
  channel/ring.cpp)
schedules_mutant(tail_read_relaxed ring channel/ring.cpp
  [[Mark::of(words_->put.tail.load(std::memory_order_acquire))]]
  [[Mark::of(words_->put.tail.load(std::memory_order_relaxed))]]
  channel/ring.cpp)
schedules_mutant(head_relaxed ring channel/ring.hpp
  [[words_->get.head.store(next.word(), std::memory_order_release);]]
  [[words_->get.head.store(next.word(), std::memory_order_relaxed);]]
  channel/ring.cpp channel/queue.cpp)
schedules_mutant(first_message_and_an_old_head ring channel/ring.cpp
  [[      // maybe between the two looks.
      continue;]]
  [[]]
  channel/ring.cpp)
schedules_mutant(segment_before_head ring channel/ring.cpp
  [[      journal.set(get_offset(offsetof(GetEnd, head)), Mark{head.count, kLapBegin}.word());
      journal.set(get_offset(offsetof(GetEnd, segment)), next);
      arena]]
  [[      journal.set(get_offset(offsetof(GetEnd, segment)), next);
      journal.set(get_offset(offsetof(GetEnd, head)), Mark{head.count, kLapBegin}.word());
      arena]]
  channel/ring.cpp)
schedules_mutant(segment_seen_relaxed ring channel/ring.cpp
  [[words_->get.segment.load(std::memory_order_acquire)]]
  [[words_->get.segment.load(std::memory_order_relaxed)]]
  channel/ring.cpp)
schedules_mutant(receivers_do_not_look_past_the_lock ring channel/ring.hpp
  [[get.rota, &put.lock}]]
  [[get.rota}]]
  channel/ring.cpp channel/queue.cpp)
schedules_mutant(senders_do_not_look_past_the_lock ring channel/ring.hpp
  [[put.rota, &get.journal.lock}]]
  [[put.rota}]]
  channel/ring.cpp channel/queue.cpp)
schedules_mutant(leaves_and_does_not_pass_on ring sync/pass_on.hpp
  [[if (waited_ && bell_.has_sleepers() && more_()) bell_.notify();]]
  [[]]
  channel/queue.cpp)
schedules_mutant(room_and_nobody_told ring channel/queue.cpp
  [[  held->budget.yields().learn_found(found);
  if (words.most_messages != 0) words.not_full().notify();]]
  [[  held->budget.yields().learn_found(found);]]
  channel/queue.cpp)

# --- the claim of a task ---

schedules_mutant(claim_not_noted claim pool/worker.cpp
  [[  journal.set(claim + offsetof(Claim, job), task.job);
  journal.set(claim + offsetof(Claim, items)]]
  [[  journal.set(claim + offsetof(Claim, items)]]
  pool/worker.cpp)
schedules_mutant(applies_what_is_not_committed claim arena/journal.cpp
  [[committed_.store(staged_, std::memory_order_release);]]
  [[committed_.store(0, std::memory_order_release);]]
  arena/journal.cpp)
schedules_mutant(result_and_claim_not_in_one claim channel/ring.cpp
  [[  if (clears != 0) lock.note(clears, sent);
  // Pairs with the acquire in find().
  put.tail.store(sent, std::memory_order_release);
  if (clears != 0) lock.clear_noted();]]
  [[  put.tail.store(sent, std::memory_order_release);
  if (clears != 0) {
    lock.note(clears, sent);
    lock.clear_noted();
  }]]
  channel/ring.cpp)
schedules_mutant(tail_before_where_to_begin claim channel/ring.cpp
  [[  if (first) first(journal);
  journal.set(put_offset(offsetof(PutEnd, tail)),
              Mark{tail.count + 1, tail.position + units}.word());]]
  [[  journal.set(put_offset(offsetof(PutEnd, tail)),
              Mark{tail.count + 1, tail.position + units}.word());
  if (first) first(journal);]]
  channel/ring.cpp)
schedules_mutant(puts_not_finished claim pool/recovery.cpp
  [[results_of(held_).finish_puts();]]
  [[]]
  pool/recovery.cpp)
schedules_mutant(claims_not_finished claim pool/recovery.cpp
  [[const Journal tasks(words_of(held_).tasks.get.journal);]]
  [[]]
  pool/recovery.cpp)
schedules_mutant(claims_and_does_not_pass_on claim sync/pass_on.hpp
  [[if (waited_ && bell_.has_sleepers() && more_()) bell_.notify();]]
  [[]]
  pool/worker.cpp)

# --- the condemn handshake ---

schedules_mutant(condemned_read_by_acquire condemn pool/worker.cpp
  [[slot.condemned.load(std::memory_order_seq_cst)]]
  [[slot.condemned.load(std::memory_order_acquire)]]
  pool/worker.cpp)
schedules_mutant(idle_by_release condemn pool/worker.cpp
  [[    // Before the result goes; pairs with the look in condemn(), here and in hand_in().
    slot.state.store(static_cast<std::uint32_t>(WorkerState::idle), std::memory_order_seq_cst);]]
  [[    slot.state.store(static_cast<std::uint32_t>(WorkerState::idle), std::memory_order_release);]]
  pool/worker.cpp)
schedules_mutant(condemned_by_release condemn pool/recovery.cpp
  [[slot.condemned.store(1, std::memory_order_seq_cst);]]
  [[slot.condemned.store(1, std::memory_order_release);]]
  pool/recovery.cpp)
schedules_mutant(condemns_and_looks_by_acquire condemn pool/recovery.cpp
  [[slot.state.load(std::memory_order_seq_cst);]]
  [[slot.state.load(std::memory_order_acquire);]]
  pool/recovery.cpp)
schedules_mutant(lets_go_and_does_not_wake condemn pool/recovery.cpp
  [[(void)kernel::futex_wake(slot.condemned, 1);]]
  [[]]
  pool/recovery.cpp)
schedules_mutant(hands_in_and_is_not_idle condemn pool/worker.cpp
  [[    // Before the result goes; pairs with the look in condemn(), here and in hand_in().
    slot.state.store(static_cast<std::uint32_t>(WorkerState::idle), std::memory_order_seq_cst);]]
  [[]]
  pool/worker.cpp)

# --- jobs that are cancelled ---

schedules_mutant(claims_looked_for_and_not_past_the_lock cancel pool/recovery.cpp
  [[words_of(held_).tasks.get.journal.lock.look_past();]]
  [[]]
  pool/recovery.cpp)
schedules_mutant(end_of_claim_read_relaxed cancel pool/recovery.cpp
  [[std::atomic_ref(claimed).load(std::memory_order_acquire)]]
  [[std::atomic_ref(claimed).load(std::memory_order_relaxed)]]
  pool/recovery.cpp)
schedules_mutant(claim_ends_before_its_result cancel channel/ring.cpp
  [[  put.tail.store(sent, std::memory_order_release);
  if (clears != 0) lock.clear_noted();]]
  [[  if (clears != 0) lock.clear_noted();
  put.tail.store(sent, std::memory_order_release);]]
  channel/ring.cpp)
schedules_mutant(chunk_ends_before_its_results cancel channel/ring.cpp
  [[  journal.set(put_offset(offsetof(PutEnd, tail)),
              Mark{tail.count + 1, tail.position + units}.word());
  if (also) also(journal);]]
  [[  if (also) also(journal);
  journal.set(put_offset(offsetof(PutEnd, tail)),
              Mark{tail.count + 1, tail.position + units}.word());]]
  channel/ring.cpp)
schedules_mutant(asked_for_and_refused cancel forkful/bytes/cancellations.hpp
  [[    if (mark == mark_of(job, State::asked) &&
        place_of(job).compare_exchange_strong(mark, mark_of(job, State::begun),
                                              std::memory_order_seq_cst)) {
      return false;
    }
    return mark == mark_of(job, State::cancelled);]]
  [[    return mark == mark_of(job, State::asked) || mark == mark_of(job, State::cancelled);]])
schedules_mutant(asked_for_and_begun_without_a_word cancel forkful/bytes/cancellations.hpp
  [[place_of(job).compare_exchange_strong(mark, mark_of(job, State::begun),
                                              std::memory_order_seq_cst)]]
  [[true]])
schedules_mutant(asked_for_by_acquire cancel forkful/bytes/cancellations.hpp
  [[words().entered.load(std::memory_order_seq_cst)]]
  [[words().entered.load(std::memory_order_acquire)]])

# --- conditions ---

schedules_mutant(comes_later_and_takes_it condition primitives/condition.cpp
  [[if (newer.permits == 0 || fresh == 0) {]]
  [[if (true) {]]
  primitives/condition.cpp)
schedules_mutant(old_and_told_and_forgotten condition primitives/condition.cpp
  [[if (older.permits != 0) change.set(kReleased, older.horizon);]]
  [[]]
  primitives/condition.cpp)
schedules_mutant(time_out_and_notification condition primitives/condition.cpp
  [[  if (take_permit(change, ticket)) return true;
  leave(change, ticket);]]
  [[  leave(change, ticket);]]
  primitives/condition.cpp)
schedules_mutant(leaves_and_is_counted condition primitives/condition.cpp
  [[    change.set(kFresh, less_one(change.get(kFresh)));]]
  [[]]
  primitives/condition.cpp)
schedules_mutant(condition_looks_not_past_the_lock condition primitives/condition.cpp
  [[words.bell.under(words.journal.lock).wait(wait, held_->budget, may_go);]]
  [[words.bell.wait(wait, held_->budget, may_go);]]
  primitives/condition.cpp)
schedules_mutant(permits_are_there_too_late condition primitives/condition.cpp
  [[    change.commit();
    FORKFUL_FAULT("condition.notified");
  }
  // All, since neither a spinner nor the first sleeper need be one that may go.
  held_->body<ConditionWords>().bell.notify_all();]]
  [[    held_->body<ConditionWords>().bell.notify_all();
    change.commit();
  }]]
  primitives/condition.cpp)

# --- barriers ---

schedules_mutant(barrier_looks_not_past_the_lock barrier primitives/barrier.cpp
  [[words.bell.under(words.journal.lock).wait(watch, held_->budget, [&] {
    return words.round.]]
  [[words.bell.wait(watch, held_->budget, [&] {
    return words.round.]]
  primitives/barrier.cpp)
schedules_mutant(last_one_counts_the_dead barrier primitives/barrier.cpp
  [[if (!arrival.last || !any_gone(held, before)) {]]
  [[if (!arrival.last || true || !any_gone(held, before)) {]]
  primitives/barrier.cpp)
schedules_mutant(reset_and_passed barrier primitives/barrier.cpp
  [[if (broken) change.set(]]
  [[if (broken && false) change.set(]]
  primitives/barrier.cpp)
schedules_mutant(gives_up_and_nobody_told barrier primitives/barrier.cpp
  [[  words_of(held_).bell.notify_all();
  return Passed::broken;]]
  [[  return Passed::broken;]]
  primitives/barrier.cpp)
schedules_mutant(gives_up_what_was_passed barrier primitives/barrier.cpp
  [[      return was_released(change, arrival.round) ? Passed::yes : Passed::broken;
    }
    if (change.get(kState) != kBroken)]]
  [[      return Passed::broken;
    }
    if (change.get(kState) != kBroken)]]
  primitives/barrier.cpp)
schedules_mutant(releases_what_is_broken barrier primitives/barrier.cpp
  [[if (change.get(kRound) != arrival.round || change.get(kState) != kActing) return false;]]
  [[if (change.get(kRound) != arrival.round) return false;]]
  primitives/barrier.cpp)
schedules_mutant(looks_not_at_the_dead barrier primitives/barrier.cpp
  [[      if (!gone) return;]]
  [[      if (!gone || true) return;]]
  primitives/barrier.cpp)

# --- the count of a queue that is joined ---

schedules_mutant(report_by_release task_count primitives/task_count.cpp
  [[done + 1, std::memory_order_seq_cst)]]
  [[done + 1, std::memory_order_release)]]
  primitives/task_count.cpp)
schedules_mutant(report_relaxed task_count primitives/task_count.cpp
  [[done + 1, std::memory_order_seq_cst)]]
  [[done + 1, std::memory_order_relaxed)]]
  primitives/task_count.cpp)
schedules_mutant(reports_looked_at_by_acquire task_count primitives/task_count.cpp
  [[words.done.load(std::memory_order_seq_cst)]]
  [[words.done.load(std::memory_order_acquire)]]
  primitives/task_count.cpp)
schedules_mutant(puts_looked_at_before_reports task_count primitives/task_count.cpp
  [[  const std::uint32_t done = words.done.load(std::memory_order_seq_cst);
  return queue.puts() - done;]]
  [[  const std::uint32_t puts = queue.puts();
  return puts - words.done.load(std::memory_order_seq_cst);]]
  primitives/task_count.cpp)
schedules_mutant(wakes_one_who_joins task_count primitives/task_count.cpp
  [[words.all_done.notify_all();]]
  [[words.all_done.notify();]]
  primitives/task_count.cpp)
schedules_mutant(takes_reports_too_often task_count primitives/task_count.cpp
  [[if (done == queue.puts()) return false;]]
  [[]]
  primitives/task_count.cpp)
schedules_mutant(reports_read_relaxed task_count primitives/task_count.cpp
  [[words.done.load(std::memory_order_acquire)]]
  [[words.done.load(std::memory_order_relaxed)]]
  primitives/task_count.cpp)
