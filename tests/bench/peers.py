#!/usr/bin/env python3
"""Training steps of this repository's models in PyTorch, as one writes them there, for bench.c.

    peers.py MODEL           answers each line `THREADS SECONDS` with the microseconds of the steps made in that time
    peers.py MODEL --once    one step, to measure the process

Settings are those that were found to be fast on processors: BCE on logits, optimizers over all tensors at once, convolutions with the
channels last, no denormal numbers, and the widest instructions (which PyTorch 1.13 does not choose by itself)."""
import os
import sys
import time

with open("/proc/cpuinfo") as cpuinfo:
    if " avx512bw " in cpuinfo.read():
        os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx512")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a pool of its own would fight with PyTorch's

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

bce = F.binary_cross_entropy_with_logits


def dense(*sizes, last=None):
    """Dense layers of these sizes, with SELU after all but the last."""
    layers = []
    for fan_in, fan_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(fan_in, fan_out), nn.SELU()]
    return nn.Sequential(*layers[:-1], *([last] if last else []))


def sgd(lr):
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, foreach=True)


def rmsprop(parameters):
    return torch.optim.RMSprop(parameters, lr=1e-3, alpha=0.9, eps=1e-7, foreach=True)


class Autoencoder(nn.Module):
    """Reconstructs its input: one loss, one optimizer."""
    batch, features = 32, 784

    def __init__(self, net, optimizer):
        super().__init__()
        self.net = net

        def start():
            self.optimizer = optimizer(list(self.parameters()))
        self.start = start

    def loss(self, x):
        return bce(self.net(x), x)

    def step(self, x):
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(x).backward()
        self.optimizer.step()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(784, 100), nn.Linear(100, 30)
        self.hidden, self.out = nn.Parameter(torch.zeros(100)), nn.Parameter(torch.zeros(784))

    def forward(self, x):
        x = F.selu(self.second(F.selu(self.first(x))))
        return F.linear(F.selu(F.linear(x, self.second.weight.t(), self.hidden)), self.first.weight.t(), self.out)


class Denoising(Autoencoder):
    def loss(self, x):
        return bce(self.net(F.dropout(x, 0.5)), x)


class Sparse(Autoencoder):
    def __init__(self):
        super().__init__(nn.ModuleList([dense(784, 100, 300, last=nn.Sigmoid()), dense(300, 100, 784)]), sgd(1.0))

    def loss(self, x):
        encoder, decoder = self.net
        codings = encoder(x)
        activity = codings.mean(0)
        divergence = 0.1 * torch.log(0.1 / activity) + 0.9 * torch.log(0.9 / (1 - activity))
        return bce(decoder(codings), x) + 0.05 * divergence.sum()


class Variational(Autoencoder):
    batch = 128

    def __init__(self):
        super().__init__(nn.ModuleList([dense(784, 150, 100, last=nn.SELU()), nn.Linear(100, 10), nn.Linear(100, 10),
                                        dense(10, 100, 150, 784)]), rmsprop)

    def loss(self, x):
        hidden, mean, log_var, decoder = self.net
        h = hidden(x)
        m, v = mean(h), log_var(h)
        latent = -0.5 * (1 + v - v.exp() - m * m).sum(1).mean()
        return bce(decoder(m + (v / 2).exp() * torch.randn_like(m)), x) + latent / 784


class Lstm(nn.Module):
    """On sequences of the greatest length that the model allows, as bench.c runs it."""
    time = 64

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LSTM(28, 100, batch_first=True), nn.LSTM(100, 30, batch_first=True)
        self.third, self.out = nn.LSTM(30, 100, batch_first=True), nn.Linear(100, 28)

    def forward(self, x):
        x = self.second(self.first(x.reshape(-1, self.time, 28))[0])[1][0][0]
        return self.out(self.third(x[:, None].expand(-1, self.time, -1))[0]).flatten(1)


class Recurrent(Autoencoder):
    features = Lstm.time * 28

    def __init__(self):
        super().__init__(Lstm(), sgd(0.1))


