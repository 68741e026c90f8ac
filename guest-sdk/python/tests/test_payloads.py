import dataclasses
import datetime
import enum
import json
import unittest
import uuid
from typing import Literal, Optional

from fake_host import FakeHost, calls, done, event, run

import fermata_guest as df
from fermata_guest.fit import Misfit, fit
from fermata_guest.payload import encode, loads


@dataclasses.dataclass
class Address:
    street: str
    number: Optional[int] = None


@dataclasses.dataclass
class Person:
    name: str
    homes: list[Address]


class Colour(enum.Enum):
    RED = "red"


class Money:
    def __init__(self, cents):
        self.cents = cents

    @staticmethod
    def to_json(money):
        return money.cents

    @staticmethod
    def from_json(data):
        return Money(data)


def received(payload, expected=None):
    """What a wait gives, or the failure's message."""

    def orchestrator(context):
        value = yield context.wait_for_external_event("E", expected)
        return repr(value)

    outcome = run(orchestrator, lambda host: host.raise_("E", payload))
    return outcome.output if outcome.failure is None else outcome.failure.message


class In(unittest.TestCase):
    def test_values_come_as_they_are(self):
        for text in (
            "null",
            "true",
            "-0",
            "1.5e3",
            '"\\u00e9\\ud83d\\ude00"',
            '{"a":[1,{"b":null}]}',
            '""',
            "12345678901234567890",
        ):
            self.assertEqual(received(text), repr(json.loads(text)))

    def test_a_quoted_value_is_understood_only_where_a_type_asks_for_it(self):
        self.assertEqual(received('"false"'), "'false'")
        self.assertEqual(received('"false"', bool), "False")
        self.assertEqual(received('"7"', int), "7")
        self.assertEqual(received('"7"', str), "'7'")

    def test_what_does_not_fit_is_said(self):
        self.assertEqual(
            received("17", bool), "the event `E` does not fit the type bool: it is int, not bool; it is 17"
        )
        self.assertIn("it is bool, not int", received("true", int))
        self.assertIn("it is str, not int", received('"x"', int))
        self.assertIn("1…", received('"' + "1" * 500 + 'x"', int))

    def test_a_misfit_is_caught_at_the_yield_and_stays(self):
        def orchestrator(context):
            task = context.wait_for_external_event("E", int)
            for _ in range(2):
                try:
                    yield task
                except df.PayloadError as error:
                    kind = error.kind
            return [kind, task.is_faulted]

        self.assertEqual(run(orchestrator, event("E", "x")).output, ["payload", True])

    def test_uncaught_it_is_a_failure_of_the_kind_payload(self):
        def orchestrator(context):
            yield context.task_all([context.wait_for_external_event("E", int)])

        failure = run(orchestrator, event("E", "x")).failure
        self.assertEqual((failure.kind, failure.error_type), ("payload", "PayloadMismatch"))

    def test_fitting(self):
        person = fit({"name": "Ann", "homes": [{"street": "High St", "number": 3}, {"street": "x"}]}, Person)
        self.assertEqual(person, Person("Ann", [Address("High St", 3), Address("x")]))
        moment = datetime.datetime(2030, 1, 2, tzinfo=datetime.timezone.utc)
        self.assertEqual(fit(moment.isoformat(), datetime.datetime), moment)
        self.assertEqual(fit("red", Colour), Colour.RED)
        self.assertEqual(fit(7, float), 7.0)
        self.assertIs(type(fit(7, float)), float)
        self.assertIs(type(fit(7, int | float)), int)
        self.assertEqual(fit([1, 2], tuple[int, ...]), (1, 2))
        self.assertEqual(fit({"a": 1}, dict[str, float]), {"a": 1.0})
        self.assertEqual(fit(5, Money).cents, 5)
        self.assertIsNone(fit(None, Optional[int]))
        for value, expected in (
            ({"nome": 1}, Address),
            ({}, Address),
            ({"street": 3}, Address),
            ([1, "x"], list[int]),
            ("blue", Colour),
            ("x", Literal["y"]),
            ([1], tuple[int, int]),
            ("x", datetime.date),
            (1.5, int),
            (None, str),
        ):
            with self.assertRaises(Misfit, msg=f"{value} {expected}"):
                fit(value, expected)

    def test_objects_travel_as_durable_functions_has_them(self):
        text = encode({"price": Money(5)}, "input")
        self.assertEqual(json.loads(text)["price"], {"__class__": "Money", "__module__": __name__, "__data__": 5})
        self.assertEqual(loads(text)["price"].cents, 5)
        self.assertIn("is not imported here", received('{"__class__":"A","__module__":"nowhere","__data__":1}'))
        self.assertIn("has no class", received(f'{{"__class__":"Nope","__module__":"{__name__}","__data__":1}}'))

    def test_a_host_that_leaves_white_space_around_is_understood(self):
        self.assertEqual(loads(" [1] "), [1])

    def test_the_input_has_the_type_that_is_asked_for_or_declared(self):
        async def orchestrator(context):
            return [context.get_input(), repr(context.get_input(float))]

        self.assertEqual(run(orchestrator, input=5, input_type=int).output, [5, "5.0"])

        async def declared(context):
            return context.get_input().street

        self.assertEqual(run(declared, input={"street": "x"}, input_type=Address).output, "x")


