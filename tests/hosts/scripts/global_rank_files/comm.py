"""The process group of this training."""

import os

import torch
import torch.distributed as dist


def start(rank, world_size):
    os.environ["MASTER_ADDR"] = "localhost"
    os.environ["MASTER_PORT"] = "29500"
    dist.init_process_group("nccl", rank=rank, world_size=world_size)
    torch.manual_seed(0)


def stop():
    dist.destroy_process_group()
