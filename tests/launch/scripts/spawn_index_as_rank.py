"""Started once on each node; takes the index that mp.spawn counts on every node for the global rank."""

import os

import torch.distributed as dist
import torch.multiprocessing as mp

GPUS = 2


def train(rank, world_size):
    os.environ["MASTER_ADDR"] = "localhost"
    os.environ.setdefault("MASTER_PORT", "29531")
    print(f"claims rank {rank} of {world_size}", flush=True)
    dist.init_process_group("gloo", rank=rank, world_size=world_size)
    print(f"is rank {dist.get_rank()} of {dist.get_world_size()}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    nodes = int(os.environ.get("NNODES", "1"))
    mp.spawn(train, args=(nodes * GPUS,), nprocs=GPUS)
