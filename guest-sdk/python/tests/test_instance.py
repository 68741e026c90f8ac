import logging
import random
import sys
import unittest
import uuid
from datetime import timedelta

from fake_host import done, event, run, run_activity

import fermata_guest as df


class Instance(unittest.TestCase):
    def test_what_an_instance_knows_of_itself(self):
        async def orchestrator(context):
            now = context.current_utc_datetime
            return [
                context.instance_id,
                context.parent_instance_id,
                context.version,
                context.is_replaying,
                context.function_context.function_name,
                now.isoformat(),
                now.utcoffset() == timedelta(0),
                isinstance(context.new_guid(), uuid.UUID),
                context.new_uuid(),
            ]

        self.assertEqual(
            run(orchestrator).output,
            ["instance-1", None, "d1", False, "Tested", "2023-11-14T22:13:20+00:00", True, True]
            + ["00000000-0000-5000-8000-000000000002"],
        )

    def test_others(self):
        async def orchestrator(context):
            other = context.start_orchestrator("Other", {"a": 1}, "other-1")
            context.raise_event(other, "Go", True)
            return [other, context.callback_url("Approval", timedelta(seconds=1))]

        outcome = run(orchestrator)
        self.assertEqual(outcome.output, ["other-1", "http://host/Approval/1700000001000.0"])
        self.assertEqual(
            outcome.host.sent, [("start", "Other", '{"a":1}', "other-1"), ("raise", "other-1", "Go", "true")]
        )

    def test_functions_are_called_by_the_name_they_have(self):
        app = df.DFApp()

        @app.activity_trigger(input_name="x", activity="Renamed")
        def original(x): ...

        @app.orchestration_trigger(context_name="context")
        def Child(context): ...

        async def orchestrator(context):
            context.call_activity(original)
            context.call_sub_orchestrator(Child)
            told = []
            for attempt in (
                lambda: context.call_activity(Child),
                lambda: context.call_sub_orchestrator(original),
                lambda: context.call_activity(print),
            ):
                try:
                    attempt()
                except ValueError as error:
                    told.append(str(error))
            return told

        outcome = run(orchestrator)
        self.assertEqual([task[1] for task in outcome.host.tasks], ["Renamed", "Child"])
        self.assertIn("`Child` has the orchestration_trigger, not the activity_trigger", outcome.output[0])
        self.assertEqual(len(outcome.output), 3)

    def test_a_name_is_a_string(self):
        async def orchestrator(context):
            context.wait_for_external_event(5)

        self.assertIn("a string, not int", run(orchestrator).failure.message)


class Generations(unittest.TestCase):
    def test_it_continues_as_new_where_it_ends(self):
        async def orchestrator(context):
            context.continue_as_new({"n": 1})
            context.set_custom_status("still here")
            assert context.will_continue_as_new

        host = run(orchestrator).host
        self.assertEqual((host.next_input, host.status), ('{"n":1}', '"still here"'))

    def test_or_where_it_next_waits(self):
        def orchestrator(context):
            yield context.wait_for_external_event("E")
            context.continue_as_new(2)
            yield context.wait_for_external_event("E")
            raise AssertionError("it does not come here")

        outcome = run(orchestrator, event("E", 1), event("E", 2))
        self.assertEqual(outcome.host.next_input, "2")

    def test_an_exception_after_it_is_a_failure(self):
        async def orchestrator(context):
            context.continue_as_new(2)
            raise ValueError("no")

        outcome = run(orchestrator)
        self.assertEqual((outcome.failure.message, outcome.host.next_input), ("no", None))


class Log(unittest.TestCase):
    def test_prints_and_records_reach_the_host_at_their_level(self):
        def orchestrator(context):
            print("one", 1)
            print("begun, ", end="")
            yield context.create_timer(timedelta(0))
            print("ended")
            logging.info("info %s", 1)
            logging.getLogger("x").warning("warned")
            logging.error("é \ud800")
            logging.debug("not shown")
            print("to stderr", file=sys.stderr)
            context.log("a trace", "trace")
            print("left open", end="")

        self.assertEqual(
            run(orchestrator, done(0)).host.lines,
            [
                ("info", "one 1"),
                ("info", "begun, ended"),
                ("info", "info 1"),
                ("warn", "warned"),
                ("error", "é ?"),
                ("warn", "to stderr"),
                ("trace", "a trace"),
                ("info", "left open"),
            ],
        )

    def test_a_level_that_is_none(self):
        async def orchestrator(context):
            context.log("x", "loud")

        self.assertIn("`loud` is no level", run(orchestrator).failure.message)

    def test_a_failing_activity_ends_its_line(self):
        def activity(value):
            print("begun", end="")
            raise ValueError

        self.assertEqual(run_activity(activity).host.lines, [("info", "begun")])


class Randomness(unittest.TestCase):
    def test_random_is_seeded_from_the_system_at_each_run(self):
        async def orchestrator(context):
            return random.random()

        random.seed(1)
        first = run(orchestrator).output
        random.seed(1)
        self.assertNotEqual(first, run(orchestrator).output)


class Restored:
    """Puts the streams back that the package replaced, for those who run the tests."""

    streams = sys.stdout, sys.stderr


def tearDownModule():
    sys.stdout, sys.stderr = Restored.streams


if __name__ == "__main__":
    unittest.main()
