/*
 * One optimiser step over all parameters: two launches.
 *
 * prepare  the length of the gradient (in double, blocks in order) and from it the scale
 *          of clipping, where there is clipping at all; Adam's weight sums move on.
 * apply    weight, moments and gradient are read once and written once; four numbers a
 *          thread at a time.
 */
#include "device.cuh"

enum { BLOCK = 256, NORM_BLOCKS = 128 };

static __global__ void prepare(pbt_update_io io, float *scale, kernel_sums sums) {
  __shared__ double room[BLOCK / WARP];
  const pbt_hyper &hyper = io.step->hyper;
  if (blockIdx.x == 0 && threadIdx.x == 0 && io.kind == PBT_ADAM) {
    double b1 = (double)hyper.beta1, b2 = (double)hyper.beta2;
    io.weight_sum[0] = b1 * io.weight_sum[0] + (1 - b1);
    io.weight_sum[1] = b2 * io.weight_sum[1] + (1 - b2);
  }
  if (!(hyper.clip_norm > 0)) {
    if (blockIdx.x == 0 && threadIdx.x == 0) {
      *scale = 1.0F;
    }
    return;
  }
  double sum = 0;
  for (int64_t i = thread_index(); i < io.n; i += thread_count()) {
    sum += (double)io.gradient[i] * (double)io.gradient[i];
  }
  sum = block_sum(sum, room);
  if (threadIdx.x == 0) {
    sums.partial[blockIdx.x] = sum;
  }
  if (last_block(sums.counter, gridDim.x)) {
    double total = threadIdx.x < gridDim.x ? sums.partial[threadIdx.x] : 0;
    double length = sqrt(block_sum(total, room));
    if (threadIdx.x == 0) {
      double wanted = (double)hyper.clip_norm;
      *scale = length > wanted ? (float)(wanted / length) : 1.0F;
    }
  }
}

struct rule {
  enum pbt_optimizer kind;
  bool nesterov;
  float scale, lr, momentum, decay, keep;
  float beta1, beta2, smoothing, epsilon, inverse1, inverse2;
};

static __device__ void move(const rule &r, float *w, float g, float *m0, float *m1) {
  g = g * r.scale + r.decay * *w;
  float was = *w * r.keep;
  if (r.kind == PBT_SGD) {
    *m0 = r.momentum * *m0 + g;
    *w = was - r.lr * (r.nesterov ? g + r.momentum * *m0 : *m0);
  } else if (r.kind == PBT_RMSPROP) {
    *m1 = r.smoothing * *m1 + (1 - r.smoothing) * g * g;
    *m0 = r.momentum * *m0 + g / (sqrtf(*m1) + r.epsilon);
    *w = was - r.lr * *m0;
  } else {
    *m0 = r.beta1 * *m0 + (1 - r.beta1) * g;
    *m1 = r.beta2 * *m1 + (1 - r.beta2) * g * g;
    *w = was - r.lr * (*m0 * r.inverse1) / (sqrtf(*m1 * r.inverse2) + r.epsilon);
  }
}

static __device__ rule rule_of(const pbt_update_io &io, const float *scale) {
  const pbt_hyper &h = io.step->hyper;
  rule r = {io.kind, io.nesterov, *scale,      h.lr,      h.momentum, 0, 1,
            h.beta1, h.beta2,     h.smoothing, h.epsilon, 1,          1};
  r.decay = io.decoupled ? 0 : h.weight_decay;
  r.keep = io.decoupled ? 1 - h.lr * h.weight_decay : 1;
  if (io.kind == PBT_ADAM) {
    r.inverse1 = (float)(1 / io.weight_sum[0]);
    r.inverse2 = (float)(1 / io.weight_sum[1]);
  }
  return r;
}

static __global__ void apply(pbt_update_io io, const float *scale) {
  rule r = rule_of(io, scale);
  bool two = io.kind != PBT_SGD; // moments; what [1] points to is otherwise nobody's
  int64_t quads = io.n / 4;
  for (int64_t i = thread_index(); i < quads; i += thread_count()) {
    float4 w = ((float4 *)io.weight)[i], g = ((const float4 *)io.gradient)[i];
    float4 a = ((float4 *)io.moment[0])[i], b = {0, 0, 0, 0};
    if (two) {
      b = ((float4 *)io.moment[1])[i];
    }
    move(r, &w.x, g.x, &a.x, &b.x);
    move(r, &w.y, g.y, &a.y, &b.y);
    move(r, &w.z, g.z, &a.z, &b.z);
    move(r, &w.w, g.w, &a.w, &b.w);
    ((float4 *)io.weight)[i] = w;
    ((float4 *)io.moment[0])[i] = a;
    if (two) {
      ((float4 *)io.moment[1])[i] = b;
    }
  }
  int64_t i = 4 * quads + thread_index();
  if (i < io.n) {
    float none = 0;
    move(r, &io.weight[i], io.gradient[i], &io.moment[0][i],
         two ? &io.moment[1][i] : &none);
  }
}

extern "C" cudaError_t kernel_update(const struct pbt_update_io *io, float *state,
                                     const struct kernel_sums *sums,
                                     cudaStream_t stream) {
  cudaError_t error =
      launch(prepare, dim3(NORM_BLOCKS), BLOCK, 0, stream, *io, state, *sums);
  if (error != cudaSuccess) {
    return error;
  }
  int blocks = blocks_for(io->n / 4 + 1, BLOCK, MANY_BLOCKS);
  return launch(apply, dim3((unsigned)blocks), BLOCK, 0, stream, *io,
                (const float *)state);
}
