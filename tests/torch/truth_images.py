#!/usr/bin/env python3
"""What truth.py is for dense layers, for those over images: writes images.safetensors.

    python3 tests/torch/truth_images.py        needs python3-torch and NumPy; the tests themselves need neither

Tensors are [examples, channels, height, width] in PyTorch and [examples, height, width, channels] in the models; kernels
are stored as Keras does. So are the paddings Keras's, which PyTorch does not have: of an odd number of zeros one more goes
after than before.
"""
import os

import torch
import torch.nn.functional as F

from truth import apply, bce, dense, images, noise, rmsprop, sgd, single, units, weight, write

STEPS = 30


def to_torch(x):
    return x.permute(0, 3, 1, 2)


def to_keras(x):
    return x.permute(0, 2, 3, 1)


# ── Layers ───────────────────────────────────────────────────────────────────────────────────

def around(total):
    return total // 2, total - total // 2


def padding_of(size, kernel, stride, same, dilation=1):
    """Zeros before and after an axis of this size."""
    reach = (kernel - 1) * dilation + 1
    return around(max((-(-size // stride) - 1) * stride + reach - size, 0)) if same else (0, 0)


def padded(x, kernel, stride, same, dilation=1, value=0.0):
    rows = padding_of(x.shape[2], kernel, stride, same, dilation)
    columns = padding_of(x.shape[3], kernel, stride, same, dilation)
    return F.pad(x, (*columns, *rows), value=value)


def conv(x, w, name, stride=1, same=False, dilation=1):
    kernel = w[name + ".kernel"].permute(3, 2, 0, 1)
    return F.conv2d(padded(x, kernel.shape[2], stride, same, dilation), kernel, w[name + ".bias"], stride, dilation=dilation)


def cropped(x, axis, size, kernel, stride, same):
    """Of all that a transposed convolution makes along an axis, what Keras returns; zeros where its steps leave gaps."""
    wanted = size * stride + (0 if same else max(kernel - stride, 0))
    low = around(max(kernel - stride, 0))[0] if same else 0
    gap = torch.zeros([max(wanted - x.shape[a], 0) if a == axis else n for a, n in enumerate(x.shape)])
    return torch.cat([x, gap], axis).narrow(axis, low, wanted)


def conv_transpose(x, w, name, stride=1, same=False):
    kernel = w[name + ".kernel"].permute(3, 2, 0, 1)
    full = F.conv_transpose2d(x, kernel, stride=stride)
    for axis in (2, 3):
        full = cropped(full, axis, x.shape[axis], kernel.shape[2], stride, same)
    return full + w[name + ".bias"].reshape(1, -1, 1, 1)


def batch_norm(x, w, name, moved=None):
    """The last axis but for images is the channel; `moved` collects Keras's running averages."""
    axes = (0, 2, 3)
    mean, variance = x.mean(axes), x.var(axes, unbiased=False)
    for statistic, value in (("mean", mean), ("variance", variance)) if moved is not None else ():
        state = f"{name}.moving_{statistic}"
        moved[state] = 0.99 * moved[state] + 0.01 * value.detach()
    shaped = lambda v: v.reshape(1, -1, 1, 1)
    return (x - shaped(mean)) / torch.sqrt(shaped(variance) + 0.001) * shaped(w[name + ".gamma"]) + shaped(w[name + ".beta"])


def average_pool(x, size, stride, same):
    summed = F.avg_pool2d(padded(x, size, stride, same), size, stride)
    return summed / F.avg_pool2d(padded(torch.ones_like(x), size, stride, same), size, stride)


# ── Values of each layer ─────────────────────────────────────────────────────────────────────

def value_images(height, width, channels):
    return to_torch(single(6 * units("values.x", 0, 4 * height * width * channels) - 3).reshape(4, height, width, channels))


def flat(x):
    return to_keras(x).reshape(x.shape[0], -1)


def kernel_and_bias(name, filters, *shape):
    return {name + ".kernel": weight(name + ".kernel", *shape), name + ".bias": weight(name + ".bias", filters)}


def convolution_values(truth):
    for padding in ("same", "valid"):
        for size in range(1, 6):
            name, transposed = f"{padding}_{size}", f"transposed_{padding}_{size}"
            w = {**kernel_and_bias(name + ".each_stride_1", 2, size, size, 3, 2),
                 **kernel_and_bias(transposed + ".each_spread_1", 2, size, size, 2, 3)}
            x, small, same = value_images(7, 6, 3), value_images(3, 4, 3), padding == "same"
            truth[name] = [flat(conv(x, w, name + ".each_stride_1", stride, same)) for stride in (1, 2, 3)]
            truth[transposed] = [flat(conv_transpose(small, w, transposed + ".each_spread_1", stride, same)) for stride in (1, 2, 3)]


def other_values(truth):
    x, small, images_of_3 = value_images(7, 6, 2), value_images(3, 4, 2), value_images(7, 6, 3)
    w = kernel_and_bias("dilated.conv2d_1", 2, 3, 3, 3, 2)
    truth["dilated"] = [flat(conv(images_of_3, w, "dilated.conv2d_1", 1, True, 2))]
    w = kernel_and_bias("line.conv1d_1", 3, 4, 2, 3)
    row = F.pad(value_images(1, 9, 2)[:, :, 0], padding_of(9, 4, 2, True))
    truth["line"] = [F.conv1d(row, w["line.conv1d_1.kernel"].permute(2, 1, 0), w["line.conv1d_1.bias"], 2).permute(0, 2, 1).reshape(4, -1)]
    truth["max_pool"] = [flat(F.max_pool2d(x, 2))]
    truth["max_pool_same"] = [flat(F.max_pool2d(padded(x, 3, 2, True, value=-1e9), 3, 2))]
    truth["average_pool"] = [flat(average_pool(x, 3, 1, False))]
    truth["average_pool_same"] = [flat(average_pool(x, 3, 2, True))]
    truth["global_average_pool"] = [x.mean((2, 3))]
    truth["nearest"] = [flat(F.interpolate(small, scale_factor=2, mode="nearest"))]
    truth["bilinear"] = [flat(F.interpolate(small, scale_factor=3, mode="bilinear", align_corners=False))]
    scale = lambda name: (weight(name + ".gamma", 2), weight(name + ".beta", 2))
    truth["instance"] = [flat(F.instance_norm(x, weight=scale("instance.instance_norm_1")[0], bias=scale("instance.instance_norm_1")[1], eps=0.001))]
    truth["layered"] = [F.layer_norm(to_keras(x), (2,), *scale("layered.layer_norm_1"), eps=0.001).reshape(4, -1)]


# ── Models ───────────────────────────────────────────────────────────────────────────────────

def image_layers(*layers):
    """Of (name, channels of the bias, shape of the kernel)."""
    w = {}
    for name, filters, shape in layers:
        w.update(kernel_and_bias(name, filters, *shape))
    return w


def update_all(w, loss, states, update, step):
    """The parameters of `w` after a step down the gradient of the loss."""
    gradients = torch.autograd.grad(loss, list(w.values()))
    with torch.no_grad():
        return {name: update(w[name], g, states.setdefault(name, {}), step + 1).requires_grad_() for name, g in zip(w, gradients)}


def summarize(truth, case, losses, tensors):
    truth[case + "/losses"] = [torch.tensor(losses)]
    for name, value in tensors.items():
        truth[f"{case}/{name}"] = [torch.stack([value.mean(), (value ** 2).mean()])]


def conv_autoencoder(x, w):
    h = x.reshape(-1, 1, 28, 28)
    for k in (1, 2, 3):
        h = F.max_pool2d(F.selu(conv(h, w, f"encoder.conv2d_{k}", 1, True)), 2)
    h = F.selu(conv_transpose(h, w, "decoder.conv2d_transpose_1", 2))
    h = F.selu(conv_transpose(h, w, "decoder.conv2d_transpose_2", 2, True))
    return conv_transpose(h, w, "decoder.conv2d_transpose_3", 2, True).reshape(-1, 28, 28)


def train_conv(truth):
    w = image_layers(("encoder.conv2d_1", 16, (3, 3, 1, 16)), ("encoder.conv2d_2", 32, (3, 3, 16, 32)), ("encoder.conv2d_3", 64, (3, 3, 32, 64)),
                     ("decoder.conv2d_transpose_1", 32, (3, 3, 32, 64)), ("decoder.conv2d_transpose_2", 16, (3, 3, 16, 32)),
                     ("decoder.conv2d_transpose_3", 1, (3, 3, 1, 16)))
    losses = []
    for step in range(STEPS):
        x = images(step, 32)
        loss = bce(x, conv_autoencoder(x, w))
        losses.append([loss.item()])
        w = update_all(w, loss, {}, sgd(0.5), step)
    summarize(truth, "conv/slower", losses, w)


def generated(z, w, moved=None):
    h = apply(w, "generator.dense_1", z).reshape(-1, 7, 7, 128)
    h = batch_norm(to_torch(h), w, "generator.batch_norm_1", moved)
    h = F.selu(conv_transpose(h, w, "generator.conv2d_transpose_1", 2, True))
    h = batch_norm(h, w, "generator.batch_norm_2", moved)
    return torch.tanh(conv_transpose(h, w, "generator.conv2d_transpose_2", 2, True))


def judged(x, w):
    h = F.leaky_relu(conv(x, w, "discriminator.conv2d_1", 2, True), 0.2)
    h = F.leaky_relu(conv(h, w, "discriminator.conv2d_2", 2, True), 0.2)
    return apply(w, "discriminator.dense_1", flat(h))


def train_dcgan(truth):
    """Two batches an iteration, of 8: the first of pictures and noise, the second of noise."""
    generator = {**dense("generator.dense_1", 100, 6272),
                 **image_layers(("generator.conv2d_transpose_1", 64, (5, 5, 64, 128)), ("generator.conv2d_transpose_2", 1, (5, 5, 1, 64)))}
    for name, channels in (("generator.batch_norm_1", 128), ("generator.batch_norm_2", 64)):
        generator.update({name + ".gamma": weight(name + ".gamma", channels), name + ".beta": weight(name + ".beta", channels)})
    critic = {**image_layers(("discriminator.conv2d_1", 64, (5, 5, 1, 64)), ("discriminator.conv2d_2", 128, (5, 5, 64, 128))),
              **dense("discriminator.dense_1", 6272, 1)}
    moved = {f"generator.batch_norm_{k}.moving_{statistic}": torch.full((channels,), start)
             for k, channels in ((1, 128), (2, 64)) for statistic, start in (("mean", 0.0), ("variance", 1.0))}
    losses, states, targets = [], {}, torch.cat([torch.zeros(8, 1), torch.ones(8, 1)])
    for step in range(STEPS):
        both = torch.cat([generated(noise(2 * step, 8, 100), generator), 2 * images(2 * step, 8).reshape(8, 1, 28, 28) - 1])
        loss = bce(targets, judged(both, critic))
        critic = update_all(critic, loss, states, rmsprop(0.00002), step)
        other = bce(torch.ones(8, 1), judged(generated(noise(2 * step + 1, 8, 100), generator, moved), critic))
        generator = update_all(generator, other, states, rmsprop(0.00002), step)
        losses.append([loss.item(), other.item()])
    summarize(truth, "dcgan/fed", losses, {**generator, **critic, **moved})


def main():
    values, models = {}, {}
    convolution_values(values)
    other_values(values)
    train_conv(models)
    train_dcgan(models)
    truth = {**{f"convolutions/{name}": value for name, value in values.items()}, **models}
    numbers = {name: torch.cat([part.detach() for part in parts], -1).reshape(-1).tolist() for name, parts in truth.items()}
    write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "images.safetensors"), numbers, "truth_images.py", "F32")


if __name__ == "__main__":
    main()
