"""Functions of libraries that bring data onto the disk, without a lock between processes.

torchvision 0.28 (torchvision/datasets/*.py, utils.py) and torchaudio 2.11 look whether the files are there, then write
the archive under its final name and unpack it in place; so do urllib, wget and gdown. Hugging Face's libraries lock
(huggingface_hub/file_download.py, datasets/builder.py), and torch.hub writes to a temporary file first
(torch 2.13, torch/hub.py, download_url_to_file): they are not here.
"""

from __future__ import annotations

from collections.abc import Mapping

# Their constructors download on download=True; most take it fifth, if by position.
_DATASETS = ("torchvision.datasets.", "torchaudio.datasets.")
_BY_POSITION = frozenset(("MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100"))
_FIFTH = ("root", "train", "transform", "target_transform", "download")
_NAMED = ("root",)

FETCHERS: Mapping[str, tuple[str, ...]] = {
    "gdown.download": ("url", "output"),
    "torchvision.datasets.utils.download_and_extract_archive": ("url", "download_root"),
    "torchvision.datasets.utils.download_url": ("url", "root"),
    "torchvision.datasets.utils.extract_archive": ("from_path", "to_path"),
    "urllib.request.urlretrieve": ("url", "filename"),
    "wget.download": ("url", "out"),
}


def parameters(name: str) -> tuple[str, ...] | None:
    """The parameters of a function that may download, in order; None for any other."""
    if name.startswith(_DATASETS):
        last = name.rpartition(".")[2]
        if name not in FETCHERS and last[:1].isupper():
            return _FIFTH if last in _BY_POSITION else _NAMED
    return FETCHERS.get(name)


def is_dataset(name: str) -> bool:
    """Whether a function is the constructor of a dataset, which downloads only if it is told to."""
    return name.startswith(_DATASETS) and name not in FETCHERS
