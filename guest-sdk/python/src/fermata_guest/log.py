"""Prints and log records as lines of the host's log. The host writes a line once: not when a step is replayed."""

from __future__ import annotations

import io
import logging
import sys

from .host import LogLevel, calls

_LEVELS = {
    "trace": LogLevel.TRACE,
    "debug": LogLevel.DEBUG,
    "info": LogLevel.INFO,
    "warn": LogLevel.WARN,
    "warning": LogLevel.WARN,
    "error": LogLevel.ERROR,
}


def write(level: str, message: object) -> None:
    """Adds a line to the host's log."""
    found = _LEVELS.get(level.lower())
    if found is None:
        raise ValueError(f"`{level}` is no level of the log: trace, debug, info, warn and error are")
    calls.log(found, str(message))


class Lines(io.TextIOBase):
    """A text stream whose lines go to the host's log."""

    def __init__(self, level: LogLevel) -> None:
        super().__init__()
        self._level = level
        self._begun = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            calls.log(self._level, _sound(line))
        return len(text)

    def end(self) -> None:
        """Writes a line that was begun and not ended."""
        if self._begun:
            self.write("\n")


class Handler(logging.Handler):
    """Sends log records to the host's log, at their level."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            calls.log(_level_of(record.levelno), _sound(self.format(record)))
        except Exception:
            self.handleError(record)


def _level_of(number: int) -> LogLevel:
    if number >= logging.ERROR:
        return LogLevel.ERROR
    if number >= logging.WARNING:
        return LogLevel.WARN
    if number >= logging.INFO:
        return LogLevel.INFO
    return LogLevel.DEBUG if number >= logging.DEBUG else LogLevel.TRACE


def _sound(line: str) -> str:
    """The line as text that has a UTF-8 form."""
    return line if line.isascii() else line.encode(errors="replace").decode()


# Made when the module is built: what a guest makes itself takes room in each guest that waits.
_out = Lines(LogLevel.INFO)
_err = Lines(LogLevel.WARN)
_handler = Handler()


def install() -> None:
    """Sends prints and log records to the host from here on. The level of the root logger is INFO where nobody set one."""
    if sys.stdout is _out:
        return
    sys.stdout, sys.stderr = _out, _err
    prepare()


def prepare() -> None:
    """Has log records go to the host. Done when the module is built, where nothing logs any more before a guest runs."""
    root = logging.getLogger()
    if _handler in root.handlers:
        return
    for handler in list(root.handlers):
        # What basicConfig made when the module was built would write every record a second time.
        if type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
    root.addHandler(_handler)
    if root.level == logging.WARNING:
        root.setLevel(logging.INFO)


def end_lines() -> None:
    """Writes the lines that were begun and not ended."""
    _out.end()
    _err.end()
