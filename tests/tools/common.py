"""What the tests of pbt_lineage share: the programs, made-up lineages, plain h5py arrays.

Every test here is called as  TEST.py PBT_LINEAGE MAKE_LINEAGE [...]  in a folder it may
fill, and exits 0, 1 (assertion) or 77 (cannot run here; a line "SKIP: reason").
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

tool, maker = (os.path.abspath(path) for path in sys.argv[1:3])
SECONDS = 60


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


try:
    import h5py
    import numpy as np
except ImportError:
    skip("h5py is not installed")


# In memory where that can be: hundreds of small files, each brought to the disk, take long.
memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
own = tempfile.TemporaryDirectory(prefix="pbt_tools_", dir=memory)


def folder(name):
    """An empty folder of this test's own."""
    path = pathlib.Path(own.name, name)
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def make(run, members, generations, seed, kind="wild", *more):
    subprocess.run([maker, str(run), str(members), str(generations), str(seed), kind,
                    *map(str, more)], check=True, timeout=SECONDS)
    return run


def call(*words, code=0):
    """The tool's standard output; asserts exit code and the form of an error."""
    done = subprocess.run([tool, *map(str, words)], capture_output=True, timeout=SECONDS)
    error = done.stderr.decode()
    assert done.returncode == code, (words, done.returncode, error)
    if code == 0:
        assert error == "", (words, error)
    else:
        assert error.startswith("pbt_lineage: ") and error.count("\n") == 1, (words, error)
        return error
    return done.stdout.decode()


def call_json(*words):
    return json.loads(call(*words))


class Lineage:
    """A lineage file as h5py reads it."""

    def __init__(self, run):
        with h5py.File(pathlib.Path(run, "lineage.h5"), "r", swmr=True) as f:
            self.commit = f["committed"][()]
            self.n = len(self.commit)
            self.members = int(f.attrs["members"])
            self.names = [name.decode() for name in f.attrs["hparams"]]
            self.parent = f["parent"][: self.n]
            self.fitness = f["fitness"][: self.n]
            self.event = f["event"][: self.n]
            self.steps = f["steps"][: self.n]
            self.event_code = h5py.check_enum_dtype(f["event"].dtype)
            self.value = {name: f["hparam/" + name][: self.n] for name in self.names}

    def way(self, generation, member):
        """[(generation, member)] from the first to the given one, one step at a time."""
        back = [(generation, member)]
        while generation > 0:
            generation, member = generation - 1, self.parent[generation - 1, member]
            if member < 0:
                break
            back.append((generation, int(member)))
        return back[::-1]
