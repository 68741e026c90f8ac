import contextlib
import importlib.util
import io
import sys
import tempfile
import unittest
from pathlib import Path

import fake_host  # noqa: F401

from fermata_guest import app, frames, preload
from fermata_guest.registry import ProjectError, Registry, collect

ROOT = Path(__file__).resolve().parent.parent


def load_build():
    spec = importlib.util.spec_from_file_location("fermata_build", ROOT / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = load_build()


class Project(unittest.TestCase):
    """A project in a folder of its own, whose modules are forgotten afterwards."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        before = set(sys.modules)
        self.addCleanup(lambda: [sys.modules.pop(name) for name in set(sys.modules) - before if "fermata" not in name])
        app.containers.clear()

    def write(self, **files):
        for name, text in files.items():
            path = self.root / (name.replace("__in__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("import azure.durable_functions as df\n" + text)

    def collect(self):
        project = build.find_project(self.root)
        sys.path.insert(0, str(project.root))
        self.addCleanup(sys.path.remove, str(project.root))
        frames.set_roots([str(project.root)])
        into = Registry()
        self.warnings = collect([tuple(source) for source in project.sources], into)
        return sorted(into.orchestrators), sorted(into.activities)

    def refusal(self):
        with self.assertRaises(ProjectError) as caught:
            self.collect()
        return str(caught.exception)


ORCHESTRATOR = "def run(context):\n    yield 1\nmain = df.Orchestrator.create(run)\n"


class Found(Project):
    def test_the_first_model_is_named_after_its_files(self):
        self.write(
            BudgetApproval=ORCHESTRATOR,
            InPackage__in____init__=ORCHESTRATOR,
            Other="def run(context):\n    yield 1\nmain = df.Orchestrator.create(run, name='Given')\n",
            SayHello="def main(name: str) -> str:\n    return name\n",
            Async="async def main(name, context):\n    return name\n",
            helper="x = 1\ndef main():\n    pass\n",
            test_it="raise AssertionError('tests are not imported')\n",
            conftest="raise AssertionError('nor is this')\n",
        )
        self.assertEqual(self.collect(), (["BudgetApproval", "Given", "InPackage"], ["Async", "SayHello"]))
        self.assertEqual(self.warnings, [])

    def test_an_orchestrator_may_be_imported_by_another_file(self):
        self.write(First=ORCHESTRATOR, Second="from First import main as first\n" + ORCHESTRATOR)
        self.assertEqual(self.collect()[0], ["First", "Second"])

    def test_the_second_model_is_named_after_its_functions(self):
        self.write(
            function_app="from parts.more import bp\napp = df.DFApp()\napp.register_functions(bp)\n"
            "@app.orchestration_trigger(context_name='context')\ndef First(context):\n    yield 1\n"
            "@app.function_name(name='Second')\n@app.orchestration_trigger(context_name='c')\ndef other(c):\n    yield 1\n",
            parts__in__more="bp = df.Blueprint()\n@bp.activity_trigger(input_name='x')\ndef Work(x):\n    pass\n"
            "@bp.orchestration_trigger(context_name='c', orchestration='Third')\nasync def third(c):\n    pass\n",
        )
        self.assertEqual(self.collect(), (["First", "Second", "Third"], ["Work"]))

    def test_src_is_looked_at_alone_where_there_is_python_in_it(self):
        self.write(src__in__Inner=ORCHESTRATOR, Outer=ORCHESTRATOR)
        self.assertEqual(self.collect()[0], ["Inner"])

    def test_one_file(self):
        self.write(One=ORCHESTRATOR, Two=ORCHESTRATOR)
        self.assertEqual([source.name for source in build.find_project(self.root / "One.py").sources], ["One"])
        self.write(Three__in____init__=ORCHESTRATOR)
        self.assertEqual(build.find_project(self.root / "Three/__init__.py").sources[0].module, "Three")

    def test_a_decorated_function_can_still_be_called(self):
        decorated = app.DFApp().activity_trigger(input_name="x")(lambda x: x + 1)
        self.assertEqual((decorated(1), decorated.build().get_user_function()(2)), (2, 3))


class Refused(Project):
    def test_nothing_is_there(self):
        self.write(helper="x = 1\n")
        self.assertIn("no orchestrator and no activity was found", self.refusal())

    def test_two_of_one_name(self):
        text = "@app.activity_trigger(input_name='x', activity='A')\ndef {}(x):\n    pass\n"
        self.write(function_app="app = df.DFApp()\n" + text.format("a") + text.format("b"))
        self.assertIn("two activities are called `A`, at function_app.py:3 and function_app.py:6", self.refusal())

    def test_an_orchestrator_that_no_name_is_known_of(self):
        self.write(Fine=ORCHESTRATOR.replace("main", "other"))
        self.assertIn("the orchestrator `other` in Fine.py has no name", self.refusal())

    def test_a_client_of_the_first_model(self):
        self.write(Client="async def main(instance_id: str, starter: str):\n    pass\n")
        self.assertIn("main(instance_id, starter) in Client.py is neither", self.refusal())

    def test_a_name_without_a_trigger(self):
        self.write(function_app="app = df.DFApp()\n@app.function_name(name='X')\ndef f(x):\n    pass\n")
        self.assertIn("`f` in function_app.py has a name and no trigger", self.refusal())

    def test_a_parameter_that_the_function_has_not(self):
        with self.assertRaisesRegex(ValueError, "has no parameter `nome`"):
            app.DFApp().activity_trigger(input_name="nome")(lambda name: name)

    def test_two_triggers(self):
        decorators = app.DFApp()
        once = decorators.activity_trigger(input_name="x")(lambda x: x)
        with self.assertRaisesRegex(ValueError, "has two triggers"):
            decorators.orchestration_trigger(context_name="x")(once)

    def test_an_app_is_not_registered_with_another(self):
        with self.assertRaisesRegex(TypeError, "takes a Blueprint, not DFApp"):
            app.DFApp().register_functions(app.DFApp())


class Warned(Project):
    def test_an_orchestrator_that_can_not_wait(self):
        self.write(Forgot="def run(context):\n    return 1\nmain = df.Orchestrator.create(run)\n")
        self.collect()
        self.assertIn("Forgot.py:2: the orchestrator `Forgot` waits for nothing", self.warnings[0])

    def test_a_blueprint_that_nobody_registered(self):
        self.write(
            Fine=ORCHESTRATOR,
            parts="bp = df.Blueprint()\n@bp.activity_trigger(input_name='x')\ndef Lost(x):\n    pass\n",
        )
        self.collect()
        self.assertIn("these are left out: Lost", self.warnings[0])


class Preloaded(Project):
    def test_what_functions_import_is_imported_at_once(self):
        self.write(
            Fine=ORCHESTRATOR
            + "def work():\n    import deep.lazily\n    from pack import inner\n    import not_there_at_all\n",
            deep__in__lazily="x = 1\n",
            pack__in____init__="",
            pack__in__inner="x = 1\n",
        )
        self.collect()
        self.assertFalse({"deep.lazily", "pack.inner"} & set(sys.modules))
        preload.preload(frames.project_files())
        self.assertTrue({"deep.lazily", "pack.inner"} <= set(sys.modules))


class Words(unittest.TestCase):
    """What the command line says, without a build."""

    def said(self, *arguments):
        words = io.StringIO()
        with contextlib.redirect_stderr(words):
            self.assertEqual(build.main(arguments), 1)
        return words.getvalue()

    def test_mistakes_of_the_command_line_are_one_line(self):
        with tempfile.TemporaryDirectory() as folder:
            for arguments, words in (
                ((), "the following arguments are required: project, out, --wit"),
                ((folder, "x.wasm", "--wit", folder), "holds no Python file"),
                ((f"{folder}/nope", "x.wasm", "--wit", folder), "is neither a file nor a folder"),
            ):
                said = self.said(*arguments)
                self.assertTrue(said.startswith("error: ") and said.count("\n") == 1, said)
                self.assertIn(words, said)

    def test_the_tools_own_words_are_the_last_resort(self):
        self.assertEqual(build.tools_own_words("a\nfailed badly\n  12\n"), "componentize-py failed: failed badly")
        self.assertEqual(build.tools_own_words(""), "componentize-py failed without a word")


if __name__ == "__main__":
    unittest.main()
