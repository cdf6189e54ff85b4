"""scripts/gpu-check, which waits for a GPU: what of it can be tested without one."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from deltanas.check import ContractGate
from deltanas.program import Refused
from deltanas.records import Draft

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu-check"
BARE = "import runpy, sys; sys.modules.update(dict.fromkeys(('pydantic', 'platformdirs', 'typer', 'sqlalchemy')))"

HIDDEN = "from importlib import metadata; metadata.distribution = lambda name: metadata.Distribution.from_name('no')"


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    spec = spec_from_loader("gpu_check", SourceFileLoader("gpu_check", str(SCRIPT)))
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELTANAS_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setenv("PYTHONPATH", "")
        patch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        patch.setattr(sys, "path", list(sys.path))
        spec.loader.exec_module(module)
    return module


def bare(*arguments: str, installed: bool = True) -> subprocess.CompletedProcess[str]:
    """The script where nothing but torch and numpy can be imported of its needs, and deltanas if installed."""
    begun = BARE if installed else f"{BARE}; {HIDDEN}"
    code = f"{begun}; sys.argv = ['gpu-check', *{arguments!r}]; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_it_needs_torch_and_numpy_alone(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = bare("--device", "cpu", "--images", "64", "--seconds", "-1", "--out", str(out))
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["machine"]["torch"]
    assert len(found["parts"]) == 8
    assert all(part["ok"] is None for part in found["parts"].values())


@pytest.mark.timeout(300)  # eight interpreters import torch at a time
def test_where_deltanas_is_not_installed_it_is_used_from_the_checkout(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = bare("--device", "cpu", "--images", "64", "--parts", "layers", "--out", str(out), installed=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(out.read_text())
    assert found["machine"]["deltanas"] == "0", "the metadata that it made"
    assert found["parts"]["layers"]["left out"]["nothing"].startswith("works within ")


def test_a_part_that_it_has_not(tmp_path: Path) -> None:
    done = bare("--parts", "speed,sped", "--out", str(tmp_path / "found.json"))
    assert done.returncode == 2
    assert "no part sped; known: layers, " in done.stderr


def test_its_candidates_are_programs_by_the_contract(script: ModuleType) -> None:
    made = [script.program(name) for name in script.NETS]
    made += [script.learning(code) for code, _ in script.FAULTS.values()]
    made += [script.learning(f"import os; {code}") for code in script.ATTACKS.values()]
    made.append(made[0].edited("net", script.in_float32(script.program("resnet").net)))
    assert "enabled=False" in made[-1].net
    judged = ContractGate().judge([Draft(one) for one in made])
    assert [one.reason for one in judged if isinstance(one, Refused)] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_on_the_cpu_scores_repeat(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = bare("--device", "cpu", "--images", "1024", "--parts", "layers,scores_repeat", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    parts = json.loads(out.read_text())["parts"]
    assert parts["layers"]["left out"]["nothing"].startswith("works within ")
    assert parts["layers"]["left out"]["all"] == "works within"
    part = parts["scores_repeat"]
    assert part["ok"]
    networks = part["networks"].values()
    assert all(one["scores"][0] == one["on the CPU"] for one in networks)
    assert max(one["scores"][0] for one in networks) > 0.2, "there is something to learn"
