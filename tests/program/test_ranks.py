"""The rank table: what is evaluated for each process, which start is chosen, and the words for what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from ddplint.program import load_project
from ddplint.program.ranks import Cell, RankTable, table
from ddplint.settings import Settings
from ddplint.sources import from_bytes

HEAD = """
import argparse, os, socket, subprocess
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.multiprocessing import Process
"""

SPAWN = """
def worker(gpu, args):
    rank = args.node_rank * args.gpus + gpu
    torch.cuda.set_device(gpu)
    dist.init_process_group("nccl", init_method=args.url, rank=rank, world_size=args.nodes * args.gpus)

parser = argparse.ArgumentParser()
parser.add_argument("--node-rank", type=int)
parser.add_argument("--nodes", type=int, default=1)
parser.add_argument("--gpus", type=int, default=2)
parser.add_argument("--url", default="tcp://10.0.0.1:2000")
args = parser.parse_args()
mp.spawn(worker, nprocs=args.gpus, args=(args,))
"""

ENVIRONMENT = """
torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
dist.init_process_group("nccl")
"""

CHAIN = """
if "RANK" in os.environ:
    rank, world, gpu = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_RANK"])
elif "SLURM_PROCID" in os.environ:
    rank, world = int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"])
    gpu = int(os.environ["SLURM_LOCALID"])
elif "OMPI_COMM_WORLD_RANK" in os.environ:
    rank, world = int(os.environ["OMPI_COMM_WORLD_RANK"]), int(os.environ["OMPI_COMM_WORLD_SIZE"])
    gpu = int(os.environ["OMPI_COMM_WORLD_LOCAL_RANK"])
else:
    raise SystemExit("start me with a launcher")
torch.cuda.set_device(gpu)
dist.init_process_group("nccl", rank=rank, world_size=world)
"""


def ranks(
    body: str, nnodes: int = 2, nproc: int = 2, launcher: str | None = None, **inputs: str | Sequence[str]
) -> RankTable:
    project = load_project([from_bytes((HEAD + body).encode(), "train.py", None)], Settings())
    assert project.problems == []
    typed: Mapping[str, Sequence[str]] = {
        name: value.split(",") if isinstance(value, str) else value for name, value in inputs.items()
    }
    return table(project.programs[0], nnodes, nproc, launcher, typed)


def column(made: RankTable, name: str) -> list[str | None]:
    return [row.values[name].value for row in made.rows]


def troubles(made: RankTable, name: str) -> list[str | None]:
    return [row.values[name].trouble for row in made.rows]


def cell(made: RankTable, name: str) -> Cell:
    return made.rows[0].values[name]


def line_of(body: str, text: str) -> int:
    return next(number for number, line in enumerate((HEAD + body).splitlines(), 1) if text in line)


# -- starts ---------------------------------------------------------------------------------------------------------


def test_torchrun_sets_everything() -> None:
    made = ranks(ENVIRONMENT)
    assert made.launcher == "torchrun"
    assert [(row.node, row.local_rank) for row in made.rows] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert column(made, "rank") == ["0", "1", "2", "3"]
    assert column(made, "local_rank") == ["0", "1", "0", "1"]
    assert column(made, "device") == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert column(made, "world_size") == ["4"] * 4
    assert column(made, "master_addr") == ["node0"] * 4
    assert column(made, "master_port") == ["29500"] * 4
    assert made.remarks == ()


@pytest.mark.parametrize(("launcher", "name"), [(None, "torchrun"), ("srun", "srun"), ("mpirun", "mpirun")])
def test_each_launcher_takes_its_branch(launcher: str | None, name: str) -> None:
    made = ranks(CHAIN, launcher=launcher)
    assert made.launcher == name
    assert column(made, "rank") == ["0", "1", "2", "3"]
    assert column(made, "device") == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    if launcher:
        assert cell(made, "master_addr").why == "MASTER_ADDR is not set: use --set MASTER_ADDR=node0"


def test_what_the_script_is_written_for() -> None:
    slurm = 'dist.init_process_group("gloo", rank=int(os.environ["SLURM_PROCID"]), world_size=4)'
    assert ranks(slurm).launcher == "srun"
    assert ranks(SPAWN).launcher == "spawn"
    assert ranks('dist.init_process_group("gloo")').launcher == "torchrun"


def test_a_launcher_that_the_script_is_not_written_for() -> None:
    body = 'dist.init_process_group("gloo", rank=int(os.environ["SLURM_PROCID"]), world_size=4)'
    made = ranks(body, launcher="torchrun")
    assert cell(made, "rank").why == "SLURM_PROCID is not set: srun sets it"
    assert made.remarks[0] == (
        f"started by torchrun, the script does not get to the process group in line {line_of(body, 'init')}: "
        "shown as if SLURM_PROCID was set"
    )


def test_no_processes_to_spawn() -> None:
    made = ranks(ENVIRONMENT, launcher="spawn")
    assert made.rows == ()
    assert made.remarks == ("the script starts no processes itself: leave out --launcher spawn, or name another one",)


def test_a_spawning_script_under_a_launcher() -> None:
    body = SPAWN.replace('parser.add_argument("--node-rank", type=int)', "").replace(
        "args.node_rank", 'int(os.environ["SLURM_NODEID"])'
    )
    made = ranks(body, launcher="srun", nodes="2")
    assert column(made, "rank") == ["0", "1", "2", "3"]
    where = f"line {line_of(body, 'mp.spawn')}"
    assert made.remarks == (f"the script starts the processes itself, {where}: srun is to start one on each node",)


def test_started_by_hand() -> None:
    body = """
