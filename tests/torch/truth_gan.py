#!/usr/bin/env python3
"""What truth.py is for autoencoders, for three adversarial models as they are in models/: writes gan.safetensors, and
gan_few.safetensors with smaller batches.

    python3 tests/torch/truth_gan.py        needs python3-torch and NumPy; the tests themselves need neither

The noise is the models' own: Philox with the seed 1, computed here from its definition. The tick is the number of phases run
before, repeats included. Streams count the draws of a model in the order of its text, the initial values before all
others: each of these models has six kernels, so the first draw of its training is stream 6.

The slopes of selu and leaky_relu jump at 0. Where an activation comes nearer to it than single precision can tell, single and
double precision may take different sides, and the trainings part: by 1e-4 in the losses of gan after 34 steps, and of wgan_gp,
where the slopes are in the loss, after 13 to 21, as the order of summation has it. (PyTorch in single precision parts from itself in
double after 34 and after 4.) So these are compared for 30 and 10 steps with the batches of the models, and for 50 with batches of 6,
which come near to 0 less often.
"""
import os
from collections import namedtuple

import numpy as np
import torch
import torch.nn.functional as F

from truth import adam, apply, bce, dense, images, rmsprop, single, weight, write
from truth_images import batch_norm

SEED, FIRST_STREAM = 1, 6

# The net that a phase updates, its loss as a function of (weights, turn, tick), and its optimizer. `turn` counts the runs of
# the phase.
Phase = namedtuple("Phase", "net loss update repeat", defaults=[1])


# ── Draws ────────────────────────────────────────────────────────────────────────────────────

def philox(tick, stream, count):
    """Philox 4x32-10 (Salmon et al. 2011): four words for each of the first counters, as [count, 4]."""
    mask = np.uint64(0xFFFFFFFF)
    words = [np.arange(count, dtype=np.uint64), *(np.full(count, n, dtype=np.uint64) for n in (tick, 0, stream))]
    for turn in range(10):
        keys = [np.uint64(((SEED if k == 0 else 0) + turn * (0x9E3779B9, 0xBB67AE85)[k]) & 0xFFFFFFFF) for k in (0, 1)]
        a, b = np.uint64(0xD2511F53) * words[0], np.uint64(0xCD9E8D57) * words[2]
        words = [(b >> np.uint64(32)) ^ words[1] ^ keys[0], b & mask, (a >> np.uint64(32)) ^ words[3] ^ keys[1], a & mask]
    return np.stack(words, 1)


