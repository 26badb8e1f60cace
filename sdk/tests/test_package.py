"""What is published: a wheel that installs by itself, needs httpx and nothing of the server, and says what it is."""

import ast
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from countersign import __version__
from countersign.cli import main
from countersign.testing import FakeServer

SDK = Path(__file__).resolve().parent.parent
SOURCE = SDK / "src" / "countersign"
OF_THE_SERVER = {"django", "ninja", "config", "approvals", "accounts", "audit", "tests", "psycopg", "msgspec"}
ALONE = """
import importlib, importlib.metadata, sys
sys.path[:0] = sys.argv[1:]
import countersign, countersign.approval, countersign.cli, countersign.grants, countersign.stream
from countersign.testing import FakeServer
for absent in ("django", "cryptography", "pytest", "rfc8785", "pydantic", "mcp", "approvals"):
    try:
        importlib.import_module(absent)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{absent} is there")
with FakeServer() as server, server.client() as client:
    server.answer(server.approve)
    ran = []
    countersign.requires_approval("count", client=client)(ran.append)(3)
    assert ran == [3] and server.proposals[0].status == "succeeded", server.proposals
    try:
        countersign.grants.verify(client.propose("a", {}, key="k").digest, {"keys": []}, "x", issuer="y",
                                  action_type="a", arguments={})
    except countersign.GrantInvalid:
        pass
found = importlib.metadata.distribution("countersign")
names = {(one.group, one.name): one.value for one in found.entry_points}
assert names == {("console_scripts", "countersign"): "countersign.cli:main",
                 ("pytest11", "countersign"): "countersign.testing.plugin"}, names
assert found.version == countersign.__version__
assert any(str(one).endswith("countersign/py.typed") for one in found.files)
print(sorted(one for one in found.requires if "extra" not in one))
"""


def needed(name: str) -> set[str]:
    """A distribution and all that it needs in this environment."""
    found = {name}
    for requirement in distribution(name).requires or ():
        other = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        if "extra ==" not in requirement and other not in found:
            try:
                found |= needed(other)
            except PackageNotFoundError:  # for another version of Python
                continue
    return found


def only(names: set[str], into: Path) -> None:
    """A directory that has these distributions and no other."""
    into.mkdir()
    for name in names:
        for file in distribution(name).files or ():
            top = Path(str(file)).parts[0]
            if top not in ("..", "__pycache__") and not (into / top).exists():
                (into / top).symlink_to(str(distribution(name).locate_file(top)))


def test_the_wheel_installs_alone_and_needs_httpx_only(tmp_path: Path) -> None:
    uv = [sys.executable, "-m", "uv", "--quiet", "--offline", "--no-config"]
    environment = os.environ | {"UV_CACHE_DIR": str(tmp_path / "cache")}
    subprocess.run([*uv, "build", "--out-dir", str(tmp_path / "dist"), str(SDK)], check=True, env=environment)
    [wheel] = (tmp_path / "dist").glob(
        "*.whl"
    )  # built from the source distribution, as uv does it without --wheel
    subprocess.run(
        [
            *uv,
            "pip",
            "install",
            "--python",
            sys.executable,
            "--no-deps",
            "--target",
            str(tmp_path / "it"),
            str(wheel),
        ],
        check=True,
        env=environment,
    )
    only(needed("httpx"), tmp_path / "needed")
    told = subprocess.run(
        [sys.executable, "-I", "-S", "-c", ALONE, str(tmp_path / "it"), str(tmp_path / "needed")],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (told.stderr, told.returncode) == ("", 0)
    assert told.stdout == "['httpx>=0.27,<1']\n"


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_nothing_of_the_server_is_imported(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        for name in names:
            assert name.partition(".")[0] not in OF_THE_SERVER


@pytest.mark.parametrize(
    "file",
    sorted([*SOURCE.rglob("*.py"), *(SDK / "tests").glob("*.py")]),
    ids=lambda file: str(file.relative_to(SDK)),
)
def test_it_is_written_in_the_oldest_python_it_is_for(file: Path) -> None:
    """The grammar only; what of the library is used, mypy knows with --python-version 3.10."""
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 10))


def test_every_extra_is_named_in_the_readme() -> None:
    text = (SDK / "pyproject.toml").read_text()
    [extras] = re.findall(r"^\[project\.optional-dependencies\]$(.*?)^\[", text, re.DOTALL | re.MULTILINE)
    named = re.findall(r"\[([a-z-]+)\]", (SDK / "README.md").read_text().split("```")[1])
    assert sorted(named) == sorted(re.findall(r"^([a-z-]+) = ", extras, re.MULTILINE))


def test_it_says_one_version() -> None:
    [version] = re.findall(r'^version = "(.+)"$', (SDK / "pyproject.toml").read_text(), re.MULTILINE)
    assert __version__ == version


def test_the_command_says_who_i_am(
    countersign_server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    countersign_server.tier("refund", "on_the_loop")
    assert main(["me"]) == 0
    assert capsys.readouterr().out == (
        "fake-agent (Fake agent), live, version 1\n  refund: on_the_loop, up to out_of_the_loop\n"
    )
    countersign_server.fail(401, path="/me")
    assert main(["me"]) == 1
    assert "fault" in capsys.readouterr().err


def test_the_command_says_what_it_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main(["--help"]), main(["--version"])) == (0, 0)
    assert capsys.readouterr().out.endswith(f"{__version__}\n")
    assert (main([]), main(["nothing"])) == (2, 2)
    assert "mcp-gateway" in capsys.readouterr().err


def test_the_gateway_is_loaded_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    asked: list[list[str]] = []
    gateway = types.ModuleType("countersign.mcp")
    monkeypatch.setattr(gateway, "main", lambda rest: asked.append(rest), raising=False)
    monkeypatch.setitem(sys.modules, "countersign.mcp", gateway)
    assert main(["mcp-gateway", "--config", "x"]) == 0
    assert asked == [["--config", "x"]]
    monkeypatch.setitem(sys.modules, "countersign.mcp", None)
    assert main(["mcp-gateway"]) == 1
