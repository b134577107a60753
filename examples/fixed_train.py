import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel as DDP


def train(local_rank, gpus):
    node_rank = int(os.environ.get("NODE_RANK", 0))
    nnodes = int(os.environ.get("NNODES", 1))
    os.environ.setdefault("MASTER_ADDR", "localhost")
    os.environ.setdefault("MASTER_PORT", "12355")
    dist.init_process_group("nccl", rank=node_rank * gpus + local_rank, world_size=nnodes * gpus)
    torch.cuda.set_device(local_rank)
    model = DDP(torch.nn.Linear(10, 1).cuda(local_rank), device_ids=[local_rank])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for step in range(100):
        loss = model(torch.randn(32, 10).cuda(local_rank)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    dist.destroy_process_group()


if __name__ == "__main__":
    gpus = torch.cuda.device_count()
    mp.spawn(train, args=(gpus,), nprocs=gpus)
