"""Training in torch: eager or compiled on either device, with transfers, or by a CUDA graph."""

from typing import Any

from benchmarks.inputs import Problem
from scratchnn.arrays import Array, IntArray


class Network:
    """A network in torch that takes steps; `on` is an OnTorch."""

    def __init__(self, on: Any, problem: Problem) -> None:
        self.on, self.problem, self.torch = on, problem.without_data(), on.torch
        self.module = on.module(problem)
        self.optimizer = self.torch.optim.SGD(
            self.module.parameters(), lr=problem.learning_rate, momentum=problem.momentum
        )

    def theta(self) -> Array:
        """Return the parameters in our layout."""
        from parity.convert import to_parameters

        return to_parameters(list(self.module.parameters()), self.problem.start).theta

    def order(self) -> IntArray:
        """Return the order of the examples in an epoch."""
        return self.problem.order()

    def _learn(self, X: Any, target: Any, *, drop: bool = True) -> Any:
        """Take one step; return the loss. `drop` lets backward make new gradients."""
        self.optimizer.zero_grad(set_to_none=drop)
        loss = self.torch.nn.functional.cross_entropy(self.module(X), target)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class Trainer(Network):
    """A network, and the data where the options of `on` want them."""

    def __init__(self, on: Any, problem: Problem) -> None:
        super().__init__(on, problem)
        X, target = self.torch.from_numpy(problem.X), self.torch.from_numpy(problem.target)
        self.data_bytes = X.nbytes + target.nbytes
        if on.transfer == "pinned":
            X, target = X.pin_memory(), target.pin_memory()
        elif not on.transfer:
            X, target = X.to(on.device), target.to(on.device)
        self.X, self.target = X, target

    def epoch(self) -> float:
        """Train on every example once; return the mean loss."""
        order = self.torch.from_numpy(self.problem.order()).to(self.X.device)
        total = self.torch.zeros((), device=self.on.device)
        for rows in order.split(self.problem.batch):
            total += self._update(rows) * len(rows)
        return float(total) / len(order)  # waits for the GPU

    def step(self) -> None:
        """Take one step on all examples."""
        self._learn(*self._moved(self.X, self.target))
        self.on.synchronize()

    def _update(self, rows: Any) -> Any:
        X, target = self.X[rows], self.target[rows]
        if self.on.transfer == "pinned":
            X, target = X.pin_memory(), target.pin_memory()
        return self._learn(*self._moved(X, target))

    def _moved(self, X: Any, target: Any) -> tuple[Any, Any]:
        if not self.on.transfer:
            return X, target
        free = self.on.transfer == "pinned"
        return X.to(self.on.device, non_blocking=free), target.to(self.on.device, non_blocking=free)


class GraphTrainer(Trainer):
    """Training by a recorded CUDA graph of one step; a short batch is done eagerly."""

    def __init__(self, on: Any, problem: Problem) -> None:
        super().__init__(on, problem)
        rows = min(problem.batch, problem.examples)
        self.batch = self.X[:rows].clone(), self.target[:rows].clone()
        self._warm_up()
        self.graph = self.torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with self.torch.cuda.graph(self.graph):
            loss = self.torch.nn.functional.cross_entropy(self.module(self.batch[0]), self.batch[1])
            loss.backward()
            self.optimizer.step()
        self.loss = loss.detach()
        self._restart()

    def step(self) -> None:
        """Take one step on all examples, which are there."""
        self.graph.replay()
        self.on.synchronize()

    def _update(self, rows: Any) -> Any:
        if len(rows) < len(self.batch[0]):
            return self._learn(self.X[rows], self.target[rows], drop=False)
        self.torch.index_select(self.X, 0, rows, out=self.batch[0])
        self.torch.index_select(self.target, 0, rows, out=self.batch[1])
        self.graph.replay()
        return self.loss

    def _warm_up(self) -> None:
        """Take some steps on a side stream, as recording wants it."""
        stream = self.torch.cuda.Stream()
        stream.wait_stream(self.torch.cuda.current_stream())
        with self.torch.cuda.stream(stream):
            for _ in range(3):
                self._learn(*self.batch)
        self.torch.cuda.current_stream().wait_stream(stream)

    def _restart(self) -> None:
        """Undo the steps of the warm-up: θ as at the start, velocity 0."""
        fresh = self.on.module(self.problem)
        with self.torch.no_grad():
            for ours, start in zip(self.module.parameters(), fresh.parameters(), strict=True):
                ours.copy_(start)
        for state in self.optimizer.state.values():
            if state.get("momentum_buffer") is not None:
                state["momentum_buffer"].zero_()
