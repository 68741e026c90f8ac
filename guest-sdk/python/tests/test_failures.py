import unittest

from fake_host import done, failed, run, run_activity

import fermata_guest as df


class OutOfStock(Exception):
    non_retryable = True


class Out(unittest.TestCase):
    def test_an_exception_becomes_a_failure(self):
        def orchestrator(context):
            raise OutOfStock("only 3 are left")
            yield

        failure = run(orchestrator).failure
        self.assertEqual(
            (failure.kind, failure.message, failure.error_type, failure.non_retryable),
            ("application", "only 3 are left", "OutOfStock", True),
        )
        self.assertIn('raise OutOfStock("only 3 are left")', failure.details)
        self.assertNotIn("fermata_guest/", failure.details)

    def test_the_name_of_a_class_that_says_nothing_is_left_out(self):
        async def orchestrator(context):
            raise Exception("x")

        self.assertEqual(run(orchestrator).failure.error_type, "")

    def test_an_exception_without_words_has_its_name_for_a_message(self):
        async def orchestrator(context):
            raise KeyboardInterrupt

        self.assertEqual(run(orchestrator).failure.message, "KeyboardInterrupt")

    def test_a_tasks_failure_passes_through_with_its_details(self):
        def orchestrator(context):
            yield context.call_activity("A")

        failure = run(
            orchestrator, failed(0, "gone", error_type="Gone", details="stack there", non_retryable=True)
        ).failure
        self.assertEqual((failure.kind, failure.message, failure.error_type), ("application", "gone", "Gone"))
        self.assertTrue(failure.non_retryable)
        self.assertTrue(failure.details.startswith("stack there\nTraceback"))
        self.assertIn('yield context.call_activity("A")', failure.details)

    def test_a_failure_of_the_hosts_becomes_the_applications_and_says_what_it_was(self):
        def orchestrator(context):
            yield context.call_activity("A")

        failure = run(orchestrator, failed(0, "no such activity", kind="not-found", error_type="")).failure
        self.assertEqual((failure.kind, failure.error_type), ("application", ""))
        self.assertIn("kind: not-found", failure.details)

    def test_an_exception_because_of_a_failure_has_the_details_of_both(self):
        def orchestrator(context):
            try:
                yield context.call_activity("A")
            except df.TaskFailedError as error:
                raise RuntimeError("the order can not be filled") from error

        failure = run(orchestrator, failed(0, details="stack there")).failure
        self.assertEqual((failure.message, failure.error_type), ("the order can not be filled", "RuntimeError"))
        self.assertIn("direct cause", failure.details)
        self.assertIn("stack there", failure.details)

    def test_a_deep_recursion_is_a_failure_like_another(self):
        async def orchestrator(context):
            def deeper():
                deeper()

            deeper()

        failure = run(orchestrator).failure
        self.assertEqual(failure.error_type, "RecursionError")
        self.assertLess(len(failure.details), 17_000)


class In(unittest.TestCase):
    def test_the_fields_of_a_tasks_failure(self):
        def orchestrator(context):
            try:
                yield context.call_sub_orchestrator("Child")
            except df.TaskFailedError as error:
                return [error.kind, error.message, str(error), error.error_type, error.details, error.non_retryable]

        script = failed(0, "it is taken", kind="conflict", error_type="X", details="more")
        self.assertEqual(
            run(orchestrator, script).output, ["conflict", "it is taken", "it is taken", "X", "more", False]
        )

    def test_only_a_timeout_is_a_timeout_error(self):
        def orchestrator(context):
            try:
                yield context.call_activity("A")
            except TimeoutError:
                return "timeout"
            except Exception:
                return "other"

        self.assertEqual(run(orchestrator, failed(0, kind="timeout")).output, "timeout")
        self.assertEqual(run(orchestrator, failed(0, kind="trap")).output, "other")


