/*
 * Softmax cross-entropy of a batch, its gradient and the totals, in one block.
 *
 * A thread takes one sample at a time; the loss of each is added in double, the threads'
 * sums in a fixed order, and the totals once a launch.  What is kept by class is added by
 * one thread a class, sample after sample.  A NaN among the logits makes the sum NaN:
 * then the loss is NaN and nothing was predicted.
 */
#include "device.cuh"

enum { BLOCK = 256 };

struct scored {
  double loss;
  int label, best; // best: -1 for none
};

static __device__ scored score(const pbt_loss_io &io, int i, float smoothing) {
  const float *z = io.logit + (int64_t)i * io.n_class;
  int label = io.label[i], best = 0;
  float highest = z[0], own = 0, total = 0;
  for (int c = 0; c < io.n_class; c++) {
    float v = z[c];
    if (!(v <= highest)) { // a NaN wins, and then all is NaN
      highest = v;
      best = c;
    }
    own = c == label ? v : own;
    total += v;
  }
  float sum = 0;
  for (int c = 0; c < io.n_class; c++) {
    sum += expf(z[c] - highest);
  }
  if (io.dlogit != NULL) {
    float elsewhere = smoothing / (float)io.n_class, inverse = 1.0F / sum;
    float scale = 1.0F / (float)io.n;
    if (io.class_weight != NULL && label >= 0 && label < io.n_class) {
      scale *= io.class_weight[label];
    }
    float *dz = io.dlogit + (int64_t)i * io.n_class;
    for (int c = 0; c < io.n_class; c++) {
      float target = c == label ? 1.0F - smoothing + elsewhere : elsewhere;
      dz[c] = (expf(z[c] - highest) * inverse - target) * scale;
    }
  }
  double target = (1 - (double)smoothing) * (double)own;
  if (smoothing > 0) {
    target += (double)smoothing * (double)total / io.n_class;
  }
  bool valid = sum == sum;
  double loss = valid ? log((double)sum) + (double)highest - target : (double)NAN;
  return {loss, label, valid ? best : -1};
}

static __global__ void loss(pbt_loss_io io) {
  __shared__ double room[BLOCK / WARP], by_sample[BLOCK];
  __shared__ int label[BLOCK], best[BLOCK];
  float smoothing = io.dlogit != NULL ? io.step->hyper.label_smoothing : 0;
  double sum = 0, correct = 0;
  for (int first = 0; first < io.n; first += BLOCK) {
    int i = first + (int)threadIdx.x, used = io.n - first < BLOCK ? io.n - first : BLOCK;
    scored s = {0, -1, -1};
    if (i < io.n) {
      s = score(io, i, smoothing);
      sum += s.loss;
      correct += s.best == s.label;
    }
    if (!io.by_class) {
      continue;
    }
    by_sample[threadIdx.x] = s.loss;
    label[threadIdx.x] = s.label;
    best[threadIdx.x] = s.best;
    __syncthreads();
    int c = (int)threadIdx.x;
    if (c < PBT_MAX_CLASSES) {
      int actual = 0, predicted = 0, hit = 0;
      double lost = 0;
      for (int k = 0; k < used; k++) {
        actual += label[k] == c;
        predicted += best[k] == c;
        hit += label[k] == c && best[k] == c;
        lost += label[k] == c ? by_sample[k] : 0;
      }
      io.tally->actual[c] += actual;
      io.tally->predicted[c] += predicted;
      io.tally->true_positive[c] += hit;
      io.tally->class_loss[c] += lost;
    }
    __syncthreads();
  }
  sum = block_sum(sum, room);
  correct = block_sum(correct, room);
  if (threadIdx.x == 0) {
    io.tally->loss += sum;
    io.tally->count += io.n;
    io.tally->correct += (int64_t)correct;
  }
}

extern "C" cudaError_t kernel_loss(const struct pbt_loss_io *io, cudaStream_t stream) {
  return launch(loss, dim3(1), BLOCK, 0, stream, *io);
}
