"""Replacing a run in its folder: the old run stays whole until the new one can be resumed.

1. The files of the old run get second names (hard links) in a folder `.replaced` inside. It
   appears by one rename, when it is complete.
2. The new run is written. Until it is complete, the run of the folder is that in `.replaced`
   (`current`), and the files outside do not count.
3. Another rename takes `.replaced` away. From then on the run of the folder is the new one.

After a crash between the two renames, `bring_back` puts the old files in their places again.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from scratchnn.data import files
from scratchnn.run.history import HISTORY

REPLACED = ".replaced"  # the folder that holds the old run


def current(folder: Path) -> Path:
    """Return the folder that has the files of a run: `.replaced` inside while there is one.

    That folder holds the old run until a new one is complete.
    """
    aside = folder / REPLACED
    return aside if aside.is_dir() else folder


@contextmanager
def replacing(folder: Path, names: Sequence[str]) -> Generator[None]:
    """Remove the run in a folder for a block that writes another; it is back if the block fails.

    Options  folder   of both runs; no other process may train there
             names    of all files that a run may have
    Raises   OSError that names the file
    """
    bring_back(folder, names)
    if any((folder / name).exists() for name in names if name != HISTORY):
        _set_aside(folder, names)
        for name in names:
            if name != HISTORY:  # whoever holds it open has the lock, and empties it
                with files.naming(folder / name):
                    (folder / name).unlink(missing_ok=True)
    try:
        yield
    except Exception:
        with suppress(OSError):  # else the next one who comes brings it back
            bring_back(folder, names)
        raise
    _let_go(folder)


def bring_back(folder: Path, names: Sequence[str]) -> None:
    """Undo a replacement that was not completed, as after a kill. Without one, do nothing.

    Options  folder, names   as of `replacing`
    Raises   OSError that names the file
    """
    aside = folder / REPLACED
    if not aside.is_dir():
        return
    for name in names:
        with files.naming(folder / name):
            if name == HISTORY:  # the file stays, for the sake of its lock
                content = (aside / name).read_bytes() if (aside / name).exists() else b""
                with (folder / name).open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            elif (aside / name).exists():
                files.place_link(aside / name, folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
    files.sync_folder(folder)
    _let_go(folder)


def _set_aside(folder: Path, names: Sequence[str]) -> None:
    """Make the folder with second names of a run's files; the history is copied, as it changes."""
    with files.naming(folder), files.beside(folder / REPLACED) as partial:
        partial.mkdir()
        for name in (name for name in names if (folder / name).exists()):
            give = files.copy if name == HISTORY else files.give_name
            give(folder / name, partial / name)
        files.sync_folder(partial)
        os.replace(partial, folder / REPLACED)
        files.sync_folder(folder)


def _let_go(folder: Path) -> None:
    """Let the run beside `.replaced` be the one that counts, and remove the other."""
    if not (folder / REPLACED).is_dir():
        return
    with files.naming(folder), files.beside(folder / REPLACED) as partial:
        os.replace(folder / REPLACED, partial)
        files.sync_folder(folder)
