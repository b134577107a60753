"""A tiny DDP script that knows of no launcher and joins its group through the environment: ``tiny_ddp.py FOLDER``

Every rank begins with other parameters and sees other data, so parameters that are equal in the end prove both DDP's
broadcast and its all-reduce. Each rank writes a line into a file of its own in FOLDER, as ``standin.py`` does.
"""

import hashlib
import json
import os
import socket
import struct
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP


def train(device):
    torch.manual_seed(dist.get_rank())
    model = DDP(nn.Linear(8, 1).to(device))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        inputs = torch.randn(16, 8).to(device)
        loss = nn.functional.mse_loss(model(inputs), inputs.sum(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).tolist()


def main(folder):
    dist.init_process_group("gloo")
    local_rank = int(os.environ["LOCAL_RANK"])
    device = torch.device("cpu")
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank)
        device = torch.device("cuda", local_rank)
    parameters = train(device)
    report = {
        "event": "report",
        "host": socket.gethostname(),
        "rank": dist.get_rank(),
        "world_size": dist.get_world_size(),
        "local_rank": local_rank,
        "master": os.environ["MASTER_ADDR"],
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "digest": hashlib.sha256(struct.pack(f"{len(parameters)}f", *parameters)).hexdigest(),
    }
    with open(f"{folder}/{report['host']}-{os.getpid()}.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