parser = argparse.ArgumentParser()
parser.add_argument("--rank", type=int)
parser.add_argument("--world-size", type=int)
args = parser.parse_args()
dist.init_process_group("gloo", init_method="tcp://10.1.1.20:23456", rank=args.rank, world_size=args.world_size)
"""
    made = ranks(body)
    assert made.launcher == "hand"
    assert column(made, "local_rank") == [None] * 4
    assert cell(made, "rank").why == "--rank was not given: use --set rank=..."
    assert "ranks and world size are right with --set rank=0,1,2,3 --set world_size=4" in made.remarks
    typed = ranks(body, rank="0,1,2,3", world_size="4")
    assert column(typed, "rank") == ["0", "1", "2", "3"]
    assert not any(troubles(typed, "rank") + troubles(typed, "world_size"))


def test_one_of_two_places_is_reached() -> None:
    body = """
def train(index):
    dist.init_process_group("gloo", init_method="tcp://a:1", rank=index, world_size=2)

def evaluate(index):
    dist.init_process_group("gloo", init_method="tcp://b:2", rank=index, world_size=2)

parser = argparse.ArgumentParser()
parser.add_argument("--evaluate", action="store_true")
args = parser.parse_args()
if args.evaluate:
    mp.spawn(evaluate, nprocs=2)
else:
    mp.spawn(train, nprocs=2)
"""
    assert column(ranks(body, 1), "master_addr") == ["a", "a"]
    assert column(ranks(body, 1, evaluate="true"), "master_addr") == ["b", "b"]


def test_a_path_that_only_an_option_opens() -> None:
    body = """
parser = argparse.ArgumentParser()
parser.add_argument("--distributed", action="store_true")
args = parser.parse_args()
if args.distributed:
    dist.init_process_group("nccl")
"""
    made = ranks(body)
    where = line_of(body, "init_process_group")
    assert column(made, "rank") == ["0", "1", "2", "3"]
    assert made.remarks[0] == (
        f"the script does not get to the process group in line {where}: shown as if --distributed was given"
    )
    assert "does not get" not in " ".join(ranks(body, distributed="1").remarks)


def test_some_processes_start_no_group() -> None:
    body = """
def worker(index):
    if index < 2:
        dist.init_process_group("gloo", init_method="tcp://a:1", rank=index, world_size=2)

mp.spawn(worker, nprocs=3)
"""
    made = ranks(body, 1, 3)
    assert column(made, "rank") == ["0", "1", None]
    assert not any(troubles(made, "world_size"))
    line = line_of(body, "if index")
    assert made.rows[2].values["rank"].why == f"this process starts no group: `index < 2` does not hold, line {line}"


def test_no_process_group_at_all() -> None:
    assert ranks("print('hello')").remarks == ("the script starts no process group",)


def test_nothing_calls_the_setup() -> None:
    body = """
def setup(rank, world_size):
    dist.init_process_group("gloo", init_method="tcp://a:1", rank=rank, world_size=world_size)
"""
    made = ranks(body)
    assert cell(made, "rank").why == f"the argument rank of setup(), line {line_of(body, 'def setup')}"
    assert made.remarks[0] == (
        f"nothing in the script calls the function that starts the process group in line {line_of(body, 'dist.init')}"
    )


def test_torch_distributed_launch() -> None:
    body = """
parser = argparse.ArgumentParser()
parser.add_argument("--local_rank", type=int, default=-1)
args = parser.parse_args()
if args.local_rank != -1:
    torch.cuda.set_device(args.local_rank)
    dist.init_process_group("nccl")
