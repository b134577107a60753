"""What scripts do with their rank: lines in which ``{r}`` is the rank and ``{w}`` the world size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

Lines = list[str]

USES: Mapping[str, Lines] = {
    "pin": ["torch.cuda.set_device({r})"],
    "model": ["model = DDP(nn.Linear(4, 2).to({r}), device_ids=[{r}], output_device={r})"],
    "pin-if": ["if torch.cuda.is_available():", "    torch.cuda.set_device({r})"],
    "cuda": ["net = nn.Linear(4, 2).cuda({r})"],
    "device": ['device = torch.device(f"cuda:{{{r}}}")'],
    "device-pair": ['device = torch.device("cuda", {r})'],
    "device-choice": ['device = torch.device(f"cuda:{{{r}}}" if torch.cuda.is_available() else "cpu")'],
    "device-format": ['place = torch.zeros(2).to("cuda:{{}}".format({r}))'],
    "device-percent": ['place = torch.zeros(2).to("cuda:%d" % {r})'],
    "device-alias": ["device = {r}", "net = nn.Linear(4, 2).to(device)"],
    "device-modulo": ["torch.cuda.set_device({r} % torch.cuda.device_count())"],
    "map-location": ['where = torch.load("start.pt", map_location={{"cuda:0": f"cuda:{{{r}}}"}})'],
    "sampler": ["sampler = DistributedSampler(data, num_replicas={w}, rank={r}, shuffle=True)"],
    "sampler-places": ["sampler = DistributedSampler(data, {w}, {r})"],
    "sampler-lines": [
        "sampler = DistributedSampler(",
        "    data,",
        "    rank={r},",
        "    num_replicas={w},",
        ")",
    ],
    "seed": ["torch.manual_seed(1234 + {r})"],
    "seed-steps": ["seed = 99 + {r}", "torch.manual_seed(seed)"],
    "scaled": ["optimizer = torch.optim.SGD([], lr={w} * 0.5)"],
    "comprehension": ["part = [item for item in data if item % {w} == {r}]", "print(part)"],
    "checked": ["assert {r} < {w}"],
    "log": ['print(f"[rank {{{r}}}] of {{{w}}} is up", flush=True)'],
    "log-format": ['print("rank {{}} of {{}} is up".format({r}, {w}))'],
    "log-percent": ['print("rank %d of %d is up" % ({r}, {w}))'],
    "log-commas": ['print("rank", {r}, "of", {w})'],
    "is-zero": ["if {r} == 0:", '    torch.save(data, "model.pt")'],
    "zero-is": ["if 0 == {r}:", '    torch.save(data, "model.pt")'],
    "not": ["if not {r}:", '    torch.save(data, "model.pt")'],
    "is-not-zero": ["if {r} != 0:", "    pass", "else:", '    torch.save(data, "model.pt")'],
    "is-in": ["if {r} in (0,):", '    torch.save(data, "model.pt")'],
    "below-one": ["if {r} < 1 and len(data) > 0:", '    torch.save(data, "model.pt")'],
    "alias": ["me = {r}", "if me == 0:", '    torch.save(data, "model.pt")'],
    "main-flag": ["is_main = {r} == 0", "if is_main:", '    torch.save(data, "model.pt")'],
    "in-loop": ["for epoch in range(2):", "    if {r} == 0 and epoch == 1:", '        torch.save(data, "model.pt")'],
    "item": ["first = data[{r}]"],
    "shard": ["part = data[{r}::{w}]", "print(part)"],
    "either": ['name = "main" if {r} == 0 else "other"', 'if name == "main":', '    torch.save(data, "model.pt")'],
    "question": ["if is_main({r}):", '    torch.save(data, "model.pt")'],
    "helper": ["evaluate({r}, data)"],
    "helper-both": ["validate(data, {r})"],
    "class": ["Saver({r}).save(data)"],
    "inner": ["def finish():", "    if {r} == 0:", '        torch.save(data, "model.pt")', "", "finish()"],
}
SAVES = (
    "is-zero zero-is not is-not-zero is-in below-one alias main-flag in-loop either question helper helper-both class "
    "inner".split()
)
HELPERS: Mapping[str, Lines] = {
    "question": ["def is_main(rank):", "    return rank == 0"],
    "helper": ["def evaluate(rank, data):", "    if rank == 0:", '        torch.save(data, "model.pt")'],
    "helper-both": [
        "def validate(data, rank):",
        "    batch = torch.zeros(2).to(rank)",
        "    if rank == 0:",
        '        torch.save(batch, "model.pt")',
    ],
    "class": [
        "class Saver:",
        "    def __init__(self, rank):",
        "        self.rank = rank",
        "",
        "    def save(self, data):",
        "        if self.rank == 0:",
        '            torch.save(data, "model.pt")',
    ],
}
DEVICES = (
    "pin pin-if model cuda device device-pair device-choice device-format device-percent device-alias device-modulo "
    "map-location".split()
)


def used() -> st.SearchStrategy[list[str]]:
    """At most one line that saves: it is to happen once."""
    others = [name for name in USES if name not in SAVES]
    some = st.lists(st.sampled_from(others), max_size=3, unique=True)
    save = st.one_of(st.just([]), st.sampled_from(SAVES).map(lambda name: [name]))
    return st.tuples(some, save).map(lambda pair: pair[0] + pair[1])


def uses(used: Sequence[str], rank: str, world: str, device: str) -> Lines:
    lines = ["data = list(range(64))"] if used else []
    for name in used:
        about = device if name in DEVICES else rank
        for line in USES[name]:
            lines.append(_formatted(line, about, world))
    return lines


def _formatted(line: str, rank: str, world: str) -> str:
    if '"' in rank and 'f"' in line:
        # The other quotes inside: before 3.12 an f-string may not repeat its own.
        rank = rank.replace('"', "'")
    return line.format(r=rank, w=world)
