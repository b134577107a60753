import os

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP

# torchrun --nproc_per_node 4 launched_train.py
os.environ["MASTER_ADDR"] = "localhost"
os.environ["MASTER_PORT"] = "29500"
dist.init_process_group("nccl")
gpu = int(os.environ["RANK"])
torch.cuda.set_device(gpu)
model = DDP(torch.nn.Linear(10, 1).cuda(gpu), device_ids=[gpu])
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(100):
    loss = model(torch.randn(32, 10).cuda(gpu)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
if os.environ["RANK"] == 0:
    torch.save(model.module.state_dict(), "model.pt")
dist.destroy_process_group()
