"""Fit a sine under torchrun: torchrun --nnodes 2 --nproc-per-node 2 ... hardcoded_master_port.py"""

import os

import standin
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

EPOCHS = 3
BATCH_SIZE = 16


def points():
    inputs = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    return TensorDataset(inputs, inputs.sum(dim=1, keepdim=True).sin())


def setup():
    os.environ["MASTER_PORT"] = "29500"
    dist.init_process_group("nccl")
    local_rank = int(os.environ["LOCAL_RANK"])
    torch.cuda.set_device(local_rank)
    return local_rank


def main():
    local_rank = setup()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)).to(local_rank)
    model = DDP(model, device_ids=[local_rank])
    sampler = DistributedSampler(points(), shuffle=False)
    loader = DataLoader(points(), batch_size=BATCH_SIZE // dist.get_world_size(), sampler=sampler)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        for inputs, targets in loader:
            loss = nn.functional.mse_loss(model(inputs.to(local_rank)), targets.to(local_rank))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if dist.get_rank() == 0:
            print(f"epoch {epoch}: {loss.item():.4f}")
    if dist.get_rank() == 0:
        torch.save(model.module.state_dict(), "model.pt")
    standin.report(model, loss)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
