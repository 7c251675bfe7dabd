#!/usr/bin/env python3
"""Compares emitted C with what `--emit torch` makes of the same model: two ways from one text, whose gradients come from
the compiler's differentiation and from autograd.

    parity.py FOLDER NAME...        needs PyTorch and NumPy; of each model FOLDER has NAME.py, NAME.so and NAME.graph

For each model: first values; after some training steps in C, the results of every net and export, the reports of every
evaluation and phase, the gradient of each updated parameter, and the states that a phase moves. PyTorch computes in double
precision, with the random numbers of the C (Philox4x32-10, Salmon et al. 2011), computed here from their specification.
"""
import ctypes
import importlib.util
import itertools
import math
import sys

import numpy as np
import torch

SEED, EXAMPLES, STEPS, LENGTH = 11, 12, 2, 5 # the run-time sizes are near LENGTH, within their bounds
size_t, text, pointer = ctypes.c_size_t, ctypes.c_char_p, ctypes.POINTER


# ── The description of a model: gdl.h ────────────────────────────────────────────────────────

class Struct(ctypes.Structure):
    def list(self, items, count):
        return getattr(self, items)[: getattr(self, count)]


class Clock(Struct):
    _fields_ = [(name, ctypes.c_uint64) for name in ("seed", "tick", "draw", "step", "epoch")] + [("lr_scale", ctypes.c_float)]


class Tensor(Struct):
    _fields_ = [("name", text), ("role", ctypes.c_int), ("stage", ctypes.c_int), ("rank", size_t), ("shape", pointer(size_t)),
                ("size", size_t), ("offset", size_t)]


class Size(Struct):
    _fields_ = [("name", text), ("index", size_t), ("low", size_t), ("high", size_t)]


class Extent(Struct):
    _fields_ = [("size", pointer(Size)), ("scale", ctypes.c_long), ("base", ctypes.c_long)]


class Port(Struct):
    _fields_ = [("name", text), ("rank", size_t), ("shape", pointer(size_t)), ("size", size_t), ("classes", size_t),
                ("extent", pointer(Extent))]

    def sizes(self):
        """Indices of the run-time sizes in its shape."""
        return {e.size.contents.index for e in self.extent[: self.rank] if e.size} if self.extent else set()

    def dims(self, sizes):
        """The shape of one example, with these run-time sizes."""
        if not self.extent:
            return self.shape[: self.rank]
        return [e.base + (e.scale * sizes[e.size.contents.index] if e.size else 0) for e in self.extent[: self.rank]]


Run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, size_t, pointer(size_t), pointer(ctypes.c_void_p), pointer(ctypes.c_void_p))
Reported = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, size_t, pointer(size_t), pointer(ctypes.c_void_p), pointer(ctypes.c_float))


class Function(Struct):
    _fields_ = [("name", text), ("net", ctypes.c_int), ("inputs", size_t), ("input", pointer(Port)), ("outputs", size_t),
                ("output", pointer(Port)), ("run", Run)]


class Report(Struct):
    _fields_ = [("name", text), ("loss", ctypes.c_int)]


class Stage(Struct):
    _fields_ = [("name", text), ("batch", size_t), ("epochs", size_t), ("inputs", size_t), ("input", pointer(Port)),
                ("batches", size_t), ("reports", size_t), ("report", pointer(Report)), ("step", Reported), ("evaluate", Reported),
                ("begin", ctypes.CFUNCTYPE(None, ctypes.c_void_p))]


class Description(Struct):
    _fields_ = [("name", text), ("source", text), ("version", text), ("batch", size_t), ("tensors", size_t), ("tensor", pointer(Tensor)),
                ("sizes", size_t), ("size", pointer(Size)), ("functions", size_t), ("function", pointer(Function)), ("stages", size_t), ("stage", pointer(Stage)),
                ("memory", ctypes.CFUNCTYPE(size_t, size_t)), ("init", ctypes.c_void_p),
                ("clock", ctypes.CFUNCTYPE(pointer(Clock), ctypes.c_void_p))]


# ── Random numbers ───────────────────────────────────────────────────────────────────────────

def philox(counter, key):
    """Four words for each column of `counter`, by ten rounds."""
    low = np.uint64(0xFFFFFFFF)
    c = [np.asarray(word, dtype=np.uint64) for word in counter]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]), b & low, (a >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]), a & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c)


