/*
 * Softmax cross-entropy of one batch, and our own exp.
 *
 * exp(x) = 2^k p(r), k = round(x / ln 2), r = x - k ln 2 in two parts, |r| <= ln 2 / 2; p
 * is the degree 6 polynomial of Cephes' expf.  Within 2 ulp of exp for -87 <= x <= 88;
 * below, 0; NaN stays NaN.  Multiply-adds are fused, so AVX-512 and AVX2 agree in every
 * bit.  Only values up to 0 come here: logits less their maximum.
 *
 * Totals are added in double, sample after sample.
 */
#include "backend/cpu/isa/isa.h"

#include "base/detmath.h" // pbt_log

/* Unsigned: far below the range the bits may wrap, and the result is 0 all the same. */
typedef uint32_t vbits __attribute__((vector_size(4 * V)));

ALWAYS vf exp_lanes(vf x) {
  const float magic = 12582912.0F; // 1.5 * 2^23: adding it rounds to an integer
  vf shifted = fma_(x, splat(1.44269504088896341F), splat(magic));
  vbits k = (vbits)shifted - (vbits)splat(magic);
  vf whole = shifted - splat(magic);
  vf r = fma_(whole, splat(-0.693359375F), x);
  r = fma_(whole, splat(2.12194440e-4F), r);
  vf p = splat(1.9875691500e-4F);
  p = fma_(p, r, splat(1.3981999507e-3F));
  p = fma_(p, r, splat(8.3334519073e-3F));
  p = fma_(p, r, splat(4.1665795894e-2F));
  p = fma_(p, r, splat(1.6666665459e-1F));
  p = fma_(p, r, splat(5.0000001201e-1F));
  p = fma_(p, r * r, r) + splat(1.0F);
  vf scale = (vf)((k + 127) << 23);
  vf result = p * scale;
  return choose(less_equal(x, splat(-87.0F)), splat(0), result);
}

void KERNEL(exp)(int32_t n, float *x) {
  for (int32_t i = 0; i < n; i += V) {
    store(x + i, exp_lanes(load(x + i)));
  }
}

/* What a block's scores need of its logits, lane by lane. */
struct lanes {
  _Alignas(64) float highest[CPU_LANES], sum_exp[CPU_LANES], own[CPU_LANES],
      mean[CPU_LANES], share[CPU_LANES]; // share: of the sample in the gradient
  _Alignas(64) int32_t best[CPU_LANES], label[CPU_LANES];
};

/* Softmax of one lane group: statistics, and e[c] = exp(z[c] - max). */
static void softmax(const struct pbt_loss_io *io, const float *z, int32_t g,
                    struct lanes *lanes, vf e[PBT_MAX_CLASSES]) {
  vi label;
  memcpy(&label, lanes->label + g, sizeof label);
  vf highest = load(z), own = splat(0), total = splat(0), sum = splat(0);
  vi best = splat_int(0);
  for (int32_t c = 0; c < io->n_class; c++) {
    vf v = load(z + c * CPU_LANES);
    vm stays = less_equal(v, highest); // a NaN wins, and then all is NaN
    highest = choose(stays, highest, v);
    best = choose_int(stays, best, splat_int(c));
    own = choose(equal(label, splat_int(c)), v, own);
    total += v;
  }
  for (int32_t c = 0; c < io->n_class; c++) {
    e[c] = exp_lanes(load(z + c * CPU_LANES) - highest);
    sum += e[c];
  }
  store(lanes->highest + g, highest);
  store(lanes->sum_exp + g, sum);
  store(lanes->own + g, own);
  store(lanes->mean + g, total / (float)io->n_class);
  memcpy(lanes->best + g, &best, sizeof best);
}

/* d loss / d z = (softmax - target) / n; 0 in padding lanes. */
static void gradient(const struct pbt_loss_io *io, const struct lanes *lanes,
                     const vf e[PBT_MAX_CLASSES], int32_t g, int32_t used, float *dz) {
  float smoothing = io->step->hyper.label_smoothing;
  float elsewhere = smoothing / (float)io->n_class;
  vf scale = load(lanes->share + g);
  vf inverse = 1.0F / load(lanes->sum_exp + g);
  vi label;
  memcpy(&label, lanes->label + g, sizeof label);
  vm real = lanes_below(used, g);
  for (int32_t c = 0; c < io->n_class; c++) {
    vf target = choose(equal(label, splat_int(c)), splat(1.0F - smoothing + elsewhere),
                       splat(elsewhere));
    vf d = fma_(e[c], inverse, -target) * scale;
    store(dz + c * CPU_LANES + g, keep(real, d));
  }
}

/* A NaN anywhere makes the sum NaN: then the loss is NaN and nothing was predicted. */
static void tally(const struct pbt_loss_io *io, const struct lanes *lanes, int32_t used) {
  struct pbt_tally *to = io->tally;
  double smoothing = io->dlogit != NULL ? (double)io->step->hyper.label_smoothing : 0;
  for (int32_t l = 0; l < used; l++) {
    double sum = (double)lanes->sum_exp[l];
    bool valid = sum == sum;
    double top = pbt_log(sum) + (double)lanes->highest[l];
    double target = (1 - smoothing) * (double)lanes->own[l];
    if (smoothing > 0) {
      target += smoothing * (double)lanes->mean[l];
    }
    double loss = valid ? top - target : (double)__builtin_nanf("");
    to->loss += loss;
    to->count++;
    int32_t label = lanes->label[l], best = lanes->best[l];
    bool correct = valid && best == label;
    to->correct += correct;
    if (io->by_class && label >= 0 && label < PBT_MAX_CLASSES) {
      to->actual[label]++;
      to->class_loss[label] += loss;
      to->true_positive[label] += correct;
      if (valid) {
        to->predicted[best]++;
      }
    }
  }
}

void KERNEL(loss)(const struct pbt_loss_io *io) {
  struct lanes lanes;
  vf e[PBT_MAX_CLASSES];
  for (int32_t first = 0; first < io->n; first += CPU_LANES) {
    int32_t used = io->n - first < CPU_LANES ? io->n - first : CPU_LANES;
    int64_t at = (int64_t)first * io->n_class;
    memset(lanes.label, 0, sizeof lanes.label);
    memcpy(lanes.label, io->label + first, (size_t)used * sizeof *io->label);
    for (int32_t l = 0; l < CPU_LANES; l++) {
      float weight = io->class_weight != NULL ? io->class_weight[lanes.label[l]] : 1.0F;
      lanes.share[l] = weight * (1.0F / (float)io->n);
    }
    for (int32_t g = 0; g < CPU_LANES; g += V) {
      softmax(io, io->logit + at + g, g, &lanes, e);
      if (io->dlogit != NULL) {
        gradient(io, &lanes, e, g, used, io->dlogit + at);
      }
    }
    tally(io, &lanes, used);
  }
}
