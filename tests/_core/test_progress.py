"""Progress bars, redrawn or as lines."""

import io
import time

from skllkd._core import progress as _progress


def test_progress_in_a_notebook_or_terminal_is_a_redrawn_bar(monkeypatch):
    monkeypatch.setattr(_progress, "_DELAY_S", 0.0)
    notebook = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})
    terminal = type("Terminal", (io.StringIO,), {"isatty": lambda self: True})
    for kind in (notebook, terminal):
        stream = kind()
        monkeypatch.setattr("sys.stderr", stream)
        with _progress.progress_bar(3, "teacher", "text", 1) as bar:
            bar.update(3)
        assert "\rteacher: 100%" in stream.getvalue()


def test_progress_in_a_log_is_lines_not_a_redrawn_bar(monkeypatch):
    monkeypatch.setattr(_progress, "_DELAY_S", 0.0)
    monkeypatch.setattr(_progress, "_LOG_EVERY_S", 0.0)
    log = io.StringIO()
    monkeypatch.setattr("sys.stderr", log)
    with _progress.progress_bar(3, "teacher", "text", 1) as bar:
        for _ in range(3):
            bar.update(1)
    lines = log.getvalue().splitlines()
    assert "\r" not in log.getvalue()
    assert len(lines) >= 3
    assert lines[-1].startswith("teacher: 100%")


def test_a_stage_is_named_if_it_lasts(monkeypatch, capsys):
    monkeypatch.setattr(_progress, "_DELAY_S", 0.01)
    for verbose, seconds, line in ((1, 0.2, "reading ...\n"), (0, 0.2, ""), (1, 0, "")):
        with _progress.stage("reading", verbose):
            time.sleep(seconds)
        assert capsys.readouterr().err == line