def words(tick, stream, size):
    at = np.arange(size, dtype=np.uint64)
    counter = at // np.uint64(64) * np.uint64(16) + at % np.uint64(16)
    four = philox([counter, np.full(size, tick & 0xFFFFFFFF), np.full(size, tick >> 32), np.full(size, stream)], SEED)
    return four, (at % np.uint64(64) // np.uint64(16)).astype(int), np.arange(size)


def unit(word):
    return ((word >> np.uint64(9)) + 0.5) * 2.0 ** -23


def uniform(tick, stream, size):
    four, word, at = words(tick, stream, size)
    return unit(four[word, at])


def normal(tick, stream, size):
    four, word, at = words(tick, stream, size)
    pair = word & 2
    angle = 2 * math.pi * unit(four[pair + 1, at])
    return np.sqrt(-2 * np.log(unit(four[pair, at]))) * np.where(word & 1, np.sin(angle), np.cos(angle))


def orthogonal(tick, stream, shape):
    rows, columns = math.prod(shape[:-1]), shape[-1]
    matrix = normal(tick, stream, rows * columns).reshape(max(rows, columns), min(rows, columns))
    q, r = np.linalg.qr(matrix)
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T


def fed(model_class):
    """The module, with the draws of the C."""
    class Fed(model_class):
        tick = 0

        def as_tensor(self, values, shape):
            return torch.from_numpy(np.ascontiguousarray(values)).reshape(tuple(shape)).to(self.zero)

        def uniform(self, stream, shape):
            return self.as_tensor(uniform(self.tick, stream, math.prod(shape)), shape)

        def normal(self, stream, shape):
            return self.as_tensor(normal(self.tick, stream, math.prod(shape)), shape)

        def orthogonal(self, stream, shape):
            return self.as_tensor(orthogonal(self.tick, stream, shape), shape)

    return Fed()


# ── One model ────────────────────────────────────────────────────────────────────────────────

def updated_parameters(graph):
    """From the text of --emit graph, for each phase in order: the tensors that it assigns."""
    phases, inside = [], False
    for line in graph:
        if line[0] != " ":
            inside = line.startswith("phase ")
            phases += [[]] if inside else []
        elif inside and " <- " in line:
            phases[-1].append(line.split(" <- ")[0].strip())
    return phases


class Model:
    def __init__(self, folder, name, data):
        self.name = name
        self.library = ctypes.CDLL(f"{folder}/{name}.so")
        self.description = self.function(f"{name}_describe", pointer(Description))().contents
        self.memory = self.function(f"{name}_create", ctypes.c_void_p)(ctypes.c_uint64(SEED))
        self.clock = self.description.clock(self.memory).contents
        self.tensors = {t.name.decode(): t for t in self.description.list("tensor", "tensors") if t.role < 2}
        spec = importlib.util.spec_from_file_location(f"model_{name}", f"{folder}/{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.torch = fed(module.Model).double()
        with open(f"{folder}/{name}.graph") as graph:
            self.updated = iter(updated_parameters(graph))
        self.random = np.random.default_rng(data)
        self.sizes = [min(max(s.low, LENGTH + s.index), s.high) for s in self.description.list("size", "sizes")]
        self.sizes_for_c = (size_t * max(1, len(self.sizes)))(*self.sizes)
        self.passed, self.failures = 0, []

    def function(self, name, result=ctypes.c_int):
        function = self.library[name]
        function.restype = result
        return function

    def check(self, what, found, expected, slack=0.0):
        """Near enough for single precision: beside the largest value expected; `slack` is an error that is nothing in its place."""
        expected = expected.detach().numpy() if isinstance(expected, torch.Tensor) else np.asarray(expected)
        error = np.abs(np.asarray(found, dtype=float).reshape(expected.shape) - expected).max(initial=0)
        limit = 1e-4 * np.abs(expected).max(initial=0) + slack + 1e-7
        if error <= limit:
            self.passed += 1
        else:
            self.failures.append(f"{what}: differs by {error:.3g} where {limit:.3g} is allowed")

    def value(self, name):
        t = self.tensors[name]
        values = (ctypes.c_float * t.size).from_address(self.memory + t.offset)
        return np.ctypeslib.as_array(values).reshape(t.shape[: t.rank])

    def to_torch(self):
        state = {name: torch.from_numpy(self.value(name).astype(float)) for name in self.tensors}
        self.torch.load_state_dict(state)

    def draw(self, ports, count):
        """Examples of each port, as the C takes them."""
        return [self.random.integers(0, p.classes, (count, *p.dims(self.sizes))).astype(np.int32) if p.classes
                else self.random.random((count, *p.dims(self.sizes)), dtype=np.float32) for p in ports]

    @staticmethod
    def for_c(arrays):
        return (ctypes.c_void_p * max(1, len(arrays)))(*[a.ctypes.data for a in arrays])

    # Each of these leaves the C with the same tensors as PyTorch.

    def check_first_values(self):
        state = self.torch.state_dict()
        if set(state) != set(self.tensors):
            self.failures.append(f"names: {sorted(set(state) ^ set(self.tensors))} are not in both")
        for name in self.tensors:
            self.check(f"first value of {name}", self.value(name), state[name])

    def train(self):
        for stage in self.description.list("stage", "stages"):
            report = (ctypes.c_float * stage.reports)()
            for _ in range(STEPS):
                arrays = self.draw(stage.list("input", "inputs"), EXAMPLES * stage.batches)
                assert stage.step(self.memory, EXAMPLES, self.sizes_for_c, self.for_c(arrays), report) == 0
        self.to_torch()

    def check_function(self, function):
        arrays = self.draw(function.list("input", "inputs"), EXAMPLES)
        outputs = [np.zeros((EXAMPLES, *p.dims(self.sizes)), dtype=np.float32) for p in function.list("output", "outputs")]
        self.torch.tick = self.clock.draw
        assert function.run(self.memory, EXAMPLES, self.sizes_for_c, self.for_c(arrays), self.for_c(outputs)) == 0
        name = function.name.decode()
        expected = self.call_torch(f"{'net' if function.net else 'export'}_{name}", arrays)
        for found, value in zip(outputs, expected if isinstance(expected, tuple) else (expected,)):
            self.check(f"{name}()", found, value)

    def check_evaluation(self, stage):
        arrays = self.draw(stage.list("input", "inputs"), EXAMPLES)
        report = (ctypes.c_float * stage.reports)()
        self.torch.tick = self.clock.draw
        assert stage.evaluate(self.memory, EXAMPLES, self.sizes_for_c, self.for_c(arrays), report) == 0
        expected = self.call_torch(f"evaluate_{stage.name.decode()}", arrays)
        for r, found in zip(stage.list("report", "reports"), report):
            self.check(f"evaluation of {r.name.decode()}", found, expected[r.name.decode()])

    def phases(self, stage):
        """The methods of its phases, in order, without the `phase_` of their names."""
        name = stage.name.decode()
        if hasattr(self.torch, f"phase_{name}"):
            return [name]
        reports = [r.name.decode().split(".")[0] for r in stage.list("report", "reports")]
        return [f"{name}_{phase}" for phase in dict.fromkeys(reports)]

    def call_torch(self, name, arrays):
        """The method with the inputs, or with the number of examples where it has none, and with the times and sizes it asks for."""
        method = getattr(self.torch, name)
        arguments = method.__code__.co_varnames[1: method.__code__.co_argcount]
        times = {time: float(getattr(self.clock, time)) for time in arguments if time in ("step", "epoch")}
        for size, value in zip(self.description.list("size", "sizes"), self.sizes):
            if size.name.decode() in arguments:
                times[size.name.decode()] = value
        values = [torch.from_numpy(a if a.dtype == np.int32 else a.astype(float)) for a in arrays]
        return method(*(values if values else [EXAMPLES]), **times)

    def sizes_of(self, stage):
        """The run-time sizes that the functions of a stage take: those of its inputs."""
        indices = set().union(*[p.sizes() for p in stage.list("input", "inputs")])
        return [size_t(self.sizes[i]) for i in sorted(indices)]

    def check_phase(self, stage, phase):
        call = f"{self.name}_{phase}"
        arrays = self.draw(stage.list("input", "inputs"), EXAMPLES)
        self.torch.tick = self.clock.tick
        self.torch.zero_grad()
        expected = self.call_torch(f"phase_{phase}", arrays)
        next(value for name, value in expected.items() if name.split(".")[-1] == "loss").backward()

        report = (ctypes.c_float * len(expected))()
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in arrays]
        assert self.function(f"{call}_backward")(ctypes.c_void_p(self.memory), size_t(EXAMPLES), *self.sizes_of(stage), *pointers, report) == 0
        for found, (name, value) in zip(report, expected.items()):
            self.check(f"{call}: {name}", found, value)
        self.check_gradients(call)
        self.check_states(call, self.sizes_of(stage))

    def check_gradients(self, call):
        assigned = next(self.updated)
        names = [name for name, t in self.tensors.items() if t.role == 0 and name in assigned]
        at = self.function(f"{call}_gradients", pointer(ctypes.c_float))(ctypes.c_void_p(self.memory))
        expected = {name: self.torch[name].grad for name in names}
        slack = 1e-6 * max(float(g.abs().max()) for g in expected.values())
        first = 0
        for name, gradient in expected.items():
            self.check(f"{call}: gradient of {name}", at[first: first + gradient.numel()], gradient, slack)
            first += gradient.numel()

    def check_states(self, call, sizes):
        before = {name: self.value(name).copy() for name, t in self.tensors.items() if t.role == 1 and ".average/" not in name}
        self.function(f"{call}_update", None)(ctypes.c_void_p(self.memory), size_t(EXAMPLES), *sizes)
        for name, value in before.items():
            if (value != self.value(name)).any():
                self.check(f"{call}: state {name}", self.value(name), self.torch[name])
        self.to_torch()

    def check_all(self):
        self.check_first_values()
        self.train()
        for function in self.description.list("function", "functions"):
            self.check_function(function)
        for stage in self.description.list("stage", "stages"):
            self.check_evaluation(stage)
            for phase in self.phases(stage):
                self.check_phase(stage, phase)


def check_model(folder, name):
    """A value within rounding of the kink of an activation may fall to either side of it, and then gradients differ. That does
    not happen again with other data; what is wrong does."""
    for data in (3, 5, 9):
        model = Model(folder, name, data)
        model.check_all()
        if not model.failures:
            break
    return model


def main(folder, names):
    passed = failed = 0
    for name in names:
        model = check_model(folder, name)
        passed += model.passed
        failed += len(model.failures)
        for failure in model.failures:
            print(f"{name}: {failure}")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
