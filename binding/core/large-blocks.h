// Memory for libtorch's tensors on the CPU.
#pragma once

namespace m3l {

/// Makes libtorch take the memory of its large tensors from a reserved range of addresses, where
/// freed neighbours join whatever small things were made between them: on the heap those keep the
/// holes apart, and a training step's peak is a fifth above what it holds. Once a process; does
/// nothing where the range cannot be reserved.
void use_large_block_allocator();

}  // namespace m3l
