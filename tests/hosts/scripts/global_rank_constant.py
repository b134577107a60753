"""Fit a sine on the GPUs of this machine; their number is a constant of the module."""

import standin
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

WORLD_SIZE = torch.cuda.device_count()


def points():
    inputs = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    return TensorDataset(inputs, inputs.sum(dim=1, keepdim=True).sin())


def main(rank):
    dist.init_process_group("nccl", init_method="tcp://localhost:23456", rank=rank, world_size=WORLD_SIZE)
    torch.cuda.set_device(rank)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)).cuda(rank)
    model = DDP(model, device_ids=[rank])
    data = points()
    sampler = DistributedSampler(data, num_replicas=WORLD_SIZE, rank=rank, shuffle=False)
    loader = DataLoader(data, batch_size=16 // WORLD_SIZE, sampler=sampler)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        for inputs, targets in loader:
            loss = nn.functional.mse_loss(model(inputs.cuda(rank)), targets.cuda(rank))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if rank == 0:
            print(f"epoch {epoch}: {loss.item():.4f}")
    if rank == 0:
        torch.save(model.module.state_dict(), "model.pt")
    standin.report(model, loss)
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(main, nprocs=WORLD_SIZE)