"""
    made = ranks(body)
    assert made.launcher == "torch.distributed.launch"
    assert column(made, "device") == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    assert (
        "torchrun does not pass --local_rank: it has its default in every process"
        in ranks(body, launcher="torchrun").remarks
    )


# -- what is typed --------------------------------------------------------------------------------------------------


def test_values_by_node() -> None:
    made = ranks(SPAWN, node_rank="0,1", nodes="2")
    assert column(made, "rank") == ["0", "1", "2", "3"]
    assert column(made, "world_size") == ["4"] * 4
    assert made.remarks == ()


def test_a_forgotten_option() -> None:
    made = ranks(SPAWN)
    assert cell(made, "rank").why == "--node-rank was not given: use --set node_rank=..."
    assert "ranks and world size are right with --set node_rank=0,1 --set nodes=2" in made.remarks


def test_nodes_that_start_different_numbers() -> None:
    made = ranks(SPAWN, node_rank="0,1", nodes="2", gpus="1,2")
    assert [(row.node, row.local_rank) for row in made.rows] == [(0, 0), (1, 0), (1, 1)]
    assert column(made, "rank") == ["0", "2", "3"]
    assert troubles(made, "world_size")[0] == "world size 2, but 3 processes run"


def test_an_option_that_argparse_would_refuse() -> None:
    assert cell(ranks(SPAWN, node_rank="first"), "rank").why == "--node-rank does not take 'first'"


def test_an_option_without_type_stays_a_string() -> None:
    body = """
parser = argparse.ArgumentParser()
parser.add_argument("--rank")
args = parser.parse_args()
dist.init_process_group("gloo", init_method="tcp://a:1", rank=args.rank, world_size=4)
"""
    assert troubles(ranks(body, rank="0,1,2,3"), "rank")[1] == "'1' is no number"


def test_click_takes_the_type_from_the_default() -> None:
    body = """
import click
@click.command()
@click.option("--rank", default=0)
def main(rank):
    dist.init_process_group("gloo", init_method="tcp://a:1", rank=rank, world_size=4)
main()
"""
    assert column(ranks(body, rank="0,1,2,3"), "rank") == ["0", "1", "2", "3"]


def test_variables_that_somebody_exports() -> None:
    body = """
def worker(gpu):
    rank = int(os.environ["NODE_RANK"]) * 2 + gpu
    dist.init_process_group("nccl", rank=rank, world_size=4)

mp.spawn(worker, nprocs=2)
"""
    assert cell(ranks(body), "rank").why == "NODE_RANK is not set: use --set NODE_RANK=0,1"
    made = ranks(body, NODE_RANK="0,1", MASTER_ADDR="host7", MASTER_PORT="1234")
    assert column(made, "rank") == ["0", "1", "2", "3"]
    assert column(made, "master_addr") == ["host7"] * 4
    assert made.remarks == ("no GPU is chosen by its index",)


def test_a_name_that_means_nothing() -> None:
    made = ranks(SPAWN, node_rnk="0,1")
    assert "--set node_rnk: the script has no such option and reads no such variable: did you mean node_rank?" in (
        made.remarks
    )


# -- what is wrong --------------------------------------------------------------------------------------------------


def test_collisions_and_gaps() -> None:
    made = ranks(SPAWN, node_rank="0", nodes="2")
    assert troubles(made, "rank") == ["also rank of node 1", "also rank of node 1", *["also rank of node 0"] * 2]
    assert made.remarks[0] == "no process has ranks 2 and 3"


def test_everybody_claims_the_same() -> None:
    made = ranks('dist.init_process_group("gloo", init_method="tcp://a:1", rank=0, world_size=4)')
    assert troubles(made, "rank") == ["also rank of 3 others"] * 4
    assert made.remarks[0] == "no process has ranks 1 to 3"


def test_a_rank_beyond_the_world() -> None:
    made = ranks(SPAWN, node_rank="0,1")
    assert troubles(made, "rank") == [None, None, *["no such rank in a world of 2"] * 2]
    assert troubles(made, "world_size") == ["world size 2, but 4 processes run"] * 4


def test_devices() -> None:
    by_rank = 'dist.init_process_group("nccl")\ntorch.cuda.set_device(dist.get_rank())'
    assert troubles(ranks(by_rank), "device") == [
        None,
        None,
        "no GPU 2: a node has 0 to 1",
        "no GPU 3: a node has 0 to 1",
    ]
    literal = 'torch.cuda.set_device(0)\ndist.init_process_group("nccl")'
    assert troubles(ranks(literal), "device")[:2] == ["also GPU of process 1", "also GPU of process 0"]


def test_the_device_that_set_device_chose_counts() -> None:
    made = ranks(ENVIRONMENT + 'torch.load("model.pt", map_location="cpu")\nprobe = torch.zeros(1, device="cuda:0")')
    assert column(made, "device") == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]


def test_an_address_that_is_every_node_itself() -> None:
    made = ranks('os.environ["MASTER_ADDR"] = "localhost"\n' + ENVIRONMENT)
    assert troubles(made, "master_addr") == [None, None, "localhost is this node", "localhost is this node"]
    assert troubles(ranks('os.environ["MASTER_ADDR"] = "localhost"\n' + ENVIRONMENT, 1), "master_addr") == [None, None]


def test_addresses_that_differ() -> None:
    made = ranks('os.environ["MASTER_ADDR"] = socket.gethostname()\n' + ENVIRONMENT)
    assert troubles(made, "master_addr") == [None, None, "the first process has node0", "the first process has node0"]


def test_a_list_of_hosts() -> None:
    made = ranks(
        'os.environ["MASTER_ADDR"] = os.environ["SLURM_NODELIST"]\ndist.init_process_group("gloo")', launcher="srun"
    )
    assert cell(made, "master_addr").trouble == "node[0-1] is a list of hosts"


# -- what is not known ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ('"tcp://10.0.0.7:5000"', "10.0.0.7", "5000"),
        ('"tcp://[fe80::1]:5000"', "fe80::1", "5000"),
        ('f"tcp://{socket.gethostname()}:5000"', "node0", "5000"),
        ('"tcp://{}:{}".format("a", 5000)', "a", "5000"),
        ('"tcp://a:" + str(5000 + 1)', "a", "5001"),
        ('"file:///shared/meet"', None, None),
    ],
)
def test_the_url_of_the_rendezvous(url: str, address: str | None, port: str | None) -> None:
    made = ranks(f'dist.init_process_group("gloo", init_method={url}, rank=0, world_size=1)', 1, 1)
    assert column(made, "master_addr") == [address]
    assert column(made, "master_port") == [port]
    assert cell(made, "master_port").why is None


def test_half_a_url() -> None:
    body = """
