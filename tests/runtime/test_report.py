"""The report on an environment: its JSON and its text, the file it may come from, and the exit code."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import recorded

from ddplint.runtime import recording
from ddplint.runtime.__main__ import main
from ddplint.runtime.report import as_json, as_text, report

STEP = recorded.launch("slurm-srun-cyclic")[2]
FIELDS = "rank local_rank node_rank world_size local_world_size nnodes hosts master_addr master_port".split()


def test_json() -> None:
    data = json.loads(as_json(report({**STEP, "RANK": "2"})))
    assert (data["version"], data["launcher"], data["problems"]) == (1, "slurm", [])
    assert list(data["fields"]) == FIELDS
    assert data["fields"]["rank"] == {
        "value": 2,
        "source": "SLURM_PROCID",
        "others": [{"source": "RANK", "value": 2}],
    }
    assert data["fields"]["hosts"]["value"] == ["node0", "node1"]
    assert data["fields"]["master_port"] == {
        "value": None,
        "source": None,
        "others": [],
        "reason": "nobody chose a port: MASTER_PORT is not set",
    }


def test_a_conflict_is_a_problem() -> None:
    result = report({**STEP, "RANK": "0", "WORLD_SIZE": "4"})
    assert result.fails
    data = json.loads(as_json(result))
    assert data["launcher"] is None
    assert list(data["fields"]) == FIELDS
    assert all(field["value"] is None and field["reason"] for field in data["fields"].values())
    [problem] = data["problems"]
    assert problem["severity"] == "error"
    assert "* rank" in problem["detected"]


def test_text() -> None:
    assert as_text(report({**STEP, "RANK": "2", "SLURM_STEP_NODELIST": "n[0-9]"})).splitlines() == [
        "launcher: slurm",
        "  rank              2              SLURM_PROCID (also RANK=2)",
        "  local rank        1              SLURM_LOCALID",
        "  node rank         0              SLURM_NODEID",
        "  world size        4              SLURM_STEP_NUM_TASKS (also SLURM_NTASKS=4)",
        "  local world size  2              SLURM_STEP_TASKS_PER_NODE",
        "  nnodes            2              SLURM_STEP_NUM_NODES",
        "  hosts             n0 and 9 more  SLURM_STEP_NODELIST",
        "  master addr       n0             first of SLURM_STEP_NODELIST",
        "  master port       -              nobody chose a port: MASTER_PORT is not set",
    ]
    assert as_text(report(recorded.launch("slurm-sbatch-torchrun")[0])).startswith(
        "launcher: torchrun, started inside slurm\n"
    )
    assert "\n\nwarning\nDetected: PET_STANDALONE" in as_text(report({"PET_STANDALONE": ""}))


@pytest.mark.parametrize("name", recorded.names())
def test_every_recorded_environment_can_be_reported(name: str) -> None:
    for environ in recorded.launch(name).values():
        result = report(environ)
        assert json.loads(as_json(result))["launcher"]
        assert as_text(result).startswith("launcher: ")


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("RANK=1\nWORLD_SIZE=2\n", {"RANK": "1", "WORLD_SIZE": "2"}),
        ("# host\nA=1\n# between\nB=x=y\n", {"A": "1", "B": "x=y"}),
        ("A=one\ntwo words\nB=2\n", {"A": "one\ntwo words", "B": "2"}),
        ("A=1\0B=two\nlines=3\0", {"A": "1", "B": "two\nlines=3"}),
        ("declare -x A=\"one two\"\nexport B='3'\nexport C=4\n", {"A": "one two", "B": "3", "C": "4"}),
        ('export A="never closed\n', {"A": '"never closed'}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("PMIX_X(7)=1\nBASH_FUNC_ml%%=() {  x\n}\n", {"PMIX_X(7)": "1", "BASH_FUNC_ml%%": "() {  x\n}"}),
        ("", {}),
    ],
)
def test_recording(text: str, environ: dict[str, str]) -> None:
    assert recording.parse(text) == environ


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "job.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in STEP.items()), encoding="utf-8")
    assert main(["--from", str(file)]) == 0
    assert capsys.readouterr().out.startswith("launcher: slurm\n")
    file.write_text(file.read_text(encoding="utf-8") + "RANK=0\n", encoding="utf-8")
    assert main(["--from", str(file)]) == 1
    assert "* rank" in capsys.readouterr().out
    assert main(["--from", str(file), "--launcher", "slurm", "--output-format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["fields"]["rank"]["value"] == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO("RANK=9\nWORLD_SIZE=4\n"))
    assert main(["--from", "-"]) == 1
    assert "rank 9 (RANK) with world size 4" in capsys.readouterr().out
    assert main(["--from", str(tmp_path / "none")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_files_of_this_machine_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodefile = tmp_path / "nodes"
    nodefile.write_text("x1\nx1\nx2\n", encoding="utf-8")
    for name, value in recorded.read(recorded.WRITTEN / "pals-in-pbs.env").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PBS_NODEFILE", str(nodefile))
    main(["--output-format", "json", "--launcher", "pals"])
    assert json.loads(capsys.readouterr().out)["fields"]["hosts"]["value"] == ["x1", "x2"]


def test_it_imports_nothing_heavy() -> None:
    code = "import sys, ddplint.runtime.__main__\nprint({'torch', 'libcst', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"
