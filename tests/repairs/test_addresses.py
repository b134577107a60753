"""Fixes of DDP103 and DDP107 in the spellings that people write."""

from __future__ import annotations

from pathlib import Path

import pytest
from repairing import findings, repaired

CODES = "DDP103,DDP107"

STORES = {
    "store": (
        'os.environ["MASTER_ADDR"] = "localhost"\nos.environ["MASTER_PORT"] = "29500"',
        'os.environ.setdefault("MASTER_ADDR", "localhost")\nos.environ.setdefault("MASTER_PORT", "29500")',
    ),
    "single-quotes": (
        "os.environ['MASTER_ADDR']='127.0.0.1'  # this machine",
        "os.environ.setdefault('MASTER_ADDR', '127.0.0.1')  # this machine",
    ),
    "variable": (
        'address = "localhost"\nos.environ["MASTER_ADDR"] = address',
        'address = "localhost"\nos.environ.setdefault("MASTER_ADDR", address)',
    ),
    "number": (
        'os.environ["MASTER_PORT"] = str(29500)',
        'os.environ.setdefault("MASTER_PORT", str(29500))',
    ),
    "f-string": (
        'port = 29500\nos.environ["MASTER_PORT"] = f"{port}"',
        'port = 29500\nos.environ.setdefault("MASTER_PORT", f"{port}")',
    ),
    "choice": (
        'os.environ["MASTER_ADDR"] = "10.1.1.1" if sys.argv else "10.1.1.2"',
        'os.environ.setdefault("MASTER_ADDR", "10.1.1.1" if sys.argv else "10.1.1.2")',
    ),
    "two-on-a-line": (
        'os.environ["MASTER_ADDR"] = "localhost"; os.environ["MASTER_PORT"] = "29500"',
        'os.environ.setdefault("MASTER_ADDR", "localhost"); os.environ.setdefault("MASTER_PORT", "29500")',
    ),
    "several-lines": (
        'os.environ["MASTER_ADDR"] = (\n    "localhost"  # only here\n)',
        'os.environ.setdefault("MASTER_ADDR", (\n    "localhost"  # only here\n))',
    ),
    "continued": (
        'os.environ["MASTER_ADDR"] = \\\n    "localhost"',
        'os.environ.setdefault("MASTER_ADDR", \\\n    "localhost")',
    ),
    "update": (
        'os.environ.update({"MASTER_ADDR": "localhost", "MASTER_PORT": "29500"})',
        'os.environ.update({"MASTER_ADDR": os.environ.get("MASTER_ADDR", "localhost"), '
        '"MASTER_PORT": os.environ.get("MASTER_PORT", "29500")})',
    ),
    "update-lines": (
        "os.environ.update(\n    {\n        'MASTER_ADDR': '10.0.0.4',  # the big one\n    }\n)",
        "os.environ.update(\n    {\n        'MASTER_ADDR': os.environ.get('MASTER_ADDR', '10.0.0.4'),"
        "  # the big one\n    }\n)",
    ),
    "update-keywords": (
        'os.environ.update(MASTER_ADDR="localhost", OMP_NUM_THREADS="1")',
        'os.environ.update(MASTER_ADDR=os.environ.get("MASTER_ADDR", "localhost"), OMP_NUM_THREADS="1")',
    ),
    "constant": (
        "PORT = 29501\nos.environ.update(MASTER_PORT=str(PORT))",
        'PORT = 29501\nos.environ.update(MASTER_PORT=os.environ.get("MASTER_PORT", str(PORT)))',
    ),
    "loop": (
        'for key, value in {"MASTER_ADDR": "localhost", "X": "1"}.items():\n    os.environ[key] = value',
        'for key, value in {"MASTER_ADDR": os.environ.get("MASTER_ADDR", "localhost"), "X": "1"}.items():\n'
        "    os.environ[key] = value",
    ),
    "helper": (
        'def export(name, value):\n    os.environ[name] = value\n\n\nexport("MASTER_ADDR", "localhost")',
        "def export(name, value):\n    os.environ[name] = value\n\n\n"
        'export("MASTER_ADDR", os.environ.get("MASTER_ADDR", "localhost"))',
    ),
    "parameter": (
        'def setup(addr="localhost"):\n    os.environ["MASTER_ADDR"] = addr\n\n\nsetup()',
        'def setup(addr="localhost"):\n    os.environ.setdefault("MASTER_ADDR", addr)\n\n\nsetup()',
    ),
    "method": (
        'class Setup:\n\tdef __init__(self):\n\t\tos.environ["MASTER_ADDR"] = "localhost"\n\n\nSetup()',
        'class Setup:\n\tdef __init__(self):\n\t\tos.environ.setdefault("MASTER_ADDR", "localhost")\n\n\nSetup()',
    ),
    "child": (
        'env = os.environ.copy()\nenv["MASTER_ADDR"] = "localhost"\nenv["RANK"] = "0"\n'
        'subprocess.Popen(["python", "worker.py"], env=env)',
        'env = os.environ.copy()\nenv.setdefault("MASTER_ADDR", "localhost")\nenv["RANK"] = "0"\n'
        'subprocess.Popen(["python", "worker.py"], env=env)',
    ),
    "exclusive": (
        'if sys.argv[1:]:\n    os.environ["MASTER_PORT"] = "29501"\nelse:\n    os.environ["MASTER_PORT"] = "29502"',
        'if sys.argv[1:]:\n    os.environ.setdefault("MASTER_PORT", "29501")\n'
        'else:\n    os.environ.setdefault("MASTER_PORT", "29502")',
    ),
}

