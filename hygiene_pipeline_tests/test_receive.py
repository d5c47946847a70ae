"""The receivers as processes: what was acknowledged outlives a kill, TLS, shutdown, and what they refuse to do."""

import re
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Semaphore

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from hygiene_pipeline.cli import app
from hygiene_pipeline.landing.inbox import FRAMES
from hygiene_pipeline.settings.receive import Mllp, Webhook
from hygiene_pipeline_tests.ehr.sender import Sender, connected
from hygiene_pipeline_tests.ehr.test_hl7_v2 import message
from hygiene_pipeline_tests.receiver import PRACTICE, environment, landing, running


def stored(root: Path) -> list[str]:
    """The control ids of all messages in landing."""
    contents = [each for path in landing(root).glob("mllp-*.hl7") for each in FRAMES.split(path.read_bytes())]
    return [re.search(rb"\|ADT\^A08\|(\w+)\|", each)[1].decode() for each in contents]  # type: ignore[index]


def send_until_killed(port: int, name: str, one_more: Semaphore) -> list[str]:
    """Send one after the other; returns the control ids that were acknowledged, of each of which `one_more` hears."""
    acknowledged = []
    try:
        with connected(port) as sender:
            for number in count():
                if sender.ask(message("ADT^A08", f"{name}n{number}")) == "AA":
                    acknowledged.append(f"{name}n{number}")
                    one_more.release()
    except (OSError, EOFError):
        return acknowledged
    return acknowledged


def test_what_was_acknowledged_is_there_once_whenever_it_is_killed(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    for life in range(2):
        one_more = Semaphore(0)
        # The receiver ends first, whatever happens: until then the senders go on.
        with ThreadPoolExecutor(4) as senders, running("listen", tmp_path) as receiver:
            sending = [
                senders.submit(send_until_killed, receiver.port, f"L{life}s{each}", one_more) for each in range(4)
            ]
            with connected(receiver.port) as sender:
                # The senders of the life before send again what they got no answer to.
                again = [f"L{life - 1}s{each}n{number}" for each in range(4) for number in range(40)] if life else []
                assert set(sender.codes(message("ADT^A08", each) for each in again)) <= {"AA"}
                for number in range(30):
                    assert sender.ask(message("ADT^A08", f"L{life}own{number}")) == "AA"
            # Killed while they send, however late they began.
            assert all(one_more.acquire(timeout=60) for _ in range(21))
            receiver.kill()
            acknowledged += [each for task in sending for each in task.result()]
    kept = stored(tmp_path)
    assert len(acknowledged) > 40
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))


def test_it_stops_in_order_when_it_is_told_to(tmp_path: Path) -> None:
    with running("listen", tmp_path) as receiver, connected(receiver.port) as sender:
        assert sender.ask(message("ADT^A08", "M1")) == "AA"
        assert receiver.stop() == 0
    assert stored(tmp_path) == ["M1"]


@pytest.mark.parametrize("receive", ["listen", "receive_notifications"])
def test_it_stops_if_it_is_told_so_the_moment_it_is_open(tmp_path: Path, receive: str) -> None:
    program = f"""
import os, signal
from hygiene_pipeline.receive import {receive}
{receive}("{PRACTICE}", tell=lambda _: os.kill(os.getpid(), signal.SIGTERM))
"""
    ended = subprocess.run([sys.executable, "-c", program], env=environment(tmp_path), timeout=60, check=False)
    assert ended.returncode == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder


def test_it_speaks_tls_and_asks_for_the_senders_certificate(tmp_path: Path, certificate: Path) -> None:
    cert, key = certificate / "cert.pem", certificate / "key.pem"
    tls = f"{{mllp: {{port: 0, tls: {{certificate: {cert}, key: {key}, client_ca: {cert}}}}}}}"
    with running("listen", tmp_path, settings=tls) as receiver:
        known = ssl.create_default_context(cafile=cert)
        known.load_cert_chain(cert, key)
        with connected(receiver.port) as plain:
            secured = Sender(known.wrap_socket(plain.socket, server_hostname="127.0.0.1"))
            assert secured.ask(message("ADT^A08", "M1")) == "AA"
        stranger = ssl.create_default_context(cafile=cert)
        with connected(receiver.port) as plain, pytest.raises((OSError, EOFError)):
            Sender(stranger.wrap_socket(plain.socket, server_hostname="127.0.0.1")).ask(message("ADT^A08", "M2"))
    assert stored(tmp_path) == ["M1"]


@pytest.mark.parametrize("part", [Mllp, Webhook])
def test_data_leave_the_machine_in_clear_only_where_that_is_said(part: type[Mllp | Webhook]) -> None:
    with pytest.raises(ValidationError, match="in clear"):
        part(host="0.0.0.0")  # noqa: S104
    assert part(host="0.0.0.0", plain=True).host  # noqa: S104
    assert part(host="::1").host


def test_a_port_that_is_taken_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running("listen", tmp_path) as receiver:
        other = tmp_path / "other"
        practices = other / "practices"
        practices.mkdir(parents=True)
        text = (tmp_path / "practices" / f"{PRACTICE}.yaml").read_text()
        (practices / f"{PRACTICE}.yaml").write_text(text.replace("port: 0", f"port: {receiver.port}"))
        for name in ("practices", "data", "keys"):
            monkeypatch.setenv(f"HYGIENE_{name.upper()}", str(other / name))
        for command in ("listen", "webhook"):
            result = CliRunner().invoke(app, [command, "--practice", PRACTICE])
            assert result.exit_code == 1
            assert "cannot listen there" in result.output
            assert "Traceback" not in result.output
