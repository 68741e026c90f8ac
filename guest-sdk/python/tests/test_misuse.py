import unittest
from datetime import timedelta

from fake_host import done, event, run

import fermata_guest as df


def message(function, *script):
    return run(function, *script).failure.message


class MissingYield(unittest.TestCase):
    def test_the_pages_first_sample(self):
        def orchestrator_function(context):
            approved = context.wait_for_external_event("Approval")
            if approved:
                return 1

        outcome = run(orchestrator_function, event("Approval", True), name="BudgetApproval")
        self.assertIn("the orchestrator `BudgetApproval` waits for nothing", outcome.failure.message)
        self.assertEqual(outcome.failure.error_type, "MissingYieldError")
        self.assertEqual(outcome.host.tasks, [], "it is not begun at all")

    def test_a_decorator_may_hide_the_generator(self):
        def inner(context):
            return (yield context.wait_for_external_event("E"))

        class Wrapped:
            def __call__(self, context):
                return inner(context)

        self.assertEqual(run(Wrapped(), event("E", 3)).output, 3)

    def test_a_task_is_neither_true_nor_false(self):
        def orchestrator(context):
            approved = context.wait_for_external_event("Approval")
            yield context.create_timer(timedelta(0))
            return 1 if approved else 2

        self.assertIn("the wait for the event `Approval` is neither true nor false", message(orchestrator, done(1)))

    def test_a_task_any_is_not_its_winner(self):
        def orchestrator(context):
            event1 = context.wait_for_external_event("Event1")
            winner = context.task_any([event1, context.wait_for_external_event("Event2")])
            yield context.create_timer(timedelta(0))
            return event1 == winner

        self.assertIn("is not its winner", message(orchestrator, done(2)))

    def test_a_task_any_that_was_waited_for_compares_as_anything_does(self):
        def orchestrator(context):
            first = context.wait_for_external_event("a")
            group = context.task_any([first])
            winner = yield group
            return [group == first, group == group, winner == first, first in {winner}, group != first]

        self.assertEqual(run(orchestrator, event("a", 1)).output, [False, True, True, True, True])

    def test_a_task_is_no_list_of_results(self):
        def orchestrator(context):
            yield context.create_timer(timedelta(0))
            return [result for result in context.task_all([context.call_activity("A")])]

        self.assertIn("results = yield", message(orchestrator, done(0)))

    def test_a_task_is_no_output_and_no_input(self):
        async def returns_it(context):
            return context.wait_for_external_event("Approval")

        async def sends_it(context):
            await context.call_activity("A", {"first": context.call_activity("B")})

        self.assertIn("returns the wait for the event `Approval`, not its result", message(returns_it))
        self.assertIn("wait for it with `yield`", message(sends_it))


class NotATask(unittest.TestCase):
    def test_a_list_of_tasks_is_told_about_task_all(self):
        def orchestrator(context):
            yield [context.call_activity("A")]

        self.assertIn("yield context.task_all", message(orchestrator))

    def test_the_error_comes_at_the_yield_and_can_be_caught(self):
        def orchestrator(context):
            try:
                yield 5
            except TypeError as error:
                return str(error)

        self.assertIn("a value of the type int; it can wait for tasks only", run(orchestrator).output)

    def test_a_future_of_another_loop_is_refused(self):
        class Future:
            def __await__(self):
                yield self

        async def orchestrator(context):
            await Future()

        self.assertIn("neither asyncio nor any other loop runs here", message(orchestrator))

    def test_an_async_generator_is_refused(self):
        async def orchestrator(context):
            yield context.call_activity("A")

        self.assertIn("write `await` instead of `yield`", message(orchestrator))

    def test_groups_take_tasks_in_a_list(self):
        async def no_list(context):
            await context.task_all(context.call_activity("A"))

        async def no_task(context):
            await context.task_any([context.call_activity("A"), 3])

        self.assertIn("task_all takes a list of tasks", message(no_list))
        self.assertIn("int is none", message(no_task))


class Absent(unittest.TestCase):
    def test_what_is_not_there_says_what_is(self):
        async def orchestrator(context):
            told = []
            for attempt in (
                lambda: context.call_http("GET", "http://x"),
                lambda: context.call_entity(None, "get"),
                lambda: context.signal_entity(None, "get"),
                lambda: context.histories,
                lambda: context.call_sub_orchestrator("A", version="2"),
            ):
                try:
                    attempt()
                except NotImplementedError as error:
                    told.append(str(error))
            return told

        told = run(orchestrator).output
        self.assertEqual(len(told), 5)
        self.assertIn("in an activity", told[0])
        self.assertIn("context.raise_event", told[2])

    def test_the_shims_name_what_is_not_there(self):
        import azure.durable_functions
        import azure.functions

        with self.assertRaisesRegex(ImportError, "DurableOrchestrationClient is not there: clients talk HTTP"):
            from azure.durable_functions import DurableOrchestrationClient  # noqa: F401
        with self.assertRaisesRegex(ImportError, "there are no entities"):
            azure.durable_functions.Entity
        with self.assertRaisesRegex(ImportError, "azure.functions.HttpResponse is not there"):
            azure.functions.HttpResponse
        with self.assertRaisesRegex(ImportError, "has no Orchestrater; what is there: .*Orchestrator"):
            azure.durable_functions.Orchestrater
        self.assertEqual(azure.functions.AuthLevel.ANONYMOUS.value, "anonymous")
        self.assertIs(azure.durable_functions.DFApp, df.DFApp)

    def test_triggers_that_are_not_there(self):
        app = df.DFApp()
        for name in ("route", "durable_client_input", "entity_trigger", "timer_trigger", "queue_output", "retry"):
            with self.assertRaises(NotImplementedError, msg=name):
                getattr(app, name)
        with self.assertRaises(AttributeError):
            app.nonsense


class OutsideWorld(unittest.TestCase):
    def test_an_orchestrator_can_not_sleep_and_an_activity_can(self):
        import time

        from fake_host import run_activity

        def orchestrator(context):
            yield context.create_timer(timedelta(0))
            time.sleep(0)

        outcome = run(orchestrator, done(0))
        self.assertEqual(outcome.failure.error_type, "OutsideWorldError")
        self.assertIn("yield context.create_timer", outcome.failure.message)
        self.assertIsNone(run_activity(lambda value: time.sleep(0)).failure)

    def test_an_orchestrator_has_no_files_and_no_threads(self):
        import threading

        async def opens(context):
            open(__file__)

        async def starts(context):
            threading.Thread(target=print).start()

        self.assertIn("has no files", message(opens))
        self.assertIn("can not start a thread", message(starts))


if __name__ == "__main__":
    unittest.main()
