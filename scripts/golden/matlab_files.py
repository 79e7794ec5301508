"""Tiny NYU Depth v2 and SUN RGB-D in the exact MATLAB layouts, for test/data/sets.

    python scripts/golden/matlab_files.py test/fixtures/matlab

Needs numpy, scipy and h5py.
"""

import sys
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

HEIGHT, WIDTH = 48, 64
IMAGES = 6


def hdf5(path):
    """A MATLAB 7.3 file: HDF5 behind 512 bytes of text."""
    file = h5py.File(path, 'w', userblock_size=512)
    return file


def finish(path, file):
    file.close()
    with open(path, 'r+b') as raw:
        raw.write(b'MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .'.ljust(124) + b'\x00\x02IM')


def picture(index):
    """Smooth, and another for each image: rgb [H, W, 3], metres [H, W], instances [H, W]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    rgb = np.stack([x * 4, y * 5, np.full_like(x, 30 * index)], axis=-1).astype(np.uint8)
    metres = (1 + x // 8 * 0.5 + index).astype(np.float32)
    labels = ((x // 16) * 2 + (y // 24) + index).astype(np.uint16)
    return rgb, metres, labels


def nyu(folder):
    path = folder / 'nyu_depth_v2_labeled.mat'
    file = hdf5(path)
    rgb, metres, labels = (np.stack(parts) for parts in zip(*map(picture, range(IMAGES))))
    pack = dict(compression='gzip', compression_opts=9)
    # MATLAB's dimensions are stored in the other order.
    file.create_dataset('images', data=rgb.transpose(0, 3, 2, 1), chunks=(1, 3, WIDTH, HEIGHT), **pack)
    file.create_dataset('depths', data=metres.transpose(0, 2, 1), chunks=(1, WIDTH, HEIGHT), **pack)
    file.create_dataset('labels', data=labels.transpose(0, 2, 1), chunks=(1, WIDTH, HEIGHT), **pack)
    finish(path, file)
    savemat(
        folder / 'splits.mat',
        {
            'trainNdxs': np.array([[1], [2], [4], [5]], dtype=np.uint16),
            'testNdxs': np.array([[3], [6]], dtype=np.uint16),
        },
    )
    mapping = (np.arange(894) % 40 + 1).astype(np.uint8)
    savemat(
        folder / 'classMapping40.mat',
        {
            'mapClass': mapping[None],
            'className': np.array([f'class {i}' for i in range(1, 41)], dtype=object)[None],
        },
        do_compression=True,
    )


def sun(folder):
    """Two test scenes and four to train on, the test scenes first, as in the whole set."""
    root = '/n/fs/sun3d/data/SUNRGBD/'
    scenes = [f'kv1/NYUdata/NYU{i:04d}' for i in range(1, 4)]
    scenes += [f'xtion/sun3ddata/hall/{i:07d}' for i in range(1, 4)]
    meta = np.zeros(
        (1, IMAGES),
        dtype=[(name, object) for name in ('sequenceName', 'groundtruth3DBB', 'rgbpath', 'rgbname', 'depthname')],
    )
    for i, scene in enumerate(scenes):
        meta[0, i] = (
            f'SUNRGBD/{scene}',
            {'centroid': np.ones((1, 3)), 'classname': 'bed'},
            f'{root}{scene}/image/rgb{i}.jpg',
            f'rgb{i}.jpg',
            f'depth{i}.png',
        )
    savemat(folder / 'SUNRGBDMeta.mat', {'SUNRGBDMeta': meta}, do_compression=True)
    cell = lambda names: np.array([root + name for name in names], dtype=object)[None]
    savemat(folder / 'allsplit.mat', {'alltrain': cell(scenes[2:]), 'alltest': cell(scenes[:2])})
    path = folder / 'SUNRGBD2Dseg.mat'
    file = hdf5(path)
    group = file.create_group('SUNRGBD2Dseg')
    store = file.create_group('#refs#')
    references = np.zeros((IMAGES, 1), dtype=h5py.ref_dtype)
    for i in range(IMAGES):
        _, _, labels = picture(i)
        name = f'label{i}'
        data = (labels % 38).astype(np.uint8).T
        store.create_dataset(name, data=data, compression='gzip', compression_opts=9)
        references[i, 0] = store[name].ref
    group.create_dataset('seglabel', data=references)
    finish(path, file)


if __name__ == '__main__':
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    nyu(out)
    sun(out)
