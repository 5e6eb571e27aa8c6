"""torch on tensors in memory: eager, compiled, or on a GPU with or without transfers."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.backends import Task, collect
from benchmarks.cases import Case, NotRunError
from benchmarks.inputs import Problem, problem
from benchmarks.ops import OPS
from scratchnn.arrays import Array, IntArray
from scratchnn.extras import need


def functions() -> dict[str, Callable[..., Any]]:
    """Return torch's operation for each of ours."""
    torch = need("torch", "torch")
    f = torch.nn.functional
    same = (
        *("cross_entropy", "nll_loss", "binary_cross_entropy_with_logits"),
        *("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"),
    )
    return {
        **{name: getattr(f, name) for name in same},
        "cross_entropy_with_gradient": f.cross_entropy,
        "linear": lambda X, W, b: torch.addmm(b, X, W),
        "relu": torch.relu,
        "sigmoid": torch.sigmoid,
        "softmax": lambda z: torch.softmax(z, -1),
        "log_softmax": lambda z: torch.log_softmax(z, -1),
        "logsumexp": lambda z: torch.logsumexp(z, -1),
        "squared_loss": lambda p, t: f.mse_loss(p, t) / 2,
        "kl_div": lambda log_q, target: f.kl_div(log_q, target, reduction="mean"),
    }


class OnTorch:
    """The work in torch.

    `transfer` copies each batch to the GPU: from "pageable" or from "pinned" memory; without it
    the data are there. `graph` replays a recorded step; `tf32` lets products keep 10 bits.
    """

    def __init__(
        self,
        device: str = "cpu",
        compiled: bool = False,
        transfer: str = "",
        graph: bool = False,
        tf32: bool = False,
    ) -> None:
        self.torch = need("torch", "torch")
        if device == "cuda" and not self.torch.cuda.is_available():
            raise NotRunError("there is no GPU that torch can use")
        self.device, self.compiled = self.torch.device(device), compiled
        self.transfer, self.graph = transfer, graph
        if device == "cuda":
            _set_tf32(self.torch, tf32)

    def op(self, name: str, dy: Array, arguments: dict[str, Any]) -> Task:
        """Return value and gradients of an operation, by autograd."""
        torch, f = self.torch, functions()[name]
        wrt = OPS[name].wrt
        tensors = {
            key: torch.tensor(value, device=self.device).requires_grad_(key in wrt)
            for key, value in arguments.items()
        }
        upstream = torch.tensor(dy, device=self.device)
        inputs = [tensors[key] for key in wrt]

        def both() -> tuple[Any, ...]:
            y = f(*tensors.values())
            return y, *torch.autograd.grad(y, inputs, upstream)

        return self._task(both)

    def trainer(self, case: Case, dtype: str) -> "Trainer":
        """Return a network with its data."""
        kind = GraphTrainer if self.graph else Trainer
        return kind(self, problem(case, dtype))

    def predictor(self, case: Case) -> Task:
        """Return the class probabilities of a batch."""
        p = problem(case, "float32")
        torch, module = self.torch, self.module(p)
        X = torch.tensor(p.X, device=self.device)

        def predict() -> tuple[Any]:
            with torch.inference_mode():
                return (torch.softmax(module(X), -1),)

        return self._task(predict)

    def loader(self, case: Case) -> Task:
        """Return an epoch's batches, gathered from a tensor."""
        p = problem(case, "float32")
        X, target = self.torch.tensor(p.X), self.torch.tensor(p.target)

        def batches() -> Iterator[tuple[Any, Any]]:
            order = self.torch.from_numpy(p.order())
            for rows in order.split(p.batch):
                yield X[rows], target[rows]

        return Task(lambda: [None for _ in batches()], lambda: collect(batches()))

    def module(self, p: Problem) -> Any:
        """Return a problem's network."""
        from parity.convert import to_module

        module = to_module(p.start).to(self.device)
        return self.torch.compile(module) if self.compiled else module

    def synchronize(self) -> None:
        """Wait for the GPU."""
        if self.device.type == "cuda":
            self.torch.cuda.synchronize(self.device)

    def _task(self, work: Callable[[], tuple[Any, ...]]) -> Task:
        def run() -> None:
            work()
            self.synchronize()

        return Task(run, lambda: tuple(y.detach().cpu().numpy() for y in work()))


class Trainer:
    """A network in torch, its optimizer, and the data where the options want them."""

    def __init__(self, on: OnTorch, problem: Problem) -> None:
        self.on, self.problem, self.torch = on, problem, on.torch
        self.module = on.module(problem)
        self.optimizer = self.torch.optim.SGD(
            self.module.parameters(), lr=problem.learning_rate, momentum=problem.momentum
        )
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

    def theta(self) -> Array:
        """Return the parameters in our layout."""
        from parity.convert import to_parameters

        return to_parameters(list(self.module.parameters()), self.problem.start).theta

    def order(self) -> IntArray:
        """Return the order of the examples in an epoch."""
        return self.problem.order()

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

    def _learn(self, X: Any, target: Any, *, drop: bool = True) -> Any:
        """Take one step; return the loss. `drop` lets backward make new gradients."""
        self.optimizer.zero_grad(set_to_none=drop)
        loss = self.torch.nn.functional.cross_entropy(self.module(X), target)
        loss.backward()
        self.optimizer.step()
        return loss.detach()


class GraphTrainer(Trainer):
    """Training by a recorded CUDA graph of one step; a short batch is done eagerly."""

    def __init__(self, on: OnTorch, problem: Problem) -> None:
        super().__init__(on, problem)
        rows = min(problem.batch, len(problem.X))
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


def _set_tf32(torch: Any, on: bool) -> None:
    matmul = torch.backends.cuda.matmul
    if hasattr(matmul, "fp32_precision"):  # torch >= 2.9; setting both APIs raises
        matmul.fp32_precision = "tf32" if on else "ieee"
    else:
        matmul.allow_tf32 = on


open = OnTorch