def unit_blocks(tick, stream, count):
    """Numbers in (0, 1) as [block, word, lane]: position 64 block + 16 word + lane is that word of counter 16 block + lane."""
    blocks = -(-count // 64)
    words = philox(tick, stream, 16 * blocks).reshape(blocks, 16, 4).transpose(0, 2, 1)
    return ((words >> np.uint64(9)).astype(np.float64) + 0.5) * 2.0 ** -23


def uniform(tick, stream, *shape):
    count = int(np.prod(shape))
    return single(unit_blocks(tick, stream, count).reshape(-1)[:count].reshape(shape))


def normal(tick, stream, *shape):
    """Box and Muller: the words 0 and 1 give two numbers, and so do 2 and 3."""
    count = int(np.prod(shape))
    u = unit_blocks(tick, stream, count)
    radius, angle = np.sqrt(-2 * np.log(u[:, 0::2])), 2 * np.pi * u[:, 1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 2)
    return single(pairs.reshape(-1)[:count].reshape(shape))


# ── Training ─────────────────────────────────────────────────────────────────────────────────

def run_phase(phase, w, states, turn, tick):
    """One run of a phase: its loss; the weights of its net move."""
    loss = phase.loss(w, turn, tick)
    trained = [name for name in w if name.startswith(phase.net + ".")]
    gradients = torch.autograd.grad(loss, [w[name] for name in trained])
    with torch.no_grad():
        for name, gradient in zip(trained, gradients):
            w[name] = phase.update(w[name], gradient, states.setdefault(name, {}), turn + 1).requires_grad_()
    return loss.item()


def train(truth, case, steps, batch, w, phases, moved=()):
    """The losses of all phases in all steps, and of each tensor the mean and the mean of squares."""
    losses, tick, states = [], 0, [{} for _ in phases]
    for step in range(steps):
        for phase, state in zip(phases, states):
            turns = [run_phase(phase, w, state, step * phase.repeat + turn, tick + turn) for turn in range(phase.repeat)]
            tick += phase.repeat
            losses.append(sum(turns) / phase.repeat)
    truth[case + "/losses"], truth[case + "/batch"] = losses, [batch]
    for name, value in {**w, **dict(moved)}.items():
        truth[f"{case}/{name}"] = [value.mean().item(), (value ** 2).mean().item()]


def layers(net, *sizes):
    """The weights of a chain of dense layers."""
    pairs = enumerate(zip(sizes, sizes[1:]), 1)
    return {name: value for k, pair in pairs for name, value in dense(f"{net}.dense_{k}", *pair).items()}


def chain(w, net, x, activation):
    """Three dense layers, the last one linear."""
    for k in (1, 2):
        x = apply(w, f"{net}.dense_{k}", x, activation)
    return apply(w, f"{net}.dense_3", x)


def pictures(turn, batch):
    return images(turn, batch).reshape(batch, 784)


# ── Models ───────────────────────────────────────────────────────────────────────────────────

def train_gan(truth, steps, batch):
    w = {**layers("generator", 30, 100, 150, 784), **layers("discriminator", 784, 150, 100, 1)}
    targets = torch.cat([torch.zeros(batch, 1), torch.ones(batch, 1)])
    fakes = lambda w, tick, stream: torch.sigmoid(chain(w, "generator", normal(tick, stream, batch, 30), F.selu))

    def discriminate(w, turn, tick):
        both = torch.cat([fakes(w, tick, FIRST_STREAM), pictures(turn, batch)])
        return bce(targets, chain(w, "discriminator", both, F.selu))

    def generate(w, turn, tick):
        return bce(torch.ones(batch, 1), chain(w, "discriminator", fakes(w, tick, FIRST_STREAM + 1), F.selu))

    train(truth, "gan/gan", steps, batch, w,
          [Phase("discriminator", discriminate, rmsprop()), Phase("generator", generate, rmsprop())])


def train_gan_batchnorm(truth, steps, batch):
    w = {**layers("generator", 100, 256, 512, 784), **layers("discriminator", 784, 512, 256, 1)}
    moved = {}
    for k, units in ((1, 256), (2, 512)):
        norm = f"generator.batch_norm_{k}"
        w.update({f"{norm}.gamma": weight(f"{norm}.gamma", units), f"{norm}.beta": weight(f"{norm}.beta", units)})
        moved.update({f"{norm}.moving_mean": torch.zeros(units), f"{norm}.moving_variance": torch.ones(units)})

    def fakes(w, tick, stream, moved=None):
        x = normal(tick, stream, batch, 100)
        for k in (1, 2):
            x = F.relu(apply(w, f"generator.dense_{k}", x))
            x = batch_norm(x[..., None, None], w, f"generator.batch_norm_{k}", moved)[..., 0, 0]
        return torch.tanh(apply(w, "generator.dense_3", x))

    def judged(w, x, target):
        return bce(torch.full((batch, 1), target), chain(w, "discriminator", x, F.relu))

    def optimizer():
        return adam(0.0002, beta_1=0.5)

    train(truth, "gan_batchnorm/gan", steps, batch, w, [
        Phase("discriminator", lambda w, turn, tick: judged(w, 2 * pictures(turn, batch) - 1, 1.0), optimizer()),
        Phase("discriminator", lambda w, turn, tick: judged(w, fakes(w, tick, FIRST_STREAM), 0.0), optimizer()),
        Phase("generator", lambda w, turn, tick: judged(w, fakes(w, tick, FIRST_STREAM + 1, moved), 1.0), optimizer()),
    ], moved.items())


def train_wgan_gp(truth, steps, batch):
    w = {**layers("generator", 64, 128, 256, 784), **layers("critic", 784, 256, 128, 1)}
    leaky = lambda x: F.leaky_relu(x, 0.2)
    critic = lambda w, x: chain(w, "critic", x, leaky)
    fakes = lambda w, tick, stream: torch.sigmoid(chain(w, "generator", normal(tick, stream, batch, 64), F.relu))

    def criticise(w, turn, tick):
        fake, real = fakes(w, tick, FIRST_STREAM), pictures(turn, batch)
        between = torch.lerp(real, fake, uniform(tick, FIRST_STREAM + 1, batch, 1))
        slope, = torch.autograd.grad(critic(w, between).sum(), between, create_graph=True)
        return (critic(w, fake) - critic(w, real)).mean() + 10 * ((slope.norm(dim=1) - 1) ** 2).mean()

    def generate(w, turn, tick):
        return -critic(w, fakes(w, tick, FIRST_STREAM + 2)).mean()

    optimizer = adam(0.0001, beta_1=0, beta_2=0.9)
    train(truth, "wgan_gp/wgan", steps, batch, w,
          [Phase("critic", criticise, optimizer, 5), Phase("generator", generate, optimizer)])


def main():
    folder, whole, few = os.path.dirname(os.path.abspath(__file__)), {}, {}
    train_gan(whole, 30, 32)
    train_gan_batchnorm(whole, 50, 32)
    train_wgan_gp(whole, 10, 64)
    train_gan(few, 50, 6)
    train_wgan_gp(few, 50, 6)
    write(os.path.join(folder, "gan.safetensors"), whole, "truth_gan.py", "F64")
    write(os.path.join(folder, "gan_few.safetensors"), few, "truth_gan.py", "F64")


if __name__ == "__main__":
    main()
