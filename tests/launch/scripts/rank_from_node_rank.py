"""Started once on each node; the repaired twin of spawn_index_as_rank.py."""

import os

import torch.distributed as dist
import torch.multiprocessing as mp

GPUS = 2


def train(local_rank, world_size):
    os.environ.setdefault("MASTER_ADDR", "localhost")
    os.environ.setdefault("MASTER_PORT", "29531")
    rank = int(os.environ.get("NODE_RANK", "0")) * GPUS + local_rank
    print(f"claims rank {rank} of {world_size}", flush=True)
    dist.init_process_group("gloo", rank=rank, world_size=world_size)
    dist.barrier()
    print(f"is rank {dist.get_rank()} of {dist.get_world_size()}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    nodes = int(os.environ.get("NNODES", "1"))
    mp.spawn(train, args=(nodes * GPUS,), nprocs=GPUS)
