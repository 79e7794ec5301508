// Which version of the operators is registered in this process, and whether by this file.
#include "../interface-version.h"
#include "torch.h"

namespace m3l {

bool RegistersOperators() {
  static const bool first =
      !c10::Dispatcher::singleton().findSchema({"m3l::interface_version", ""}).has_value();
  return first;
}

namespace {

int64_t InterfaceVersion() { return kInterfaceVersion; }

M3L_OPERATORS(library) { library.def("interface_version() -> int", InterfaceVersion); }

}  // namespace
}  // namespace m3l
