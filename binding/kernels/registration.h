// torch.ops.m3l is registered once in a process. Where it holds a second copy of the package, that
// one's file of kernels is opened too, finds the operators there and leaves them alone: libtorch
// ends the process that registers one twice.
#pragma once

#include <torch/library.h>

namespace m3l {

/**
 * Whether this file registers the operators: false where another one has. It is asked while the
 * file is opened, when no other is: threads that open two copies at once do not both hear yes.
 */
bool RegistersOperators();

}  // namespace m3l

/** As TORCH_LIBRARY_FRAGMENT(m3l, library): { library.def(…); } */
#define M3L_OPERATORS(library) M3L_REGISTRATION(TORCH_LIBRARY_FRAGMENT(m3l, of), library, C10_UID)
/** As TORCH_LIBRARY_IMPL(m3l, key, library): { library.impl(…); } */
#define M3L_KERNELS(key, library) \
  M3L_REGISTRATION(TORCH_LIBRARY_IMPL(m3l, key, of), library, C10_UID)

#define M3L_REGISTRATION(declaration, library, uid) \
  M3L_REGISTRATION_NAMED(declaration, library, C10_CONCATENATE(Register, uid))
#define M3L_REGISTRATION_NAMED(declaration, library, name) \
  static void name(torch::Library& library);               \
  declaration {                                            \
    if (m3l::RegistersOperators()) {                       \
      name(of);                                            \
    }                                                      \
  }                                                        \
  void name(torch::Library& library)
