"""For every rule of 1xx with a fix: a whole script, how it is started, and how it goes wrong as it is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from failures import (
    Failure,
    duplicate_ranks,
    each_host_alone,
    hang,
    missing_ranks,
    no_model_written,
    no_such_gpu,
    node_ranks,
    one_gpu_for_all,
    raises,
    ranks_beyond_the_world,
    too_few_gpus,
    world_of_one_host,
)
from launchers import (
    Launcher,
    by_hand,
    mpirun,
    srun,
    srun_no_address,
    srun_one_task,
    torchrun_c10d,
    torchrun_port_29500,
    torchrun_static,
)


@dataclass(frozen=True)
class Case:
    """One script of ``scripts/``, or a folder there with a train.py and what it imports."""

    code: str
    script: str
    launcher: Launcher
    # What it does on two hosts as it is written.
    fails: Failure
    # What it does on one host as it is written; None: it trains.
    fails_alone: Failure | None = None
    # How one host is started, if not in the same way.
    alone: Launcher | None = None
    # What the hosts lack when it fails; it trains on hosts that have it.
    lacking: dict[str, str] = field(default_factory=dict)
    # How many of its processes get as far as the process group on each host.
    processes: int = 2
    # False: the fix is safe, ``--fix`` alone repairs it.
    unsafe: bool = True

    @property
    def slurm(self) -> bool:
        return self.launcher in (srun, srun_no_address, srun_one_task)


CASES = (
    Case("DDP101", "global_rank", by_hand, duplicate_ranks),
    Case("DDP101", "global_rank_torchrun", torchrun_static, duplicate_ranks),
    Case("DDP101", "global_rank_args", by_hand, duplicate_ranks),
    Case("DDP101", "global_rank_constant", by_hand, each_host_alone),
    Case("DDP101", "global_rank_helpers", by_hand, each_host_alone),
    Case("DDP101", "global_rank_files", by_hand, each_host_alone),
    Case("DDP101", "global_rank_process_loop", by_hand, duplicate_ranks),
    Case("DDP101", "typical", by_hand, each_host_alone),
    Case("DDP102", "hardcoded_world_size", by_hand, world_of_one_host),
    Case("DDP102", "hardcoded_world_size_torchrun", torchrun_static, world_of_one_host),
    Case("DDP103", "localhost_master_addr", by_hand, hang, unsafe=False),
    Case("DDP103", "localhost_master_addr_url", by_hand, hang, unsafe=False),
    Case("DDP103", "localhost_master_addr_option", by_hand, hang, unsafe=False),
    Case("DDP104", "manual_node_rank", by_hand, duplicate_ranks, unsafe=False),
    Case("DDP104", "manual_node_rank_slurm", srun_one_task, duplicate_ranks, unsafe=False),
    Case("DDP105", "unchecked_gpu_count", by_hand, too_few_gpus, lacking={"STANDIN_GPUS": "1"}, unsafe=False),
    Case("DDP106", "incomplete_rendezvous_env", by_hand, raises("RANK expected"), fails_alone=raises("RANK expected")),
    Case(
        "DDP106",
        "incomplete_rendezvous_env_slurm",
        srun_no_address,
        raises("MASTER_ADDR expected"),
        fails_alone=raises("MASTER_ADDR expected"),
    ),
    Case("DDP107", "hardcoded_master_port", torchrun_c10d, hang, alone=torchrun_port_29500, unsafe=False),
    Case("DDP108", "bad_env_value", torchrun_static, no_model_written, fails_alone=no_model_written, unsafe=False),
    Case(
        "DDP108",
        "bad_env_value_store",
        by_hand,
        raises("str expected, not int"),
        fails_alone=raises("str expected, not int"),
        unsafe=False,
    ),
    Case("DDP109", "device_from_global_rank", torchrun_c10d, no_such_gpu, unsafe=False),
    Case("DDP109", "device_from_global_rank_slurm", srun, no_such_gpu),
    Case("DDP110", "spawn_world_size_mismatch", by_hand, missing_ranks, fails_alone=missing_ranks, processes=1),
    Case("DDP111", "scheduler_variable_misuse", srun, duplicate_ranks),
    Case("DDP111", "scheduler_variable_misuse_nodeid", srun, node_ranks, fails_alone=node_ranks),
    Case("DDP111", "scheduler_variable_misuse_nodelist", srun_no_address, hang),
    Case("DDP111", "scheduler_variable_misuse_mpi", mpirun, duplicate_ranks),
    Case("DDP112", "local_rank_argument", torchrun_static, one_gpu_for_all, unsafe=False),
    Case("DDP113", "rank_world_mismatch", by_hand, ranks_beyond_the_world),
)
