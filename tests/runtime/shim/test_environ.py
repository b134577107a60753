"""What the launcher says stays in ``os.environ``, whatever a script writes over it."""

from __future__ import annotations

import pytest
from corrected import SECOND_OF_TWO, Run

SHOW = "\nprint(os.environ['{0}'], os.getenv('{0}'))\n"


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("RANK", "0", "1"),
        ("WORLD_SIZE", "1", "2"),
        ("LOCAL_RANK", "0", "1"),
        ("MASTER_ADDR", "localhost", "node0"),
        ("MASTER_PORT", "12355", "29511"),
    ],
)
def test_a_value_of_the_launcher_is_kept(name: str, value: str, kept: str, run: Run) -> None:
    done = run(f"import os\nos.environ['{name}'] = '{value}'" + SHOW.format(name))
    assert done.out == f"{kept} {kept}\n"


def test_a_child_inherits_what_is_kept(run: Run) -> None:
    done = run("import os\nos.environ['RANK'] = '0'\nos.environ['X'] = '3'\nos.system('echo $RANK $X')\n")
    assert done.out == "1 3\n"


def test_updates_are_writes_too(run: Run) -> None:
    done = run("import os\nos.environ.update(RANK='0', OTHER='0')\nos.environ.setdefault('MASTER_PORT', '1')\n"
               "print(os.environ['RANK'], os.environ['OTHER'], os.environ['MASTER_PORT'])\n")  # fmt: skip
    assert done.out == "1 0 29511\n"


def test_what_the_launcher_does_not_say_is_stored(run: Run) -> None:
    environment = {name: value for name, value in SECOND_OF_TWO.items() if name not in ("MASTER_ADDR", "MASTER_PORT")}
    environment |= {"NNODES": "2", "LOCAL_WORLD_SIZE": "1"}
    text = "import os\nos.environ['MASTER_ADDR'] = 'node7'\nos.environ['MASTER_PORT'] = '4000'"
    done = run(text + SHOW.format("MASTER_ADDR") + SHOW.format("MASTER_PORT"), environment=environment)
    assert done.out == "node7 node7\n4000 4000\n"


def test_a_value_that_is_no_text_is_refused_as_ever(run: Run) -> None:
    done = run("import os\nos.environ['RANK'] = 0\n")
    assert done.code == 1
    assert "TypeError: str expected, not int" in done.err


def test_names_of_torch_are_there_under_any_launcher(run: Run) -> None:
    environment = {
        "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "1",
        "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
        "SLURM_STEP_NODELIST": "node[0-1]",
    }  # fmt: skip
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR")
    done = run(f"import os\nprint(*(os.environ[name] for name in {names}))", environment=environment)
    assert done.out == "3 4 1 2 node0\n", done.err


def test_no_correct_leaves_it_alone(run: Run) -> None:
    done = run("import os\nos.environ['RANK'] = '0'" + SHOW.format("RANK"), options=("--no-correct",))
    assert done.out == "0 0\n"


def test_a_process_that_nobody_launched_may_write_what_it_likes(run: Run) -> None:
    text = "import os\nos.environ['RANK'] = '3'" + SHOW.format("RANK")
    done = run(text, options=("--nproc-per-node", "1"), environment={})
    assert (done.out, done.err) == ("3 3\n", "")


STEP = {
    "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NODEID": "0",
    "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_TASKS_PER_NODE": "2",
    "SLURM_STEP_NODELIST": "localhost",
}  # fmt: skip


def test_another_name_of_the_same_host_is_no_contradiction(run: Run) -> None:
    done = run("import os\nos.environ['MASTER_ADDR'] = '127.0.0.1'" + SHOW.format("MASTER_ADDR"), environment=STEP)
    assert (done.out, done.err) == ("127.0.0.1 127.0.0.1\n", "")


def test_a_port_that_nobody_chose_before_is_the_same_everywhere(run: Run) -> None:
    """The script may pick it at random in each process; the one from the job's id is the same in all."""
    done = run("import os\nos.environ['MASTER_PORT'] = '12355'\nprint(os.environ['MASTER_PORT'])", environment=STEP)
    assert 20000 <= int(done.out) < 32768
    assert done.err == ""
