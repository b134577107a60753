"""``DistributedSampler`` with the rank that was overruled: it would hand the same data to every node."""

from __future__ import annotations

import functools
from typing import Any

from ddplint.runtime.shim.session import current


def patch(module: Any) -> None:
    """Correct samplers that are given exactly what `init_process_group` was given wrongly; others are as they are."""
    original = module.DistributedSampler.__init__

    @functools.wraps(original)
    def __init__(
        self: Any, dataset: Any, num_replicas: int | None = None, rank: int | None = None, *rest: Any, **kwargs: Any
    ) -> None:
        session = current()
        claims = {} if session is None else session.claims
        wrong = {
            name: value
            for name, value in (("rank", rank), ("world_size", num_replicas))
            if name in claims and value == claims[name]
        }
        if session is not None and wrong:
            topology = session.topology
            right = {"rank": topology.rank.value, "world_size": topology.world_size.value}
            given = " and ".join(f"{'num_replicas' if name == 'world_size' else name}={wrong[name]}" for name in wrong)
            counts = " and ".join(str(right[name]) for name in wrong)
            # The same wrong value, so the same rule finds where it comes from.
            rule = "DDP101" if "rank" in wrong else "DDP102"
            if session.overrule(f"DistributedSampler is given {given}, and {counts} counts", rule):
                rank = right["rank"] if "rank" in wrong else rank
                num_replicas = right["world_size"] if "world_size" in wrong else num_replicas
        original(self, dataset, num_replicas, rank, *rest, **kwargs)

    module.DistributedSampler.__init__ = __init__
