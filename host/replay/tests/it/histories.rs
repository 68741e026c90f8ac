//! Named histories. Each listing numbers the messages; after the arrow, what the guest decides. `a#0` is task 0, a wait
//! for the event `A`; `(p)#0` the activity `p`. "await", where the result is there already, leaves no trace.

use crate::history::{History, application, second, started};

/// Events wait for their wait, the oldest first.
///
/// 1. started → a `Go`#0, block
/// 2. `A` = 1, buffered
/// 3. `A` = 2, buffered
/// 4. `Go` → `A`#1 has 1, `A`#2 has 2, completed `[1,2]`
pub fn event_before_wait() -> History {
    started()
        .wait("Go").block(0)
        .event("A", "1")
        .event("A", "2")
        .event("Go", "null").wait("A").wait("A").completed("[1,2]")
}

/// Of several open waits the newest gets the event.
///
/// 1. started → `A`#0, `A`#1, block on both
/// 2. `A` = 1, for #1
/// 3. `A` = 2, for #0 → completed `[2,1]`
pub fn newest_wait_first() -> History {
    started()
        .wait("A").wait("A").block_all(&[0, 1])
        .event("A", "1")
        .event("A", "2").completed("[2,1]")
}

/// Names compare without regard to case, and keep their spelling.
///
/// 1. started → `Äpfel`#0, block
/// 2. `BIRNEN` = 1, buffered
/// 3. `äPFEL` = 2 → `Birnen`#1, completed `[2,1]`
/// 4. `ÄPFEL` = 3, buffered
pub fn names_ignore_case() -> History {
    started()
        .wait("Äpfel").block(0)
        .event("BIRNEN", "1")
        .event("äPFEL", "2").wait("Birnen").completed("[2,1]")
        .event("ÄPFEL", "3")
}

/// A cancelled wait gets nothing.
///
/// 1. started → `A`#0, `A`#1, cancel #1, block on #0
/// 2. `A` = 1, for #0 → completed `1`
pub fn cancelled_wait() -> History {
    started().wait("A").wait("A").cancel(1).block(0).event("A", "1").completed("1")
}

/// The event of a cancelled wait goes back to its place in the sequence.
///
/// 1. started → `A`#0, `Go`#1, block on #1
/// 2. `A` = 1, for #0
/// 3. `A` = 2, buffered
/// 4. `Go` → cancel #0, which returns 1; `A`#2 has 1, `A`#3 has 2, completed `[1,2]`
pub fn event_goes_back() -> History {
    started()
        .wait("A").wait("Go").block(1)
        .event("A", "1")
        .event("A", "2")
        .event("Go", "null").cancel_returning(0, 2).wait("A").wait("A").completed("[1,2]")
}

/// The event of a cancelled wait goes to the newest other open wait of its name.
///
/// 1. started → `A`#0, `a`#1, `A`#2, `Go`#3, block on #3
/// 2. `A` = 1, for #2
/// 3. `Go` → cancel #2, and 1 goes to #1; completed `1`, and #0 stays open
pub fn event_goes_to_another_wait() -> History {
    started()
        .wait("A").wait("a").wait("A").wait("Go").block(3)
        .event("A", "1")
        .event("Go", "null").cancel_returning(2, 2).completed("1")
}

/// What was taken cannot be given back.
///
/// 1. started → `A`#0, block
/// 2. `A` = 1 → await #0; cancel #0 is false; completed `false`
pub fn cancel_after_taking() -> History {
    started().wait("A").block(0).event("A", "1").completed("false")
}

/// The first completed wins, whatever its place in the list.
///
/// 1. started → `A`#0, `B`#1, `Go`#2, block on #2
/// 2. `B` = 1
/// 3. `A` = 2
/// 4. `Go` → any of 0, 1 and any of 1, 0: both #1; the events, not taken, go back; completed `[1,1]`
pub fn any_of_complete() -> History {
    started()
        .wait("A").wait("B").wait("Go").block(2)
        .event("B", "1")
        .event("A", "2")
        .event("Go", "null").cancel_returning(1, 2).cancel_returning(0, 3).completed("[1, 1]")
}

/// A wait for a buffered event completes when it is created, not when its event arrived.
///
/// 1. started → `B`#0, `Go`#1, block on #1
/// 2. `A` = 1, buffered
/// 3. `B` = 2, for #0
/// 4. `Go` → `A`#2 has 1 only now; any of 2, 0: #0; the events go back; completed `0`
pub fn any_with_buffered() -> History {
    started()
        .wait("B").wait("Go").block(1)
        .event("A", "1")
        .event("B", "2")
        .event("Go", "null").wait("A").cancel_returning(0, 3).cancel_returning(2, 2).completed("0")
}

/// Blocked on any, the next to complete wins; what is not in the list wakes nobody.
///
/// 1. started → `A`#0, `B`#1, (p)#2, block on any of 2, 0
/// 2. `B` = 1
/// 3. #2 fails → any: #2; any of 0, 1: #1; its event goes back; completed `[2,1]`
pub fn any_blocks() -> History {
    started()
        .wait("A").wait("B").call("p", "1").block_any(&[2, 0])
        .event("B", "1")
        .failure(2, "no").cancel_returning(1, 2).completed("[2, 1]")
}

/// Results come in the order of the list.
///
/// 1. started → (p)#0, (p)#1, `A`#2, block on all of 2, 0, 1
/// 2. #1 = 11
/// 3. `A` = 12
/// 4. #0 = 10 → completed `[12,10,11]`
pub fn all_in_order() -> History {
    started()
        .call("p", "0").call("p", "1").wait("A").block_all(&[2, 0, 1])
        .result(1, "11")
        .event("A", "12")
        .result(0, "10").completed("[12,10,11]")
}

