"""Training in torch: eager or compiled on either device, with transfers, or by a CUDA graph."""

from typing import Any

from benchmarks.inputs import Problem
from scratchnn.arrays import Array, IntArray


class Network:
    """A network in torch that takes steps; `on` is an OnTorch.

    What is compiled, where `on` compiles, is all of a step: network and loss as one function, from
    which the backward is compiled, too, and the optimizer's step.
    """

    def __init__(self, on: Any, problem: Problem) -> None:
        self.on, self.problem, self.torch = on, problem.without_data(), on.torch
        self.module = module = on.module(problem)
        self.optimizer = self.torch.optim.SGD(
            module.parameters(), lr=problem.learning_rate, momentum=problem.momentum, fused=on.fused
        )
        cross_entropy = self.torch.nn.functional.cross_entropy
        self.loss_of = on.compile(lambda X, target: cross_entropy(module(X), target))
        self.update = on.compile(self.optimizer.step, whole=False)  # torch breaks it on purpose

    def theta(self) -> Array:
        """Return the parameters in our layout."""
        from parity.convert import to_parameters

        return to_parameters(list(self.module.parameters()), self.problem.start).theta

    def order(self) -> IntArray:
        """Return the order of the examples in an epoch."""
        return self.problem.order()

    def learn(self, X: Any, target: Any, *, drop: bool = True) -> Any:
        """Take one step; return the loss. `drop` lets backward make new gradients."""
        self.optimizer.zero_grad(set_to_none=drop)
        loss = self.loss_of(X, target)
        loss.backward()
        self.update()
        return loss.detach()


class Trainer(Network):
    """A network, and the data where it is trained, or where `on` copies each batch from."""

    def __init__(self, on: Any, problem: Problem) -> None:
        super().__init__(on, problem)
        X, target = self.torch.from_numpy(problem.X), self.torch.from_numpy(problem.target)
        self.data_bytes = X.nbytes + target.nbytes
        where = "cpu" if on.transfer else on.device
        self.X, self.target = X.to(where), target.to(where)

    def epoch(self) -> float:
        """Train on every example once; return the mean loss."""
        order = self.torch.from_numpy(self.problem.order()).to(self.X.device)
        total = self.torch.zeros((), device=self.on.device)
        for rows in order.split(self.problem.batch):
            total += self._learn_rows(rows) * len(rows)
        return float(total) / len(order)  # waits for the GPU

    def step(self) -> None:
        """Take one step on all examples."""
        self.learn(*self._moved(self.X, self.target))
        self.on.synchronize()

    def _learn_rows(self, rows: Any) -> Any:
        return self.learn(*self._moved(self.X[rows], self.target[rows]))

    def _moved(self, *batch: Any) -> tuple[Any, ...]:
        return tuple(part.to(self.on.device) for part in batch) if self.on.transfer else batch


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
            loss = self.loss_of(*self.batch)
            loss.backward()
            self.update()
        self.loss = loss.detach()
        self._restart()

    def step(self) -> None:
        """Take one step on all examples, which are there."""
        self.graph.replay()
        self.on.synchronize()

    def _learn_rows(self, rows: Any) -> Any:
        if len(rows) < len(self.batch[0]):
            return self.learn(self.X[rows], self.target[rows], drop=False)
        self.torch.index_select(self.X, 0, rows, out=self.batch[0])
        self.torch.index_select(self.target, 0, rows, out=self.batch[1])
        self.graph.replay()
        return self.loss

    def _warm_up(self) -> None:
        """Take some steps on a side stream, as recording wants it; the velocity is there then."""
        stream = self.torch.cuda.Stream()
        stream.wait_stream(self.torch.cuda.current_stream())
        with self.torch.cuda.stream(stream):
            for _ in range(3):
                self.learn(*self.batch)
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
