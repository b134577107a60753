"""Fit a sine on the GPUs of this machine; rank, world size and GPU travel in the options."""

import argparse
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


def main_worker(gpu, ngpus_per_node, args):
    args.gpu = gpu
    args.rank = gpu
    torch.cuda.set_device(args.gpu)
    dist.init_process_group(backend=args.backend, init_method="env://", world_size=args.world_size, rank=args.rank)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1)).cuda(args.gpu)
    model = DDP(model, device_ids=[args.gpu])
    data = points()
    sampler = DistributedSampler(data, num_replicas=args.world_size, rank=args.rank, shuffle=False)
    loader = DataLoader(data, batch_size=args.batch_size // args.world_size, sampler=sampler)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(args.epochs):
        sampler.set_epoch(epoch)
        for inputs, targets in loader:
            loss = nn.functional.mse_loss(model(inputs.cuda(args.gpu)), targets.cuda(args.gpu))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if args.rank == 0:
            print(f"epoch {epoch}: {loss.item():.4f}")
    if args.rank == 0:
        torch.save(model.module.state_dict(), "model.pt")
    standin.report(model, loss)
    dist.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", default="nccl")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    args = parser.parse_args()
    os.environ.setdefault("MASTER_ADDR", "localhost")
    os.environ.setdefault("MASTER_PORT", "29500")
    ngpus_per_node = torch.cuda.device_count()
    args.world_size = ngpus_per_node
    mp.spawn(main_worker, nprocs=ngpus_per_node, args=(ngpus_per_node, args))
