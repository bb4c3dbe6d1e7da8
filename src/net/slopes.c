/*
 * Gradients of values, in backward order.
 *
 * A value that several layers read gets a share from each: the last reader in the list
 * comes first and overwrites, the others add.  A gradient is alive from then until the
 * layer that wrote the value has used it; after that its memory is free for the next
 * value of the same shape.  (Of the same shape only, so that halos stay zero.)
 */
#include "net/plan.h"

struct pool {
  struct pbt_net_plan *plan;
  bool busy[PBT_MAX_LAYERS];
};

static bool same(struct pbt_shape a, struct pbt_shape b) {
  return a.c == b.c && a.h == b.h && a.w == b.w && a.halo == b.halo;
}

static int32_t take(struct pool *pool, struct pbt_shape shape) {
  struct pbt_net_plan *plan = pool->plan;
  int32_t k = 0;
  while (k < plan->n_slope && (pool->busy[k] || !same(plan->slope_shape[k], shape))) {
    k++;
  }
  if (k == plan->n_slope) {
    plan->slope_shape[plan->n_slope++] = shape;
  }
  pool->busy[k] = true;
  return k;
}

/* Layer i is about to write the gradient of `value`; whether another has before. */
static bool write_to(struct pool *pool, int32_t value) {
  struct pbt_net_plan *plan = pool->plan;
  if (value == 0 || plan->slope[value] >= 0) {
    return value != 0;
  }
  plan->slope[value] = take(pool, pbt_net_value_shape(plan, value));
  return false;
}

void pbt_net_plan_slopes(struct pbt_net_plan *plan) {
  struct pool pool = {.plan = plan};
  for (int32_t v = 0; v <= plan->n_layer; v++) {
    plan->slope[v] = -1;
  }
  write_to(&pool, plan->n_layer); // by the loss
  for (int32_t i = plan->n_layer; i-- > 0;) {
    plan->add_dx[i] = write_to(&pool, i);
    plan->add_dskip[i] = plan->skip[i] >= 0 && write_to(&pool, plan->skip[i]);
    pool.busy[plan->slope[i + 1]] = false;
  }
}
