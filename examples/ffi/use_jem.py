#!/usr/bin/env python3
"""libjem from Python with ctypes and NumPy, over the table that table.py writes.

usage: PYTHONPATH=FOLDER_OF_jem_table.py use_jem.py LIBJEM.so MODEL.safetensors

Scores, samples, trains with a loss of its own on the logits, runs the trainer with a
callback, cancels, reads an error's text. Handles may be collected in any order.
"""
import ctypes
import sys
from ctypes import byref, c_int64, c_void_p

import numpy as np

import jem_table as table

jem = None  # the library, once it is loaded


class Error(Exception):
    pass


def check(status):
    if status < 0:
        text = ctypes.create_string_buffer(1024)
        jem.jem_last_error(text, len(text))
        raise Error(f"{jem.jem_status_name(status).decode()}: {text.value.decode()}")
    return status


class Handle:
    """What a function of libjem made; destroyed with this object."""

    def __init__(self, make, *arguments):
        self._as_parameter_ = c_void_p()
        check(make(byref(self._as_parameter_), *arguments))
        self.destroy = getattr(jem, "_".join(make.__name__.split("_")[:2]) + "_destroy")

    def __del__(self):
        if self._as_parameter_:
            self.destroy(self)


def config(**settings):
    """config(model_depth=10): the first _ of a name is the key's point."""
    made = Handle(jem.jem_config_create)
    text = " ".join(f"{k.replace('_', '.', 1)}={v}" for k, v in settings.items())
    check(jem.jem_config_parse(made, text.encode()))
    return made


class Model(Handle):
    def __init__(self, make, *arguments):
        super().__init__(make, *arguments)
        shape = (c_int64 * 4)()
        check(jem.jem_model_info(self, *(byref(shape, 8 * i) for i in range(4)), None))
        *self.shape, self.classes = shape

    def logits(self, x):
        x = np.ascontiguousarray(x, np.float32)
        out = np.empty((len(x), self.classes), np.float32)
        check(jem.jem_model_logits(self, x.ctypes, len(x), out.ctypes, out.size))
        return out

    def energy(self, x):
        x = np.ascontiguousarray(x, np.float32)
        out = np.empty(len(x), np.float32)
        check(jem.jem_model_energy(self, x.ctypes, None, len(x), out.ctypes))
        return out

    def samples(self, n, settings):
        out = np.empty((n, *self.shape), np.float32)
        sampler = Handle(jem.jem_sampler_create, self, settings)
        check(jem.jem_sampler_draw(sampler, None, n, out.ctypes, out.size))
        return out


def cross_entropy(logits, y):
    """A loss of one's own: its value, and its derivative by the logits."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    loss = -np.log(p[rows, y]).mean()
    p[rows, y] -= 1
    return loss, np.ascontiguousarray(p / len(y), np.float32)


def train(model, data, settings, steps, n=16):
    """The loop of a trainer, by hand."""
    loader = Handle(jem.jem_loader_create, data, settings)
    optimizer = Handle(jem.jem_optimizer_create, model, settings)
    forward = Handle(jem.jem_pass_create, model, table.JEM_PASS_TRAIN, n)
    x, y = np.empty((n, *model.shape), np.float32), np.empty(n, np.int32)
    logits, got = np.empty((n, model.classes), np.float32), c_int64()
    for step in range(steps):
        check(jem.jem_loader_next(loader, x.ctypes, x.size, y.ctypes, y.size, byref(got)))
        check(jem.jem_pass_forward(forward, x.ctypes, n, logits.ctypes, logits.size))
        loss, derivative = cross_entropy(logits, y)
        check(jem.jem_model_gradient_zero(model))
        check(jem.jem_pass_backward(forward, derivative.ctypes, table.JEM_GRADIENT_PARAMETERS, None))
        check(jem.jem_optimizer_step(optimizer, None))
        print(f"step {step}: loss {loss:.4f}")


def run_trainer(model, data, settings, stop_at):
    """The library's trainer; the callback ends it, as jem_trainer_cancel would."""
    trainer = Handle(jem.jem_trainer_create, model, data, settings)
    seen = []

    def progress(user, handle, step):
        seen.append(step)
        return int(step == stop_at)

    tables = table.jem_trainer_callbacks(struct_size=ctypes.sizeof(table.jem_trainer_callbacks))
    tables.step = type(tables.step)(progress)
    assert check(jem.jem_trainer_run(trainer, byref(tables))) == table.JEM_CANCELLED
    jem.jem_trainer_cancel(trainer)
    assert check(jem.jem_trainer_step(trainer)) == table.JEM_CANCELLED
    print("trainer: stopped after step", seen[-1])


def main(library, path):
    global jem
    jem = table.declare(ctypes.CDLL(library))
    settings = config(loader_batch=16, sampler_steps=2, sampler_buffer=64, optimizer_rate=1e-4,
                      trainer_iterations=100)
    context = Handle(jem.jem_context_create, settings)
    model = Model(jem.jem_model_load, context, path.encode())
    data = Handle(jem.jem_dataset_open, context, b"glyphs:limit=200,split=test", settings)
    x, y = np.empty((100, *model.shape), np.float32), np.empty(100, np.int32)
    check(jem.jem_dataset_read(data, 0, 100, x.ctypes, x.size, y.ctypes))
    del context  # the library keeps what its children need

    logits, energy = model.logits(x), model.energy(x)
    assert np.allclose(-energy, np.log(np.exp(logits.astype(float)).sum(axis=1)), 1e-5)
    print(f"accuracy {(logits.argmax(axis=1) == y).mean():.2f}, energy of digits {energy.mean():.2f}")
    print("samples", model.samples(4, settings).shape)
    train(model, data, settings, steps=2)
    run_trainer(model, data, settings, stop_at=2)
    try:
        model.logits(np.full((1, *model.shape), 255))
    except Error as error:
        print(error)


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 3 else sys.exit(__doc__)
