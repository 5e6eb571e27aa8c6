"""Downloading: from a server on this machine, never from the network."""

import hashlib
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from scratchnn.data import DataError, download, mnist, write_idx
from scratchnn.extras import MissingExtraError

FILES = {
    f"{part}-{kind}-ubyte.gz": shape
    for part, n in (("train", 7), ("t10k", 5))
    for kind, shape in (("images-idx3", (n, 3, 4)), ("labels-idx1", (n,)))
}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requested.append(self.path)
        super().do_GET()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of tiny files, with `download` told to use it."""
    pytest.importorskip("pooch")
    root = tmp_path / "served"
    root.mkdir()
    rng, sums = np.random.default_rng(1), {}
    for name, shape in FILES.items():
        write_idx(root / name, rng.integers(10, size=shape, dtype=np.uint8))
        sums[name] = hashlib.md5((root / name).read_bytes()).hexdigest()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=root))
    server.requested, server.root, server.sums = [], root, sums
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(download, "SOURCES", {"mnist": ("MNIST", address, sums)})
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_fetches_what_mnist_reads(server, tmp_path):
    raw = download.download("mnist", tmp_path / "data")
    assert raw == tmp_path / "data" / "MNIST" / "raw"
    assert {path.name for path in raw.iterdir()} == set(FILES)
    for name in FILES:
        assert (raw / name).read_bytes() == (server.root / name).read_bytes()
    assert [part.X.shape for part in mnist(tmp_path / "data")] == [(7, 12), (5, 12)]


def test_download_goes_to_the_folder_of_the_variable(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCHNN_DATA", str(tmp_path / "variable"))
    assert download.download("mnist") == tmp_path / "variable" / "MNIST" / "raw"
    assert len(server.requested) == 4


def test_download_fetches_only_what_is_missing(server, tmp_path):
    raw = download.download("mnist", tmp_path)
    (raw / "t10k-labels-idx1-ubyte.gz").unlink()
    server.requested.clear()
    download.download("mnist", tmp_path)
    assert server.requested == ["/t10k-labels-idx1-ubyte.gz"]


def test_download_keeps_what_was_put_there_by_hand(server, tmp_path):
    path = tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"by hand")
    download.download("mnist", tmp_path)
    assert path.read_bytes() == b"by hand"


def test_download_refuses_another_content(server, tmp_path):
    name = "train-labels-idx1-ubyte.gz"
    (server.root / name).write_bytes(b"an error page")
    with pytest.raises(DataError, match=f"{name} could not be fetched: .*{server.sums[name]}"):
        download.download("mnist", tmp_path / "data")
    assert not (tmp_path / "data" / "MNIST" / "raw" / name).exists()


def test_download_missing_on_the_server(server, tmp_path):
    (server.root / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz could not be fetched: 404"):
        download.download("mnist", tmp_path / "data")


def test_download_without_connection(server, tmp_path):
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError, match="could not be fetched"):
        download.download("mnist", tmp_path / "data")


def test_download_needs_pooch(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'scratchnn\[data\]'"):
        download.download("mnist", tmp_path)


def test_download_addresses_are_those_of_torchvision():
    try:
        from torchvision.datasets import MNIST, FashionMNIST
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        pytest.skip(f"torchvision cannot be imported: {error}")
    for name, theirs in (("mnist", MNIST), ("fashion-mnist", FashionMNIST)):
        folder, address, sums = download.SOURCES[name]
        assert folder == theirs.__name__
        assert sums == dict(theirs.resources)
        assert address in theirs.mirrors
