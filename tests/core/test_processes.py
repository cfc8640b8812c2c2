import os
import subprocess
import sys

from core.processes import identity, is_alive, signal_name


def test_a_process_is_known_by_its_id_and_its_start():
    own = identity(os.getpid())
    assert is_alive(own)
    assert not is_alive({**own, "begun": own["begun"] - 100})


def test_an_ended_process_is_not_alive_even_before_it_is_waited_for():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    saved = identity(child.pid)
    assert is_alive(saved)
    child.kill()
    while child.poll() is None:
        pass
    assert not is_alive(saved)
    assert identity(child.pid)["begun"] == 0 or not is_alive(saved)
    child.stdin.close()


def test_a_signal_is_told_by_its_name():
    assert [signal_name(code) for code in (-9, -15, 0, 1, None)] == [
        "SIGKILL", "SIGTERM", None, None, None
    ]  # fmt: skip
    assert signal_name(-200) == "200"
