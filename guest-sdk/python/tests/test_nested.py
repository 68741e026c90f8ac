import random
import unittest
from datetime import timedelta

from fake_host import at_once, done, failed, run

import fermata_guest as df


def tasks(context, count):
    return [context.call_activity("A", n) for n in range(count)]


class Nested(unittest.TestCase):
    def test_any_of_a_timer_and_all_is_linear(self):
        def orchestrator(context):
            work = tasks(context, 2_000)
            everything = context.task_all(work)
            timer = context.create_timer(timedelta(1))
            winner = yield context.task_any([timer, everything])
            return [winner is everything, sum(winner.result)]

        order = random.Random(1).sample(range(2_000), 2_000)
        outcome = run(orchestrator, at_once(*[done(n, n) for n in order]))
        self.assertEqual(outcome.output, [True, 1_999_000])
        self.assertEqual(outcome.host.calls.count("next-completed"), 2_000)
        self.assertNotIn("task-any", outcome.host.calls)

    def test_the_timer_wins_over_an_all_that_is_not_complete(self):
        def orchestrator(context):
            timer = context.create_timer(timedelta(1))
            everything = context.task_all(tasks(context, 2))
            winner = yield context.task_any([everything, timer])
            return [winner is timer, everything.is_completed, (yield everything)]

        outcome = run(orchestrator, at_once(done(1, "a"), done(0), done(2, "b")))
        self.assertEqual(outcome.output, [True, False, ["a", "b"]])

    def test_the_order_of_history_decides_not_that_of_handing_over(self):
        def orchestrator(context):
            a, b = tasks(context, 2)
            yield a
            inner = context.task_any([a])
            winner = yield context.task_any([inner, context.task_all([b])])
            return winner is inner

        self.assertIs(run(orchestrator, at_once(done(1), done(0))).output, False)
        self.assertIs(run(orchestrator, at_once(done(0), done(1))).output, True)

    def test_an_all_whose_last_part_was_known_is_complete_at_that_parts_moment(self):
        def orchestrator(context):
            a, b, c = tasks(context, 3)
            yield a
            both = context.task_all([a, b])
            winner = yield context.task_any([both, context.task_all([c])])
            return winner is both

        self.assertIs(run(orchestrator, at_once(done(1), done(2), done(0))).output, False)
        self.assertIs(run(orchestrator, at_once(done(1), done(0), done(2))).output, True)

    def test_a_failing_part_fails_all_at_once_and_any_gives_it(self):
        def orchestrator(context):
            work = context.task_all(tasks(context, 3))
            winner = yield context.task_any([context.create_timer(timedelta(1)), work])
            return [winner is work, winner.is_faulted, str(winner.result)]

        self.assertEqual(run(orchestrator, done(1), failed(2, "broke")).output, [True, True, "broke"])

    def test_all_of_any_gives_the_winners(self):
        def orchestrator(context):
            a, b, c = tasks(context, 3)
            winners = yield context.task_all([context.task_any([a, b]), c])
            return [winners[0] is b, winners[0].result, winners[1]]

        self.assertEqual(run(orchestrator, done(1, "b"), done(2, "c")).output, [True, "b", "c"])

    def test_what_is_no_part_is_noted_and_there_when_it_is_wanted(self):
        def orchestrator(context):
            a, b, c = tasks(context, 3)
            yield context.task_any([context.task_all([b])])
            noted = [a.is_completed, a.result, c.is_completed]
            return [noted, (yield context.task_any([a, c])) is a]

        self.assertEqual(run(orchestrator, at_once(done(0, 7), done(1))).output, [[True, 7, False], True])

    def test_a_group_in_two_groups(self):
        def orchestrator(context):
            a, b = tasks(context, 2)
            shared = context.task_all([a])
            results = yield context.task_all([context.task_all([shared, b]), shared])
            return results

        self.assertEqual(run(orchestrator, done(0, 1), done(1, 2)).output, [[[1], 2], [1]])

    def test_an_empty_all_is_complete_from_the_start(self):
        def orchestrator(context):
            a = context.call_activity("A")
            nothing = context.task_all([])
            winner = yield context.task_any([a, nothing])
            return winner is nothing

        self.assertIs(run(orchestrator, done(0)).output, True)

    def test_a_group_that_was_not_yielded_knows_what_its_parts_know(self):
        def orchestrator(context):
            a, b = tasks(context, 2)
            both, either = context.task_all([a, b]), context.task_any([a, b])
            yield a
            before = [both.is_completed, either.is_completed, either.result is a]
            yield b
            return [before, both.is_completed, both.result]

        self.assertEqual(run(orchestrator, done(0, 1), done(1, 2)).output, [[False, True, True], True, [1, 2]])

    def test_random_trees_agree_with_a_plain_reading_of_the_history(self):
        for seed in range(300):
            with self.subTest(seed=seed):
                self.check_a_random_tree(random.Random(seed))

    def check_a_random_tree(self, chance):
        count = chance.randint(2, 6)
        order = chance.sample(range(count), count)
        known = chance.sample(range(count), chance.randint(0, count))
        bad = {n for n in range(count) if chance.random() < 0.25}
        shape = make_shape(chance, count, 3)

        def orchestrator(context):
            leaves = tasks(context, count)
            for n in known:
                try:
                    yield leaves[n]
                except df.TaskFailedError:
                    pass
            root = build(context, leaves, shape)
            try:
                return describe((yield root), leaves)
            except df.TaskFailedError as error:
                return str(error)

        try:
            wanted = expected(shape, order, bad)[1]
        except Tie:
            return
        script = at_once(*[failed(n, f"broke {n}") if n in bad else done(n, n) for n in order])
        outcome = run(orchestrator, script)
        self.assertIsNone(outcome.failure)
        self.assertEqual(outcome.output, wanted)


def make_shape(chance, count, depth):
    kind = chance.choice(("any", "all"))
    parts = []
    for _ in range(chance.randint(1, 3)):
        parts.append(
            chance.randrange(count) if depth == 0 or chance.random() < 0.4 else make_shape(chance, count, depth - 1)
        )
    return kind, parts


def build(context, leaves, shape):
    if isinstance(shape, int):
        return leaves[shape]
    kind, parts = shape
    made = [build(context, leaves, part) for part in parts]
    return context.task_any(made) if kind == "any" else context.task_all(made)


def describe(value, leaves):
    """A result with winners spelt out, so that the reading below can say the same."""
    if isinstance(value, df.Task):
        result = value.result
        return ["won", str(result) if isinstance(result, Exception) else describe(result, leaves)]
    return [describe(item, leaves) for item in value] if isinstance(value, list) else value


class Tie(Exception):
    """One leaf completes two parts of an any: either may win."""


def expected(shape, order, bad):
    """When a tree is complete, and with what; a plain reading of the rules."""
    if isinstance(shape, int):
        return order.index(shape), f"broke {shape}" if shape in bad else shape
    kind, parts = shape
    ends = [expected(part, order, bad) for part in parts]
    if kind == "any":
        moment = min(end[0] for end in ends)
        if [end[0] for end in ends].count(moment) > 1:
            raise Tie
        return moment, ["won", next(value for when, value in ends if when == moment)]
    failures = [end for end in ends if isinstance(end[1], str)]
    if failures:
        return min(failures)
    return max(end[0] for end in ends), [value for _, value in ends]


if __name__ == "__main__":
    unittest.main()
