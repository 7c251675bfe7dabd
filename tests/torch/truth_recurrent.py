#!/usr/bin/env python3
"""What truth.py is for autoencoders, for recurrent layers and models: writes recurrent.safetensors.

    python3 tests/torch/truth_recurrent.py        needs python3-torch and NumPy; the tests themselves need neither

The layers are PyTorch's own, which keeps kernels transposed, has two biases where an LSTM needs one, and the gates of a GRU in another order.
"""
import os

import torch

from truth import adam, apply, bce, dense, images, sgd, single, units, weight, write

STEPS = 30


# ── Layers ───────────────────────────────────────────────────────────────────────────────────

def tensors(path, inputs, size, gates, biases=1):
    bias = (2, gates * size) if biases == 2 else (gates * size,)
    shapes = {"kernel": (inputs, gates * size), "recurrent_kernel": (size, gates * size), "bias": bias}
    return {f"{path}.{name}": weight(f"{path}.{name}", *shape) for name, shape in shapes.items()}


def rnn_tensors(path, inputs, size):
    return tensors(path, inputs, size, 1)


def lstm_tensors(path, inputs, size):
    return tensors(path, inputs, size, 4)


def gru_tensors(path, inputs, size):
    return tensors(path, inputs, size, 3, 2)


def reordered(x):
    """Update, reset, candidate: PyTorch begins with the reset gate."""
    update, reset, candidate = x.chunk(3, -1)
    return torch.cat((reset, update, candidate), -1)


def as_torch(w, path, gru):
    kernel, recurrent, bias = (w[f"{path}.{name}"] for name in ("kernel", "recurrent_kernel", "bias"))
    if gru:
        kernel, recurrent, bias = reordered(kernel), reordered(recurrent), reordered(bias)
    return [kernel.T, recurrent.T, bias[0] if gru else bias, bias[1] if gru else torch.zeros_like(bias)]


def walk(w, path, x, function, state=None):
    """The states after each step, and then the last one."""
    parameters = as_torch(w, path, function is torch.gru)
    start = torch.zeros(1, len(x), parameters[1].shape[1])
    state = state or ((start, start) if function is torch.lstm else start)
    return function(x, state, parameters, True, 1, 0.0, True, False, True)


def lstm(w, path, x):
    return walk(w, path, x, torch.lstm)[0]


def gru(w, path, x):
    return walk(w, path, x, torch.gru)[0]


def backward(layer, w, path, x):
    return layer(w, path, x.flip(1)).flip(1)


def masked_lstm(w, path, x, mask):
    """Step by step: where the mask is 0, the state stays."""
    size = w[path + ".recurrent_kernel"].shape[0]
    h = c = torch.zeros(len(x), size)
    states = []
    for t in range(x.shape[1]):
        counts = mask[:, t, None] != 0
        new_h, new_c = torch.lstm_cell(x[:, t], (h, c), *as_torch(w, path, False))
        h, c = torch.where(counts, new_h, h), torch.where(counts, new_c, c)
        states.append(h)
    return torch.stack(states, 1)


def started(w, path, x):
    """A second LSTM begins where the first ended."""
    return walk(w, path, x, torch.lstm, walk(w, "of_started.lstm_1", x, torch.lstm)[1:])[0]


# ── Values ───────────────────────────────────────────────────────────────────────────────────