class Out(unittest.TestCase):
    def output(self, value):
        async def orchestrator(context):
            return value

        outcome = run(orchestrator)
        return outcome.output if outcome.failure is None else outcome.failure

    def test_values(self):
        moment = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
        for value, json_value in (
            (None, None),
            ("é", "é"),
            ((1, 2), [1, 2]),
            (Person("Ann", [Address("x")]), {"name": "Ann", "homes": [{"street": "x", "number": None}]}),
            (moment, "2030-01-02T03:04:05+00:00"),
            (Colour.RED, "red"),
            (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ):
            self.assertEqual(self.output(value), json_value)

    def test_what_is_no_json_is_a_failure_that_names_the_type(self):
        loop = []
        loop.append(loop)
        for value, words in (
            ({1}, "a value of the type set"),
            (float("nan"), "NaN and infinity"),
            ([float("-inf")], "NaN and infinity"),
            ({(1, 2): 3}, "keys must be str"),
            (loop, "Circular"),
            ("\ud800", "surrogate"),
            (b"x", "a value of the type bytes"),
        ):
            failure = self.output(value)
            self.assertEqual(failure.kind, "payload")
            self.assertIn("the output of the orchestrator `Tested` is no JSON", failure.message)
            self.assertIn(words, failure.message)

    def test_an_input_that_is_no_json_makes_no_task(self):
        async def orchestrator(context):
            context.call_activity("A", {1})

        outcome = run(orchestrator)
        self.assertIn("the input of the activity `A` is no JSON", outcome.failure.message)
        self.assertEqual(outcome.host.tasks, [])

    def test_json_is_compact_and_not_escaped(self):
        self.assertEqual(encode({"a": ["é", 1]}, "x"), '{"a":["é",1]}')


class ResultTypes(unittest.TestCase):
    def setUp(self):
        app = df.DFApp()

        @app.activity_trigger(input_name="x")
        def Find(x) -> Address: ...

        self.find = Find

    def run_with(self, value, **named):
        async def orchestrator(context):
            return repr(await context.call_activity(self.find, 1, **named))

        return run(orchestrator, done(0, value))

    def test_the_annotation_of_an_activity_is_a_hint(self):
        self.assertEqual(self.run_with({"street": "x"}).output, "Address(street='x', number=None)")
        self.assertEqual(self.run_with("elsewhere").output, "'elsewhere'")

    def test_a_type_that_is_asked_for_is_no_hint(self):
        self.assertIn("does not fit the type int", self.run_with("elsewhere", expected_type=int).failure.message)


class Status(unittest.TestCase):
    def test_a_custom_status_is_json_of_at_most_16_kib(self):
        async def orchestrator(context):
            context.set_custom_status({"a": "é"})
            try:
                context.set_custom_status("é" * 8_192)
            except ValueError as error:
                return [context.custom_status, str(error)]

        host = FakeHost()
        outcome = run(orchestrator, host=host)
        self.assertEqual(outcome.output[0], {"a": "é"})
        self.assertIn("16384", outcome.output[1])
        self.assertEqual(host.status, '{"a":"é"}')
        self.assertIs(calls.host, host)


if __name__ == "__main__":
    unittest.main()
