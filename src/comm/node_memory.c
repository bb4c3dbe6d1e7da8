/*
 * node_memory.c - one copy of the data for all ranks of a machine.
 *
 * The first rank of the node makes a file that has no name (memfd_create), the others
 * open it through /proc/PID/fd.  Because there is never a name, nothing can stay behind
 * in /dev/shm, whoever is killed and whenever; MPI_Win_allocate_shared leaves a file
 * there. Nor is it bounded by the size of /dev/shm (64 MB in many containers), only by
 * memory, and all of it is reserved at once, so that a full machine is an answer now and
 * not a SIGBUS later.  Where the other ranks cannot reach the file (each in a PID
 * namespace of its own), the ranks fall back to private copies; the file's identity is
 * compared, because there the same PID and number may be something else.
 *
 * PBT_SHM_LIMIT (bytes) in the environment bounds what is shared; 0 switches it off.
 */
#include "comm/comm_private.h"

#include "base/fault.h"  // pbt_fault
#include "base/log.h"    // pbt_warn
#include "base/memory.h" // the list of mappings

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the node's first rank tells the others; bytes, since all run on one machine. */
struct nameless {
  int64_t ok;
  int64_t pid;
  int64_t descriptor;
  uint64_t device;
  uint64_t inode;
};

static bool within_limit(size_t bytes) {
  const char *limit = getenv("PBT_SHM_LIMIT");
  return limit == NULL || bytes <= strtoull(limit, NULL, 10);
}

/* The descriptor, or -1. */
static int make_file(size_t bytes, struct nameless *file) {
  int descriptor = within_limit(bytes) ? memfd_create("pbt_mpi", MFD_CLOEXEC) : -1;
  struct stat facts;
  if (descriptor < 0 || posix_fallocate(descriptor, 0, (off_t)bytes) != 0 ||
      fstat(descriptor, &facts) != 0) {
    if (descriptor >= 0) {
      close(descriptor);
    }
    return -1;
  }
  *file = (struct nameless){.ok = 1,
                            .pid = getpid(),
                            .descriptor = descriptor,
                            .device = facts.st_dev,
                            .inode = facts.st_ino};
  return descriptor;
}

static int open_file(const struct nameless *file) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%lld/fd/%lld", (long long)file->pid,
           (long long)file->descriptor);
  int descriptor = open(path, O_RDWR | O_CLOEXEC);
  struct stat facts;
  if (descriptor >= 0 && (fstat(descriptor, &facts) != 0 ||
                          facts.st_dev != file->device || facts.st_ino != file->inode)) {
    close(descriptor);
    return -1;
  }
  return descriptor;
}

/* Maps the node's file on all its ranks, or on none (then *data is NULL).  Collective
 * over the node. */
static pbt_status map_shared(struct pbt_comm *comm, size_t bytes, void **data) {
  struct nameless file = {0};
  int descriptor = -1;
  if (comm->node_rank == 0) {
    descriptor = make_file(bytes, &file);
  }
  PBT_TRY(PBT_MPI(MPI_Bcast(&file, sizeof file, MPI_BYTE, 0, comm->node)));
  if (comm->node_rank != 0 && file.ok) {
    descriptor = open_file(&file);
  }
  void *here = MAP_FAILED;
  if (descriptor >= 0) {
    here = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  }
  int mine = here != MAP_FAILED, all = 0;
  pbt_status status =
      PBT_MPI(MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, comm->node));
  if (descriptor >= 0) {
    close(descriptor); // all have theirs; the mappings keep the memory
  }
  if (mine && !all) {
    munmap(here, bytes);
  }
  *data = all ? here : NULL;
  return status;
}

static pbt_status map_private(size_t bytes, void **data) {
  void *here =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (here == MAP_FAILED) {
    return pbt_fail_errno(PBT_ERR_UNAVAILABLE, "no memory for %zu bytes of data", bytes);
  }
  *data = here;
  return PBT_OK;
}

static pbt_status keep(struct pbt_comm *comm, void *data, size_t bytes) {
  struct pbt_mapping *mapping = NULL;
  pbt_status status = PBT_NEW(1, &mapping);
  if (status != PBT_OK) {
    munmap(data, bytes);
    return status;
  }
  *mapping = (struct pbt_mapping){.data = data, .bytes = bytes, .next = comm->mapping};
  comm->mapping = mapping;
  return PBT_OK;
}

pbt_status pbt_comm_node_memory(struct pbt_comm *comm, size_t bytes,
                                struct pbt_node_memory *memory) {
  *memory = (struct pbt_node_memory){.bytes = bytes};
  size_t room = bytes > 0 ? bytes : 1;
  void *data = NULL;
  PBT_TRY(pbt_comm_meet(comm->world));
  PBT_TRY(map_shared(comm, room, &data));
  memory->shared = data != NULL;
  memory->fill = !memory->shared || comm->node_rank == 0;
  int alone = memory->shared ? 0 : 1, any_alone = 0;
  PBT_TRY(PBT_MPI(MPI_Allreduce(&alone, &any_alone, 1, MPI_INT, MPI_MAX, comm->world)));
  if (any_alone) {
    pbt_warn("the ranks of a node cannot share memory for the data (%zu bytes); "
             "each rank holds a copy of its own",
             bytes);
  }
  pbt_status status = pbt_fault("comm_node_memory", PBT_ERR_UNAVAILABLE);
  if (status == PBT_OK && data == NULL) {
    status = map_private(room, &data);
  }
  if (status == PBT_OK) {
    status = keep(comm, data, room);
  }
  memory->data = status == PBT_OK ? data : NULL;
  return pbt_comm_agree(comm, status);
}

pbt_status pbt_comm_node_ready(struct pbt_comm *comm, struct pbt_node_memory *memory) {
  PBT_TRY(pbt_comm_meet(comm->node));
  /* From here on the data is borrowed by all; a stray write should be found at once. */
  if (mprotect(memory->data, memory->bytes > 0 ? memory->bytes : 1, PROT_READ) != 0) {
    return pbt_fail_errno(PBT_ERR_INTERNAL, "cannot make the data read-only");
  }
  return PBT_OK;
}

void pbt_comm_node_free(struct pbt_comm *comm) {
  while (comm->mapping != NULL) {
    struct pbt_mapping *mapping = comm->mapping;
    comm->mapping = mapping->next;
    munmap(mapping->data, mapping->bytes);
    pbt_mem_free(mapping);
  }
}
