/*
 * The part of cuDNN's graph API that the backend calls.  Descriptors keep what they are
 * told; a plan computes by plain loops over exactly the tensors that were described, as
 * their dimensions, strides, types and ids say, and fills its workspace with rubbish.  So
 * what is checked is the backend's own part: which tensor is which, how it lies, that the
 * workspace is there and nobody else's, that every descriptor is given back.
 *
 * Three engines: 7 does not repeat its bits (so it says), 8 wants channels last and
 * rounds float32 operands to TF32, 9 takes float32 alone.  Only 8 takes bfloat16.
 */
#include <cudnn_graph.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>
#include <vector>

#include "emulator.h"

namespace {
struct contents;
using ref = std::shared_ptr<contents>;

struct attribute {
  cudnnBackendAttributeType_t type;
  int64_t n;
  std::vector<char> bytes; // of values
  std::vector<ref> refs;   // of descriptors
};

struct contents {
  cudnnBackendDescriptorType_t type;
  bool final = false;
  std::map<int, attribute> of;

  const attribute *find(int name) const {
    auto at = of.find(name);
    return at == of.end() ? nullptr : &at->second;
  }
  template <class T> std::vector<T> values(int name) const {
    const attribute *a = find(name);
    std::vector<T> all(a != nullptr ? a->bytes.size() / sizeof(T) : 0);
    if (!all.empty()) {
      memcpy(all.data(), a->bytes.data(), all.size() * sizeof(T));
    }
    return all;
  }
  template <class T> T value(int name) const {
    std::vector<T> all = values<T>(name);
    return all.empty() ? T{} : all[0];
  }
  ref part(int name) const {
    const attribute *a = find(name);
    return a != nullptr && !a->refs.empty() ? a->refs[0] : nullptr;
  }
};

struct handle {
  cudaStream_t stream = nullptr;
};

int64_t live; // descriptors that are not given back

struct at_the_end {
  ~at_the_end() {
    if (live != 0) {
      fprintf(stderr, "emulator: %lld descriptors of cuDNN are left\n", (long long)live);
      _exit(98);
    }
  }
} the_end;

ref &of(cudnnBackendDescriptor_t d) {
  return *(ref *)d;
}

size_t size_of(cudnnBackendAttributeType_t type) {
  switch (type) {
  case CUDNN_TYPE_INT64:
  case CUDNN_TYPE_DOUBLE:
  case CUDNN_TYPE_VOID_PTR:
    return 8;
  case CUDNN_TYPE_CHAR:
    return 1;
  default:
    return 4; // enumerators, int32, float
  }
}

/* ---- one convolution ---- */

struct names {
  int type, convolution, x, w, z, alpha, beta;
};
const names forward = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
const names filter = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
const names data = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};

const names *names_of(const contents &operation) {
  for (const names *n : {&forward, &filter, &data}) {
    if (n->type == (int)operation.type) {
      return n;
    }
  }
  return nullptr;
}

struct tensor {
  cudnnDataType_t type;
  int64_t dim[4], stride[4], id, alignment;
  char *at = nullptr;

  explicit tensor(const contents &c)
      : type(c.value<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE)),
        id(c.value<int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID)),
        alignment(c.value<int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT)) {
    std::vector<int64_t> d = c.values<int64_t>(CUDNN_ATTR_TENSOR_DIMENSIONS);
    std::vector<int64_t> s = c.values<int64_t>(CUDNN_ATTR_TENSOR_STRIDES);
    for (int i = 0; i < 4; i++) {
      dim[i] = i < (int)d.size() ? d[i] : 0;
      stride[i] = i < (int)s.size() ? s[i] : 0;
    }
  }
  int64_t place(int64_t a, int64_t b, int64_t c, int64_t d) const {
    return a * stride[0] + b * stride[1] + c * stride[2] + d * stride[3];
  }
  double get(int64_t i) const {
    if (type == CUDNN_DATA_FLOAT) {
      return ((const float *)at)[i];
    }
    uint32_t bits = (uint32_t)((const uint16_t *)at)[i] << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
  }
  void put(int64_t i, double v) const {
    if (type == CUDNN_DATA_FLOAT) {
      ((float *)at)[i] = (float)v;
      return;
    }
    float rounded = (float)emulator_round(v, 8);
    uint32_t bits;
    memcpy(&bits, &rounded, sizeof bits);
    ((uint16_t *)at)[i] = (uint16_t)(bits >> 16);
  }
};

