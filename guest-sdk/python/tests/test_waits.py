import unittest
from datetime import datetime, timedelta, timezone

from fake_host import at_once, done, event, failed, run

import fermata_guest as df


class Waits(unittest.TestCase):
    def test_an_event_answers_the_yield(self):
        def orchestrator(context):
            return (yield context.wait_for_external_event("Approval"))

        self.assertEqual(run(orchestrator, event("approval", {"by": ["Ann", None]})).output, {"by": ["Ann", None]})

    def test_an_async_orchestrator_awaits(self):
        async def orchestrator(context):
            first = await context.wait_for_external_event("E")
            winner = await context.task_any([context.create_timer(timedelta(1)), context.wait_for_external_event("E")])
            return [first, await winner]

        self.assertEqual(run(orchestrator, event("E", 1), event("E", 2)).output, [1, 2])

    def test_it_blocks_where_nothing_comes(self):
        def orchestrator(context):
            yield context.wait_for_external_event("Approval")

        self.assertTrue(run(orchestrator).host.is_blocked)

    def test_any_gives_the_task_that_came_first_whatever_its_place(self):
        def orchestrator(context):
            events = [context.wait_for_external_event(name) for name in "abc"]
            winner = yield context.task_any(events)
            return [winner == events[0], winner == events[1], winner == events[2], winner.result]

        outcome = run(orchestrator, at_once(event("b", 7), event("a", 8)))
        self.assertEqual(outcome.output, [False, True, False, 7])
        self.assertEqual(outcome.host.calls, ["task-any", "task-result"])

    def test_all_gives_results_in_the_order_of_its_list(self):
        def orchestrator(context):
            tasks = [context.call_activity("A", n) for n in range(3)]
            results = yield context.task_all(tasks)
            return [results, [task.result for task in tasks]]

        outcome = run(orchestrator, done(2, "c"), done(0, "a"), done(1, "b"))
        self.assertEqual(outcome.output, [["a", "b", "c"]] * 2)
        self.assertEqual(outcome.host.calls, ["task-all"])

    def test_all_of_nothing_is_an_empty_list(self):
        def orchestrator(context):
            return (yield context.task_all([]))

        self.assertEqual(run(orchestrator).output, [])

    def test_any_of_nothing_is_refused(self):
        def orchestrator(context):
            yield context.task_any([])

        self.assertIn("at least one", run(orchestrator).failure.message)

    def test_all_fails_at_the_first_failure_in_history_order(self):
        def orchestrator(context):
            tasks = [context.call_activity("A") for _ in range(3)]
            try:
                yield context.task_all(tasks)
            except df.TaskFailedError as error:
                return [str(error), [task.is_completed for task in tasks], [task.is_faulted for task in tasks]]

        outcome = run(orchestrator, at_once(failed(2, "second to none"), failed(0, "late")))
        self.assertEqual(outcome.output, ["second to none", [True, False, True], [True, False, True]])

    def test_a_failed_winner_is_given_and_raises_only_where_it_is_yielded(self):
        def orchestrator(context):
            task = context.call_activity("A")
            winner = yield context.task_any([task])
            before = [winner is task, winner.is_faulted, str(winner.result)]
            try:
                yield winner
            except df.TaskFailedError as error:
                return [*before, error is winner.result]

        self.assertEqual(run(orchestrator, failed(0, "broke")).output, [True, True, "broke", True])

    def test_a_complete_task_gives_its_result_again_without_the_host(self):
        def orchestrator(context):
            task = context.wait_for_external_event("E")
            return [(yield task), (yield task), task.result, task.state.name]

        outcome = run(orchestrator, event("E", 5))
        self.assertEqual(outcome.output, [5, 5, 5, "SUCCEEDED"])
        self.assertEqual(outcome.host.calls, ["await-task"])

    def test_a_task_runs_until_it_was_handed_over(self):
        def orchestrator(context):
            first, second = context.wait_for_external_event("a"), context.wait_for_external_event("b")
            yield context.task_any([first, second])
            return [first.is_completed, second.is_completed, second.result]

        self.assertEqual(run(orchestrator, at_once(event("a", 1), event("b", 2))).output, [True, False, None])


class Timers(unittest.TestCase):
    def test_a_timer_is_due_at_a_moment_in_utc_or_after_a_time(self):
        moment = datetime(2030, 1, 2, tzinfo=timezone.utc)

        def orchestrator(context):
            context.create_timer(moment)
            context.create_timer(moment.replace(tzinfo=None))
            context.create_timer(context.current_utc_datetime + timedelta(seconds=1.5))
            context.create_timer(timedelta(seconds=1.5))
            return (yield context.create_timer(moment))

        host = run(orchestrator, done(4)).host
        due = moment.timestamp() * 1000
        self.assertEqual([task[2] for task in host.tasks], [due, due, host.now + 1500, host.now + 1500, due])

    def test_a_loser_is_cancelled_and_can_not_be_waited_for(self):
        def orchestrator(context):
            timer = context.create_timer(timedelta(days=1))
            yield context.task_any([context.wait_for_external_event("E"), timer])
            cancelled = [timer.cancel(), timer.is_cancelled]
            caught = []
            for task in (timer, context.task_any([timer]), context.task_all([context.task_any([timer])])):
                try:
                    yield task
                except df.TaskMisuseError as error:
                    caught.append("was cancelled" in str(error))
            return [cancelled, caught]

        outcome = run(orchestrator, event("E", 1))
        self.assertEqual(outcome.output, [[True, True], [True, True, True]])
        self.assertEqual(outcome.host.cancelled, {0})

    def test_a_timer_that_has_fired_can_not_be_cancelled(self):
        def orchestrator(context):
            timer = context.create_timer(timedelta(1))
            yield timer
            timer.cancel()

        failure = run(orchestrator, done(0)).failure
        self.assertEqual((failure.error_type, failure.message), ("ValueError", "Cannot cancel a completed task."))

    def test_a_wait_that_is_cancelled_takes_no_event(self):
        def orchestrator(context):
            first = context.wait_for_external_event("E")
            second = context.wait_for_external_event("E")
            second.cancel()
            return (yield first)

        self.assertEqual(run(orchestrator, event("E", 1)).output, 1)

    def test_a_wait_with_a_timeout_has_the_hosts(self):
        def orchestrator(context):
            plain = context.wait_for_external_event("a", timeout=timedelta(seconds=1))
            context.wait_for_external_event("b", bool, timeout=timedelta(seconds=2), default=None)
            try:
                yield plain
            except TimeoutError as error:
                return [isinstance(error, df.TaskFailedError), error.kind, str(error)]

        outcome = run(orchestrator, failed(0, "too late", kind="timeout", error_type=""))
        self.assertEqual(outcome.output, [True, "timeout", "too late"])
        now = outcome.host.now
        self.assertEqual(outcome.host.timeouts, {0: (now + 1000, None), 1: (now + 2000, "null")})

    def test_a_default_need_not_fit_the_type(self):
        def orchestrator(context):
            return (yield context.wait_for_external_event("b", bool, timeout=timedelta(1), default="no answer"))

        self.assertEqual(run(orchestrator, done(0, "no answer")).output, "no answer")

    def test_a_default_without_a_timeout_is_refused(self):
        def orchestrator(context):
            yield context.wait_for_external_event("b", default=1)

        self.assertIn("give wait_for_external_event a timeout too", run(orchestrator).failure.message)


if __name__ == "__main__":
    unittest.main()
