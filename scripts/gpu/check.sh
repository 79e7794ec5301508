#!/bin/bash
# bash .gpu/check.sh, in the root of the tree on a machine with a CUDA device, PyTorch, nvcc and CMake:
# see docs/gpu.md.
exec python3 -u "$(dirname "$0")/check.py" "$@"