OPTIONS = {
    "url": (
        'parser.add_argument("--url", default="tcp://localhost:23456")',
        "parser.add_argument(\"--url\", default=f\"tcp://{os.environ.get('MASTER_ADDR', 'localhost')}:"
        "{os.environ.get('MASTER_PORT', '23456')}\")",
    ),
    "url-in-single-quotes": (
        "parser.add_argument('--url', default='tcp://127.0.0.1:23456', type=str)",
        'parser.add_argument(\'--url\', default=f\'tcp://{os.environ.get("MASTER_ADDR", "127.0.0.1")}:'
        '{os.environ.get("MASTER_PORT", "23456")}\', type=str)',
    ),
    "ipv6": (
        'parser.add_argument("--url", default="tcp://[::1]:23456")',
        "parser.add_argument(\"--url\", default=f\"tcp://{os.environ.get('MASTER_ADDR', '[::1]')}:"
        "{os.environ.get('MASTER_PORT', '23456')}\")",
    ),
}

URLS = {
    "format-of-literals": (
        'url = "tcp://{}:{}".format("localhost", 23456)',
        'url = "tcp://{}:{}".format(os.environ.get("MASTER_ADDR", "localhost"), '
        'int(os.environ.get("MASTER_PORT", 23456)))',
    ),
    "percent-of-literals": (
        'url = "tcp://%s:%d" % ("localhost", 23456)',
        'url = "tcp://%s:%d" % (os.environ.get("MASTER_ADDR", "localhost"), int(os.environ.get("MASTER_PORT", 23456)))',
    ),
    "literal": (
        'url = "tcp://localhost:23456"',
        "url = f\"tcp://{os.environ.get('MASTER_ADDR', 'localhost')}:{os.environ.get('MASTER_PORT', '23456')}\"",
    ),
    "format": (
        'url = "tcp://localhost:{}".format(args.port)',
        'url = "tcp://{}:{}".format(os.environ.get("MASTER_ADDR", "localhost"), args.port)',
    ),
    "percent": (
        'url = "tcp://localhost:%s" % args.port',
        'url = "tcp://%s:%s" % (os.environ.get("MASTER_ADDR", "localhost"), args.port)',
    ),
    "sum": (
        'url = "tcp://localhost:" + args.port',
        "url = f\"tcp://{os.environ.get('MASTER_ADDR', 'localhost')}:\" + args.port",
    ),
    "f-string": (
        'url = f"tcp://localhost:{args.port}"',
        "url = f\"tcp://{os.environ.get('MASTER_ADDR', 'localhost')}:{args.port}\"",
    ),
    "f-string-port": (
        'url = f"tcp://{args.host}:23456"',
        "url = f\"tcp://{args.host}:{os.environ.get('MASTER_PORT', '23456')}\"",
    ),
    "f-string-unknown-host": (
        'url = f"tcp://{find()}:23456"',
        "url = f\"tcp://{find()}:{os.environ.get('MASTER_PORT', '23456')}\"",
    ),
    "names": (
        'host = "localhost"\nport = 23456\nurl = f"tcp://{host}:{port}"',
        'host = "localhost"\nport = 23456\n'
        "url = f\"tcp://{os.environ.get('MASTER_ADDR', host)}:{os.environ.get('MASTER_PORT', port)}\"",
    ),
    "a-name": (
        'host = "localhost"\nurl = f"tcp://{host}:{args.port}"',
        'host = "localhost"\nurl = f"tcp://{os.environ.get(\'MASTER_ADDR\', host)}:{args.port}"',
    ),
}

