"""Fit a sine on the GPUs of this machine; a loop starts the processes."""

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


def train(rank, size):
    dist.init_process_group(backend="nccl", rank=rank, world_size=size)
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)).cuda(device)
    model = DDP(model, device_ids=[device])
    data = points()
    sampler = DistributedSampler(data, num_replicas=size, rank=rank, shuffle=False)
    loader = DataLoader(data, batch_size=16 // size, sampler=sampler)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(3):
        sampler.set_epoch(epoch)
        for inputs, targets in loader:
            loss = nn.functional.mse_loss(model(inputs.cuda(device)), targets.cuda(device))
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
    os.environ.setdefault("MASTER_ADDR", "localhost")
    os.environ.setdefault("MASTER_PORT", "29500")
    size = torch.cuda.device_count()
    processes = []
    for rank in range(size):
        process = mp.Process(target=train, args=(rank, size))
        process.start()
        processes.append(process)
    for process in processes:
        process.join()
        assert process.exitcode == 0