struct convolution {
  tensor x, w, z;
  int64_t stride[2], pad[2];
  double alpha, beta;
  const names *kind;

  explicit convolution(const contents &o)
      : x(*o.part(names_of(o)->x)), w(*o.part(names_of(o)->w)),
        z(*o.part(names_of(o)->z)), kind(names_of(o)) {
    const contents &c = *o.part(kind->convolution);
    std::vector<int64_t> s = c.values<int64_t>(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
    std::vector<int64_t> p = c.values<int64_t>(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    for (int i = 0; i < 2; i++) {
      stride[i] = s[i];
      pad[i] = p[i];
    }
    alpha = o.value<float>(kind->alpha);
    beta = o.value<float>(kind->beta);
  }
  bool fits() const {
    bool good = x.dim[0] == z.dim[0] && x.dim[1] == w.dim[1] && w.dim[0] == z.dim[1];
    for (int i = 0; i < 2; i++) {
      int64_t side = (x.dim[2 + i] + 2 * pad[i] - w.dim[2 + i]) / stride[i] + 1;
      good = good && side == z.dim[2 + i];
    }
    return good;
  }
  tensor &result() {
    return kind == &forward ? z : kind == &filter ? w : x;
  }
  /* Every product of the three is one of these terms. */
  template <class F> void terms(F term) const {
    for (int64_t n = 0; n < z.dim[0]; n++) {
      for (int64_t k = 0; k < z.dim[1]; k++) {
        for (int64_t p = 0; p < z.dim[2]; p++) {
          for (int64_t q = 0; q < z.dim[3]; q++) {
            int64_t at_z = z.place(n, k, p, q);
            for (int64_t c = 0; c < x.dim[1]; c++) {
              for (int64_t r = 0; r < w.dim[2]; r++) {
                for (int64_t s = 0; s < w.dim[3]; s++) {
                  int64_t row = p * stride[0] - pad[0] + r;
                  int64_t column = q * stride[1] - pad[1] + s;
                  bool inside =
                      row >= 0 && row < x.dim[2] && column >= 0 && column < x.dim[3];
                  term(inside ? x.place(n, c, row, column) : last(x) + 1,
                       w.place(k, c, r, s), at_z);
                }
              }
            }
          }
        }
      }
    }
  }
  static int64_t last(const tensor &t) {
    return t.place(t.dim[0] - 1, t.dim[1] - 1, t.dim[2] - 1, t.dim[3] - 1);
  }
  /* And a zero: the padding, which is multiplied like any value. */
  std::vector<double> read(const tensor &t, bool rounds) const {
    std::vector<double> all((size_t)last(t) + 2);
    for (size_t i = 0; i + 1 < all.size(); i++) {
      double v = t.get((int64_t)i);
      all[i] = rounds && t.type == CUDNN_DATA_FLOAT ? emulator_round(v, 11) : v;
    }
    return all;
  }
  void run(bool rounds) {
    tensor &to = result();
    std::vector<double> sum = read(to, false), old = sum, a, b;
    std::fill(sum.begin(), sum.end(), 0.0);
    if (kind == &forward) {
      a = read(x, rounds), b = read(w, rounds);
      terms([&](int64_t i, int64_t j, int64_t k) { sum[k] += a[i] * b[j]; });
    } else if (kind == &filter) {
      a = read(x, rounds), b = read(z, rounds);
      terms([&](int64_t i, int64_t j, int64_t k) { sum[j] += a[i] * b[k]; });
    } else {
      a = read(w, rounds), b = read(z, rounds);
      terms([&](int64_t i, int64_t j, int64_t k) { sum[i] += a[j] * b[k]; });
    }
    for (size_t i = 0; i + 1 < sum.size(); i++) { // tensors lie without gaps
      to.put((int64_t)i, alpha * sum[i] + (beta != 0 ? beta * old[i] : 0));
    }
  }
};

/* ---- engines ---- */

std::vector<cudnnBackendNumericalNote_t> notes_of(int64_t engine) {
  if (engine == 7) {
    return {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC};
  }
  return engine == 8
             ? std::vector<cudnnBackendNumericalNote_t>{CUDNN_NUMERICAL_NOTE_TENSOR_CORE}
             : std::vector<cudnnBackendNumericalNote_t>{};
}

bool takes(int64_t engine, const convolution &c) {
  for (const tensor *t : {&c.x, &c.w, &c.z}) {
    bool last = t->stride[1] == 1 && t->stride[3] == t->dim[1];
    bool bf16 = t->type == CUDNN_DATA_BFLOAT16;
    if ((engine == 8 && !last) || (engine != 8 && bf16)) {
      return false;
    }
  }
  return true;
}

int64_t workspace_of(int64_t engine, const convolution &c) {
  return engine == 9 ? 0 : 1000 + 64 * c.x.dim[0];
}

void set(contents &c, int name, cudnnBackendAttributeType_t type, const void *value) {
  const char *bytes = (const char *)value;
  c.of[name] = {type, 1, std::vector<char>(bytes, bytes + size_of(type)), {}};
}

void set_part(contents &c, int name, const ref &part) {
  c.of[name] = {CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, {}, {part}};
}

ref make(cudnnBackendDescriptorType_t type) {
  ref made = std::make_shared<contents>();
  made->type = type;
  return made;
}

/* What the heuristics answer. */
void guess(contents &heuristics) {
  attribute results = {CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, {}, {}};
  bool first = heuristics.value<cudnnBackendHeurMode_t>(CUDNN_ATTR_ENGINEHEUR_MODE) ==
               CUDNN_HEUR_MODE_A;
  for (int64_t index = first ? 7 : 9; index <= 9; index++) {
    ref engine = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    ref config = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    set(*engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, &index);
    set_part(*engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH,
             heuristics.part(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH));
    attribute notes = {CUDNN_TYPE_NUMERICAL_NOTE, 0, {}, {}};
    for (cudnnBackendNumericalNote_t note : notes_of(index)) {
      const char *bytes = (const char *)&note;
      notes.bytes.insert(notes.bytes.end(), bytes, bytes + sizeof note);
      notes.n++;
    }
    engine->of[CUDNN_ATTR_ENGINE_NUMERICAL_NOTE] = notes;
    set_part(*config, CUDNN_ATTR_ENGINECFG_ENGINE, engine);
    engine->final = config->final = true;
    results.refs.push_back(config);
    results.n++;
  }
  heuristics.of[CUDNN_ATTR_ENGINEHEUR_RESULTS] = results;
}

const contents &operation_of(const contents &plan, int64_t *engine) {
  ref e = plan.part(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)
              ->part(CUDNN_ATTR_ENGINECFG_ENGINE);
  *engine = e->value<int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  return *e->part(CUDNN_ATTR_ENGINE_OPERATION_GRAPH)->part(CUDNN_ATTR_OPERATIONGRAPH_OPS);
}

bool finish_plan(contents &plan) {
  if (plan.part(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP) == nullptr) {
    return false;
  }
  int64_t engine;
  convolution c(operation_of(plan, &engine));
  int64_t workspace = workspace_of(engine, c);
  set(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, &workspace);
  return takes(engine, c);
}

/* Nothing is finished before its parts. */
bool finish(contents &c) {
  for (const auto &entry : c.of) {
    for (const ref &part : entry.second.refs) {
      if (!part->final) {
        return false;
      }
    }
  }
  if (names_of(c) != nullptr) {
    return convolution(c).fits();
  }
  if (c.type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR) {
    guess(c);
  }
  return c.type != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR || finish_plan(c);
}
} // namespace

double emulator_round(double value, int digits) {
  int exponent;
  double part = frexp(value, &exponent); // half to one
  if (!std::isfinite(value) || value == 0) {
    return value;
  }
  return ldexp(nearbyint(ldexp(part, digits)), exponent - digits); // ties to even
}

extern "C" {

cudnnStatus_t cudnnCreate(cudnnHandle_t *made) {
  *made = (cudnnHandle_t) new handle;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t h) {
  delete (handle *)h;
  return CUDNN_STATUS_SUCCESS;
}

const char *cudnnGetErrorString(cudnnStatus_t) {
  return "an error of the emulated cuDNN";
}

void cudnnGetLastErrorString(char *message, size_t) {
  message[0] = '\0';
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t stream) {
  ((handle *)h)->stream = stream;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *made) {
  *made = (cudnnBackendDescriptor_t) new ref(make(type));
  live++;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t d) {
  delete (ref *)d; // what others hold of it stays
  live--;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t d) {
  contents &c = *of(d);
  c.final = !c.final && finish(c);
  return c.final ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t d,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t n,
                                       const void *value) {
  contents &c = *of(d);
  if (c.final || n < 1 || value == nullptr) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  attribute a = {type, n, {}, {}};
  if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
    for (int64_t i = 0; i < n; i++) {
      a.refs.push_back(of(((const cudnnBackendDescriptor_t *)value)[i]));
    }
  } else {
    const char *bytes = (const char *)value;
    a.bytes.assign(bytes, bytes + (size_t)n * size_of(type));
  }
  c.of[name] = a;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const d,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t wanted,
                                       int64_t *n, void *value) {
  const contents &c = *of(d);
  const attribute *a = c.find(name);
  if (!c.final || a == nullptr || a->type != type) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  *n = a->n;
  int64_t given = a->n < wanted ? a->n : wanted;
  for (int64_t i = 0; i < given && type == CUDNN_TYPE_BACKEND_DESCRIPTOR; i++) {
    of(((cudnnBackendDescriptor_t *)value)[i]) = a->refs[i];
  }
  if (type != CUDNN_TYPE_BACKEND_DESCRIPTOR && given > 0) {
    memcpy(value, a->bytes.data(), (size_t)given * size_of(type));
  }
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t h, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack) {
  const contents &p = *of(plan), &v = *of(pack);
  if (!p.final || !v.final || ((handle *)h)->stream == nullptr) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  int64_t engine;
  convolution c(operation_of(p, &engine));
  std::vector<int64_t> ids = v.values<int64_t>(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
  std::vector<char *> at = v.values<char *>(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
  char *workspace = v.value<char *>(CUDNN_ATTR_VARIANT_PACK_WORKSPACE);
  size_t room = (size_t)p.value<int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
  if (ids.size() != 3 || at.size() != 3 || (room > 0 && workspace == nullptr)) {
    return CUDNN_STATUS_BAD_PARAM;
  }
  for (tensor *t : {&c.x, &c.w, &c.z}) {
    for (size_t i = 0; i < ids.size(); i++) {
      t->at = ids[i] == t->id ? at[i] : t->at;
    }
    if (t->at == nullptr || (uintptr_t)t->at % (uintptr_t)t->alignment != 0) {
      return CUDNN_STATUS_BAD_PARAM;
    }
  }
  emulator_launch(dim3(1), 1, 0, ((handle *)h)->stream, [=] {
    memset(workspace, 0xff, room);
    convolution mine = c;
    mine.run(engine == 8);
  });
  return CUDNN_STATUS_SUCCESS;
}
}
