"""What all scripts here train, in one process and without torch.distributed: the loss and parameters to compare with.

Every script splits the same batches of 16 points over its ranks. Averaged over equal shares, the gradient is that of
the whole batch, so a job of any size must end with these parameters, but for rounding.
"""

import standin
import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
points = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
targets = points.sum(dim=1, keepdim=True).sin()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    for first in range(0, len(points), 16):
        loss = nn.functional.mse_loss(model(points[first : first + 16]), targets[first : first + 16])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
standin.report(model, loss)
