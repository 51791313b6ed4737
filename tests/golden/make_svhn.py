#!/usr/bin/env python3
"""Writes tests/golden/svhn/{train,test}_32x32.mat as SciPy writes MATLAB 5 files (train
compressed, test not). Pixel (y, x) of channel c in image i is (7y + 3x + 50c + 11i) mod 256;
labels are 1, 10, 5. Needs python3-scipy."""
import os

import numpy as np
import scipy.io

y, x, c, i = np.meshgrid(np.arange(32), np.arange(32), np.arange(3), np.arange(3), indexing="ij")
pixels = ((7 * y + 3 * x + 50 * c + 11 * i) % 256).astype(np.uint8)
labels = np.array([[1], [10], [5]], dtype=np.uint8)
folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "svhn")
for name, packed in (("train", True), ("test", False)):
    scipy.io.savemat(os.path.join(folder, name + "_32x32.mat"), {"X": pixels, "y": labels},
                     do_compression=packed)
