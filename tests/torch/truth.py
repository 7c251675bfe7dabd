#!/usr/bin/env python3
"""Computes with PyTorch, in double precision, what emitted models must reproduce, and writes it to truth.safetensors.

    python3 tests/torch/truth.py        needs python3-torch and NumPy; the tests themselves need neither

Initial weights and batches come from formulas, so that the file holds results only. test_torch.c computes the same
formulas: a hash of the place in the tensor gives a number between 0 and 1.

Optimizers are written out as Keras defines them, because PyTorch places epsilon elsewhere; where epsilon is nothing the
two agree, which check_optimizers() asserts.
"""
import json
import math
import os
import struct

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
STEPS = 50


# ── Numbers from formulas ────────────────────────────────────────────────────────────────────

def start_of(name):
    """FNV-1a, 32 bits."""
    h = 2166136261
    for byte in name.encode():
        h = ((h ^ byte) * 16777619) & 0xFFFFFFFF
    return h


def units(name, first, count):
    """Numbers in [0, 1): the finaliser of MurmurHash3 over consecutive integers."""
    with np.errstate(over="ignore"):
        h = np.uint32(start_of(name)) + np.arange(first, first + count, dtype=np.uint32)
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        h = h ^ (h >> np.uint32(16))
    return (h >> np.uint32(8)).astype(np.float64) * 2.0 ** -24


def single(x):
    return torch.from_numpy(np.asarray(x).astype(np.float32).astype(np.float64))


def weight(name, *shape):
    limit = math.sqrt(6 / (math.prod(shape[:-2]) * sum(shape[-2:]))) if len(shape) > 1 else 0.05
    middle = 1 if name.endswith(".gamma") else 0
    return single(middle + (2 * units(name, 0, math.prod(shape)) - 1) * limit).reshape(shape).requires_grad_()


def dense(name, inputs, outputs):
    return {name + ".kernel": weight(name + ".kernel", inputs, outputs), name + ".bias": weight(name + ".bias", outputs)}


def images(step, batch):
    """Two blurred discs on each picture of 28 x 28."""
    u = units("x", step * batch * 8, batch * 8).reshape(batch, 2, 4, 1, 1)
    row, column = np.arange(28.0).reshape(28, 1), np.arange(28.0).reshape(1, 28)
    distance = (row - 6 - 16 * u[:, :, 0]) ** 2 + (column - 6 - 16 * u[:, :, 1]) ** 2
    discs = np.exp(-distance / (8 + 40 * u[:, :, 2])) * (0.5 + 0.5 * u[:, :, 3])
    return single(np.minimum(discs[:, 0] + discs[:, 1], 1)).reshape(batch, 28, 28)


def noise(step, batch, size):
    """Nearly normal: the sum of four numbers, scaled to a variance of 1."""
    u = units("noise", step * batch * size * 4, batch * size * 4).reshape(batch, size, 4)
    return single((u[..., 0] + u[..., 1] + u[..., 2] + u[..., 3] - 2) * math.sqrt(3))


def rows(step, batch, size):
    return single(units("x", step * batch * size, batch * size)).reshape(batch, size)


# ── Keras's optimizers ───────────────────────────────────────────────────────────────────────

def sgd(lr=0.01, momentum=0.0, nesterov=False):
    def update(w, g, s, t):
        if momentum == 0:
            return w - lr * g
        s["v"] = momentum * s.get("v", 0) - lr * g
        return w + momentum * s["v"] - lr * g if nesterov else w + s["v"]
    return update


def rmsprop(lr=0.001, rho=0.9, epsilon=1e-7):
    def update(w, g, s, t):
        s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
        return w - lr * g / (s["v"].sqrt() + epsilon)
    return update


def adam(lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=0.0):
    def update(w, g, s, t):
        s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
        s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g * g
        rate = lr * math.sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t)
        return w - lr * weight_decay * w - rate * s["m"] / (s["v"].sqrt() + epsilon)
    return update


