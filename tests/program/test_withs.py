"""Context managers of the project are split where their body is executed."""

from __future__ import annotations

from tests.program.scripts import program

_HEAD = "import contextlib\nimport os\nimport torch\nimport torch.distributed as dist\n"


def calls(text: str) -> list[str]:
    return [event.name.rpartition(".")[2] for event in program(_HEAD + text).events("call")]


def test_the_body_is_executed_at_the_yield() -> None:
    text = """
@contextlib.contextmanager
def around(x):
    dist.barrier()
    yield
    dist.all_reduce(x)

def main(x):
    with around(x):
        dist.broadcast(x, src=0)
main(torch.zeros(1))
"""
    assert calls(text) == ["barrier", "broadcast", "all_reduce"]


def test_a_try_around_the_yield() -> None:
    text = """
@contextlib.contextmanager
def around():
    dist.barrier()
    try:
        yield
    finally:
        dist.barrier()
with around():
    dist.broadcast(torch.zeros(1), src=0)
"""
    assert calls(text) == ["barrier", "broadcast", "barrier"]


def test_a_return_in_the_body_leaves_the_function_around_it() -> None:
    text = """
@contextlib.contextmanager
def around():
    yield
    dist.barrier()

def main():
    with around():
        return 1
    dist.broadcast(torch.zeros(1), src=0)
main()
dist.all_reduce(torch.zeros(1))
"""
    assert calls(text) == ["barrier", "all_reduce"]


def test_what_is_yielded_is_bound() -> None:
    one = program(
        _HEAD + "@contextlib.contextmanager\ndef place():\n    yield int(os.environ['LOCAL_RANK'])\n"
        "with place() as rank:\n"
        "    dist.init_process_group('gloo', rank=rank, world_size=int(os.environ['WORLD_SIZE']))\n"
    )
    assert one.groups[0].rank_failure is not None


def test_a_body_in_both_branches() -> None:
    text = """
@contextlib.contextmanager
def first():
    if dist.get_rank() == 0:
        yield
        dist.barrier()
    else:
        dist.barrier()
        yield
with first():
    dist.broadcast(torch.zeros(1), src=0)
"""
    assert calls(text) == ["broadcast", "barrier", "barrier", "broadcast"]


def test_a_class_is_entered_and_left() -> None:
    text = """
class Around:
    def __enter__(self):
        dist.barrier()
        return self
    def __exit__(self, *error):
        dist.all_reduce(torch.zeros(1))
with Around():
    dist.broadcast(torch.zeros(1), src=0)
"""
    assert calls(text) == ["barrier", "broadcast", "all_reduce"]


def test_a_generator_that_is_not_followed_keeps_the_body() -> None:
    assert calls("from somewhere import around\nwith around():\n    dist.barrier()\n") == ["barrier"]