/// Of several failures, the first in history counts.
///
/// 1. started → (p)#0, (p)#1, (p)#2, `Go`#3, block on #3
/// 2. #1 fails
/// 3. #0 fails
/// 4. `Go` → all of 0, 1, 2, though #2 is open: fails as #1 did
pub fn all_fails_first_in_history() -> History {
    started()
        .call("p", "0").call("p", "1").call("p", "2").wait("Go").block(3)
        .failure(1, "first")
        .failure(0, "second")
        .event("Go", "null").failed(application("first"))
}

/// A failure ends the wait for all at once; events that the guest was not shown go back.
///
/// 1. started → `A`#0, `B`#1, (p)#2, block on all of them
/// 2. `A` = 1, for #0
/// 3. #2 fails → cancel #0, which returns 1; cancel #1; `a`#3 has 1; completed `1`
pub fn all_fails_and_events_go_back() -> History {
    started()
        .wait("A").wait("B").call("p", "2").block_all(&[0, 1, 2])
        .event("A", "1")
        .failure(2, "no").cancel_returning(0, 2).cancel(1).wait("a").completed("1")
}

/// Completed tasks are handed over once, in the order of completion.
///
/// 1. started → (p)#0 … (p)#3, `A`#4, block on #2
/// 2. #3 = 3
/// 3. #2 = 2 → await has it; next: #3; block on the next
/// 4. `A` = 4 → next: #4; block on any of 0, 1
/// 5. #1 = 1 → any: #1; block on the next
/// 6. #0 fails → next: #0; the event of #4 goes back; completed `[3,4,0]`
pub fn next_in_order() -> History {
    started()
        .call("p", "0").call("p", "1").call("p", "2").call("p", "3").wait("A").block(2)
        .result(3, "3")
        .result(2, "2").block_next()
        .event("A", "4").block_any(&[0, 1])
        .result(1, "1").block_next()
        .failure(0, "no").cancel_returning(4, 4).completed("[3, 4, 0]")
}

/// A cancelled task is not handed over, nor are those that the guest has asked for by name.
///
/// 1. started → (p)#0, (p)#1, (p)#2, (p)#3, `Go`#4, block on #4
/// 2. … 4. #0, #1, #2 complete
/// 5. `Go` → cancel #0; peek at #1; next: #2; block on the next
/// 6. #3 = 3 → next: #3; completed `[2,3]`
pub fn next_skips() -> History {
    started()
        .call("p", "0").call("p", "1").call("p", "2").call("p", "3").wait("Go").block(4)
        .result(0, "0")
        .result(1, "1")
        .result(2, "2")
        .event("Go", "null").cancel(0).block_next()
        .result(3, "3").completed("[2, 3]")
}

/// A second result is ignored, and so is one for a task given up, one for a wait, one for no task, and any after the end.
///
/// 1. started → (p)#0, (p)#1, `A`#2, (p)#3, cancel #1, block on #0
/// 2. – 4. results for #1, #2 and #7, ignored
/// 5. #0 = 1 → block on #2
/// 6. #0 = 2, ignored
/// 7. `A` = 3 → completed `[1,3]`
/// 8. #3 = 4, ignored
pub fn ignored_results() -> History {
    started()
        .call("p", "0").call("p", "1").wait("A").call("p", "3").cancel(1).block(0)
        .ignored_result(1, "9")
        .ignored_result(2, "9")
        .ignored_result(7, "9")
        .result(0, "1").block(2)
        .ignored_result(0, "2")
        .event("A", "3").completed("[1,3]")
        .ignored_result(3, "4")
}

/// Each step keeps the status set last.
///
/// 1. started, status `"one"` → `A`#0, block
/// 2. `B` = 1, buffered
/// 3. `A` = 2, status `"three"` → `A`#1, block
/// 4. `A` = 3 → completed `null`; the status stays
pub fn status_of_steps() -> History {
    started()
        .wait("A").block(0).status(r#""one""#)
        .event("B", "1")
        .event("A", "2").wait("A").block(1).status(r#""three""#)
        .event("A", "3").completed("null")
}

/// Events that come after the end stay visible, even where a wait was left open.
///
/// 1. started → `A`#0, `Go`#1, block on #1
/// 2. `Go` → completed `null`
/// 3. `A` = 1, buffered
/// 4. `B` = 2, buffered
pub fn events_after_the_end() -> History {
    started()
        .wait("A").wait("Go").block(1)
        .event("Go", "null").completed("null")
        .event("A", "1")
        .event("B", "2")
}

/// An event whose wait the guest never looked at stays visible, though another wait of its name was open too.
///
/// 1. started → `A`#0, `A`#1, `Go`#2, block on #2
/// 2. `A` = 1, for #1
/// 3. `Go` → the end: cancel #1, whose event goes to #0; cancel #0, which returns it; failed
pub fn event_left_in_a_wait() -> History {
    started()
        .wait("A").wait("A").wait("Go").block(2)
        .event("A", "1")
        .event("Go", "null").cancel_returning(1, 2).cancel_returning(0, 2).failed(application("enough"))
}

/// Time never goes back.
///
/// 1. started at 1 s → `A`#0, block
/// 2. `A` accepted at 9 s → `A`#1, block
/// 3. `A` accepted at 4 s, seen at 9 s → `A`#2, block
/// 4. `A` accepted at 10 s → completed
pub fn clock_goes_back() -> History {
    started()
        .wait("A").block(0)
        .event("A", "1").accepted_at(second(9), second(9)).wait("A").block(1)
        .event("A", "2").accepted_at(second(4), second(9)).wait("A").block(2)
        .event("A", "3").accepted_at(second(10), second(10)).completed("[1000,9000,9000,10000]")
}