def values(truth):
    x = single(6 * units("values.x", 0, 4 * 18) - 3).reshape(4, 6, 3).requires_grad_()
    mask = single(units("values.t", 0, 4 * 6).round()).reshape(4, 6)
    both = "bidirectional_1."
    cases = {
        "rnn": (rnn_tensors("of_rnn.simple_rnn_1", 3, 4), lambda w: walk(w, "of_rnn.simple_rnn_1", x, torch.rnn_tanh)[0]),
        "lstm": (lstm_tensors("of_lstm.lstm_1", 3, 4), lambda w: lstm(w, "of_lstm.lstm_1", x)),
        "gru": (gru_tensors("of_gru.gru_1", 3, 4), lambda w: gru(w, "of_gru.gru_1", x)),
        "reverse": (gru_tensors("of_reverse.gru_1", 3, 4), lambda w: backward(gru, w, "of_reverse.gru_1", x)),
        "both": ({**lstm_tensors(f"of_both.{both}forward", 3, 4), **lstm_tensors(f"of_both.{both}backward", 3, 4)},
                 lambda w: torch.cat((lstm(w, f"of_both.{both}forward", x), backward(lstm, w, f"of_both.{both}backward", x)), -1)),
        "last": ({**gru_tensors(f"of_last.{both}forward", 3, 4), **gru_tensors(f"of_last.{both}backward", 3, 4)},
                 lambda w: torch.cat((gru(w, f"of_last.{both}forward", x)[:, -1], backward(gru, w, f"of_last.{both}backward", x)[:, 0]), -1)),
        "masked": (lstm_tensors("of_masked.lstm_1", 3, 4), lambda w: masked_lstm(w, "of_masked.lstm_1", x, mask)),
        "started": ({**lstm_tensors("of_started.lstm_1", 3, 4), **lstm_tensors("of_started.lstm_2", 3, 4)},
                    lambda w: started(w, "of_started.lstm_2", x)),
        "each": (dense("of_each.time_distributed_1.dense_1", 3, 4), lambda w: apply(w, "of_each.time_distributed_1.dense_1", x, torch.tanh)),
    }
    for name, (w, run) in cases.items():
        y = run(w)
        truth[f"sequences/of_{name}"] = y.reshape(-1).tolist()
        by = {"x": x, **{path.replace(".forward", "").split(".")[-1]: tensor for path, tensor in w.items()}}
        gradients = torch.autograd.grad((y ** 2).reshape(4, -1).mean(1).sum(), list(by.values()))
        for variable, gradient in zip(by, gradients):
            copies = 1 if variable == "x" else 4      # a gradient that is one for all examples is given to each
            truth[f"sequences/{name}_by_{variable}"] = gradient.reshape(-1).tolist() * copies


# ── Models ───────────────────────────────────────────────────────────────────────────────────

def recurrent_weights():
    return {**lstm_tensors("encoder.lstm_1", 28, 100), **lstm_tensors("encoder.codings", 100, 30),
            **lstm_tensors("decoder.lstm_1", 30, 100), **dense("decoder.dense_1", 100, 28)}


def recurrent_loss(w, step):
    x = images(step, 32)
    codings = lstm(w, "encoder.codings", lstm(w, "encoder.lstm_1", x))[:, -1]
    return bce(x, apply(w, "decoder.dense_1", lstm(w, "decoder.lstm_1", codings[:, None].expand(32, 28, 30))))


def gated_weights():
    paths = {"bidirectional_1.forward": (28, 20), "bidirectional_1.backward": (28, 20), "gru_1": (40, 16),
             "bidirectional_2.forward": (16, 20), "bidirectional_2.backward": (16, 20)}
    w = {name: value for path, sizes in paths.items() for name, value in gru_tensors("model." + path, *sizes).items()}
    return {**w, **dense("model.dense_1", 20, 28)}


def gated_loss(w, step):
    x = images(step, 32)
    both = lambda path, x: (gru(w, f"model.{path}.forward", x), backward(gru, w, f"model.{path}.backward", x))
    codings = gru(w, "model.gru_1", torch.cat(both("bidirectional_1", x), -1))[:, -1]
    return bce(x, apply(w, "model.dense_1", sum(both("bidirectional_2", codings[:, None].expand(32, 28, 16)))))


def train(truth, case, w, loss_of, update):
    """The losses of all steps, and of each trained tensor the mean and the mean of squares."""
    states, losses = {}, []
    for step in range(STEPS):
        loss = loss_of(w, step)
        gradients = torch.autograd.grad(loss, list(w.values()))
        losses.append(loss.item())
        with torch.no_grad():
            w = {name: update(w[name], g, states.setdefault(name, {}), step + 1).requires_grad_() for name, g in zip(w, gradients)}
    truth[case + "/losses"] = losses
    for name, value in w.items():
        truth[f"{case}/{name}"] = [value.mean().item(), (value ** 2).mean().item()]


def main():
    truth = {}
    values(truth)
    train(truth, "recurrent/recurrent", recurrent_weights(), recurrent_loss, sgd(0.1))
    train(truth, "recurrent/with_adam", recurrent_weights(), recurrent_loss, adam())
    train(truth, "gated/gated", gated_weights(), gated_loss, sgd(0.1))
    write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "recurrent.safetensors"), truth, "truth_recurrent.py", "F32")


if __name__ == "__main__":
    main()
