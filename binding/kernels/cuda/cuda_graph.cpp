#include "../cuda_graph.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/Event.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace m3l {
namespace {

/** What a thread computes on. */
struct Place {
  c10::DeviceIndex device;
  /** Of the graph's device. */
  c10::cuda::CUDAStream stream;
};

struct Graph {
  explicit Graph(c10::DeviceIndex device)
      : device(device), stream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)) {}

  c10::DeviceIndex device;
  c10::cuda::CUDAStream stream;
  /** What was current before `Enter`. */
  std::optional<Place> outer;
  bool capturing = false;
  bool recorded = false;
  /** Of the memory that is recorded with. Named by us: `graph` tells its own only after a success.
   */
  c10::MempoolId_t pool{0, 0};
  std::unique_ptr<at::cuda::CUDAGraph> graph = std::make_unique<at::cuda::CUDAGraph>();
};

/** All that `first` was asked for comes before what `second` is asked for next. */
void Order(const c10::cuda::CUDAStream& first, const c10::cuda::CUDAStream& second) {
  c10::Event event(c10::DeviceType::CUDA);
  event.record(first.unwrap());
  event.block(second.unwrap());
}

class Graphs final : public CudaGraphs {
 public:
  int64_t Create(c10::Device device) override {
    TORCH_CHECK(device.is_cuda(), "cuda_graph_create: device is ", device, ", expected cuda");
    const auto index = device.has_index() ? device.index() : c10::cuda::current_device();
    const c10::cuda::CUDAGuard guard(index);
    auto graph = std::make_shared<Graph>(index);
    const std::lock_guard<std::mutex> lock(mutex_);
    graphs_.emplace(++last_, std::move(graph));
    return last_;
  }

  void Enter(int64_t number) override {
    const auto graph = Find(number, "cuda_graph_enter");
    TORCH_CHECK(!graph->outer, "cuda_graph_enter: graph ", number, " was entered already");
    const Place outer{c10::cuda::current_device(), c10::cuda::getCurrentCUDAStream(graph->device)};
    Order(outer.stream, graph->stream);
    c10::cuda::set_device(graph->device);
    c10::cuda::setCurrentCUDAStream(graph->stream);
    graph->outer = outer;
  }

  void Leave(int64_t number) override {
    const auto graph = Find(number, "cuda_graph_leave");
    TORCH_CHECK(graph->outer, "cuda_graph_leave: graph ", number, " was not entered");
    if (graph->capturing) {
      Abandon(*graph);
    }
    const Place outer = *graph->outer;
    graph->outer.reset();
    c10::cuda::setCurrentCUDAStream(outer.stream);
    c10::cuda::set_device(outer.device);
    Order(graph->stream, outer.stream);
  }

  void BeginCapture(int64_t number) override {
    const auto graph = Find(number, "cuda_graph_begin_capture");
    TORCH_CHECK(graph->outer && !graph->capturing && !graph->recorded,
                "cuda_graph_begin_capture: graph ", number, " ",
                graph->recorded ? "holds a recording" : "is not entered, or captures already",
                ": expected one that is entered and empty");
    graph->pool = at::cuda::graph_pool_handle();
    try {
      // Not cudaStreamCaptureModeGlobal, in which an allocation by any thread of the process, a
      // loader's or another device's, ends the capture.
      graph->graph->capture_begin(graph->pool, cudaStreamCaptureModeThreadLocal);
    } catch (...) {
      Forget(*graph);
      throw;
    }
    graph->capturing = true;
  }

  void EndCapture(int64_t number) override {
    const auto graph = Find(number, "cuda_graph_end_capture");
    TORCH_CHECK(graph->capturing, "cuda_graph_end_capture: graph ", number, " is not capturing");
    graph->capturing = false;
    try {
      graph->graph->capture_end();
    } catch (...) {
      Forget(*graph);
      throw;
    }
    graph->recorded = true;
  }

  void Replay(int64_t number) override {
    const auto graph = Find(number, "cuda_graph_replay");
    TORCH_CHECK(graph->recorded, "cuda_graph_replay: graph ", number,
                " holds nothing, expected a finished capture");
    const c10::cuda::CUDAGuard guard(graph->device);
    graph->graph->replay();
  }

  void Destroy(int64_t number) override {
    const auto graph = Find(number, "cuda_graph_destroy");
    if (graph->outer) {
      Leave(number);
    }
    // A replay may still be under way on any stream that was current then.
    const c10::cuda::CUDAGuard guard(graph->device);
    c10::cuda::device_synchronize();
    graph->graph->reset();
    const std::lock_guard<std::mutex> lock(mutex_);
    graphs_.erase(number);
  }

 private:
  std::shared_ptr<Graph> Find(int64_t number, const char* op) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = graphs_.find(number);
    TORCH_CHECK(found != graphs_.end(), op, ": there is no graph ", number,
                ", expected one that cuda_graph_create gave and that lives");
    return found->second;
  }

  /** Brings the stream out of a capture that failed; whatever was recorded is lost. */
  static void Abandon(Graph& graph) {
    graph.capturing = false;
    try {
      graph.graph->capture_end();
    } catch (const c10::Error&) {
      // What went wrong has been reported by the operator that failed.
    }
    Forget(graph);
  }

  /**
   * In place of a graph whose capture failed an empty one. libtorch's own ends the capture first
   * and throws there, so that the allocator goes on to ask the graph which streams are its own,
   * also when it is no more, and keeps the pool for ever.
   */
  static void Forget(Graph& graph) {
    bool owns_pool = true;
    try {
      graph.graph->pool();
    } catch (const c10::Error&) {
      owns_pool = false;
    }
    try {
      c10::cuda::CUDACachingAllocator::endAllocateToPool(graph.device, graph.pool);
    } catch (const c10::Error&) {
      // It failed behind that, or before it began.
    }
    if (!owns_pool) {
      try {
        c10::cuda::CUDACachingAllocator::releasePool(graph.device, graph.pool);
      } catch (const c10::Error&) {
        // It failed before there was a pool.
      }
    }
    graph.graph = std::make_unique<at::cuda::CUDAGraph>();
  }

  std::mutex mutex_;
  int64_t last_ = 0;
  std::unordered_map<int64_t, std::shared_ptr<Graph>> graphs_;
};

// Never destroyed: when the process ends, the driver may be gone before the graphs.
[[maybe_unused]] const bool kInUse = [] {
  CudaGraphsInUse() = new Graphs();
  return true;
}();

}  // namespace
}  // namespace m3l
