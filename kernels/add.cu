/* y = relu(x + skip), and its gradients: dx and dskip are dy where the ReLU was on. */
#include "skip.cuh"

enum { BLOCK = 256 };

static __global__ void forward(kernel_norm add, int n, const float *x, const float *skip,
                               float *y) {
  int64_t all = n * add.shape.sample;
  for (int64_t i = thread_index(); i < all; i += thread_count()) {
    float v = x[i] + skip_at(add, skip, position_of(add.shape, i));
    y[i] = add.relu && v <= 0 ? 0 : v;
  }
}

static __global__ void backward(kernel_norm add, pbt_layer_io io) {
  auto gradient = [&](int64_t i) { return add.relu && io.y[i] <= 0 ? 0 : io.dy[i]; };
  if (io.dx != NULL) {
    int64_t all = io.n * add.shape.sample;
    for (int64_t i = thread_index(); i < all; i += thread_count()) {
      float g = gradient(i);
      io.dx[i] = io.add_dx ? io.dx[i] + g : g;
    }
  }
  if (io.dskip != NULL) {
    skip_back(add, io.n, gradient, io.dskip, io.add_dskip);
  }
}

static unsigned blocks_of(const struct kernel_norm *add, int32_t n) {
  int64_t most =
      add->skip.sample > add->shape.sample ? add->skip.sample : add->shape.sample;
  return (unsigned)blocks_for(n * most, BLOCK, MANY_BLOCKS);
}

extern "C" cudaError_t kernel_add_forward(const struct kernel_norm *add,
                                          const struct pbt_layer_io *io,
                                          cudaStream_t stream) {
  return launch(forward, dim3(blocks_of(add, io->n)), BLOCK, 0, stream, *add, io->n,
                io->x, io->skip, io->y);
}

extern "C" cudaError_t kernel_add_backward(const struct kernel_norm *add,
                                           const struct pbt_layer_io *io,
                                           cudaStream_t stream) {
  return launch(backward, dim3(blocks_of(add, io->n)), BLOCK, 0, stream, *add, *io);
}
