"""Fit a sine on the GPUs of this machine; functions that are given the rank do the work."""

import os

import standin
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler


def points():
    inputs = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    return TensorDataset(inputs, inputs.sum(dim=1, keepdim=True).sin())


def init(rank, world_size):
    os.environ["MASTER_ADDR"] = "localhost"
    os.environ["MASTER_PORT"] = "12355"
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", rank=rank, world_size=world_size)


def build(rank):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)).to(rank)
    return DDP(model, device_ids=[rank])


def loader_for(rank, world_size, batch_size):
    data = points()
    sampler = DistributedSampler(data, num_replicas=world_size, rank=rank, shuffle=False)
    return DataLoader(data, batch_size=batch_size, sampler=sampler)


def run(rank, world_size, epochs):
    init(rank, world_size)
    model = build(rank)
    loader = loader_for(rank, world_size, 16 // world_size)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for inputs, targets in loader:
            inputs, targets = inputs.to(rank), targets.to(rank)
            loss = nn.functional.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    is_main = rank == 0
    if is_main:
        torch.save(model.module.state_dict(), "model.pt")
    standin.report(model, loss)
    dist.destroy_process_group()


if __name__ == "__main__":
    world_size = torch.cuda.device_count()
    mp.spawn(run, args=(world_size, 3), nprocs=world_size, join=True)
