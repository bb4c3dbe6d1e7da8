"""A run of pbt_mpi for notebooks: plain arrays, tidy tables and the figures.

    import pbt_lineage
    run = pbt_lineage.open("runs/digits")
    run.fitness                       # numpy [generation, member]
    run["hparam/lr"]                  # any data set of the lineage
    run.ancestry()                    # the winner's way: [(generation, member), ...]
    run.schedule()                    # its hyperparameters, a row for each generation
    run.table()                       # everything, a row for each member and generation
    run.plot_fitness(); run.plot_hparam("lr"); run.plot_phylogeny(); run.plot_copies()

Needs h5py and numpy.  Tables are pandas data frames where pandas is installed, else dicts
of arrays; the figures need matplotlib.  A run that is still going on can be opened too:
what it shows are the generations that were committed then; open it again for more.
"""
import builtins
import os

import h5py
import numpy as np

__all__ = ["open", "Run"]


def open(path):  # noqa: A001 - pbt_lineage.open is the whole interface
    """The run in this folder, or of this lineage.h5."""
    return Run(path)


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def _frame(columns):
    try:
        import pandas
    except ImportError:
        return columns
    return pandas.DataFrame(columns)


class Run:
    """All committed generations of a lineage, read when it is first asked for."""

    def __init__(self, path):
        path = os.fspath(path)
        self.path = os.path.join(path, "lineage.h5") if os.path.isdir(path) else path
        with self._file() as f:
            if int(f.attrs["schema_version"]) != 1:
                raise ValueError(f"{self.path}: a schema that this module does not know")
            self.commits = f["committed"][()]
            self.starts = f["starts"][()]
            self.generations = len(self.commits)
            self.members = int(f.attrs["members"])
            self.hparams = [_text(name) for name in f.attrs.get("hparams", [])]
            self.kinds = {name: _text(f["hparam/" + name].attrs["kind"])
                          for name in self.hparams}
            self.job = _text(f.attrs["job"])
            self.name = _text(f.attrs["job_name"])
            self.metric = _text(f.attrs["metric"])
            self.maximize = _text(f.attrs["sense"]) == "maximize"
            self.events = {code: name for name, code in
                           h5py.check_enum_dtype(f["event"].dtype).items()}
        self._read = {}

    def _file(self):
        return h5py.File(self.path, "r", swmr=True)

    def __repr__(self):
        return f"<run {self.name}: {self.members} members, {self.generations} generations>"

    def __getitem__(self, name):
        """A data set as an array [generation, member]."""
        if name not in self._read:
            with self._file() as f:
                self._read[name] = f[name][: self.generations]
        return self._read[name]

    @property
    def fitness(self):
        return self["fitness"]

    @property
    def parent(self):
        return self["parent"]

    # ---- tables ----

    def _names(self):
        with self._file() as f:
            names = []
            f.visititems(lambda name, one: names.append(name)
                         if isinstance(one, h5py.Dataset) and one.ndim == 2 else None)
        return names

    def table(self):
        """Tidy: a row for each member in each generation, a column for each data set."""
        place = np.indices((self.generations, self.members)).reshape(2, -1)
        columns = {"generation": place[0], "member": place[1]}
        columns.update((name, self[name].reshape(-1)) for name in self._names())
        columns["event"] = np.array([self.events[int(x)] for x in columns["event"]])
        return _frame(columns)

    def by_generation(self):
        """A row for each generation: best, median and worst of the finite, copies."""
        finite = np.where(np.isfinite(self.fitness), self.fitness, np.nan)
        some = np.isfinite(finite).any(axis=1)
        columns = {"generation": np.arange(self.generations)}
        ends = [np.nanmax, np.nanmedian, np.nanmin] if self.maximize else \
            [np.nanmin, np.nanmedian, np.nanmax]
        for name, reduce in zip(("best", "median", "worst"), ends):
            columns[name] = np.full(self.generations, np.nan)
            columns[name][some] = reduce(finite[some], axis=1)
        columns["copies"] = self.commits["copies"]
        columns["unix_time"] = self.commits["unix_time"]
        return _frame(columns)

    # ---- ancestry ----

    @property
    def winner(self):
        """(generation, member) of the best score of the run."""
        if self.generations == 0 or self.commits[-1]["best_member"] < 0:
            raise ValueError(f"{self.path} has no winner yet")
        last = self.commits[-1]
        return int(last["best_generation"]), int(last["best_member"])

    def ancestry(self, generation=None, member=None):
        """[(generation, member), ...] from the first weights to the place asked for, by
        default the winner's: whoever held the state then."""
        if member is None:
            generation, member = self.winner
        elif generation is None:
            generation = self.generations - 1
        way = []
        while member >= 0:
            way.append((int(generation), int(member)))
            if generation == 0:
                break
            generation -= 1
            member = self.parent[generation, member]
        return way[::-1]

    def schedule(self, generation=None, member=None):
        """The hyperparameters along an ancestry, a row for each generation."""
        g, m = map(np.array, zip(*self.ancestry(generation, member)))
        columns = {"generation": g, "member": m, "fitness": self.fitness[g, m]}
        columns.update((name, self["hparam/" + name][g, m]) for name in self.hparams)
        return _frame(columns)

    def roots(self):
        """[generation, member]: a number for the first weights that each descends from."""
        root = np.empty((self.generations, self.members), dtype=np.int64)
        root[:1] = np.arange(self.members)
        fresh = self.members
        for g in range(1, self.generations):
            parent = self.parent[g - 1]
            root[g] = np.where(parent >= 0, root[g - 1, parent], -1)
            new = np.flatnonzero(parent < 0)
            root[g, new] = fresh + np.arange(len(new))
            fresh += len(new)
        return root

    def copies(self):
        """[donor, receiver]: how often the one took over the state of the other."""
        count = np.zeros((self.members, self.members), dtype=np.int64)
        receiver = np.broadcast_to(np.arange(self.members), self.parent.shape)
        real = (self.parent >= 0) & (self.parent != receiver)
        np.add.at(count, (self.parent[real], receiver[real]), 1)
        return count

    # ---- figures ----

    def _axes(self, axes):
        if axes is None:
            import matplotlib.pyplot as plt
            axes = plt.subplots(layout="constrained")[1]
        return axes

    def plot_fitness(self, axes=None):
        """All members, and the way to the winner."""
        axes = self._axes(axes)
        axes.plot(self.fitness, color="0.6", linewidth=0.7, alpha=0.6)
        g, m = map(np.array, zip(*self.ancestry()))
        axes.plot(g, self.fitness[g, m], color="#d55e00", linewidth=2.2, label="winner's path")
        axes.set(xlabel="generation", ylabel=f"validation {self.metric}")
        axes.legend()
        return axes

    def plot_hparam(self, name, axes=None):
        """All members' values, coloured by the fitness they reached, on their own scale."""
        axes = self._axes(axes)
        value = self["hparam/" + name]
        g = np.broadcast_to(np.arange(self.generations)[:, None], value.shape)
        order = np.argsort(np.nan_to_num(self.fitness, posinf=0, neginf=0), axis=None)
        points = axes.scatter(g.flat[order], value.flat[order], c=self.fitness.flat[order],
                              s=9, cmap="viridis", marker="_" if self.members < 50 else ".")
        way, m = map(np.array, zip(*self.ancestry()))
        axes.step(way, value[way, m], where="mid", color="#d55e00", linewidth=2)
        if self.kinds[name] == "log":
            axes.set_yscale("log")
        axes.set(xlabel="generation", ylabel=name)
        axes.figure.colorbar(points, ax=axes, label=f"validation {self.metric}")
        return axes

    def plot_phylogeny(self, axes=None):
        """Members side by side, coloured by root; a line goes from a copy to its donor."""
        axes = self._axes(axes)
        root = self.roots()
        axes.imshow(root.T % 20, aspect="auto", cmap="tab20", interpolation="nearest",
                    alpha=0.6)
        g, m = map(np.array, zip(*self.ancestry()))
        axes.plot(g, m, color="black", linewidth=2, drawstyle="steps-mid")
        axes.set(xlabel="generation", ylabel="member", title="colour: first weights")
        return axes

    def plot_copies(self, axes=None):
        """Who copied whom."""
        axes = self._axes(axes)
        image = axes.imshow(self.copies(), cmap="Blues")
        axes.set(xlabel="receiver", ylabel="donor")
        axes.figure.colorbar(image, ax=axes, label="copies")
        return axes

    def plot(self, folder):
        """All figures as PDF files in a folder."""
        import matplotlib.pyplot as plt
        os.makedirs(folder, exist_ok=True)
        plots = {"fitness": self.plot_fitness, "phylogeny": self.plot_phylogeny,
                 "copies": self.plot_copies}
        for name in self.hparams:
            plots["hparam-" + name] = lambda name=name: self.plot_hparam(name)
        for name, draw in plots.items():
            axes = draw()
            axes.figure.savefig(os.path.join(folder, name + ".pdf"))
            plt.close(axes.figure)
        return builtins.sorted(plots)