port = free_port()
dist.init_process_group("gloo", init_method=f"tcp://localhost:{port}", rank=0, world_size=1)
"""
    made = ranks(body, 1, 1)
    assert column(made, "master_addr") == ["localhost"]
    assert cell(made, "master_port").why == f"what free_port() returns, line {line_of(body, 'port =')}"


def test_why_a_rank_is_not_known() -> None:
    body = """
from settings import options
dist.init_process_group("gloo", init_method="tcp://a:1", rank=int(options.rank) + 1, world_size=2)
"""
    line = line_of(body, "dist.init")
    assert cell(ranks(body), "rank") == Cell(why=f"what settings.options.rank is, line {line}")


def test_a_command_that_has_to_run() -> None:
    body = """
names = subprocess.check_output(["scontrol", "show", "hostnames"]).decode().split()
os.environ["MASTER_ADDR"] = names[0]
dist.init_process_group("gloo")
"""
    line = line_of(body, "check_output")
    assert cell(ranks(body), "master_addr").why == f"what a child process prints, line {line}"


def test_both_sides_of_an_unknown_condition_agree() -> None:
    body = """
port = 2000 if torch.rand(1) > 0.5 else 2000
offset = 1 if torch.rand(1) > 0.5 else 2
os.environ["MASTER_PORT"] = str(port)
dist.init_process_group("gloo", rank=int(os.environ["RANK"]) + offset, world_size=4)
"""
    made = ranks(body)
    assert column(made, "master_port") == ["2000"] * 4
    assert cell(made, "rank").why == f"what torch.rand() returns, line {line_of(body, 'offset =')}"


def test_minus_one_means_the_environment() -> None:
    body = """
parser = argparse.ArgumentParser()
parser.add_argument("--rank", type=int, default=-1)
args = parser.parse_args()
dist.init_process_group("gloo", rank=args.rank, world_size=int(os.environ["WORLD_SIZE"]))
"""
    assert column(ranks(body, launcher="torchrun"), "rank") == ["0", "1", "2", "3"]


def test_a_count_that_is_not_known() -> None:
    body = """
def worker(index):
    dist.init_process_group("gloo", init_method="tcp://a:1", rank=index, world_size=2)

mp.spawn(worker, nprocs=os.cpu_count())
"""
    made = ranks(body, 1, 2)
    line = line_of(body, "mp.spawn")
    assert len(made.rows) == 2
    assert made.remarks[0] == (
        f"how many processes line {line} starts is not known (what os.cpu_count() returns, line {line}): "
        "shown with 2 on each node"
    )


def test_a_count_that_is_not_the_number_of_gpus() -> None:
    made = ranks(SPAWN, 1, 4, node_rank="0")
    assert len(made.rows) == 2
    assert made.remarks == (f"line {line_of(SPAWN, 'mp.spawn')} starts 2 processes on a node with 4 GPUs",)


def test_processes_of_a_loop() -> None:
    body = """
def work(slot, world):
    dist.init_process_group("gloo", init_method="tcp://a:1", rank=slot, world_size=world)

for slot in range(3):
    Process(target=work, args=(slot, 3)).start()
"""
    made = ranks(body, 1, 3)
    assert made.launcher == "spawn"
    assert column(made, "rank") == ["0", "1", "2"]
