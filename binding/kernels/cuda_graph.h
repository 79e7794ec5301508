#pragma once

#include "torch.h"

namespace m3l {

/** CUDA graphs by number; the operators below forward to it. Made where the kernels have CUDA. */
class CudaGraphs {
 public:
  virtual ~CudaGraphs() = default;

  /** A graph of `device` with a stream of its own; its number. */
  virtual int64_t Create(c10::Device device) = 0;

  /**
   * Makes the graph's stream and device the thread's current ones until `Leave`. What is queued on
   * it comes after all that the stream before it was asked for; `Leave` sees to the reverse.
   */
  virtual void Enter(int64_t graph) = 0;
  virtual void Leave(int64_t graph) = 0;

  /**
   * Between the two, what is queued on the graph's stream is recorded and not done; tensors made in
   * between lie in memory that belongs to the graph.
   */
  virtual void BeginCapture(int64_t graph) = 0;
  virtual void EndCapture(int64_t graph) = 0;

  /** Queues all that was recorded on the thread's current stream. */
  virtual void Replay(int64_t graph) = 0;

  /** Waits until the device needs the graph no longer, then forgets it; also one half recorded. */
  virtual void Destroy(int64_t graph) = 0;
};

/** What the CUDA part of the library sets when it is loaded; null without one. */
CudaGraphs*& CudaGraphsInUse();

}  // namespace m3l