STORE_SCRIPT = (
    "import os\nimport subprocess\nimport sys\n\nimport torch.distributed as dist\n\n{}\ndist.init_process_group()\n"
)
URL_SCRIPT = """import argparse
import os

import torch.distributed as dist

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=str, required=True)
parser.add_argument("--host", type=str, required=True)
args = parser.parse_args()
{}
dist.init_process_group("gloo", init_method=url, rank=int(os.environ["RANK"]), world_size=int(os.environ["WORLD_SIZE"]))
"""
OPTION_SCRIPT = """import argparse
import os

import torch.distributed as dist

parser = argparse.ArgumentParser()
{}
args = parser.parse_args()
dist.init_process_group("gloo", init_method=args.url, rank=int(os.environ["RANK"]), world_size=2)
"""

CASES = {
    **{f"store-{name}": (STORE_SCRIPT, *case) for name, case in STORES.items()},
    **{f"url-{name}": (URL_SCRIPT, *case) for name, case in URLS.items()},
    **{f"option-{name}": (OPTION_SCRIPT, *case) for name, case in OPTIONS.items()},
}


@pytest.mark.parametrize("name", CASES)
def test_spelling(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, before, after = CASES[name]
    assert repaired(CODES, script.format(before), tmp_path, monkeypatch) == script.format(after)
    assert findings(CODES, tmp_path, monkeypatch) == []


WHOLE = {
    "from-import": (
        'from os import environ\n\nimport torch.distributed as dist\n\nenviron["MASTER_ADDR"] = "localhost"\n'
        "dist.init_process_group()\n",
        'from os import environ\n\nimport torch.distributed as dist\n\nenviron.setdefault("MASTER_ADDR", "localhost")\n'
        "dist.init_process_group()\n",
    ),
    "alias": (
        'import os as _os\n\nimport torch.distributed as dist\n\nURL = "tcp://localhost:23456"\n'
        "dist.init_process_group(init_method=URL, rank=int(_os.environ['RANK']), world_size=4)\n",
        "import os as _os\n\nimport torch.distributed as dist\n\n"
        "URL = f\"tcp://{_os.environ.get('MASTER_ADDR', 'localhost')}:{_os.environ.get('MASTER_PORT', '23456')}\"\n"
        "dist.init_process_group(init_method=URL, rank=int(_os.environ['RANK']), world_size=4)\n",
    ),
    "no-import": (
        '"""Trains."""\n\nfrom __future__ import annotations\n\nimport sys\n\nimport torch.distributed as dist\n\n\n'
        "def train(rank):\n"
        "    dist.init_process_group('gloo', init_method='tcp://localhost:23456', rank=rank, world_size=2)\n\n\n"
        "train(int(sys.argv[1]))\n",
        '"""Trains."""\n\nfrom __future__ import annotations\n\nimport os\nimport sys\n\n'
        "import torch.distributed as dist\n\n\n"
        "def train(rank):\n"
        '    dist.init_process_group(\'gloo\', init_method=f\'tcp://{os.environ.get("MASTER_ADDR", "localhost")}:'
        '{os.environ.get("MASTER_PORT", "23456")}\', rank=rank, world_size=2)\n\n\n'
        "train(int(sys.argv[1]))\n",
    ),
    "click": (
        "import click\nimport torch.distributed as dist\n\n\n@click.command()\n"
        '@click.option("--addr", default="localhost")\n@click.option("--rank", type=int)\ndef main(addr, rank):\n'
        '    dist.init_process_group("gloo", init_method=f"tcp://{addr}:29500", rank=rank, world_size=2)\n\n\nmain()\n',
        "import os\n\nimport click\nimport torch.distributed as dist\n\n\n@click.command()\n"
        '@click.option("--addr", default=os.environ.get("MASTER_ADDR", "localhost"))\n'
        '@click.option("--rank", type=int)\ndef main(addr, rank):\n'
        '    dist.init_process_group("gloo", init_method='
        "f\"tcp://{addr}:{os.environ.get('MASTER_PORT', '29500')}\", rank=rank, world_size=2)\n\n\nmain()\n",
    ),
    "absl": (
        "import os\n\nimport torch.distributed as dist\nfrom absl import app, flags\n\n"
        "flags.DEFINE_string('master_addr', 'localhost', 'where rank 0 runs')\nFLAGS = flags.FLAGS\n\n\n"
        "def main(_):\n    os.environ['MASTER_ADDR'] = FLAGS.master_addr\n    dist.init_process_group()\n\n\n"
        "app.run(main)\n",
        "import os\n\nimport torch.distributed as dist\nfrom absl import app, flags\n\n"
        "flags.DEFINE_string('master_addr', os.environ.get('MASTER_ADDR', 'localhost'), 'where rank 0 runs')\n"
        "FLAGS = flags.FLAGS\n\n\n"
        "def main(_):\n    os.environ['MASTER_ADDR'] = FLAGS.master_addr\n    dist.init_process_group()\n\n\n"
        "app.run(main)\n",
    ),
    "dataclass": (
        "import os\nfrom dataclasses import dataclass\n\nimport torch.distributed as dist\nimport tyro\n\n\n"
        '@dataclass\nclass Options:\n    master_addr: str = "localhost"\n    size: int = 1\n\n\n'
        'options = tyro.cli(Options)\nos.environ["MASTER_ADDR"] = options.master_addr\ndist.init_process_group()\n',
        "import os\nfrom dataclasses import dataclass\n\nimport torch.distributed as dist\nimport tyro\n\n\n"
        '@dataclass\nclass Options:\n    master_addr: str = os.environ.get("MASTER_ADDR", "localhost")\n'
        "    size: int = 1\n\n\n"
        'options = tyro.cli(Options)\nos.environ["MASTER_ADDR"] = options.master_addr\ndist.init_process_group()\n',
    ),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
def test_script(name: str, newline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = WHOLE[name]
    assert repaired(CODES, before, tmp_path, monkeypatch, newline) == after


# What has findings and no fix: nobody knows that the script would go on to work, or the code is not understood.
WITHOUT = {
    "two-groups": (
        'os.environ["MASTER_PORT"] = "29500"\ndist.init_process_group()\ndist.destroy_process_group()\n'
        'os.environ["MASTER_PORT"] = "29501"'
    ),
    "called-twice": (
        'def start(port):\n    os.environ["MASTER_PORT"] = port\n    dist.init_process_group()\n\n\n'
        'start("29500")\nstart("29501")'
    ),
    "several-targets": 'os.environ["MASTER_ADDR"] = master = "localhost"',
    "unpacked": 'os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = "localhost", "29500"',
    "no-port": 'os.environ["MASTER_PORT"] = "80000"',
    "unnamed": (
        "def export(**variables):\n    for name in variables:\n        os.environ[name] = variables[name]\n\n\n"
        'HOST = "localhost"\nexport(MASTER_ADDR=HOST)'
    ),
}
WITHOUT_URL = {
    "no-port": 'url = "tcp://localhost"',
    "illegal-port": 'url = "tcp://localhost:80000"',
    "own-variable": 'os.environ["MASTER_ADDR"] = args.host\nurl = "tcp://localhost:23456"',
    "random": 'import random\nurl = f"tcp://localhost:{random.randrange(20000, 60000)}"',
    "long-string": 'url = """tcp://localhost:23456"""',
    "raw": 'url = r"tcp://localhost:23456"',
    "pieces": 'url = "tcp://" "localhost" ":23456"',
    "query": 'url = "tcp://localhost:23456?rank=0"',
}


@pytest.mark.parametrize(
    ("script", "code"),
    [
        *[pytest.param(STORE_SCRIPT, code, id=f"store-{name}") for name, code in WITHOUT.items()],
        *[pytest.param(URL_SCRIPT, code, id=f"url-{name}") for name, code in WITHOUT_URL.items()],
    ],
)
def test_no_fix(script: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = script.format(code)
    assert repaired(CODES, before, tmp_path, monkeypatch) == before


def test_a_taken_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (
        "import torch.distributed as dist\n\n\ndef start(os, rank):\n"
        '    dist.init_process_group(init_method="tcp://localhost:23456", rank=rank, world_size=2)\n'
    )
    assert repaired(CODES, before, tmp_path, monkeypatch) == before
    assert findings(CODES, tmp_path, monkeypatch)


def test_one_fix_for_address_and_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = URL_SCRIPT.format('url = "tcp://localhost:23456"')
    (tmp_path / "train.py").write_text(before)
    address, port = findings(CODES, tmp_path, monkeypatch)
    assert (address.code, port.code) == ("DDP103", "DDP107")
    assert address.fix == port.fix
    assert address.fix is not None
