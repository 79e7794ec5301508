// CUDA graphs for whoever calls operators by name: the core links no CUDA.
#include "cuda_graph.h"

namespace m3l {

CudaGraphs*& CudaGraphsInUse() {
  static CudaGraphs* graphs = nullptr;
  return graphs;
}

namespace {

CudaGraphs& Graphs() {
  TORCH_CHECK(
      CudaGraphsInUse() != nullptr,
      "cuda_graph: m3l_kernels was built without CUDA, expected it with; build it where the "
      "CUDA toolkit is (cmake -DM3L_CUDA=ON)");
  return *CudaGraphsInUse();
}

int64_t Create(c10::Device device) { return Graphs().Create(device); }
void Enter(int64_t graph) { Graphs().Enter(graph); }
void Leave(int64_t graph) { Graphs().Leave(graph); }
void BeginCapture(int64_t graph) { Graphs().BeginCapture(graph); }
void EndCapture(int64_t graph) { Graphs().EndCapture(graph); }
void Replay(int64_t graph) { Graphs().Replay(graph); }
void Destroy(int64_t graph) { Graphs().Destroy(graph); }

// No tensor among the arguments says which device's kernel to take, so there is one for all.
M3L_OPERATORS(library) {
  library.def("cuda_graph_create(Device device) -> int", Create);
  library.def("cuda_graph_enter(int graph) -> ()", Enter);
  library.def("cuda_graph_leave(int graph) -> ()", Leave);
  library.def("cuda_graph_begin_capture(int graph) -> ()", BeginCapture);
  library.def("cuda_graph_end_capture(int graph) -> ()", EndCapture);
  library.def("cuda_graph_replay(int graph) -> ()", Replay);
  library.def("cuda_graph_destroy(int graph) -> ()", Destroy);
}

}  // namespace
}  // namespace m3l
