/* One block at a time; its threads as coroutines on stacks of their own. */
#include "emulator.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace {

enum { STACK = 64 * 1024, MAX_THREADS = 1024, WARP = 32, MAX_SHARED = 227 * 1024 };
enum state { RUNS, AT_BLOCK, AT_WARP, DONE };

struct fiber {
  void *sp;
  char *stack;
  state now;
  char slot[16]; // of an exchange
};

fiber fibers[MAX_THREADS];
int current, n_threads;
void *scheduler_sp;
const std::function<void()> *body;
alignas(16) unsigned char shared_memory[MAX_SHARED];

#if !defined __x86_64__
#error "the emulator switches stacks on x86-64 only"
#endif
extern "C" void emulator_switch(void **save, void *load);
asm(".text\n"
    "emulator_switch:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n");

void yield_as(state why) {
  fibers[current].now = why;
  emulator_switch(&fibers[current].sp, scheduler_sp);
}

void begin() {
  (*body)();
  yield_as(DONE);
  abort();
}

void prepare(fiber &f) {
  if (f.stack == nullptr) {
    f.stack = (char *)aligned_alloc(64, STACK);
  }
  void **top = (void **)(f.stack + STACK - 64);
  *--top = nullptr; // begin() never returns
  *--top = (void *)begin;
  for (int i = 0; i < 6; i++) {
    *--top = nullptr;
  }
  f.sp = top;
  f.now = RUNS;
}

/* Lets go whoever waits for threads that have all come; false: nobody can go on. */
bool release() {
  bool any = false;
  for (int first = 0; first < n_threads; first += WARP) {
    int past = first + WARP < n_threads ? first + WARP : n_threads, waiting = 0, live = 0;
    for (int i = first; i < past; i++) {
      waiting += fibers[i].now == AT_WARP;
      live += fibers[i].now != DONE;
    }
    for (int i = first; i < past && waiting > 0 && waiting == live; i++) {
      if (fibers[i].now == AT_WARP) {
        fibers[i].now = RUNS;
        any = true;
      }
    }
  }
  int waiting = 0, live = 0;
  for (int i = 0; i < n_threads; i++) {
    waiting += fibers[i].now == AT_BLOCK;
    live += fibers[i].now != DONE;
  }
  for (int i = 0; i < n_threads && waiting > 0 && waiting == live; i++) {
    if (fibers[i].now == AT_BLOCK) {
      fibers[i].now = RUNS;
      any = true;
    }
  }
  return any;
}

void run_block(dim3 block_index, size_t shared) {
  blockIdx = {block_index.x, block_index.y, block_index.z};
  memset(shared_memory, 0xff, shared); // nobody may count on zeros
  for (int i = 0; i < n_threads; i++) {
    prepare(fibers[i]);
  }
  do {
    for (int i = 0; i < n_threads; i++) {
      if (fibers[i].now == RUNS) {
        current = i;
        threadIdx = {(unsigned)i, 0, 0};
        emulator_switch(&scheduler_sp, fibers[i].sp);
      }
    }
  } while (release());
  for (int i = 0; i < n_threads; i++) {
    if (fibers[i].now != DONE) {
      fprintf(stderr, "emulator: thread %d waits for ever\n", i);
      abort();
    }
  }
}

} // namespace

void __syncthreads() {
  yield_as(AT_BLOCK);
}

void emulator_exchange(const void *mine, int lane_mask, void *theirs, size_t bytes) {
  memcpy(fibers[current].slot, mine, bytes);
  yield_as(AT_WARP);
  memcpy(theirs, fibers[current ^ lane_mask].slot, bytes);
  yield_as(AT_WARP); // all have read before any writes again
}

void *dynamic_shared() {
  return shared_memory;
}

void emulator_run(dim3 grid, int block, size_t shared,
                  const std::function<void()> &thread) {
  if (block < 1 || block > MAX_THREADS || shared > MAX_SHARED) {
    fprintf(stderr, "emulator: a launch of %d threads, %zu bytes shared\n", block,
            shared);
    abort();
  }
  gridDim = grid;
  blockDim = dim3((unsigned)block);
  n_threads = block;
  body = &thread;
  for (unsigned z = 0; z < grid.z; z++) {
    for (unsigned y = 0; y < grid.y; y++) {
      for (unsigned x = 0; x < grid.x; x++) {
        run_block(dim3(x, y, z), shared);
      }
    }
  }
}