def convolutional():
    down = [layer for i, o in ((1, 16), (16, 32), (32, 64)) for layer in (nn.Conv2d(i, o, 3, padding=1), nn.SELU(), nn.MaxPool2d(2))]
    up = [nn.ConvTranspose2d(64, 32, 3, stride=2), nn.SELU(), nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1), nn.SELU(),
          nn.ConvTranspose2d(16, 1, 3, stride=2, padding=1, output_padding=1)]
    return nn.Sequential(nn.Unflatten(1, (1, 28, 28)), *down, *up, nn.Flatten()).to(memory_format=torch.channels_last)


class Gan(nn.Module):
    """A phase for the discriminator, on images made and true, and one for the generator."""
    batch, features = 32, 784

    def __init__(self, codings, generator, discriminator):
        super().__init__()
        self.codings, self.generator, self.discriminator = codings, generator, discriminator

    def start(self):
        self.truth = torch.cat([torch.zeros(self.batch, 1), torch.ones(self.batch, 1)])
        self.optimizers = [rmsprop(list(net.parameters())) for net in (self.discriminator, self.generator)]

    def phase(self, optimizer, loss):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def step(self, x):
        with torch.no_grad():
            fake = self.generator(torch.randn(self.batch, self.codings))
        self.phase(self.optimizers[0], bce(self.discriminator(torch.cat([fake, x])), self.truth))
        self.discriminator.requires_grad_(False)
        made = self.discriminator(self.generator(torch.randn(self.batch, self.codings)))
        self.phase(self.optimizers[1], bce(made, self.truth[self.batch:]))
        self.discriminator.requires_grad_(True)


def dcgan():
    def norm(channels):
        return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
    generator = nn.Sequential(nn.Linear(100, 6272), nn.Unflatten(1, (128, 7, 7)), norm(128),
                              nn.ConvTranspose2d(128, 64, 5, stride=2, padding=2, output_padding=1), nn.SELU(), norm(64),
                              nn.ConvTranspose2d(64, 1, 5, stride=2, padding=2, output_padding=1), nn.Tanh(), nn.Flatten())
    discriminator = nn.Sequential(nn.Unflatten(1, (1, 28, 28)), nn.Conv2d(1, 64, 5, stride=2, padding=2), nn.LeakyReLU(0.2), nn.Dropout(0.4),
                                  nn.Conv2d(64, 128, 5, stride=2, padding=2), nn.LeakyReLU(0.2), nn.Dropout(0.4), nn.Flatten(),
                                  nn.Linear(6272, 1))
    return Gan(100, *(net.to(memory_format=torch.channels_last) for net in (generator, discriminator)))


MODELS = {
    "stacked": lambda: Autoencoder(dense(784, 100, 30, 100, 784), sgd(1.5)),
    "tied": lambda: Autoencoder(Tied(), sgd(1.5)),
    "denoising": lambda: Denoising(dense(784, 100, 30, 100, 784), sgd(1.0)),
    "sparse_kl": Sparse,
    "vae": Variational,
    "gan": lambda: Gan(30, dense(30, 100, 150, 784, last=nn.Sigmoid()), dense(784, 150, 100, 1)),
    "recurrent": Recurrent,
    "conv": lambda: Autoencoder(convolutional(), sgd(1.0)),
    "dcgan": dcgan,
}


def serve(model, batches):
    """Some steps first, so that whatever is made at the first of them is there."""
    for x in batches:
        model.step(x)
    print(flush=True)
    turn = 0
    for line in sys.stdin:
        threads, seconds = line.split()
        torch.set_num_threads(int(threads))
        model.step(batches[0])
        times, end = [], time.perf_counter() + float(seconds)
        while not times or time.perf_counter() < end:
            start = time.perf_counter()
            model.step(batches[turn % len(batches)])
            times.append(1e6 * (time.perf_counter() - start))
            turn += 1
        print(*("%.2f" % t for t in times), flush=True)


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in MODELS:
        sys.exit("peers.py: one of these is expected: " + ", ".join(MODELS))
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    model = MODELS[sys.argv[1]]()
    model.start()
    if "--once" in sys.argv:
        model.step(torch.rand(model.batch, model.features))
    else:
        serve(model, [torch.rand(model.batch, model.features) for _ in range(8)])


main()