class Retries(unittest.TestCase):
    def test_the_policy_reaches_the_host(self):
        def orchestrator(context):
            options = df.RetryOptions(
                5_000,
                3,
                backoff_coefficient=2,
                max_retry_interval_in_milliseconds=60_000,
                retry_timeout_in_milliseconds=1,
                attempt_timeout_in_milliseconds=2,
                non_retryable=["NotFound", OutOfStock],
            )
            yield context.call_activity_with_retry("A", options, {"x": 1})
            yield context.call_sub_orchestrator_with_retry("B", df.RetryOptions(1, 2), 5, "child-1")

        host = run(orchestrator, done(0), done(1)).host
        policy = host.retries[0]
        self.assertEqual((policy.max_attempts, policy.first_interval, policy.backoff_coefficient), (3, 5_000.0, 2.0))
        self.assertEqual((policy.max_interval, policy.timeout, policy.attempt_timeout), (60_000.0, 1.0, 2.0))
        self.assertEqual(policy.non_retryable, ["NotFound", "OutOfStock"])
        self.assertEqual((host.retries[1].max_interval, host.retries[1].non_retryable), (None, []))
        self.assertEqual(host.tasks, [("activity", "A", '{"x":1}'), ("child", "B", ("5", "child-1"))])

    def test_what_no_policy_can_be(self):
        for arguments in ((0, 3), (-1, 3), (1, 0)):
            with self.assertRaises(ValueError):
                df.RetryOptions(*arguments)
        for coefficient in (0.5, float("nan"), float("inf")):
            with self.assertRaises(ValueError):
                df.RetryOptions(1, 1, backoff_coefficient=coefficient)
        self.assertEqual(
            df.RetryOptions(5, 3).to_json(), {"firstRetryIntervalInMilliseconds": 5, "maxNumberOfAttempts": 3}
        )

    def test_arguments_in_the_wrong_order_are_told(self):
        def orchestrator(context):
            yield context.call_activity_with_retry("A", {"x": 1}, df.RetryOptions(1, 1))

        self.assertIn("it comes before the input", run(orchestrator).failure.message)


class Activities(unittest.TestCase):
    def test_arguments(self):
        self.assertEqual(run_activity(lambda value: [value], 5).output, [5])
        self.assertEqual(run_activity(lambda name: name, 5, parameter="name").output, 5)

        def with_context(value, context):
            return [value, context.task_key, context.instance_id, context.attempt, context.invocation_id]

        self.assertEqual(run_activity(with_context, 5).output, [5, "key-1", "instance-1", 2, "key-1-2"])
        self.assertEqual(run_activity(lambda context: context, 5).output, 5)

    def test_the_context_is_there_while_an_activity_runs(self):
        self.assertEqual(run_activity(lambda value: df.activity_context().attempt).output, 2)
        with self.assertRaises(RuntimeError):
            df.activity_context()

    def test_async_activities(self):
        async def doubled(value):
            return value * 2

        async def activity(value):
            return await doubled(value)

        self.assertEqual(run_activity(activity, 4).output, 8)

    def test_asyncio_runs_without_sockets_and_threads(self):
        import asyncio

        from fermata_guest import loop

        async def later(value):
            await asyncio.sleep(0.001)
            return value

        async def both():
            return await asyncio.wait_for(asyncio.gather(later(1), later(2)), 5)

        async def never():
            await asyncio.get_running_loop().create_future()

        self.assertEqual(loop.run(both()), [1, 2])
        with self.assertRaisesRegex(RuntimeError, "waits for what can not come"):
            loop.run(never())

    def test_a_failing_activity(self):
        def activity(value):
            raise OutOfStock("none")

        failure = run_activity(activity).failure
        self.assertEqual((failure.error_type, failure.message, failure.non_retryable), ("OutOfStock", "none", True))

    def test_what_is_no_json(self):
        self.assertIn("the result of the activity `Tested` is no JSON", run_activity(lambda value: {1}).failure.message)


if __name__ == "__main__":
    unittest.main()
