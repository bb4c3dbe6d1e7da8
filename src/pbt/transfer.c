/*
 * The plan is known to every rank, so nobody has to be told what to send.  Donors are
 * taken in the order of their numbers by all who take part in a cast (the donor's rank
 * and every rank that owns a receiver), which makes the order of casts the same
 * everywhere and a deadlock impossible.
 *
 * On every rank that takes part one member holds the donor's state first: the donor
 * itself, or the first receiver there.  Between holders the state travels by message, in
 * place where MPI reaches it, else through the staging buffer, part by part, so that
 * copies between device and host go on while other parts are under way.  The other
 * receivers of a rank copy their holder's state, in memory or on the device.
 */
#include "pbt/transfer.h"

#include "base/digest.h" // pbt_digest
#include "base/memory.h" // rank lists

#include <string.h>

static char *map_of(const struct pbt_member *member) {
  const struct pbt_task_ops *ops = member->task->ops;
  return ops->state_map == NULL ? NULL : ops->state_map(member->task);
}

static size_t travel_bytes(const struct pbt_population *population) {
  struct pbt_task *task = population->member[0].task;
  return task->ops->state(task)->travel_bytes;
}

static struct pbt_member *local_member(struct pbt_population *population, int64_t id) {
  return pbt_is_local(population, id) ? &population->member[id - population->begin]
                                      : NULL;
}

/* The bytes of a member's travelling state in host memory: in place, or in the staging
 * buffer. */
static pbt_status state_bytes(struct pbt_population *population,
                              struct pbt_member *member, char **bytes) {
  *bytes = map_of(member);
  if (*bytes != NULL) {
    return PBT_OK;
  }
  *bytes = population->staging;
  return member->task->ops->state_read(member->task, 0, travel_bytes(population), *bytes);
}

pbt_status pbt_member_digest(struct pbt_population *population, struct pbt_member *member,
                             uint64_t *digest) {
  char *bytes = NULL;
  PBT_TRY(state_bytes(population, member, &bytes));
  *digest = pbt_digest(bytes, travel_bytes(population));
  return PBT_OK;
}

/* rank[0]: the donor's; then each rank that owns a receiver, once, in order. */
static int ranks_of(const struct pbt_population *population, int32_t donor, int rank[]) {
  int size = pbt_comm_size(population->comm);
  int n = 0;
  rank[n++] = pbt_block_owner(population->n, size, donor);
  int last = -1;
  for (int64_t i = 0; i < population->n; i++) {
    if (i == donor || population->plan[i].donor != donor) {
      continue;
    }
    int owner = pbt_block_owner(population->n, size, i);
    if (owner != rank[0] && owner != last) {
      rank[n++] = owner;
      last = owner;
    }
  }
  return n;
}

static bool has_receiver(const struct pbt_population *population, int32_t donor) {
  for (int64_t i = 0; i < population->n; i++) {
    if (i != donor && population->plan[i].donor == donor) {
      return true;
    }
  }
  return false;
}

/* ---- between ranks ---- */

/* One state on its way through the staging buffer. */
struct passage {
  struct pbt_population *population;
  struct pbt_task *task;
};

static pbt_status fetch_part(void *context, size_t offset, size_t bytes) {
  const struct passage *p = context;
  return p->task->ops->state_read(p->task, offset, bytes,
                                  p->population->staging + offset);
}

static pbt_status place_part(void *context, size_t offset, size_t bytes) {
  const struct passage *p = context;
  return p->task->ops->state_write(p->task, offset, bytes,
                                   p->population->staging + offset);
}

static pbt_status cast(struct pbt_population *population, const struct pbt_member *holder,
                       int32_t donor, const int rank[], int n) {
  size_t bytes = travel_bytes(population);
  void *place = map_of(holder);
  if (population->reaches_device) {
    PBT_TRY(holder->task->ops->state_address(holder->task, &place));
  }
  if (place != NULL) {
    return pbt_comm_cast(population->comm, rank, n, place, bytes, NULL);
  }
  struct passage passage = {.population = population, .task = holder->task};
  const struct pbt_cast_part part = {
      .handle = holder->id == donor ? fetch_part : place_part, .context = &passage};
  return pbt_comm_cast(population->comm, rank, n, population->staging, bytes, &part);
}

/* ---- one donor ---- */

/* NULL: this rank takes no part. */
static struct pbt_member *holder_of(struct pbt_population *population, int32_t donor) {
  struct pbt_member *holder = local_member(population, donor);
  for (int64_t i = population->begin; i < population->end && holder == NULL; i++) {
    if (population->plan[i].donor == donor) {
      holder = local_member(population, i);
    }
  }
  return holder;
}

/* Every local receiver has the state, and is digested as it lies. */
static pbt_status settle(struct pbt_population *population, struct pbt_member *holder,
                         int32_t donor) {
  uint64_t sent = population->report[donor].digest;
  for (int64_t i = population->begin; i < population->end; i++) {
    if (i == donor || population->plan[i].donor != donor) {
      continue;
    }
    struct pbt_member *member = local_member(population, i);
    if (member != holder) {
      PBT_TRY(member->task->ops->state_copy(member->task, holder->task));
    }
    PBT_TRY(pbt_member_digest(population, member, &member->digest_after));
    if (member->digest_after != sent) {
      return pbt_fail(PBT_ERR_INTERNAL,
                      "member %d's state reached member %lld damaged: sent %016llx, "
                      "arrived %016llx",
                      donor, (long long)i, (unsigned long long)sent,
                      (unsigned long long)member->digest_after);
    }
  }
  return PBT_OK;
}

static pbt_status cast_one(struct pbt_population *population, int32_t donor, int rank[]) {
  struct pbt_member *holder = holder_of(population, donor);
  if (holder == NULL) {
    return PBT_OK;
  }
  int n = ranks_of(population, donor, rank);
  if (n > 1) {
    PBT_TRY(cast(population, holder, donor, rank, n));
  }
  return settle(population, holder, donor);
}

static pbt_status start_afresh(struct pbt_population *population) {
  for (int64_t i = population->begin; i < population->end; i++) {
    struct pbt_member *member = local_member(population, i);
    member->digest_after = population->report[i].digest;
    if (population->plan[i].donor == -1) {
      uint64_t restart = (uint64_t)population->known.restarts[i];
      PBT_TRY(member->task->ops->restart(member->task, restart));
      PBT_TRY(pbt_member_digest(population, member, &member->digest_after));
    }
  }
  return PBT_OK;
}

pbt_status pbt_transfer(struct pbt_population *population) {
  PBT_TRY(start_afresh(population));
  if (!pbt_copies_weights(population->job)) {
    return PBT_OK;
  }
  int *rank = NULL;
  PBT_TRY(PBT_NEW(pbt_comm_size(population->comm), &rank));
  pbt_status status = PBT_OK;
  for (int32_t donor = 0; donor < population->n && status == PBT_OK; donor++) {
    if (has_receiver(population, donor)) {
      status = cast_one(population, donor, rank);
    }
  }
  pbt_mem_free(rank);
  return status;
}
