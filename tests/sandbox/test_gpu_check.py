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


def bare(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The script where nothing but torch and numpy can be imported of what deltanas needs."""
    code = f"{BARE}; sys.argv = ['gpu-check', *{arguments!r}]; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_it_needs_torch_and_numpy_alone(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = bare("--device", "cpu", "--images", "64", "--seconds", "-1", "--out", str(out))
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["machine"]["torch"]
    assert len(found["parts"]) == 7
    assert all(part["ok"] is None for part in found["parts"].values())


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
    done = bare("--device", "cpu", "--images", "1024", "--seconds", "20", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    part = json.loads(out.read_text())["parts"]["scores_repeat"]
    assert part["ok"]
    networks = part["networks"].values()
    assert all(one["scores"][0] == one["on the CPU"] for one in networks)
    assert max(one["scores"][0] for one in networks) > 0.2, "there is something to learn"