def nadam(lr=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    def update(w, g, s, t):
        now, following = (beta_1 * (1 - 0.5 * 0.96 ** k) for k in (t, t + 1))
        s["product"] = s.get("product", 1) * now
        s["m"] = beta_1 * s.get("m", 0) + (1 - beta_1) * g
        s["v"] = beta_2 * s.get("v", 0) + (1 - beta_2) * g * g
        m = following * s["m"] / (1 - s["product"] * following) + (1 - now) * g / (1 - s["product"])
        return w - lr * m / ((s["v"] / (1 - beta_2 ** t)).sqrt() + epsilon)
    return update


def adagrad(lr=0.001, initial=0.1, epsilon=1e-7):
    def update(w, g, s, t):
        s["a"] = s.get("a", initial) + g * g
        return w - lr * g / (s["a"] + epsilon).sqrt()
    return update


def check_optimizers():
    """PyTorch's own agree where epsilon plays no part. (NAdam is left out: PyTorch 1.13 takes one factor twice.)"""
    pairs = [
        (sgd(0.1), lambda p: torch.optim.SGD(p, 0.1)),
        (sgd(0.1, 0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
        (sgd(0.1, 0.9, True), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True)),
        (rmsprop(0.01, epsilon=0), lambda p: torch.optim.RMSprop(p, 0.01, alpha=0.9, eps=0)),
        (adam(0.01, epsilon=0), lambda p: torch.optim.Adam(p, 0.01, eps=0)),
        (adam(0.01, epsilon=0, weight_decay=0.1), lambda p: torch.optim.AdamW(p, 0.01, eps=0, weight_decay=0.1)),
        (adagrad(0.01, epsilon=0), lambda p: torch.optim.Adagrad(p, 0.01, initial_accumulator_value=0.1, eps=0)),
    ]
    for update, make in pairs:
        ours, theirs, state = torch.ones(3), torch.ones(3, requires_grad=True), {}
        optimizer = make([theirs])
        for t in range(1, 11):
            gradient = torch.tensor([0.5, -2.0, 0.1 * t])
            ours = update(ours, gradient, state, t)
            theirs.grad = gradient.clone()
            optimizer.step()
        assert torch.allclose(ours, theirs.detach(), rtol=1e-12), make


# ── Models ───────────────────────────────────────────────────────────────────────────────────

def apply(w, name, x, activation=lambda x: x):
    return activation(x @ w[name + ".kernel"] + w[name + ".bias"])


def bce(target, logits):
    return F.binary_cross_entropy_with_logits(logits, target)


def stacked_weights():
    return {**dense("encoder.hidden", 784, 100), **dense("encoder.codings", 100, 30),
            **dense("decoder.dense_1", 30, 100), **dense("decoder.dense_2", 100, 784)}


def stacked_loss(w, step):
    x = images(step, 32).reshape(32, 784)
    h = apply(w, "encoder.codings", apply(w, "encoder.hidden", x, F.selu), F.selu)
    return bce(x, apply(w, "decoder.dense_2", apply(w, "decoder.dense_1", h, F.selu)))


def tied_weights():
    return {**dense("encoder.hidden", 784, 100), **dense("encoder.codings", 100, 30),
            "decoder.dense_1.bias": weight("decoder.dense_1.bias", 100), "decoder.dense_2.bias": weight("decoder.dense_2.bias", 784)}


def tied_loss(w, step):
    both = {**w, "decoder.dense_1.kernel": w["encoder.codings.kernel"].T, "decoder.dense_2.kernel": w["encoder.hidden.kernel"].T}
    return stacked_loss(both, step)


def vae_weights():
    return {**dense("encoder.dense_1", 784, 150), **dense("encoder.h", 150, 100), **dense("encoder.mean", 100, 10),
            **dense("encoder.log_var", 100, 10), **dense("decoder.dense_1", 10, 100), **dense("decoder.dense_2", 100, 150),
            **dense("decoder.dense_3", 150, 784)}


def vae_loss(w, step):
    """Batches are of 32: with 128, single and double precision part after 40 steps in PyTorch too."""
    x = images(step, 32).reshape(32, 784)
    h = apply(w, "encoder.h", apply(w, "encoder.dense_1", x, F.selu), F.selu)
    mean, log_var = apply(w, "encoder.mean", h), apply(w, "encoder.log_var", h)
    z = mean + torch.exp(log_var / 2) * noise(step, 32, 10)
    logits = apply(w, "decoder.dense_3", apply(w, "decoder.dense_2", apply(w, "decoder.dense_1", z, F.selu), F.selu))
    latent = -0.5 * (1 + log_var - log_var.exp() - mean ** 2).sum(1).mean()
    return bce(x, logits) + latent / 784


def small_weights():
    return {**dense("model.dense_1", 6, 4), **dense("model.dense_2", 4, 6)}


def small_loss(w, step):
    x = rows(step, 8, 6)
    return F.mse_loss(apply(w, "model.dense_2", apply(w, "model.dense_1", x, torch.tanh)), x)


def train(truth, case, weights, loss_of, update):
    """The losses of all steps, and of each trained tensor the mean and the mean of squares."""
    w, states, losses = weights(), {}, []
    for step in range(STEPS):
        loss = loss_of(w, step)
        gradients = torch.autograd.grad(loss, list(w.values()))
        losses.append(loss.item())
        with torch.no_grad():
            w = {name: update(w[name], g, states.setdefault(name, {}), step + 1).requires_grad_()
                 for name, g in zip(w, gradients)}
    truth[case + "/losses"] = losses
    for name, value in w.items():
        truth[case + "/" + name] = [value.mean().item(), (value ** 2).mean().item()]


# ── Values ───────────────────────────────────────────────────────────────────────────────────

def values(truth):
    x = single(6 * units("values.x", 0, 32) - 3).reshape(4, 8)
    p = single(0.02 + 0.96 * units("values.p", 0, 32)).reshape(4, 8)
    t = single(np.round(units("values.t", 0, 32))).reshape(4, 8)
    each = lambda losses: losses.mean(1)
    entropy = lambda target, logits: -(target * F.log_softmax(logits, 1)).sum(1)
    table = {
        "linear": x, "relu": F.relu(x), "leaky_relu": F.leaky_relu(x, 0.2), "elu": F.elu(x), "selu": F.selu(x), "gelu": F.gelu(x),
        "swish": F.silu(x), "softplus": F.softplus(x), "sigmoid": torch.sigmoid(x), "tanh": torch.tanh(x), "softmax": F.softmax(x, 1),
        "mse": each(F.mse_loss(p, x, reduction="none")), "mae": each(F.l1_loss(p, x, reduction="none")),
        "huber": each(F.huber_loss(p, x, reduction="none")), "bce": each(F.binary_cross_entropy(p, t, reduction="none")),
        "bce_of_sigmoid": each(F.binary_cross_entropy_with_logits(x, t, reduction="none")),
        "bce_of_sigmoid_far": each(F.binary_cross_entropy_with_logits(50 * x, t, reduction="none")),
        "cce": entropy(F.softmax(p, 1), x), "cce_far": entropy(F.softmax(p, 1), 50 * x),
        "kl_divergence": F.kl_div(F.log_softmax(x, 1), F.softmax(p, 1), reduction="none").sum(1),
        "hinge": each(torch.clamp(1 - (2 * t - 1) * x, min=0)),
    }
    for name, value in table.items():
        truth["values/value_" + name] = value.reshape(-1).tolist()


def write(path, truth, script, dtype):
    """safetensors: the length of the header, the header, the data."""
    header, data = {"__metadata__": {"script": "tests/torch/" + script, "torch": torch.__version__}}, b""
    for name, numbers in truth.items():
        packed = np.asarray(numbers, dtype={"F32": "<f4", "F64": "<f8"}[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": [len(numbers)], "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def main():
    check_optimizers()
    truth = {}
    values(truth)
    for name, update in {"sgd": sgd(0.3), "momentum": sgd(0.1, 0.9), "nesterov": sgd(0.1, 0.9, True), "rmsprop": rmsprop(0.01),
                         "adam": adam(0.01), "adamw": adam(0.01, weight_decay=0.1), "nadam": nadam(0.01),
                         "adagrad": adagrad(0.1)}.items():
        train(truth, "optimizers/with_" + name, small_weights, small_loss, update)
    train(truth, "stacked/stacked", stacked_weights, stacked_loss, sgd(1.5))
    train(truth, "stacked/with_adam", stacked_weights, stacked_loss, adam())
    train(truth, "tied/tied", tied_weights, tied_loss, sgd(1.5))
    train(truth, "tied/with_adam", tied_weights, tied_loss, adam())
    train(truth, "vae/with_rmsprop", vae_weights, vae_loss, rmsprop(0.001))
    train(truth, "vae/with_adam", vae_weights, vae_loss, adam())
    write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "truth.safetensors"), truth, "truth.py", "F64")


if __name__ == "__main__":
    main()
